//! The state of the default aggregate in earlier versions.

use serde::{Deserialize, Serialize};

use super::StreamAccumulator;
use super::totals::{Paid, Totals};
use crate::core::checkpoint::Migration;
use crate::core::{Counted, Distinct, Max, TopK};
use crate::livestream::{Currency, StreamSummary};

/// The accumulator of version 0: without the number of messages of each user, the largest transactions, and
/// the words.
#[derive(Serialize, Deserialize)]
struct Accumulator0 {
    totals: Totals,
    peak_viewers: Max<u64>,
    chatters: Distinct,
    emotes: TopK<10>,
    transactions: Option<Box<Paid>>,
}

/// The summary of version 0.
#[derive(Serialize, Deserialize)]
struct Summary0 {
    chat_count: u64,
    unique_chatters: u64,
    positive_count: u64,
    negative_count: u64,
    sentiment_sum: i64,
    top_emotes: Vec<Counted>,
    viewer_sum: u128,
    viewer_events: u64,
    peak_viewers: Option<u64>,
    transaction_count: u64,
    transaction_amount: [i128; Currency::ALL.len()],
}

/// Returns the migrations by which a checkpoint of an older version is restored: from version `from` of the state and of
/// the results of a grouping with a [`chat_aggregate`](super::chat_aggregate) to version 1. `None` if there is no
/// migration from that version. Pass them to [`migrate_state`](crate::ops::Pipeline::migrate_state) for a pipeline of
/// your own; [`pipeline`](crate::livestream::pipeline()) and its variants have them.
///
/// The state of version 0 lacks the number of messages of each user and the size of each transaction. So as long as an
/// explanation covers windows of such a checkpoint, it may give a share of one user that is too small, or leave out a
/// largest transaction.
///
/// ```
/// assert!(telemetra::livestream::chat_migration(0).is_some());
/// assert!(telemetra::livestream::chat_migration(1).is_none());
/// ```
#[must_use]
pub fn chat_migration(from: u32) -> Option<(Migration<StreamAccumulator>, Migration<StreamSummary>)> {
    let state = |before: Accumulator0| {
        let Accumulator0 { totals, peak_viewers, chatters, emotes, transactions } = before;
        StreamAccumulator {
            totals,
            peak_viewers,
            chatters: chatters.into(),
            emotes,
            transactions: transactions.map(|paid| Box::new((*paid).into())),
            words: None,
        }
    };
    let output = |before: Summary0| StreamSummary {
        chat_count: before.chat_count,
        unique_chatters: before.unique_chatters,
        positive_count: before.positive_count,
        negative_count: before.negative_count,
        sentiment_sum: before.sentiment_sum,
        top_emotes: before.top_emotes,
        viewer_sum: before.viewer_sum,
        viewer_events: before.viewer_events,
        peak_viewers: before.peak_viewers,
        transaction_count: before.transaction_count,
        transaction_amount: before.transaction_amount,
        ..StreamSummary::default()
    };
    (from == 0).then(|| (Migration::new(state), Migration::new(output)))
}
