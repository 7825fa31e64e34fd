//! Columns and their values: the description of rows that sinks work from.

use std::fmt::{self, Write};

use crate::time::event_time::EventTime;
use crate::time::signed_time::SignedTime;

/// A column of a table: its name, the kind of its values, and whether it may be null. Every sink maps it to a
/// column of its own system, as [`ColumnKind`] lists.
///
/// ```
/// use telemetra_core::{Column, ColumnKind, Table, Value};
/// let table = Table::new("alerts")
///     .key(Column::new("device", ColumnKind::Text))
///     .column(Column::nullable("ended_at", ColumnKind::Time));
/// assert!(table.check().is_ok());
/// assert!(Value::Null.fits(ColumnKind::Time) && !Value::Text("noon").fits(ColumnKind::Time));
/// assert!(table.key(Column::named("no-name", ColumnKind::Text)).check().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The name: 1 to 63 ASCII letters, digits and underscores, not beginning with a digit.
    /// [`Table::check`](crate::Table::check) refuses others.
    pub name: std::borrow::Cow<'static, str>,
    /// The kind of its values.
    pub kind: ColumnKind,
    /// True if it may be null.
    pub nullable: bool,
}

impl Column {
    /// Creates a column that is never null.
    #[must_use]
    pub const fn new(name: &'static str, kind: ColumnKind) -> Self {
        Self { name: std::borrow::Cow::Borrowed(name), kind, nullable: false }
    }

    /// Creates a column that may be null. A column that is added to an existing table must be nullable.
    #[must_use]
    pub const fn nullable(name: &'static str, kind: ColumnKind) -> Self {
        Self { name: std::borrow::Cow::Borrowed(name), kind, nullable: true }
    }

    /// Creates a column, never null, whose name is made at run time.
    #[must_use]
    pub fn named(name: impl Into<String>, kind: ColumnKind) -> Self {
        Self { name: std::borrow::Cow::Owned(name.into()), kind, nullable: false }
    }

    /// Returns the same column, which may be null.
    #[must_use]
    pub fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }
}

/// The kind of a column's values, and the type that each database gives to it.
///
/// | kind | SQLite | Postgres | JSON |
/// |---|---|---|---|
/// | `Bool` | `INTEGER` | `boolean` | `true`, `false` |
/// | `Integer` | `INTEGER` | `bigint` | a number |
/// | `Float` | `REAL` | `double precision` | a number |
/// | `Decimal` | `TEXT` | `numeric(39,6)` | a string |
/// | `Text` | `TEXT` | `text` | a string |
/// | `Time` | `INTEGER`, milliseconds | `timestamptz` | RFC 3339 |
/// | `Json` | `TEXT` | `jsonb` | itself |
/// | `Bytes` | `BLOB` | `bytea` | a string of hexadecimal digits |
/// | `Integers` | `TEXT`, a JSON array | `bigint[]` | an array |
/// | `Floats` | `TEXT`, a JSON array | `double precision[]` | an array |
/// | `Texts` | `TEXT`, a JSON array | `text[]` | an array |
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ColumnKind {
    /// True or false.
    Bool,
    /// A whole number of 64 bits; signed, in databases that have no unsigned type.
    Integer,
    /// A float.
    Float,
    /// An exact decimal; text, in databases that have no decimal type.
    Decimal,
    /// Text.
    Text,
    /// An event time.
    Time,
    /// A list or a map, written as JSON.
    Json,
    /// Bytes.
    Bytes,
    /// A list of whole numbers.
    Integers,
    /// A list of floats.
    Floats,
    /// A list of texts.
    Texts,
}

/// The value of one column in one row. It borrows from the row, so no memory is allocated for it.
#[derive(Copy, Clone)]
#[non_exhaustive]
pub enum Value<'a> {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number. Databases store 2⁶³ − 1 in place of a greater one, except in a key, where they refuse
    /// the row.
    Unsigned(u64),
    /// A whole number that may be negative.
    Signed(i64),
    /// A float; one that is not finite is written as null.
    Float(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// Text.
    Text(&'a str),
    /// Text, written by the value's `Display`.
    Shown(&'a dyn fmt::Display),
    /// An event time.
    Time(EventTime),
    /// A time before 1970, as the start of a window may be. `Value::from` makes a `Time` or this of a [`SignedTime`].
    BeforeEpoch(SignedTime),
    /// JSON, written by the value's `Display`.
    Json(&'a dyn fmt::Display),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list of whole numbers.
    Integers(&'a [i64]),
    /// A list of floats.
    Floats(&'a [f64]),
    /// A list of texts.
    Texts(&'a [&'a str]),
    /// A placeholder for the revision, a whole number: [`Change::values`](crate::Change::values) puts the
    /// number of the change that publishes the row.
    Revision,
    /// A placeholder for the event time at which the row is published, which
    /// [`Change::values`](crate::Change::values) puts.
    PublishedAt,
}

impl<'a> Value<'a> {
    /// Returns the value, or null for `None`.
    #[must_use]
    pub fn or_null(value: Option<Self>) -> Self {
        value.unwrap_or(Self::Null)
    }

    /// Returns the time of a [`Time`](Self::Time) or a [`BeforeEpoch`](Self::BeforeEpoch); `None` for other values.
    ///
    /// ```
    /// use telemetra_core::{EventTime, SignedTime, Value};
    /// assert_eq!(Value::Time(EventTime(5)).time(), Some(SignedTime(5)));
    /// assert_eq!(Value::BeforeEpoch(SignedTime(-5)).time(), Some(SignedTime(-5)));
    /// assert_eq!(Value::Signed(5).time(), None);
    /// ```
    #[must_use]
    pub fn time(&self) -> Option<SignedTime> {
        match self {
            Self::Time(time) => Some((*time).into()),
            Self::BeforeEpoch(time) => Some(*time),
            _ => None,
        }
    }

    /// Returns whether a column of this kind can hold the value. Null fits every kind.
    #[must_use]
    pub fn fits(&self, kind: ColumnKind) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) => kind == ColumnKind::Bool,
            Self::Unsigned(_) | Self::Signed(_) | Self::Revision => kind == ColumnKind::Integer,
            Self::Float(_) => kind == ColumnKind::Float,
            Self::Decimal(_) => matches!(kind, ColumnKind::Decimal | ColumnKind::Text),
            Self::Text(_) | Self::Shown(_) => kind == ColumnKind::Text,
            Self::Time(_) | Self::BeforeEpoch(_) | Self::PublishedAt => kind == ColumnKind::Time,
            Self::Json(_) => kind == ColumnKind::Json,
            Self::Bytes(_) => kind == ColumnKind::Bytes,
            Self::Integers(_) => kind == ColumnKind::Integers,
            Self::Floats(_) => kind == ColumnKind::Floats,
            Self::Texts(_) => kind == ColumnKind::Texts,
        }
    }
}

/// A [`Time`](Value::Time), or [`BeforeEpoch`](Value::BeforeEpoch) for a time before 1970.
///
/// ```
/// use telemetra_core::{EventTime, SignedTime, Value};
/// assert!(matches!(Value::from(SignedTime(5)), Value::Time(EventTime(5))));
/// assert!(matches!(Value::from(SignedTime(-5)), Value::BeforeEpoch(SignedTime(-5))));
/// ```
impl From<SignedTime> for Value<'_> {
    fn from(time: SignedTime) -> Self {
        if time >= EventTime::MIN { Self::Time(time.or_epoch()) } else { Self::BeforeEpoch(time) }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Bool(b) => write!(f, "Bool({b})"),
            Self::Unsigned(n) => write!(f, "Unsigned({n})"),
            Self::Signed(n) => write!(f, "Signed({n})"),
            Self::Float(x) => write!(f, "Float({x})"),
            Self::Decimal(decimal) => write!(f, "Decimal({decimal})"),
            Self::Text(text) => write!(f, "Text({text:?})"),
            Self::Shown(text) => write!(f, "Shown({text})"),
            Self::Time(time) => write!(f, "Time({time})"),
            Self::BeforeEpoch(time) => write!(f, "BeforeEpoch({time})"),
            Self::Json(json) => write!(f, "Json({json})"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.escape_ascii()),
            Self::Integers(list) => write!(f, "Integers({list:?})"),
            Self::Floats(list) => write!(f, "Floats({list:?})"),
            Self::Texts(list) => write!(f, "Texts({list:?})"),
            Self::Revision => f.write_str("Revision"),
            Self::PublishedAt => f.write_str("PublishedAt"),
        }
    }
}

/// Writes a value as plain text: numbers in decimal, times in RFC 3339, bytes in hexadecimal, null as
/// nothing.
pub(crate) fn write_plain(out: &mut impl Write, value: Value<'_>) -> fmt::Result {
    match value {
        Value::Null | Value::Revision | Value::PublishedAt => Ok(()),
        Value::Bool(b) => write!(out, "{b}"),
        Value::Unsigned(n) => write!(out, "{n}"),
        Value::Signed(n) => write!(out, "{n}"),
        Value::Float(x) => write!(out, "{x}"),
        Value::Decimal(decimal) => write!(out, "{decimal}"),
        Value::Text(text) => out.write_str(text),
        Value::Shown(text) | Value::Json(text) => write!(out, "{text}"),
        Value::Time(time) => write!(out, "{time}"),
        Value::BeforeEpoch(time) => write!(out, "{time}"),
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        Value::Integers(list) => write!(out, "{list:?}"),
        Value::Floats(list) => write!(out, "{list:?}"),
        Value::Texts(list) => write!(out, "{list:?}"),
    }
}

/// An exact decimal with six places, displayed with at least two.
///
/// ```
/// use telemetra_core::Decimal;
/// assert_eq!(Decimal(12_500_000).to_string(), "12.50");
/// assert_eq!(Decimal(-1).to_string(), "-0.000001");
/// assert_eq!(Decimal(3_000_000_000_000).to_string(), "3000000.00");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(
    /// The number of millionths.
    pub i128,
);

impl Decimal {
    /// The number of units that make one.
    pub const SCALE: u128 = 1_000_000;
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, mut part) = (self.0.unsigned_abs() / Self::SCALE, self.0.unsigned_abs() % Self::SCALE);
        let mut places = Self::SCALE.ilog10() as usize;
        while places > 2 && part.is_multiple_of(10) {
            part /= 10;
            places -= 1;
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{part:0places$}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_decimal_loses_nothing(units in any::<i64>()) {
            let text = Decimal(i128::from(units)).to_string();
            let (whole, part) = text.trim_start_matches('-').split_once('.').unwrap();
            prop_assert!((2..=6).contains(&part.len()));
            let padded: i128 = format!("{whole}{part:0<6}").parse().unwrap();
            prop_assert_eq!(if units < 0 { -padded } else { padded }, i128::from(units));
        }
    }
}
