//! Changes as bytes of the log: a place and the values, each as long as it needs to be.

use std::fmt::Write;

use bytes::{Buf, Bytes};
use telemetra_core::{Action, Change, EventTime, Value};

use super::shape::{Kind, Shape};

/// The number of milliseconds in a day.
const DAY: u64 = 86_400_000;
/// The greatest number of millionths in 38 digits.
const LARGEST: i128 = 10_i128.pow(38) - 1;

/// A change in the log, without its values.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) table: u32,
    /// Days since the epoch of the time that the row describes, or of the change, if it describes the present.
    pub(super) day: u32,
    pub(super) revision: u32,
    pub(super) action: Action,
    /// The number of bytes of the values.
    pub(super) length: u32,
}

impl Head {
    pub(super) const BYTES: usize = 17;

    pub(super) fn read(bytes: &mut Bytes) -> Option<Self> {
        if bytes.remaining() < Self::BYTES {
            return None;
        }
        let (table, day, revision) = (bytes.get_u32_le(), bytes.get_u32_le(), bytes.get_u32_le());
        let action = if bytes.get_u8() == 0 { Action::Upsert } else { Action::Withdraw };
        Some(Self { table, day, revision, action, length: bytes.get_u32_le() })
    }

    fn write(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.table.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.day.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.revision.to_le_bytes());
        bytes[12] = u8::from(self.action == Action::Withdraw);
        bytes[13..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }
}

/// Appends a change. `index` is that of its table. The error is what is wrong with the row.
pub(super) fn write(
    out: &mut Vec<u8>,
    (index, shape): (u32, &Shape),
    change: &Change,
    time: EventTime,
) -> Result<(), String> {
    let start = out.len();
    out.resize(start + Head::BYTES, 0);
    let wrong = write_values(out, shape, |value| change.values(time, value)).err();
    let length = u32::try_from(out.len() - start - Head::BYTES);
    let day = u32::try_from(change.row.time().unwrap_or(time).0 / DAY).unwrap_or(u32::MAX);
    match (wrong, length) {
        (None, Ok(length)) => {
            let (revision, action) = (change.revision, change.action);
            let head = Head { table: index, day, revision, action, length };
            out[start..start + Head::BYTES].copy_from_slice(&head.write());
            Ok(())
        }
        (wrong, _) => {
            out.truncate(start);
            Err(wrong.unwrap_or_else(|| "it has more than 4 GiB".to_owned()))
        }
    }
}

/// Appends the values of a row. The error is what is wrong with it.
pub(super) fn write_values(
    out: &mut Vec<u8>,
    shape: &Shape,
    values: impl FnOnce(&mut dyn FnMut(Value<'_>)),
) -> Result<(), String> {
    let (mut columns, mut wrong) = (shape.columns.iter(), None);
    values(&mut |value| {
        let Some(column) = columns.next() else {
            wrong.get_or_insert("it does not put one value for each column of its table".to_owned());
            return;
        };
        if wrong.is_none() {
            wrong = put(out, column.kind, column.is_optional(), column.key, value)
                .err()
                .map(|why| format!("the column `{}` {why}", column.name));
        }
    });
    if wrong.is_none() && columns.next().is_some() {
        wrong = Some("it does not put one value for each column of its table".to_owned());
    }
    wrong.map_or(Ok(()), Err)
}

/// Appends a value: a byte that says whether there is one, and the value.
fn put(out: &mut Vec<u8>, kind: Kind, optional: bool, key: bool, value: Value<'_>) -> Result<(), String> {
    let value = match value {
        Value::Float(x) if !x.is_finite() => Value::Null,
        value => value,
    };
    if matches!(value, Value::Null) {
        out.push(0);
        return if optional && !key { Ok(()) } else { Err("may not be null".to_owned()) };
    }
    out.push(1);
    match (kind, value) {
        (Kind::Bool, Value::Bool(b)) => out.push(b.into()),
        (Kind::Integer, Value::Signed(n)) => out.extend(n.to_le_bytes()),
        (Kind::Integer, Value::Unsigned(n)) => {
            if key && i64::try_from(n).is_err() {
                return Err(format!("is in the key, and {n} does not fit into 64 bits with a sign"));
            }
            out.extend(i64::try_from(n).unwrap_or(i64::MAX).to_le_bytes());
        }
        (Kind::Float, Value::Float(x)) => out.extend(x.to_le_bytes()),
        (Kind::Decimal, Value::Decimal(decimal)) => {
            if decimal.0.unsigned_abs() > LARGEST.unsigned_abs() {
                return Err(format!("holds {decimal}, which has more than 38 digits"));
            }
            // The order of bytes of files.
            out.extend(decimal.0.to_be_bytes());
        }
        (Kind::Time, Value::Time(time)) => {
            out.extend(i64::try_from(time.0).unwrap_or(i64::MAX).to_le_bytes());
        }
        (Kind::Time, Value::BeforeEpoch(time)) => out.extend(time.0.to_le_bytes()),
        (Kind::Text, Value::Text(text)) => sized(out, text.as_bytes())?,
        (Kind::Text, Value::Shown(text) | Value::Json(text)) => {
            let mut shown = String::new();
            write!(shown, "{text}").map_err(|_| "has a value that cannot be shown".to_owned())?;
            sized(out, shown.as_bytes())?;
        }
        (Kind::Text, Value::Decimal(decimal)) => sized(out, decimal.to_string().as_bytes())?,
        (Kind::Bytes, Value::Bytes(bytes)) => sized(out, bytes)?,
        (Kind::Integers, Value::Integers(list)) => {
            count(out, list.len())?;
            list.iter().for_each(|n| out.extend(n.to_le_bytes()));
        }
        (Kind::Floats, Value::Floats(list)) => {
            count(out, list.len())?;
            list.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        (Kind::Texts, Value::Texts(list)) => {
            count(out, list.len())?;
            list.iter().try_for_each(|text| sized(out, text.as_bytes()))?;
        }
        (kind, value) => return Err(format!("is of the kind {kind:?}, and the value is {value:?}")),
    }
    Ok(())
}

fn count(out: &mut Vec<u8>, length: usize) -> Result<(), String> {
    let length = u32::try_from(length).map_err(|_| "has more than 4 GiB".to_owned())?;
    out.extend(length.to_le_bytes());
    Ok(())
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    count(out, bytes.len())?;
    out.extend(bytes);
    Ok(())
}

/// A day as it is in the name of a folder.
pub(super) fn day_text(day: u32) -> String {
    let (year, month, day) = telemetra_core::engine::civil_from_days(day.into());
    format!("{year:04}-{month:02}-{day:02}")
}
