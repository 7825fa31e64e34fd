//! Formats changes, progress marks, and dead letters as lines of JSON.

use std::fmt::{self, Write};

use telemetra_core::{Action, Change, DeadLetter, EventTime};

use crate::tabular::json;
use crate::tabular::tables::{self, Table};
use crate::{Layout, Value};

/// What is written before each value, for each table. `None` for the revision, which every line has in front.
#[derive(Debug)]
pub(crate) struct Keys(Vec<Vec<Option<String>>>);

impl Keys {
    pub(crate) fn new<S>(layout: &Layout<S>) -> Self {
        let keys = |table: Table| {
            let columns = table.columns(layout);
            columns.iter().map(|c| (c.name != "revision").then(|| format!(",{:?}:", c.name))).collect()
        };
        Self(Table::ALL.into_iter().map(keys).collect())
    }

    /// Appends the line of a change that took effect at `time`, which is `text` when shown.
    pub(crate) fn write<S>(
        &self,
        out: &mut String,
        change: &Change<S>,
        time: EventTime,
        text: &str,
        layout: &Layout<S>,
    ) -> fmt::Result {
        let table = Table::of(&change.row);
        let action = match change.action {
            Action::Upsert => "upsert",
            Action::Withdraw => "withdraw",
        };
        out.push_str("{\"table\":\"");
        out.push_str(table.name());
        out.push_str("\",\"time\":\"");
        out.push_str(text);
        out.push_str("\",\"action\":\"");
        out.push_str(action);
        write!(out, "\",\"revision\":{}", change.revision)?;
        let (mut keys, mut result) = (self.0[table as usize].iter(), Ok(()));
        tables::values(change, time, layout, &mut |value| match keys.next() {
            Some(Some(key)) if result.is_ok() => {
                out.push_str(key);
                result = match value {
                    Value::Time(at) if at == time => json::value(out, Value::Text(text)),
                    value => json::value(out, value),
                };
            }
            Some(_) => {}
            None => result = Err(fmt::Error),
        });
        out.push_str("}\n");
        if keys.next().is_some() { Err(fmt::Error) } else { result }
    }
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
