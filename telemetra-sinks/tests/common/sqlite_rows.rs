//! Tables and rows of devices, and short ways to write them to an SQLite database and to read them back.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use telemetra_core::source::PartitionId;
use telemetra_core::{
    Batch, Change, Column, ColumnKind, DeadLetter, Decimal, EventTime, ExternalError, Fate, Layout, Micro,
    Moment, Row, Sink, Summary, SummaryRow, Table, Value, Window,
};
use telemetra_sinks::Sqlite;

/// A row with a value of every kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) site: i64,
    pub(crate) number: u64,
    pub(crate) amount: i128,
    pub(crate) faulty: bool,
    pub(crate) note: Option<String>,
    pub(crate) raw: Vec<u8>,
    pub(crate) digits: Vec<i64>,
    pub(crate) tags: Vec<String>,
}

impl Row for Sample {
    fn table() -> Table {
        Table::new("samples")
            .key(Column::new("site", ColumnKind::Integer))
            .key(Column::new("number", ColumnKind::Integer))
            .column(Column::new("amount", ColumnKind::Decimal))
            .column(Column::new("faulty", ColumnKind::Bool))
            .column(Column::nullable("note", ColumnKind::Text))
            .column(Column::new("raw", ColumnKind::Bytes))
            .column(Column::new("digits", ColumnKind::Integers))
            .column(Column::new("halves", ColumnKind::Floats))
            .column(Column::new("tags", ColumnKind::Texts))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        let halves: Vec<_> = self.digits.iter().map(|n| *n as f64 / 2.0).chain([f64::NAN]).collect();
        let tags: Vec<_> = self.tags.iter().map(String::as_str).collect();
        put(Value::Signed(self.site));
        put(Value::Unsigned(self.number));
        put(Value::Decimal(Decimal(self.amount)));
        put(Value::Bool(self.faulty));
        put(Value::or_null(self.note.as_deref().map(Value::Text)));
        put(Value::Bytes(&self.raw));
        put(Value::Integers(&self.digits));
        put(Value::Floats(&halves));
        put(Value::Texts(&tags));
    }
}

/// The window of a minute that begins ten seconds after the one before.
pub(crate) fn window(nth: u64) -> Window {
    let start = EventTime(1_767_225_600_000 + 10_000 * nth);
    Window { start: start.into(), end: start.plus(60_000) }
}

pub(crate) type Reading = SummaryRow<String, u64>;

/// The layout of `device_minute`: what a device sent in a window.
pub(crate) fn readings() -> Layout<Reading> {
    let columns = vec![
        Column::new("readings", ColumnKind::Integer),
        Column::new("per_second", ColumnKind::Float),
        Column::nullable("mean", ColumnKind::Float),
        Column::new("names", ColumnKind::Json),
    ];
    Layout::summaries("device_minute", &["device"], columns, |count: &u64, window, put| {
        put(Value::Unsigned(*count));
        put(Value::Float(*count as f64 / window.seconds()));
        put(Value::Float(f64::NAN));
        put(Value::Json(&r#"[{"name":"a \"name\""}]"#));
    })
    .map_table(|table| table.index(["device", "window_start"]))
}

pub(crate) fn reading(device: &str, nth: u64, count: u64) -> Reading {
    Reading { key: device.to_owned(), summary: Summary { window: window(nth), value: Arc::new(count) } }
}

/// An upsert of a reading.
pub(crate) fn upsert(device: &str, nth: u64, count: u64) -> Change {
    readings().upsert(reading(device, nth, count), 0)
}

/// The layout of `moments`.
pub(crate) fn moments() -> Layout<Moment<String>> {
    Layout::moments("moments", &["device"])
        .map_table(|table| table.index_named("moments_open", ["started_at"], Some("ended_at IS NULL")))
}

pub(crate) fn moment(device: &str, open: bool) -> Moment<String> {
    Moment {
        key: device.to_owned(),
        moment_type: "spike".into(),
        started_at: window(0).start.or_epoch(),
        peak_at: window(0).start.or_epoch(),
        last_at: window(0).end,
        open,
        detection_method: "zscore".into(),
        value: Micro(42_000_000),
        threshold: Micro(3_000_000),
        score: Micro(4_500_000),
        baseline_mean: Micro(10_000_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows: 1,
        comparable: true,
        chance: Some(Micro(250_000)),
        carried: Arc::default(),
    }
}

/// The table `devices` with these columns, and the layout of its rows: a name, and a number for each other
/// column.
pub(crate) fn devices(columns: &[Column]) -> Layout<(String, u64)> {
    let table = Table::new("devices").key(Column::new("device", ColumnKind::Text));
    let others = columns.len();
    Layout::new(table.columns(columns.iter().cloned()), move |(device, n): &(String, u64), put| {
        put(Value::Text(device));
        (0..others).for_each(|_| put(Value::Unsigned(*n)));
    })
}

/// The tables of these rows.
pub(crate) fn tables() -> Vec<Arc<Table>> {
    vec![
        Arc::clone(readings().table()),
        Arc::clone(moments().table()),
        Arc::clone(Layout::<Sample>::of_row().table()),
    ]
}

/// The batch at the end of the window of that number.
pub(crate) fn batch(nth: u64, changes: Vec<Change>) -> Batch {
    Batch { time: EventTime(window(nth).end.0 - 1), changes }
}

pub(crate) fn letter(offset: u64, bytes: &[u8]) -> DeadLetter {
    DeadLetter {
        partition: PartitionId::new("p/0"),
        offset,
        index: 0,
        time: None,
        fate: Fate::Malformed,
        reason: "no JSON".into(),
        bytes: bytes.into(),
        traceparent: None,
    }
}

/// A sink that is open on all tables.
pub(crate) fn sink(path: &Path) -> Sqlite {
    let mut sink = Sqlite::new(path);
    sink.open(&tables(), None).unwrap();
    sink
}

/// Opens the database for a pipeline of one table.
pub(crate) fn open(path: &Path, table: Table) -> Result<Option<EventTime>, ExternalError> {
    Sqlite::new(path).open(&[Arc::new(table)], None)
}

/// The one value of a query.
pub(crate) fn one<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The statements of the schema.
pub(crate) fn schema(path: &Path) -> String {
    one(path, "SELECT group_concat(sql, ';' || char(10)) FROM sqlite_schema WHERE sql IS NOT NULL")
}

/// An error with its cause.
pub(crate) fn text_of(error: &ExternalError) -> String {
    format!("{error}: {}", std::error::Error::source(error).map(ToString::to_string).unwrap_or_default())
}
