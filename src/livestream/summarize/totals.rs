use serde::{Deserialize, Serialize};

use crate::livestream::{Currency, StreamSummary, Transaction};

/// The neutral band of sentiments around 0, in units of `1 /`
/// [`SENTIMENT_SCALE`](crate::livestream::SENTIMENT_SCALE): ±0.05.
pub(super) const NEUTRAL: i32 = 500;

/// The sums. They wrap, so that subtracting always undoes adding.
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Totals {
    chats: u64,
    positive: u64,
    negative: u64,
    sentiment: i64,
    viewers: u128,
    viewer_events: u64,
}

impl Totals {
    pub(super) fn add_chat(&mut self, sentiment: i32) {
        self.chats = self.chats.wrapping_add(1);
        self.positive = self.positive.wrapping_add(u64::from(sentiment > NEUTRAL));
        self.negative = self.negative.wrapping_add(u64::from(sentiment < -NEUTRAL));
        self.sentiment = self.sentiment.wrapping_add(i64::from(sentiment));
    }

    pub(super) fn add_viewers(&mut self, viewers: u64) {
        self.viewers = self.viewers.wrapping_add(u128::from(viewers));
        self.viewer_events = self.viewer_events.wrapping_add(1);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.chats = self.chats.wrapping_add(other.chats);
        self.positive = self.positive.wrapping_add(other.positive);
        self.negative = self.negative.wrapping_add(other.negative);
        self.sentiment = self.sentiment.wrapping_add(other.sentiment);
        self.viewers = self.viewers.wrapping_add(other.viewers);
        self.viewer_events = self.viewer_events.wrapping_add(other.viewer_events);
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.chats = self.chats.wrapping_sub(other.chats);
        self.positive = self.positive.wrapping_sub(other.positive);
        self.negative = self.negative.wrapping_sub(other.negative);
        self.sentiment = self.sentiment.wrapping_sub(other.sentiment);
        self.viewers = self.viewers.wrapping_sub(other.viewers);
        self.viewer_events = self.viewer_events.wrapping_sub(other.viewer_events);
    }

    pub(super) fn write(&self, summary: &mut StreamSummary) {
        summary.chat_count = self.chats;
        summary.positive_count = self.positive;
        summary.negative_count = self.negative;
        summary.sentiment_sum = self.sentiment;
        summary.viewer_sum = self.viewers;
        summary.viewer_events = self.viewer_events;
    }
}

/// The number of transactions, and their amounts in the order of [`Currency::ALL`].
#[derive(Copy, Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Transactions {
    count: u64,
    amounts: [i128; Currency::ALL.len()],
}

impl Transactions {
    pub(super) fn add(&mut self, transaction: &Transaction<'_>) {
        self.count = self.count.wrapping_add(1);
        let amount = &mut self.amounts[transaction.currency as usize];
        *amount = amount.wrapping_add(i128::from(transaction.amount));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.amounts
            .iter_mut()
            .zip(other.amounts)
            .for_each(|(ours, theirs)| *ours = ours.wrapping_add(theirs));
    }

    pub(super) fn subtract(&mut self, other: &Self) {
        self.count = self.count.wrapping_sub(other.count);
        self.amounts
            .iter_mut()
            .zip(other.amounts)
            .for_each(|(ours, theirs)| *ours = ours.wrapping_sub(theirs));
    }

    pub(super) fn write(&self, summary: &mut StreamSummary) {
        summary.transaction_count = self.count;
        summary.transaction_amount = self.amounts;
    }
}
