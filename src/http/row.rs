//! Rows of any table as JSON, under the names of their columns.

use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use telemetra_core::{Action, AnyRow, Change, EventTime, RowKey, Value, json};
use utoipa::ToSchema;

use super::follow::Failure;
use super::time::Time;
use super::view::Held;

/// A row as it was last published.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Row)]
pub(super) struct RowBody {
    table: String,
    /// The key that the row is about, as text.
    key: String,
    /// The number of times that the row was published before.
    revision: u32,
    /// The event time at which the row was published.
    updated_at: Time,
    /// The values of the row's columns.
    #[schema(value_type = Object)]
    row: Box<RawValue>,
}

/// A change of a row.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Change)]
pub(super) struct ChangeBody {
    table: String,
    action: ActionBody,
    /// The number of times that the row was published before.
    revision: u32,
    /// The values of the row's columns: as they are now, or as they were before the row was withdrawn.
    #[schema(value_type = Object)]
    row: Box<RawValue>,
}

/// The kind of a change of a row.
#[derive(Copy, Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Action)]
enum ActionBody {
    /// The row is new, or replaces the row with the same key.
    Upsert,
    /// The row no longer exists after a correction.
    Withdraw,
}

impl RowBody {
    pub(super) fn new(held: &Held) -> Result<Self, Failure> {
        let change = Change { row: Arc::clone(&held.row), revision: held.revision, action: Action::Upsert };
        Ok(Self {
            table: change.table().to_owned(),
            key: held.row.subject().into_owned(),
            revision: held.revision,
            updated_at: held.time.into(),
            row: values(&change, held.time)?,
        })
    }
}

impl ChangeBody {
    pub(super) fn new(change: &Change, time: EventTime) -> Result<Self, Failure> {
        let action = match change.action {
            Action::Upsert => ActionBody::Upsert,
            Action::Withdraw => ActionBody::Withdraw,
        };
        let (table, row) = (change.table().to_owned(), values(change, time)?);
        Ok(Self { table, action, revision: change.revision, row })
    }
}

/// The values of the columns, as an object.
///
/// # Errors
///
/// If a value that calls itself JSON is none, or there is not one for each column.
fn values(change: &Change, time: EventTime) -> Result<Box<RawValue>, Failure> {
    let columns = change.row.table().all_columns();
    let (mut out, mut at, mut written) = (String::from("{"), 0, Ok(()));
    change.values(time, &mut |value: Value<'_>| {
        let column = columns.get(at);
        at += 1;
        if written.is_err() {
            return;
        }
        let Some(column) = column else { return };
        let comma = if at > 1 { "," } else { "" };
        written = write!(out, "{comma}\"{}\":", column.name).and_then(|()| json::value(&mut out, value));
    });
    out.push('}');
    let failed = |why: &dyn std::fmt::Display| {
        let row = RowKey::of(&*change.row);
        Failure::from(format!("the row {row} cannot be written as JSON: {why}"))
    };
    written.map_err(|_| failed(&"a value cannot be shown"))?;
    if at != columns.len() {
        return Err(failed(&"it does not put one value for each column of its table"));
    }
    RawValue::from_string(out).map_err(|error| failed(&error))
}

/// The order of rows in a page, newest first: by the time that they describe, of which the present is the
/// last, and by their key columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) time: EventTime,
    pub(super) key: String,
}

impl Place {
    pub(super) fn of(row: &dyn AnyRow) -> Self {
        let key = RowKey::of(row).to_string();
        Self { time: row.time().unwrap_or(EventTime::MAX), key }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-", self.time.0)?;
        self.key.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (time, key) = text.split_once('-').ok_or(())?;
        let is_number = !time.is_empty() && time.bytes().all(|byte| byte.is_ascii_digit());
        let time = time.parse().ok().filter(|_| is_number).ok_or(())?;
        let key = super::follow::unhex(key)?;
        if key.is_empty() {
            return Err(());
        }
        Ok(Self { time: EventTime(time), key: key.to_string() })
    }
}
