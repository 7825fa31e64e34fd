//! Arrays in Postgres' binary format: each column of a batch is one parameter.

use std::fmt::{self, Display, Write};

use bytes::BytesMut;
use telemetra_core::{ColumnKind, EventTime, SignedTime, Value};
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::numeric;

/// Milliseconds from the Unix epoch to that of Postgres, the year 2000.
const EPOCH: i64 = 946_684_800_000;
/// The first millisecond that a timestamp can hold, in the year 4714 before Christ.
const FIRST: i64 = -210_866_803_200_000;
/// The last millisecond that a timestamp can hold, in the year 294276.
pub(super) const LAST: u64 = 9_224_318_015_999_999;

/// A column of values of one kind, encoded one after the other.
pub(super) struct Array {
    kind: ColumnKind,
    count: i32,
    nulls: u32,
    bytes: Vec<u8>,
}

/// Returns the SQL type of a parameter's elements. A list is sent as the text of its literal, as an array of
/// arrays would need lists of equal length.
fn element(kind: ColumnKind) -> Type {
    match kind {
        ColumnKind::Bool => Type::BOOL,
        ColumnKind::Integer => Type::INT8,
        ColumnKind::Float => Type::FLOAT8,
        ColumnKind::Decimal => Type::NUMERIC,
        ColumnKind::Time => Type::TIMESTAMPTZ,
        ColumnKind::Json => Type::JSONB,
        ColumnKind::Bytes => Type::BYTEA,
        _ => Type::TEXT,
    }
}

/// Returns the SQL that turns the elements of a parameter into a column.
pub(super) fn spread(parameter: usize, kind: ColumnKind) -> String {
    let spread = format!("unnest(${parameter}::{}[])", element(kind).name());
    match kind {
        ColumnKind::Integers => format!("{spread}::bigint[]"),
        ColumnKind::Floats => format!("{spread}::double precision[]"),
        ColumnKind::Texts => format!("{spread}::text[]"),
        _ => spread,
    }
}

impl Array {
    pub(super) fn new(kind: ColumnKind) -> Self {
        Self { kind, count: 0, nulls: 0, bytes: Vec::new() }
    }

    /// Appends a value and returns whether it is null. Fails if the value does not have the kind of the
    /// column.
    pub(super) fn push(&mut self, value: Value<'_>) -> Result<bool, Misfit> {
        let kind = self.kind;
        self.count += 1;
        let nulls = self.nulls;
        match (kind, value) {
            (_, Value::Null) => self.null(),
            (ColumnKind::Bool, Value::Bool(b)) => self.element(&[u8::from(b)]),
            (ColumnKind::Integer, Value::Unsigned(n)) => self.element(&saturated(n).to_be_bytes()),
            (ColumnKind::Float, Value::Float(x)) if x.is_finite() => self.element(&x.to_be_bytes()),
            (ColumnKind::Float, Value::Float(_)) => self.null(),
            (ColumnKind::Time, Value::Time(time)) => self.element(&micros(time).to_be_bytes()),
            (ColumnKind::Time, Value::BeforeEpoch(time)) => self.element(&micros(time).to_be_bytes()),
            (ColumnKind::Decimal, Value::Decimal(decimal)) => {
                self.element_by(|bytes| numeric::encode(decimal, bytes));
            }
            (ColumnKind::Text, Value::Text(text)) => self.text(text),
            (ColumnKind::Text, Value::Decimal(decimal)) => self.shown(&decimal)?,
            (ColumnKind::Text, Value::Shown(shown)) => self.shown(shown)?,
            (ColumnKind::Json, Value::Json(json)) => self.json(json)?,
            (ColumnKind::Integer, Value::Signed(n)) => self.element(&n.to_be_bytes()),
            (ColumnKind::Bytes, Value::Bytes(bytes)) => self.element(bytes),
            (ColumnKind::Integers, Value::Integers(list)) => self.list(list, |out, n| {
                let _ = write!(Utf8(out), "{n}");
            }),
            (ColumnKind::Floats, Value::Floats(list)) => self.list(list, |out, x| {
                let _ = if x.is_finite() { write!(Utf8(out), "{x}") } else { Utf8(out).write_str("NULL") };
            }),
            (ColumnKind::Texts, Value::Texts(list)) => self.list(list, |out, text| quote_element(out, text)),
            _ => return Err(Misfit),
        }
        Ok(self.nulls > nulls)
    }

    /// Appends a null.
    fn null(&mut self) {
        self.nulls += 1;
        self.bytes.extend((-1_i32).to_be_bytes());
    }

    fn element(&mut self, bytes: &[u8]) {
        self.element_by(|out| out.extend_from_slice(bytes));
    }

    fn element_by(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len() + 4;
        self.bytes.extend([0; 4]);
        write(&mut self.bytes);
        let length = i32::try_from(self.bytes.len() - start).unwrap_or(i32::MAX);
        self.bytes[start - 4..start].copy_from_slice(&length.to_be_bytes());
    }

    /// Appends a text without NUL characters, which Postgres cannot hold.
    fn text(&mut self, text: &str) {
        match memchr::memchr(0, text.as_bytes()) {
            None => self.element(text.as_bytes()),
            Some(_) => self.element(without_nul(text).as_bytes()),
        }
    }

    fn shown(&mut self, shown: &dyn Display) -> Result<(), Misfit> {
        let mut result = Ok(());
        let start = self.bytes.len();
        self.element_by(|out| result = write!(Utf8(out), "{shown}"));
        result.map_err(|_| Misfit)?;
        if memchr::memchr(0, &self.bytes[start + 4..]).is_some() {
            let text = String::from_utf8_lossy(&self.bytes[start + 4..]).into_owned();
            self.bytes.truncate(start);
            self.text(&text);
        }
        Ok(())
    }

    /// Appends a list as the literal of an array. Writing to memory does not fail.
    fn list<T>(&mut self, list: &[T], write: impl Fn(&mut Vec<u8>, &T)) {
        self.element_by(|out| {
            out.push(b'{');
            for (n, item) in list.iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(out, item);
            }
            out.push(b'}');
        });
    }

    /// Appends JSON: the version of the format, then the text. A NUL in it is `\u0000`.
    fn json(&mut self, json: &dyn Display) -> Result<(), Misfit> {
        let mut result = Ok(());
        self.element_by(|out| {
            out.push(1);
            let start = out.len();
            result = write!(Utf8(out), "{json}");
            replace_escaped_nul(&mut out[start..]);
        });
        result.map_err(|_| Misfit)
    }
}

/// The error of a value that does not have the kind of its column, or cannot be formatted.
#[derive(Debug)]
pub(super) struct Misfit;

struct Utf8<'a>(&'a mut Vec<u8>);

impl Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends a text as an element of an array literal.
fn quote_element(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for byte in without_nul(text).bytes() {
        if byte == b'"' || byte == b'\\' {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// Returns whether the text of a value contains a NUL. The text is not kept.
pub(super) fn shows_nul(shown: &dyn Display) -> bool {
    struct Search(bool);
    impl Write for Search {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 |= memchr::memchr(0, text.as_bytes()).is_some();
            Ok(())
        }
    }
    let mut search = Search(false);
    // A value that cannot be formatted is found when it is written.
    let _ = write!(search, "{shown}");
    search.0
}

/// Replaces each NUL by the replacement character.
pub(super) fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Replaces each `\u0000` whose backslash is not itself escaped by `\ufffd`.
fn replace_escaped_nul(json: &mut [u8]) {
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &json[at..]) {
        at += found;
        if json[at..].starts_with(b"\\u0000") {
            json[at + 2..at + 6].copy_from_slice(b"fffd");
        }
        // An escaped character is skipped, a backslash too.
        at = (at + 2).min(json.len());
    }
}

/// Returns whether Postgres can hold this number or time itself rather than its own greatest value. Of all times,
/// only the greatest is `infinity`.
pub(super) fn is_exact(value: Value<'_>) -> bool {
    match value {
        Value::Unsigned(n) => i64::try_from(n).is_ok(),
        Value::Time(time) => time.0 <= LAST || time == EventTime::MAX,
        Value::BeforeEpoch(time) => time.0 >= FIRST,
        _ => true,
    }
}

/// Converts an integer, with the greatest `i64` in place of larger ones.
fn saturated(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Returns the microseconds since the year 2000; `infinity` and `-infinity` for times beyond the range of a timestamp.
pub(super) fn micros(time: impl Into<SignedTime>) -> i64 {
    match time.into().0 {
        millis if millis < FIRST => i64::MIN,
        millis if millis > LAST as i64 => i64::MAX,
        millis => (millis - EPOCH) * 1000,
    }
}

/// Returns the event time of a timestamp.
pub(super) fn event_time(micros: i64) -> EventTime {
    if micros == i64::MAX {
        return EventTime::MAX;
    }
    EventTime(u64::try_from(micros.div_euclid(1000) + EPOCH).unwrap_or(0))
}

impl ToSql for Array {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        // The array has one dimension, whose first index is 1.
        for word in [1, i32::from(self.nulls > 0)] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&element(self.kind).oid().to_be_bytes());
        for word in [self.count, 1] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&self.bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?}", self.count, self.kind)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nul_is_replaced_in_json_where_it_is_one() {
        for (json, expected) in [
            (r#"["\u0000"]"#, r#"["\ufffd"]"#),
            (r#"["\\u0000"]"#, r#"["\\u0000"]"#),
            (r#"["\\\u0000\n\u0000"]"#, r#"["\\\ufffd\n\ufffd"]"#),
            (r#"["\u0001\"\u00"#, r#"["\u0001\"\u00"#),
            ("\\", "\\"),
        ] {
            let mut bytes = json.as_bytes().to_vec();
            replace_escaped_nul(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        }
    }

    #[test]
    fn times_read_back() {
        for time in [0, 1, 946_684_799_999, 1_767_225_600_000, EventTime::LATEST.0, LAST] {
            assert_eq!(event_time(micros(EventTime(time))), EventTime(time));
        }
        for time in [EventTime(LAST + 1), EventTime::MAX] {
            assert_eq!(event_time(micros(time)), EventTime::MAX);
        }
        assert_eq!(micros(SignedTime(-1)), micros(EventTime(0)) - 1000);
        assert_eq!([FIRST - 1, i64::MIN].map(|millis| micros(SignedTime(millis))), [i64::MIN; 2]);
    }
}
