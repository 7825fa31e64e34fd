//! Rows of streams, windows and moments, in batches of any changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use telemetra::core::{Action, Batch, Change, EventTime, Layout, Micro, Moment, Summary, SummaryRow, Window};
use telemetra::livestream::{StreamId, StreamRow, StreamSummary, moment_layout, summary_layout};

use super::STREAMS;
use crate::service::START;

/// A change: of which stream, what (a window so far back, a moment, the stream), and whether it is withdrawn.
pub(super) type Raw = (usize, usize, bool);

pub(super) fn changes() -> impl Strategy<Value = Vec<Raw>> {
    proptest::collection::vec((0usize..STREAMS.len(), 0usize..5, proptest::bool::weighted(0.4)), 1..8)
}

fn time(nth: usize) -> EventTime {
    START.plus(nth as u64 * 10_000 + 59_999)
}

/// The batches of a pipeline: each row has the revisions that it has by the changes before.
pub(super) fn batches(raw: &[Vec<Raw>]) -> Vec<Batch> {
    let mut published: BTreeMap<String, (u32, bool)> = BTreeMap::new();
    let make = |(nth, raw): (usize, &Vec<Raw>)| {
        let (mut made, mut changed): (Vec<Change>, _) = (Vec::new(), BTreeSet::new());
        for (of, what, withdraw) in raw {
            let (id, place) = (StreamId::new(STREAMS[*of]), nth.saturating_sub(*what % 3));
            let start = START.plus(place as u64 * 10_000);
            let key = match what {
                4 => format!("{id}"),
                3 => format!("{id} moment {place}"),
                _ => format!("{id} window {place}"),
            };
            let (revision, is_there) = published.get(&key).copied().unwrap_or_default();
            // No row of metadata is ever withdrawn.
            let withdraw = *withdraw && *what != 4;
            if !changed.insert(key.clone()) || (withdraw && !is_there) {
                continue;
            }
            published.insert(key, (revision + 1, !withdraw));
            let action = if withdraw { Action::Withdraw } else { Action::Upsert };
            let row = match what {
                4 => Layout::<StreamRow>::of_row().erase(StreamRow {
                    stream_id: id.clone(),
                    name: "name".into(),
                    title: Some(format!("{nth}").into()),
                    category: None,
                    is_live: Some(true),
                    started_at: Some(START),
                    ended_at: None,
                    created_at: START,
                    // What it says is of another time than when it was told.
                    updated_at: START,
                }),
                3 => moment_layout().erase(moment(id, start, revision % 2 == 0)),
                _ => {
                    let value = StreamSummary { chat_count: revision.into(), ..StreamSummary::default() };
                    let window = Window { start: start.into(), end: start.plus(60_000) };
                    let summary = Summary { window, value: value.into() };
                    summary_layout().erase(SummaryRow { key: id, summary })
                }
            };
            made.push(Change { row, revision, action });
        }
        made.sort_by(|a, b| a.row.compare_key(&*b.row));
        Batch { time: time(nth), changes: made }
    };
    raw.iter().enumerate().map(make).collect()
}

fn moment(key: StreamId, started_at: EventTime, open: bool) -> Moment<StreamId> {
    Moment {
        key,
        moment_type: "chat_spike".into(),
        started_at,
        peak_at: started_at.plus(10_000),
        last_at: started_at.plus(10_000),
        open,
        detection_method: "zscore".into(),
        value: Micro(42_500_000),
        threshold: Micro(3_000_000),
        score: Micro(4_000_000),
        baseline_mean: Micro(10_000_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows: 1,
        comparable: true,
        chance: None,
        carried: std::sync::Arc::default(),
    }
}
