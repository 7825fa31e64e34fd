//! Rows as columns: what a row of each table is called and holds, whatever it is written to.
//!
//! The idea: a sink that writes text or SQL needs names, types and values, and no more. Summaries are the user's own
//! type, so they say theirs by [`Tabular`]; a type that is only `Serialize` goes into one column of JSON.

mod decimal;
pub(crate) mod json;
mod key;
mod layout;
mod summary;
pub(crate) mod tables;

pub use decimal::Decimal;
pub use key::RowKey;
pub use layout::Layout;

use std::fmt;

use telemetra_core::{EventTime, Window};

/// A summary type that has columns of its own, between `window_end` and `revision`.
///
/// # Contract
///
/// * [`values`](Self::values) puts one value for each of [`COLUMNS`](Self::COLUMNS), in that order.
/// * No column is called `stream_id`, `window_start`, `window_end`, `revision` or `updated_at`.
/// * Equal summaries of equal windows put equal values.
///
/// ```
/// use telemetra_core::Window;
/// use telemetra_sinks::{Column, ColumnKind, Tabular, Value};
///
/// struct Laughs { lol: u64 }
///
/// impl Tabular for Laughs {
///     const COLUMNS: &'static [Column] = &[
///         Column::new("lol", ColumnKind::Integer),
///         Column::new("lol_rate", ColumnKind::Float),
///     ];
///     fn values(&self, window: Window, put: &mut dyn FnMut(Value<'_>)) {
///         put(Value::Unsigned(self.lol));
///         put(Value::Float(self.lol as f64 / window.seconds()));
///     }
/// }
/// ```
pub trait Tabular {
    /// The columns.
    const COLUMNS: &'static [Column];

    /// Puts the value of each.
    fn values(&self, window: Window, put: &mut dyn FnMut(Value<'_>));
}

/// A column: its name, what it holds, and whether it may be null.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may hold nothing.
    pub nullable: bool,
}

impl Column {
    /// A column that always holds something.
    #[must_use]
    pub const fn new(name: &'static str, kind: ColumnKind) -> Self {
        Self { name, kind, nullable: false }
    }

    /// A column that may be null.
    #[must_use]
    pub const fn nullable(name: &'static str, kind: ColumnKind) -> Self {
        Self { name, kind, nullable: true }
    }
}

/// What a column holds.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// True or false.
    Bool,
    /// A whole number.
    Integer,
    /// A float.
    Float,
    /// An exact decimal: text where there is no type for it.
    Decimal,
    /// Text.
    Text,
    /// An event time: milliseconds in SQLite, RFC 3339 in JSON.
    Time,
    /// A list or a map, as JSON.
    Json,
}

impl ColumnKind {
    /// The type of such a column in SQLite.
    #[must_use]
    pub const fn sqlite(self) -> &'static str {
        match self {
            Self::Bool | Self::Integer | Self::Time => "INTEGER",
            Self::Float => "REAL",
            Self::Decimal | Self::Text | Self::Json => "TEXT",
        }
    }

    /// The type of such a column in Postgres.
    #[must_use]
    pub const fn postgres(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Integer => "bigint",
            Self::Float => "double precision",
            Self::Decimal => "numeric(39,6)",
            Self::Text => "text",
            Self::Time => "timestamp with time zone",
            Self::Json => "jsonb",
        }
    }
}

/// The value of one column of one row. Borrows, so that putting one costs no memory.
#[derive(Copy, Clone)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number. What is beyond 2⁶³ − 1 is written as that to databases, as no counter gets there.
    Unsigned(u64),
    /// A float; one that is not finite is written as null.
    Float(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// Text.
    Text(&'a str),
    /// Text, as this displays.
    Shown(&'a dyn fmt::Display),
    /// An event time.
    Time(EventTime),
    /// JSON, as this displays.
    Json(&'a dyn fmt::Display),
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(b) => write!(f, "Bool({b})"),
            Self::Unsigned(n) => write!(f, "Unsigned({n})"),
            Self::Float(x) => write!(f, "Float({x})"),
            Self::Decimal(decimal) => write!(f, "Decimal({decimal})"),
            Self::Text(text) => write!(f, "Text({text:?})"),
            Self::Shown(text) => write!(f, "Shown({text})"),
            Self::Time(time) => write!(f, "Time({time})"),
            Self::Json(json) => write!(f, "Json({json})"),
        }
    }
}

impl Value<'_> {
    /// A number if there is one.
    pub(crate) fn count(value: Option<u64>) -> Self {
        value.map_or(Self::Null, Self::Unsigned)
    }

    /// A float if there is one.
    pub(crate) fn float(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Float)
    }

    /// A time if there is one.
    pub(crate) fn time(value: Option<EventTime>) -> Self {
        value.map_or(Self::Null, Self::Time)
    }
}
