//! What the compliance suite gives to sinks: every table, revisions, withdrawals, and text that wants escaping.

use std::collections::BTreeMap;

use crate::{
    Action, Batch, Change, Counted, Currency, DeadLetter, EventTime, Fate, Micro, Moment, PartitionId, Row,
    StreamId, StreamRow, StreamSummary, Summary, TransactionRow, TransactionType, ViewerRow, Window,
};

/// The table and key of a row, as [`HeldRow`](super::HeldRow) wants them.
pub(super) fn key_of(row: &Row<StreamSummary>) -> (&'static str, String) {
    match row {
        Row::Stream(row) => ("streams", row.stream_id.to_string()),
        Row::Summary(stream, summary) => {
            ("chat_summary_minute", format!("{stream}/{}", summary.window.start.0))
        }
        Row::Moment(moment) => ("moments", moment.id().to_string()),
        Row::Viewer(row) => ("viewer_timeseries", row.event_id.to_string()),
        Row::Transaction(row) => ("transactions", row.transaction_id.to_string()),
    }
}

/// The batches of a short life.
pub(super) fn batches() -> Vec<Batch<StreamSummary>> {
    let (one, two) = ("s1", "it's \"two\"; --");
    let mut history = History::default();
    for row in [
        stream(one, Some("first")),
        stream(two, None),
        summary(one, 0, 10),
        summary(two, 0, 20),
        moment(one, 0, 1),
        viewer("v1", one),
        transaction("t1", one, None),
    ] {
        history.upsert(row);
    }
    history.close();
    for row in [
        stream(one, Some("a \"title\"\nof two lines, \u{1F3AE}")),
        summary(one, 1, u64::MAX),
        summary(two, 1, 0),
        moment(one, 0, 2),
    ] {
        history.upsert(row);
    }
    history.close();
    // A late event: one window corrected, one that had been there by mistake, and a moment of another start.
    history.upsert(summary(one, 0, 11));
    history.withdraw(summary(two, 0, 20));
    history.withdraw(moment(one, 0, 2));
    history.upsert(moment(one, 1, 1));
    history.close();
    history.close();
    history.upsert(summary(two, 0, 21));
    history.upsert(summary(two, 2, 5));
    history.upsert(viewer("v2", two));
    history.upsert(transaction("t2", two, Some("thanks\\")));
    history.close();
    history.withdraw(viewer("v2", two));
    history.withdraw(transaction("t1", one, None));
    history.upsert(moment(two, 0, 3));
    history.close();
    history.batches
}

/// Letters of two partitions, in the order in which they are found.
pub(super) fn letters() -> Vec<DeadLetter> {
    let letter = |partition, offset, index, bytes: &[u8]| DeadLetter {
        partition: PartitionId::new(partition),
        offset,
        index,
        fate: Fate::Malformed,
        reason: "`timestamp`: not a \"time\"".into(),
        bytes: bytes.into(),
    };
    vec![
        letter("p/0", 0, 0, b"{\"broken\""),
        letter("p/1", 7, 0, b"\xff\x00\xfe"),
        letter("p/0", 9, 0, "\u{e9}\n".as_bytes()),
        letter("p/0", 9, 1, b""),
    ]
}

#[derive(Default)]
struct History {
    batches: Vec<Batch<StreamSummary>>,
    changes: Vec<Change<StreamSummary>>,
    published: BTreeMap<(&'static str, String), u32>,
}

impl History {
    fn upsert(&mut self, row: Row<StreamSummary>) {
        self.change(row, Action::Upsert);
    }

    fn withdraw(&mut self, row: Row<StreamSummary>) {
        self.change(row, Action::Withdraw);
    }

    fn change(&mut self, row: Row<StreamSummary>, action: Action) {
        let published = self.published.entry(key_of(&row)).or_default();
        self.changes.push(Change { row, revision: *published, action });
        *published += 1;
    }

    fn close(&mut self) {
        self.changes.sort();
        let time = EventTime(1_767_225_599_999 + 10_000 * self.batches.len() as u64);
        self.batches.push(Batch { time, changes: std::mem::take(&mut self.changes) });
    }
}

const START: EventTime = EventTime(1_767_225_540_000);

fn stream(id: &str, title: Option<&str>) -> Row<StreamSummary> {
    Row::Stream(StreamRow {
        stream_id: StreamId::new(id),
        name: id.into(),
        title: title.map(Into::into),
        category: None,
        is_live: title.map(|_| true),
        started_at: title.map(|_| START),
        ended_at: None,
        created_at: START,
        updated_at: START.plus(5),
    })
}

fn summary(id: &str, nth: u64, chats: u64) -> Row<StreamSummary> {
    let start = START.plus(10_000 * nth);
    let mut value = StreamSummary { chat_count: chats, unique_chatters: chats / 2, ..Default::default() };
    if chats > 0 {
        value.sentiment_sum = -12_345;
        value.top_emotes = vec![Counted { name: "Kappa\"".into(), count: 3 }];
        value.viewer_sum = u128::from(chats) * 7;
        value.viewer_events = 2;
        value.peak_viewers = Some(chats);
        value.transaction_count = 1;
        value.transaction_amount[Currency::Eur as usize] = 12_500_000;
    }
    Row::Summary(
        StreamId::new(id),
        Summary { window: Window { start, end: start.plus(60_000) }, value: value.into() },
    )
}

fn moment(id: &str, nth: u64, windows: u32) -> Row<StreamSummary> {
    let started_at = START.plus(50_000 + 10_000 * nth);
    let last_at = started_at.plus(10_000 * u64::from(windows));
    Row::Moment(Moment {
        stream_id: StreamId::new(id),
        moment_type: "chat_spike".into(),
        started_at,
        peak_at: last_at,
        last_at,
        open: windows < 2,
        detection_method: "zscore".into(),
        value: Micro(42_000_000),
        threshold: Micro(3_000_000),
        score: Micro(-4_500_000),
        baseline_mean: Micro(10_000_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows,
    })
}

fn viewer(event: &str, id: &str) -> Row<StreamSummary> {
    Row::Viewer(ViewerRow {
        event_id: event.into(),
        stream_id: StreamId::new(id),
        timestamp: START.plus(1),
        viewer_count: 1_000,
        unique_viewers: None,
        peak_viewers: Some(1_200),
    })
}

fn transaction(event: &str, id: &str, message: Option<&str>) -> Row<StreamSummary> {
    Row::Transaction(TransactionRow {
        transaction_id: event.into(),
        stream_id: StreamId::new(id),
        user_id: "u1".into(),
        amount: 4_990_000,
        currency: Currency::Usd,
        transaction_type: TransactionType::Donation,
        message: message.map(Into::into),
        timestamp: START.plus(2),
    })
}
