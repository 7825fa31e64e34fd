//! Rows for tests.
#![allow(dead_code, reason = "each test uses some of it")]

use telemetra_core::{
    Action, Batch, Change, DeadLetter, EventTime, Fate, Micro, Moment, PartitionId, Row, StreamId,
    StreamSummary, Summary, Window,
};

pub(crate) fn window(nth: u64) -> Window {
    let start = EventTime(1_767_225_600_000 + nth * 10_000);
    Window { start, end: start.plus(60_000) }
}

pub(crate) fn upsert<S>(row: Row<S>) -> Change<S> {
    Change { row, revision: 0, action: Action::Upsert }
}

pub(crate) fn row<S>(stream: &str, nth: u64, value: S) -> Row<S> {
    Row::Summary(StreamId::new(stream), Summary { window: window(nth), value: value.into() })
}

pub(crate) fn summary(stream: &str, nth: u64, chats: u64) -> Change<StreamSummary> {
    upsert(row(stream, nth, StreamSummary { chat_count: chats, ..Default::default() }))
}

/// As of the end of the `nth` window.
pub(crate) fn batch<S>(nth: u64, changes: Vec<Change<S>>) -> Batch<S> {
    Batch { time: EventTime(window(nth).end.0 - 1), changes }
}

pub(crate) fn moment(stream: &str, nth: u64, open: bool) -> Moment {
    let last_at = window(nth).end;
    Moment {
        stream_id: StreamId::new(stream),
        moment_type: "chat_spike".into(),
        started_at: last_at.minus(10_000),
        peak_at: last_at,
        last_at,
        open,
        detection_method: "zscore".into(),
        value: Micro(42_500_000),
        threshold: Micro(3_000_000),
        score: Micro(4_500_000),
        baseline_mean: Micro(10_000_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows: 1,
    }
}

pub(crate) fn letter(offset: u64, bytes: &[u8]) -> DeadLetter {
    DeadLetter {
        partition: PartitionId::new("telemetra.events.chat/0"),
        offset,
        index: 0,
        fate: Fate::Malformed,
        reason: "`timestamp`: missing".into(),
        bytes: bytes.into(),
    }
}
