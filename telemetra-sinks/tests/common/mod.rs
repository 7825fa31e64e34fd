//! Rows for tests.
#![allow(dead_code, reason = "each test uses some of it")]

use telemetra_core::{
    Action, Batch, Change, Counted, DeadLetter, EventTime, Fate, Micro, Moment, PartitionId, Row, StreamId,
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

/// Windows of so many streams, a batch each.
pub(crate) fn batches(streams: u64, windows: u64) -> Vec<Batch<StreamSummary>> {
    let emotes =
        ["Kappa", "PogChamp", "LUL", "KEKW", "monkaS", "OMEGALUL", "Pepega", "5Head", "Sadge", "Clap"];
    let batch = |nth: u64| {
        let start = EventTime(1_767_225_600_000 + nth * 10_000);
        let window = Window { start, end: start.plus(60_000) };
        let change = |stream: u64| {
            let top_emotes =
                (0..10).map(|i| Counted { name: emotes[i as usize].into(), count: 50 - i }).collect();
            let value = StreamSummary {
                chat_count: 1_000 + stream,
                unique_chatters: 321,
                positive_count: 200,
                negative_count: 100,
                sentiment_sum: 1_234_567,
                top_emotes,
                viewer_sum: 123_456 + u128::from(stream),
                viewer_events: 6,
                peak_viewers: Some(25_000),
                transaction_count: 2,
                transaction_amount: [12_500_000, 0, 4_990_000, 0],
            };
            let row = Row::Summary(
                StreamId::new(&format!("stream-{stream:06}")),
                Summary { window, value: value.into() },
            );
            Change { row, revision: 0, action: Action::Upsert }
        };
        Batch { time: EventTime(window.end.0 - 1), changes: (0..streams).map(change).collect() }
    };
    (0..windows).map(batch).collect()
}
