//! The SQL statements that write rows and dead letters to an SQLite database.

use std::fmt::{self, Write};
use std::sync::Arc;

use rusqlite::types::Null;
use rusqlite::{CachedStatement, Connection, Error, Statement, TransactionBehavior, params};
use telemetra_core::{Action, Change, DeadLetter, EventTime, Table, Value, json};

use super::schema::quoted;

/// The statements of one table.
pub(super) struct Sql {
    pub(super) table: Arc<Table>,
    upsert: String,
    withdraw: String,
}

impl Sql {
    pub(super) fn new(table: &Arc<Table>) -> Self {
        let names: Vec<_> = table.all_columns().iter().map(|column| quoted(&column.name)).collect();
        let places: Vec<_> = (1..=names.len()).map(|i| format!("?{i}")).collect();
        let (table_name, keys) = (quoted(table.name()), table.keys().len());
        let matches: Vec<_> = (0..keys).map(|i| format!("{} = {}", names[i], places[i])).collect();
        Self {
            table: Arc::clone(table),
            upsert: format!(
                "INSERT OR REPLACE INTO {table_name} ({}) VALUES ({})",
                names.join(", "),
                places.join(", ")
            ),
            withdraw: format!("DELETE FROM {table_name} WHERE {}", matches.join(" AND ")),
        }
    }
}

/// The buffer for texts that are bound, reused from row to row.
pub(super) type Scratch = String;

/// The prepared statements of one table, within a transaction.
pub(super) struct Writer<'a> {
    upsert: CachedStatement<'a>,
    withdraw: CachedStatement<'a>,
    sql: &'a Sql,
}

impl<'a> Writer<'a> {
    pub(super) fn new(connection: &'a Connection, sql: &'a Sql) -> rusqlite::Result<Self> {
        let (upsert, withdraw) =
            (connection.prepare_cached(&sql.upsert)?, connection.prepare_cached(&sql.withdraw)?);
        Ok(Self { upsert, withdraw, sql })
    }

    pub(super) fn write(
        &mut self,
        change: &Change,
        time: EventTime,
        scratch: &mut Scratch,
    ) -> rusqlite::Result<()> {
        let (columns, keys) = (self.sql.table.all_columns().len(), self.sql.table.keys().len());
        let (statement, wanted): (&mut Statement<'_>, _) = match change.action {
            Action::Upsert => (&mut self.upsert, columns),
            Action::Withdraw => (&mut self.withdraw, keys),
        };
        let (mut count, mut result) = (0, Ok(()));
        change.values(time, &mut |value| {
            count += 1;
            if count <= wanted && result.is_ok() {
                result = if count <= keys && !is_exact(value) {
                    // Such a row would overwrite rows with other keys.
                    let why = format!("{value:?} in its key is more than an INTEGER can hold");
                    Err(Error::ToSqlConversionFailure(why.into()))
                } else {
                    bind(statement, count, value, scratch)
                };
            }
        });
        result?;
        if count != columns {
            return Err(Error::InvalidParameterCount(count, columns));
        }
        statement.raw_execute().map(drop)
    }
}

fn bind(
    statement: &mut Statement<'_>,
    index: usize,
    value: Value<'_>,
    scratch: &mut Scratch,
) -> rusqlite::Result<()> {
    match value {
        Value::Bool(b) => statement.raw_bind_parameter(index, b),
        Value::Unsigned(n) => statement.raw_bind_parameter(index, saturated(n)),
        Value::Signed(n) => statement.raw_bind_parameter(index, n),
        Value::Float(x) if x.is_finite() => statement.raw_bind_parameter(index, x),
        Value::Null | Value::Float(_) => statement.raw_bind_parameter(index, Null),
        Value::Text(text) => statement.raw_bind_parameter(index, text),
        Value::Time(time) => statement.raw_bind_parameter(index, millis(time)),
        Value::BeforeEpoch(time) => statement.raw_bind_parameter(index, time.0),
        Value::Decimal(decimal) => bind_shown(statement, index, &decimal, scratch),
        Value::Shown(shown) | Value::Json(shown) => bind_shown(statement, index, shown, scratch),
        Value::Bytes(bytes) => statement.raw_bind_parameter(index, bytes),
        Value::Integers(_) | Value::Floats(_) | Value::Texts(_) => {
            scratch.clear();
            json::value(scratch, value).map_err(unwritable)?;
            statement.raw_bind_parameter(index, scratch.as_str())
        }
        other => Err(Error::ToSqlConversionFailure(format!("no column can hold {other:?}").into())),
    }
}

fn unwritable(error: fmt::Error) -> Error {
    Error::ToSqlConversionFailure(error.into())
}

fn bind_shown(
    statement: &mut Statement<'_>,
    index: usize,
    shown: &dyn fmt::Display,
    scratch: &mut Scratch,
) -> rusqlite::Result<()> {
    scratch.clear();
    write!(scratch, "{shown}").map_err(unwritable)?;
    statement.raw_bind_parameter(index, scratch.as_str())
}

/// Returns whether SQLite can hold this number or time itself rather than its own greatest value. Of all times, only
/// [`EventTime::MAX`] is stored as the greatest.
fn is_exact(value: Value<'_>) -> bool {
    match value {
        Value::Unsigned(n) => i64::try_from(n).is_ok(),
        Value::Time(time) => millis(time) < i64::MAX || time == EventTime::MAX,
        _ => true,
    }
}

fn saturated(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Returns a time as SQLite stores it: milliseconds since the epoch.
pub(super) fn millis(time: EventTime) -> i64 {
    saturated(time.0)
}

/// Writes dead letters in a transaction of their own. Existing ones are kept.
pub(super) fn write_letters(connection: &mut Connection, letters: &[DeadLetter]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = transaction.prepare_cached(
            "INSERT OR IGNORE INTO telemetra_dead_letters
             (\"partition\", \"offset\", idx, fate, reason, bytes, time, traceparent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for letter in letters {
            insert.execute(params![
                letter.partition.as_str(),
                saturated(letter.offset),
                letter.index,
                letter.fate.as_str(),
                letter.reason,
                letter.bytes,
                letter.time.map(millis),
                letter.traceparent.map(|parent| parent.to_string()),
            ])?;
        }
    }
    transaction.commit()
}
