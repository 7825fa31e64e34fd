//! Formats changes, progress marks, and dead letters as lines of JSON.

use std::fmt::{self, Write};
use std::sync::Arc;

use telemetra_core::{Action, Change, DeadLetter, EventTime, ExternalError, RowKey, Table, Value, json};

/// The fields that every line has before the columns of the row.
const FRONT: [&str; 4] = ["table", "time", "action", "revision"];

/// The formats of lines, for the tables that the sink was opened with.
#[derive(Debug, Default)]
pub(crate) struct ChangeLines(Vec<TableLines>);

/// The format of the lines of one table.
#[derive(Debug)]
struct TableLines {
    table: Arc<Table>,
    /// The name of each column as JSON, after a comma and before a colon.
    names: Vec<String>,
}

impl ChangeLines {
    pub(crate) fn new(tables: &[Arc<Table>]) -> Self {
        let lines = |table: &Arc<Table>| TableLines { table: Arc::clone(table), names: column_names(table) };
        Self(tables.iter().map(lines).collect())
    }

    /// Appends the line of a change that takes effect at `time`; `text` is the time as text.
    pub(crate) fn write(
        &self,
        out: &mut String,
        change: &Change,
        time: EventTime,
        text: &str,
    ) -> Result<(), ExternalError> {
        let failed = |why: &str| {
            let row = RowKey::of(&*change.row);
            ExternalError::permanent(format!("could not write the row {row} as JSON: {why}"))
        };
        let Some(lines) = self.0.iter().find(|lines| lines.table.name() == change.table()) else {
            return Err(failed("the sink was not opened with its table"));
        };
        lines.write(out, change, time, text).map_err(|error| match error {
            Wrong::Columns => failed("it does not put one value for each column of its table"),
            Wrong::Value => failed("a value cannot be shown"),
        })
    }
}

/// The reason why a row cannot be written.
enum Wrong {
    Columns,
    Value,
}

impl TableLines {
    fn write(&self, out: &mut String, change: &Change, time: EventTime, text: &str) -> Result<(), Wrong> {
        let action = match change.action {
            Action::Upsert => "upsert",
            Action::Withdraw => "withdraw",
        };
        out.push_str("{\"table\":\"");
        out.push_str(self.table.name());
        out.push_str("\",\"time\":\"");
        out.push_str(text);
        out.push_str("\",\"action\":\"");
        out.push_str(action);
        out.push_str("\",\"revision\":");
        // Writing to a string does not fail.
        let _ = write!(out, "{}", change.revision);
        let (mut names, mut result) = (self.names.iter(), Ok(()));
        change.row.values(&mut |value| {
            let Some(name) = names.next() else { return result = Err(Wrong::Columns) };
            if result.is_err() || matches!(value, Value::Revision) {
                return;
            }
            out.push_str(name);
            let made = match value {
                Value::PublishedAt => json::value(out, Value::Text(text)),
                Value::Time(at) if at == time => json::value(out, Value::Text(text)),
                Value::Json(text) => on_one_line(out, text),
                value => json::value(out, value),
            };
            result = made.map_err(|_| Wrong::Value);
        });
        out.push_str("}\n");
        if names.next().is_some() { Err(Wrong::Columns) } else { result }
    }
}

/// Appends JSON that may contain line breaks between its parts, without them. Inside strings they are escaped
/// already.
fn on_one_line(out: &mut String, text: &dyn fmt::Display) -> fmt::Result {
    let start = out.len();
    write!(out, "{text}")?;
    if out[start..].contains(['\n', '\r']) {
        let text = out.split_off(start);
        out.push_str(&text.replace(['\n', '\r'], " "));
    }
    Ok(())
}

/// Returns the columns' names, each after a comma and before a colon. A name that every line has already gets
/// underscores until it is unique, as readers differ on objects that repeat a name.
fn column_names(table: &Table) -> Vec<String> {
    let columns = table.all_columns();
    let named = |name: &str| {
        let mut own = name.to_owned();
        while FRONT.contains(&&*own) || (own != name && table.position(&own).is_some()) {
            own.push('_');
        }
        let mut text = String::from(",");
        let _ = json::string(&mut text, &own);
        text.push(':');
        text
    };
    columns.iter().map(|column| named(&column.name)).collect()
}

/// Appends the line that marks everything up to a time as complete.
pub(super) fn write_progress(out: &mut String, time: &str) {
    out.push_str("{\"table\":\"telemetra_progress\",\"time\":\"");
    out.push_str(time);
    out.push_str("\",\"action\":\"upsert\"}\n");
}

/// Appends the line of a dead letter. Writing to a string does not fail.
pub(super) fn write_letter(out: &mut String, letter: &DeadLetter) {
    let _ = try_letter(out, letter);
}

fn try_letter(out: &mut String, letter: &DeadLetter) -> fmt::Result {
    out.push_str("{\"partition\":");
    json::string(out, letter.partition.as_str())?;
    write!(out, ",\"offset\":{},\"index\":{},\"time\":", letter.offset, letter.index)?;
    json::value(out, letter.time.map_or(Value::Null, Value::Time))?;
    write!(out, ",\"fate\":\"{}\",\"reason\":", letter.fate)?;
    json::string(out, &letter.reason)?;
    if let Some(parent) = letter.traceparent {
        write!(out, ",\"traceparent\":\"{parent}\"")?;
    }
    match std::str::from_utf8(&letter.bytes) {
        Ok(text) => {
            out.push_str(",\"record\":");
            json::string(out, text)?;
        }
        Err(_) => {
            out.push_str(",\"record_hex\":");
            json::value(out, Value::Bytes(&letter.bytes))?;
        }
    }
    out.push_str("}\n");
    Ok(())
}
