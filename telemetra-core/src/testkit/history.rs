//! The batches of the compliance suite for sinks: tables of every shape, values of every kind, revisions,
//! withdrawals, and text with special characters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::panes::Summary;
use crate::column::{Column, ColumnKind, Decimal, Value};
use crate::detect::explain::Carried;
use crate::detect::moment::Moment;
use crate::micro::Micro;
use crate::read::dead_letter::DeadLetter;
use crate::read::fate::Fate;
use crate::read::source::PartitionId;
use crate::time::event_time::EventTime;
use crate::time::signed_time::SignedTime;
use crate::time::window::Window;
use crate::write::change::{Action, AnyRow, Batch, Change};
use crate::write::layout::Layout;
use crate::write::row::{KeyPart, Row, RowKey};
use crate::write::rows::SummaryRow;
use crate::write::table::Table;

/// The table and key of a row in the form of [`HeldRow`](super::HeldRow).
pub(super) fn key_of(row: &dyn AnyRow) -> (String, String) {
    let key = RowKey::of(row);
    let part = |part: &KeyPart| match part {
        KeyPart::Time(time) => time.0.to_string(),
        KeyPart::BeforeEpoch(time) => time.0.to_string(),
        part => part.to_string(),
    };
    (key.table().to_owned(), key.parts().iter().map(part).collect::<Vec<_>>().join("/"))
}

/// The present state of a device: a row without a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Device {
    device: String,
    label: Option<String>,
    online: Option<bool>,
    seen_at: EventTime,
}

impl Row for Device {
    fn table() -> Table {
        Table::new("devices")
            .key(Column::new("device", ColumnKind::Text))
            .column(Column::nullable("label", ColumnKind::Text))
            .column(Column::nullable("online", ColumnKind::Bool))
            .column(Column::new("seen_at", ColumnKind::Time))
            .index_named("devices_online", ["device"], Some("online"))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.device));
        put(Value::or_null(self.label.as_deref().map(Value::Text)));
        put(Value::or_null(self.online.map(Value::Bool)));
        put(Value::Time(self.seen_at));
    }
}

/// A payment: a row with a time and with values of every kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Payment {
    id: String,
    device: String,
    at: EventTime,
    balance: i64,
    amount: i64,
    note: Option<String>,
}

impl Row for Payment {
    fn table() -> Table {
        Table::new("payments")
            .key(Column::new("id", ColumnKind::Text))
            .column(Column::new("device", ColumnKind::Text))
            .column(Column::new("at", ColumnKind::Time))
            .column(Column::new("balance", ColumnKind::Integer))
            .column(Column::new("amount", ColumnKind::Decimal))
            .column(Column::nullable("note", ColumnKind::Text))
            .column(Column::new("raw", ColumnKind::Bytes))
            .column(Column::new("digits", ColumnKind::Integers))
            .column(Column::new("shares", ColumnKind::Floats))
            .column(Column::new("tags", ColumnKind::Texts))
            .index(["device", "at"])
            .by_day("at")
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.id));
        put(Value::Text(&self.device));
        put(Value::Time(self.at));
        put(Value::Signed(self.balance));
        put(Value::Decimal(Decimal(self.amount.into())));
        put(Value::or_null(self.note.as_deref().map(Value::Text)));
        put(Value::Bytes(&[0, 255, b'\'']));
        put(Value::Integers(&[self.balance, -1, 0]));
        put(Value::Floats(&[0.5, -2.0]));
        put(Value::Texts(&["a \"quoted\", {braced} text", "", "back\\slash", "NULL"]));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.at)
    }
}

/// The aggregate of a window: a count, a mean in fixed point, and names.
type Reading = (u64, Option<i64>, Vec<String>);

fn readings() -> Layout<SummaryRow<String, Reading>> {
    let columns = vec![
        Column::new("readings", ColumnKind::Integer),
        Column::new("per_second", ColumnKind::Float),
        Column::nullable("mean", ColumnKind::Float),
        Column::new("names", ColumnKind::Json),
    ];
    Layout::summaries("device_minute", &["device"], columns, |(count, mean, names): &Reading, window, put| {
        put(Value::Unsigned(*count));
        put(Value::Float(*count as f64 / window.seconds()));
        put(Value::or_null(mean.map(|mean| Value::Float(mean as f64 / 1e6))));
        put(Value::Json(&Names(names)));
    })
}

struct Names<'a>(&'a [String]);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[")?;
        for (n, name) in self.0.iter().enumerate() {
            f.write_str(if n > 0 { "," } else { "" })?;
            crate::json::string(f, name)?;
        }
        f.write_str("]")
    }
}

fn moments() -> Layout<Moment<String>> {
    Layout::moments("moments", &["device"])
}

/// The tables of the batches, in the order of a pipeline.
pub(super) fn tables() -> Vec<Arc<Table>> {
    vec![
        Arc::clone(Layout::<Device>::of_row().table()),
        Arc::clone(readings().table()),
        Arc::clone(moments().table()),
        Arc::clone(Layout::<Payment>::of_row().table()),
    ]
}

/// The batches of a short run.
pub(super) fn batches() -> Vec<Batch> {
    let (one, two) = ("d1", "it's \"two\"; --");
    let mut history = History::default();
    for row in [
        device(one, Some("first")),
        device(two, None),
        reading(one, 0, 10),
        reading(two, 0, 20),
        moment(one, 0, 1),
        payment("p1", one, None),
        payment("p2", one, Some("")),
    ] {
        history.upsert(row);
    }
    history.close();
    for row in [
        device(one, Some("a \"label\"\nof two lines, \u{1F3AE}")),
        reading(one, 1, u64::MAX),
        reading(two, 1, 0),
        moment(one, 0, 2),
    ] {
        history.upsert(row);
    }
    history.close();
    // A correction: one window changes, one is withdrawn, and a moment gets another start.
    history.upsert(reading(one, 0, 11));
    history.withdraw(reading(two, 0, 20));
    history.withdraw(moment(one, 0, 2));
    history.upsert(moment(one, 1, 1));
    history.close();
    history.close();
    history.upsert(reading(two, 0, 21));
    history.upsert(reading(two, 2, 5));
    history.upsert(payment("p3", two, Some("thanks\\")));
    history.close();
    history.withdraw(payment("p3", two, Some("thanks\\")));
    history.withdraw(payment("p1", one, None));
    history.upsert(moment(two, 0, 3));
    history.close();
    history.batches
}

/// The first batches of a run whose events begin at 1970, with windows that begin before it.
pub(super) fn batches_of_1970() -> Vec<Batch> {
    let end = |nth: u64| EventTime(10_000 * nth);
    let mut history = History { first: end(1).minus(1), ..History::default() };
    history.upsert(reading_until("d1", end(1), 1));
    history.close();
    history.upsert(reading_until("d1", end(2), 2));
    history.upsert(reading_until("d2", end(2), 3));
    history.close();
    history.upsert(reading_until("d1", end(1), 4));
    history.withdraw(reading_until("d2", end(2), 3));
    history.upsert(reading_until("d1", end(6), 5));
    history.close();
    history.batches
}

/// Dead letters of two partitions, in the order in which they are found.
pub(super) fn letters() -> Vec<DeadLetter> {
    let letter = |partition, offset, index, bytes: &[u8]| DeadLetter {
        partition: PartitionId::new(partition),
        offset,
        index,
        time: (index > 0).then_some(EventTime(1_767_225_600_000)),
        fate: Fate::Malformed,
        reason: "`timestamp`: not a \"time\"".into(),
        bytes: bytes.into(),
        traceparent: None,
    };
    vec![
        letter("p/0", 0, 0, b"{\"broken\""),
        letter("p/1", 7, 0, b"\xff\x00\xfe"),
        letter("p/0", 9, 0, "\u{e9}\n".as_bytes()),
        letter("p/0", 9, 1, b""),
    ]
}

struct History {
    /// The time of the first batch.
    first: EventTime,
    batches: Vec<Batch>,
    changes: Vec<Change>,
    published: BTreeMap<(String, String), u32>,
}

impl Default for History {
    fn default() -> Self {
        let first = EventTime(1_767_225_599_999);
        Self { first, batches: Vec::new(), changes: Vec::new(), published: BTreeMap::new() }
    }
}

impl History {
    fn upsert(&mut self, row: Arc<dyn AnyRow>) {
        self.change(row, Action::Upsert);
    }

    fn withdraw(&mut self, row: Arc<dyn AnyRow>) {
        self.change(row, Action::Withdraw);
    }

    fn change(&mut self, row: Arc<dyn AnyRow>, action: Action) {
        let published = self.published.entry(key_of(&*row)).or_default();
        self.changes.push(Change { row, revision: *published, action });
        *published += 1;
    }

    fn close(&mut self) {
        self.changes.sort_by(|a, b| a.row.compare_key(&*b.row));
        let time = self.first.plus(10_000 * self.batches.len() as u64);
        self.batches.push(Batch { time, changes: std::mem::take(&mut self.changes) });
    }
}

const START: EventTime = EventTime(1_767_225_540_000);

fn device(id: &str, label: Option<&str>) -> Arc<dyn AnyRow> {
    Layout::of_row().erase(Device {
        device: id.to_owned(),
        label: label.map(Into::into),
        online: label.map(|_| true),
        seen_at: START.plus(5),
    })
}

fn reading(id: &str, nth: u64, count: u64) -> Arc<dyn AnyRow> {
    reading_until(id, START.plus(60_000 + 10_000 * nth), count)
}

/// The row of a window that ends at `end`.
fn reading_until(id: &str, end: EventTime, count: u64) -> Arc<dyn AnyRow> {
    let names = if count > 0 { vec!["a \"name\"".to_owned()] } else { Vec::new() };
    let value = (count, (count > 0).then_some(-12_345), names);
    let window = Window { start: SignedTime(end.0 as i64 - 60_000), end };
    let summary = Summary { window, value: value.into() };
    readings().erase(SummaryRow { key: id.to_owned(), summary })
}

fn moment(id: &str, nth: u64, windows: u32) -> Arc<dyn AnyRow> {
    let started_at = START.plus(50_000 + 10_000 * nth);
    let last_at = started_at.plus(10_000 * u64::from(windows));
    let carried = Carried::new("a \"kind\"", "\u{e9}\n", 0.5, (nth > 0).then_some(-1.25));
    let carried = Arc::from([carried, Carried::new("all", "", 7.0, None::<f64>)]);
    moments().erase(Moment {
        key: id.to_owned(),
        moment_type: "spike".into(),
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
        comparable: true,
        chance: (windows > 1).then_some(Micro(2_500 * i64::from(windows))),
        carried: if windows > 1 { carried } else { Arc::default() },
    })
}

fn payment(id: &str, device: &str, note: Option<&str>) -> Arc<dyn AnyRow> {
    Layout::of_row().erase(Payment {
        id: id.to_owned(),
        device: device.to_owned(),
        at: START.plus(2),
        balance: -5,
        amount: 4_990_000,
        note: note.map(Into::into),
    })
}
