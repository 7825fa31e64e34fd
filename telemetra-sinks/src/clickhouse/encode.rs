//! Rows in ClickHouse's format `RowBinary`, and the types of columns.

use std::fmt::Write;

use telemetra_core::{Action, Change, Column, ColumnKind, EventTime, Table, Value};

/// The columns that every table has besides those of its rows.
pub(super) const OWN: [(&str, &str); 3] =
    [("_version", "UInt64"), ("_revision", "UInt32"), ("_deleted", "UInt8")];

/// The greatest number of millionths in 38 digits.
const LARGEST: u128 = 10_u128.pow(38) - 1;

/// The type of a column, or `None` if its kind is not known. Servers before 20.4 have no time of milliseconds.
pub(super) fn type_of(column: &Column, has_millis: bool) -> Option<String> {
    let plain = match column.kind {
        ColumnKind::Bool => "UInt8",
        ColumnKind::Integer => "Int64",
        ColumnKind::Float => "Float64",
        ColumnKind::Decimal => "Decimal(38, 6)",
        ColumnKind::Text | ColumnKind::Json | ColumnKind::Bytes => "String",
        ColumnKind::Time if has_millis => "DateTime64(3, 'UTC')",
        ColumnKind::Time => "Int64",
        // Arrays cannot be null: one that would be is empty.
        ColumnKind::Integers => "Array(Int64)",
        ColumnKind::Floats => "Array(Float64)",
        ColumnKind::Texts => "Array(String)",
        _ => return None,
    };
    Some(if is_nullable(column) { format!("Nullable({plain})") } else { plain.to_owned() })
}

fn is_array(kind: ColumnKind) -> bool {
    matches!(kind, ColumnKind::Integers | ColumnKind::Floats | ColumnKind::Texts)
}

/// Returns whether the type is nullable: a float that is not finite is null in any column.
fn is_nullable(column: &Column) -> bool {
    !is_array(column.kind) && (column.nullable || column.kind == ColumnKind::Float)
}

/// Appends a row. The error is what is wrong with it.
pub(super) fn row(out: &mut Vec<u8>, table: &Table, change: &Change, time: EventTime) -> Result<(), String> {
    let (mut columns, mut wrong, start) = (table.all_columns().iter().enumerate(), None, out.len());
    let keys = table.keys().len();
    change.values(time, &mut |one| {
        let Some((n, column)) = columns.next() else {
            wrong.get_or_insert("it does not put one value for each column of its table".to_owned());
            return;
        };
        if wrong.is_none() {
            wrong = value(out, column, n < keys, one)
                .err()
                .map(|why| format!("the column `{}` {why}", column.name));
        }
    });
    if wrong.is_none() && columns.next().is_some() {
        wrong = Some("it does not put one value for each column of its table".to_owned());
    }
    if let Some(wrong) = wrong {
        out.truncate(start);
        return Err(wrong);
    }
    out.extend(time.0.to_le_bytes());
    out.extend(change.revision.to_le_bytes());
    out.push((change.action == Action::Withdraw).into());
    Ok(())
}

/// Appends a value.
fn value(out: &mut Vec<u8>, column: &Column, key: bool, value: Value<'_>) -> Result<(), String> {
    let value = match value {
        Value::Float(x) if !x.is_finite() => Value::Null,
        value => value,
    };
    if matches!(value, Value::Null) {
        if key || !(column.nullable || column.kind == ColumnKind::Float) {
            return Err("may not be null".to_owned());
        }
        // The byte of null, or the length of an empty array.
        out.push(u8::from(!is_array(column.kind)));
        return Ok(());
    }
    if is_nullable(column) {
        out.push(0);
    }
    match (column.kind, value) {
        (ColumnKind::Bool, Value::Bool(b)) => out.push(b.into()),
        (ColumnKind::Integer, Value::Signed(n)) => out.extend(n.to_le_bytes()),
        (ColumnKind::Integer, Value::Unsigned(n)) => {
            if key && i64::try_from(n).is_err() {
                return Err(format!("is in the key, and {n} does not fit into 64 bits with a sign"));
            }
            out.extend(i64::try_from(n).unwrap_or(i64::MAX).to_le_bytes());
        }
        (ColumnKind::Float, Value::Float(x)) => out.extend(x.to_le_bytes()),
        (ColumnKind::Decimal, Value::Decimal(decimal)) => {
            if decimal.0.unsigned_abs() > LARGEST {
                return Err(format!("holds {decimal}, which has more than 38 digits"));
            }
            out.extend(decimal.0.to_le_bytes());
        }
        (ColumnKind::Time, Value::Time(time)) => {
            out.extend(i64::try_from(time.0).unwrap_or(i64::MAX).to_le_bytes());
        }
        (ColumnKind::Time, Value::BeforeEpoch(time)) => out.extend(time.0.to_le_bytes()),
        (ColumnKind::Text, Value::Text(text)) => bytes(out, text.as_bytes()),
        (ColumnKind::Text, Value::Shown(text)) | (ColumnKind::Json, Value::Json(text)) => {
            let mut shown = String::new();
            write!(shown, "{text}").map_err(|_| "has a value that cannot be shown".to_owned())?;
            bytes(out, shown.as_bytes());
        }
        (ColumnKind::Text, Value::Decimal(decimal)) => bytes(out, decimal.to_string().as_bytes()),
        (ColumnKind::Bytes, Value::Bytes(raw)) => bytes(out, raw),
        (ColumnKind::Integers, Value::Integers(list)) => {
            count(out, list.len());
            list.iter().for_each(|n| out.extend(n.to_le_bytes()));
        }
        (ColumnKind::Floats, Value::Floats(list)) => {
            count(out, list.len());
            list.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        (ColumnKind::Texts, Value::Texts(list)) => {
            count(out, list.len());
            list.iter().for_each(|text| bytes(out, text.as_bytes()));
        }
        (kind, value) => return Err(format!("is of the kind {kind:?}, and the value is {value:?}")),
    }
    Ok(())
}

/// Appends a number in seven bits a byte, the lowest first.
fn count(out: &mut Vec<u8>, mut n: usize) {
    while n > 127 {
        out.push((n & 127) as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, bytes.len());
    out.extend(bytes);
}
