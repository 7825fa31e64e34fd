//! Rows for tests: what devices report, by window, by moment, and by row.
#![allow(dead_code, reason = "each test uses some of it")]

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use telemetra_core::{
    Action, Batch, Change, Column, ColumnKind, DeadLetter, EventTime, Fate, Key, Layout, Micro, Moment,
    PartitionId, Row, Summary, SummaryRow, Table, Value, Window, json,
};

pub(crate) fn window(nth: u64) -> Window {
    let start = EventTime(1_767_225_600_000 + nth * 10_000);
    Window { start: start.into(), end: start.plus(60_000) }
}

/// A batch as of the end of the `nth` window.
pub(crate) fn batch(nth: u64, changes: Vec<Change>) -> Batch {
    Batch { time: EventTime(window(nth).end.0 - 1), changes }
}

/// A summary of a window: the number of readings, of which some have a mean and a peak, the least of all, and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Readings {
    pub(crate) count: u64,
    pub(crate) mean: Option<i64>,
    pub(crate) peak: Option<u64>,
    pub(crate) least: i64,
    pub(crate) tags: Vec<String>,
}

impl Readings {
    pub(crate) fn mean(&self) -> Option<f64> {
        self.mean.map(|mean| Micro(mean).to_f64())
    }
}

pub(crate) type ReadingsRow = SummaryRow<String, Readings>;

/// The layout of the readings of a minute, in a table of that name.
pub(crate) fn readings_in(table: &'static str) -> Layout<ReadingsRow> {
    let columns = vec![
        Column::new("readings", ColumnKind::Integer),
        Column::new("per_second", ColumnKind::Float),
        Column::nullable("mean", ColumnKind::Float),
        Column::nullable("peak", ColumnKind::Integer),
        Column::new("least", ColumnKind::Integer),
        Column::new("tags", ColumnKind::Json),
    ];
    Layout::summaries(table, &["device"], columns, |readings: &Readings, window, put| {
        put(Value::Unsigned(readings.count));
        put(Value::Float(readings.count as f64 / window.seconds()));
        put(Value::or_null(readings.mean().map(Value::Float)));
        put(Value::or_null(readings.peak.map(Value::Unsigned)));
        put(Value::Signed(readings.least));
        put(Value::Json(&Tags(&readings.tags)));
    })
}

struct Tags<'a>(&'a [String]);

impl fmt::Display for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (n, tag) in self.0.iter().enumerate() {
            f.write_str(if n > 0 { "," } else { "" })?;
            json::string(f, tag)?;
        }
        f.write_str("]")
    }
}

pub(crate) fn moments_in(table: &'static str) -> Layout<Moment<String>> {
    Layout::moments(table, &["device"])
}

/// A device as it is now.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Device {
    pub(crate) device: String,
    pub(crate) label: Option<String>,
    pub(crate) offset: i64,
}

impl Row for Device {
    fn table() -> Table {
        Table::new("devices")
            .key(Column::new("device", ColumnKind::Text))
            .column(Column::nullable("label", ColumnKind::Text))
            .column(Column::new("offset", ColumnKind::Integer))
            .column(Column::new("raw", ColumnKind::Bytes))
            .column(Column::new("digits", ColumnKind::Integers))
            .column(Column::new("shares", ColumnKind::Floats))
            .column(Column::new("tags", ColumnKind::Texts))
            .revision("revision")
            .published_at("updated_at")
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.device));
        put(Value::or_null(self.label.as_deref().map(Value::Text)));
        put(Value::Signed(self.offset));
        put(Value::Bytes(&[0, 255, 39]));
        put(Value::Integers(&[self.offset, 0]));
        put(Value::Floats(&[0.5, -2.5]));
        put(Value::Texts(&["a \"quoted\" text", ""]));
        put(Value::Revision);
        put(Value::PublishedAt);
    }
}

/// An event of a device that is kept as a row with a time, of which there are many.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Alert {
    pub(crate) device: String,
    pub(crate) raised_at: EventTime,
    pub(crate) level: i64,
}

impl Row for Alert {
    fn table() -> Table {
        Table::new("alerts")
            .key(Column::new("device", ColumnKind::Text))
            .key(Column::new("raised_at", ColumnKind::Time))
            .column(Column::new("level", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.device));
        put(Value::Time(self.raised_at));
        put(Value::Signed(self.level));
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.raised_at)
    }
}

/// All tables of the tests, in the order of a pipeline.
pub(crate) fn tables() -> Vec<Arc<Table>> {
    vec![
        Arc::clone(Layout::<Device>::of_row().table()),
        Arc::clone(readings_in("device_minute").table()),
        Arc::clone(moments_in("moments").table()),
        Arc::clone(Layout::<Alert>::of_row().table()),
    ]
}

pub(crate) fn change<R: telemetra_core::Data>(
    layout: &Layout<R>,
    row: R,
    revision: u32,
    action: Action,
) -> Change {
    Change { row: layout.erase(row), revision, action }
}

pub(crate) fn readings_row(device: &str, nth: u64, readings: Readings) -> ReadingsRow {
    SummaryRow { key: device.to_owned(), summary: Summary { window: window(nth), value: readings.into() } }
}

/// A row of this number of readings in the `nth` window.
pub(crate) fn readings(device: &str, nth: u64, count: u64) -> Change {
    let row = readings_row(device, nth, Readings { count, ..Readings::default() });
    readings_in("device_minute").upsert(row, 0)
}

/// A moment that starts in the newest pane of the `nth` window and has lasted for so many panes.
pub(crate) fn moment_by<K: Key>(key: K, nth: u64, windows: u32, open: bool) -> Moment<K> {
    let started_at = window(nth).end.minus(10_000);
    Moment {
        key,
        moment_type: "spike".into(),
        started_at,
        peak_at: window(nth).end,
        last_at: started_at.plus(10_000 * u64::from(windows)),
        open,
        detection_method: "zscore".into(),
        value: Micro(42_500_000),
        threshold: Micro(3_000_000),
        score: Micro(4_000_000 + i64::from(windows)),
        baseline_mean: Micro(10_000_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows,
        comparable: true,
        chance: (windows > 1).then_some(Micro(2_500 * i64::from(windows))),
        carried: Arc::default(),
    }
}

/// The same of a device.
pub(crate) fn moment_of(device: &str, nth: u64, windows: u32, open: bool) -> Moment<String> {
    moment_by(device.to_owned(), nth, windows, open)
}

/// The first sight of a moment of one pane, in the table `moments`.
pub(crate) fn moment(device: &str, nth: u64, open: bool) -> Change {
    moments_in("moments").upsert(moment_of(device, nth, 1, open), 0)
}

pub(crate) fn device(id: &str, label: Option<&str>, offset: i64) -> Device {
    Device { device: id.to_owned(), label: label.map(Into::into), offset }
}

/// An alert at the end of the `nth` window.
pub(crate) fn alert(device: &str, nth: u64, level: i64) -> Alert {
    Alert { device: device.to_owned(), raised_at: window(nth).end, level }
}

/// A record that could not be decoded.
pub(crate) fn letter(offset: u64, bytes: &[u8]) -> DeadLetter {
    DeadLetter {
        partition: PartitionId::new("readings/0"),
        offset,
        index: 0,
        time: None,
        fate: Fate::Malformed,
        reason: "`time`: missing".into(),
        bytes: bytes.into(),
        traceparent: None,
    }
}

/// Windows of so many devices, a batch each: for measurements.
pub(crate) fn batches(devices: u64, windows: u64) -> Vec<Batch> {
    let layout = readings_in("device_minute");
    let tags: Vec<_> = (0..10).map(|n| format!("tag-{n}")).collect();
    let change = |device: u64, nth: u64| {
        let readings = Readings {
            count: 1_000 + device,
            mean: Some(21_234_567),
            peak: Some(25_000),
            least: -40,
            tags: tags.clone(),
        };
        layout.upsert(readings_row(&format!("device-{device:06}"), nth, readings), 0)
    };
    (0..windows).map(|nth| batch(nth, (0..devices).map(|device| change(device, nth)).collect())).collect()
}

pub(crate) fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| a.row.compare_key(&*b.row));
}
