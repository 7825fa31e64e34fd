//! Formats changes, progress marks, and dead letters as lines of JSON.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use telemetra_core::{Action, Change, DeadLetter, EventTime, Table, Value, json};

/// The text before each value of a row, by table. `None` for the revision, which every line has in front.
#[derive(Debug, Default)]
pub(crate) struct Columns(BTreeMap<String, Vec<Option<String>>>);

impl Columns {
    pub(crate) fn new(tables: &[Arc<Table>]) -> Self {
        let mut columns = Self::default();
        for table in tables {
            columns.0.insert(table.name().to_owned(), names(table));
        }
        columns
    }

    /// Appends the line of a change that took effect at `time`, which is `text` when shown.
    pub(crate) fn write(
        &mut self,
        out: &mut String,
        change: &Change,
        time: EventTime,
        text: &str,
    ) -> fmt::Result {
        let table = change.row.table();
        if !self.0.contains_key(table.name()) {
            self.0.insert(table.name().to_owned(), names(table));
        }
        let Some(names) = self.0.get(table.name()) else { return Err(fmt::Error) };
        let action = match change.action {
            Action::Upsert => "upsert",
            Action::Withdraw => "withdraw",
        };
        out.push_str("{\"table\":");
        json::string(out, table.name())?;
        out.push_str(",\"time\":\"");
        out.push_str(text);
        out.push_str("\",\"action\":\"");
        out.push_str(action);
        write!(out, "\",\"revision\":{}", change.revision)?;
        let (mut names, mut result) = (names.iter(), Ok(()));
        change.values(time, &mut |value| match names.next() {
            Some(Some(name)) if result.is_ok() => {
                out.push_str(name);
                result = match value {
                    Value::Time(at) if at == time => json::value(out, Value::Text(text)),
                    value => json::value(out, value),
                };
            }
            Some(_) => {}
            None => result = Err(fmt::Error),
        });
        out.push_str("}\n");
        if names.next().is_some() { Err(fmt::Error) } else { result }
    }
}

fn names(table: &Table) -> Vec<Option<String>> {
    let name = |name: &str| {
        let mut text = ",".to_owned();
        // Writing to a string does not fail.
        let _ = json::string(&mut text, name);
        text.push(':');
        text
    };
    table.all_columns().iter().map(|column| (column.name != "revision").then(|| name(&column.name))).collect()
}

/// Appends the line that says that everything up to a time is there.
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
    write!(
        out,
        ",\"offset\":{},\"index\":{},\"fate\":\"{}\",\"reason\":",
        letter.offset, letter.index, letter.fate
    )?;
    json::string(out, &letter.reason)?;
    match std::str::from_utf8(&letter.bytes) {
        Ok(text) => {
            out.push_str(",\"record\":");
            json::string(out, text)?;
        }
        Err(_) => {
            out.push_str(",\"record_hex\":\"");
            for byte in &letter.bytes {
                write!(out, "{byte:02x}")?;
            }
            out.push('"');
        }
    }
    out.push_str("}\n");
    Ok(())
}
