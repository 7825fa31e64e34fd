//! Rows of tables, and their keys.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Write};

use crate::column::Value;
use crate::data::Data;
use crate::time::event_time::EventTime;
use crate::time::signed_time::SignedTime;
use crate::write::table::Table;

/// A row of a table: a value of your own type that the pipeline writes into every sink. A row with the same
/// key replaces it, and it is withdrawn when a correction removes it from its collection.
///
/// # Contract
///
/// * **Columns.** [`values`](Self::values) puts one value for each column of [`table`](Self::table), in that
///   order. Each value fits the kind of its column, and is null only if the column may be null.
/// * **Identity.** Two rows with equal values in the key columns are versions of the same row. At any time a
///   collection contains at most one row with a key.
/// * **Subject.** [`subject`](Self::subject) depends on the key alone.
/// * **Pure.** Equal rows put equal values.
///
/// Checked by [`row_compliance`](crate::testkit::row_compliance).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use telemetra_core::{Column, ColumnKind, EventTime, Row, Table, Value};
///
/// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
/// struct Alert { device: String, raised_at: EventTime, level: i64 }
///
/// impl Row for Alert {
///     fn table() -> Table {
///         Table::new("alerts")
///             .key(Column::new("device", ColumnKind::Text))
///             .key(Column::new("raised_at", ColumnKind::Time))
///             .column(Column::new("level", ColumnKind::Integer))
///     }
///     fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
///         put(Value::Text(&self.device));
///         put(Value::Time(self.raised_at));
///         put(Value::Signed(self.level));
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a row",
    note = "implement `Row` for it (its table and the values of its columns), \
            or give a `Layout` with `publish_as`"
)]
pub trait Row: Data {
    /// The table.
    fn table() -> Table;

    /// Puts the value of each column, the key columns first.
    fn values(&self, put: &mut dyn FnMut(Value<'_>));

    /// The event time that the row describes, or `None` if it describes the present. A row that is removed
    /// from its collection a horizon after this time is retired, not corrected: sinks keep it.
    fn time(&self) -> Option<EventTime> {
        None
    }

    /// The subject: what the row is about, as text. Rows with the same subject go to the same shard of a sink
    /// and the same message channel. By default it is the first key column.
    fn subject(&self) -> Cow<'_, str> {
        let mut subject = None;
        self.values(&mut |value| {
            subject.get_or_insert_with(|| plain(value));
        });
        subject.unwrap_or_default().into()
    }
}

/// The value as plain text.
pub(crate) fn plain(value: Value<'_>) -> String {
    let mut text = String::new();
    let _ = crate::column::write_plain(&mut text, value);
    text
}

/// The key of a row: its table and the values of its key columns.
///
/// ```
/// # use telemetra_core::{Change, Column, ColumnKind, EventTime, Layout, Row, RowKey, Table, Value};
/// # #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
/// # struct Alert(String);
/// # impl Row for Alert {
/// #     fn table() -> Table { Table::new("alerts").key(Column::new("device", ColumnKind::Text)) }
/// #     fn values(&self, put: &mut dyn FnMut(Value<'_>)) { put(Value::Text(&self.0)) }
/// # }
/// let change = Layout::<Alert>::of_row().upsert(Alert("d1".into()), 0);
/// assert_eq!(RowKey::of(&*change.row).to_string(), "alerts (d1)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    table: std::sync::Arc<str>,
    parts: Box<[KeyPart]>,
}

/// The owned value of a key column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyPart {
    /// A whole number.
    Integer(i128),
    /// True or false.
    Bool(bool),
    /// A time before 1970.
    BeforeEpoch(SignedTime),
    /// A time.
    Time(EventTime),
    /// Text, also of values of other kinds.
    Text(Box<str>),
    /// Bytes.
    Bytes(Box<[u8]>),
}

impl KeyPart {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Unsigned(n) => Self::Integer(n.into()),
            Value::Signed(n) => Self::Integer(n.into()),
            Value::Bool(b) => Self::Bool(b),
            Value::Time(time) => Self::Time(time),
            Value::BeforeEpoch(time) if time >= EventTime::MIN => Self::Time(time.or_epoch()),
            Value::BeforeEpoch(time) => Self::BeforeEpoch(time),
            Value::Bytes(bytes) => Self::Bytes(bytes.into()),
            Value::Text(text) => Self::Text(text.into()),
            value => Self::Text(plain(value).into()),
        }
    }
}

impl fmt::Display for KeyPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(n) => write!(f, "{n}"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::BeforeEpoch(time) => write!(f, "{time}"),
            Self::Time(time) => write!(f, "{time}"),
            Self::Text(text) => f.write_str(text),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl RowKey {
    /// The key of a row.
    #[must_use]
    pub fn of(row: &dyn crate::write::change::AnyRow) -> Self {
        let table = row.table();
        let parts = key_parts(table.keys().len(), |put| row.values(put));
        Self { table: table.name().into(), parts }
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The values of the key columns.
    #[must_use]
    pub fn parts(&self) -> &[KeyPart] {
        &self.parts
    }
}

/// The first `keys` values that are put.
pub(crate) fn key_parts(keys: usize, values: impl FnOnce(&mut dyn FnMut(Value<'_>))) -> Box<[KeyPart]> {
    let mut parts = Vec::with_capacity(keys);
    values(&mut |value| {
        if parts.len() < keys {
            parts.push(KeyPart::of(value));
        }
    });
    parts.into()
}

/// The order of two rows by their key columns.
pub(crate) fn compare_keys(
    keys: usize,
    one: impl FnOnce(&mut dyn FnMut(Value<'_>)),
    other: impl FnOnce(&mut dyn FnMut(Value<'_>)),
) -> Ordering {
    key_parts(keys, one).cmp(&key_parts(keys, other))
}

/// Displayed as the table and, in parentheses, the key, for errors.
impl fmt::Display for RowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.table)?;
        for (n, part) in self.parts.iter().enumerate() {
            if n > 0 {
                f.write_str(", ")?;
            }
            part.fmt(f)?;
        }
        f.write_char(')')
    }
}
