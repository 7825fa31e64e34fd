//! What is published, and rows as text.

use std::fmt::{self, Write};

use telemetra_core::{Action, Change, EventTime, Table, Value, json};

use super::form::Form;

/// The columns of a table but the one of the publication time: the time is published beside the row, and
/// after a restart a row that did not change is the same.
#[derive(Debug)]
pub(super) struct Columns {
    names: Vec<String>,
    left_out: Option<usize>,
}

impl Columns {
    pub(super) fn of(table: &Table) -> Self {
        let names = table.all_columns().iter().map(|column| column.name.to_string()).collect();
        Self { names, left_out: table.published_at_column() }
    }

    /// Calls `put` with the place and name of each column and its value. Fails where the row puts another
    /// number of values than it has columns.
    pub(super) fn each<'c>(
        &'c self,
        change: &Change,
        mut put: impl FnMut(usize, &'c str, Value<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let (mut at, mut result) = (0, Ok(()));
        change.values(EventTime::MIN, &mut |value| {
            if let Some(name) = self.names.get(at)
                && self.left_out != Some(at)
                && result.is_ok()
            {
                result = put(at, name, value);
            }
            at += 1;
        });
        if at == self.names.len() { result } else { Err(fmt::Error) }
    }

    /// Whether there is a column of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().enumerate().any(|(at, column)| column == name && self.left_out != Some(at))
    }

    /// The row as a JSON object.
    pub(super) fn object(&self, out: &mut String, change: &Change) -> fmt::Result {
        let mut before = '{';
        self.each(change, |_, name, value| {
            write!(out, "{before}\"{name}\":")?;
            before = ',';
            json::value(out, value)
        })?;
        out.write_char('}')
    }
}

/// A value as text, as a field of a hash or a score has it; nothing where there is none.
pub(super) fn text(value: Value<'_>) -> Result<Option<String>, fmt::Error> {
    let mut text = String::new();
    match value {
        Value::Null => return Ok(None),
        Value::Float(x) if !x.is_finite() => return Ok(None),
        Value::Text(plain) => text.push_str(plain),
        Value::Shown(shown) | Value::Json(shown) => write!(text, "{shown}")?,
        Value::Time(time) => write!(text, "{time}")?,
        Value::Decimal(decimal) => write!(text, "{decimal}")?,
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(text, "{byte:02x}"))?,
        value => json::value(&mut text, value)?,
    }
    Ok(Some(text))
}

/// What became of a row.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Published,
    Corrected,
    Opened,
    Updated,
    Closed,
    Withdrawn,
}

impl Kind {
    /// Of a window, by how often it was published.
    pub(super) fn of_window(change: &Change) -> Self {
        match (change.action, change.revision) {
            (Action::Withdraw, _) => Self::Withdrawn,
            (Action::Upsert, 0) => Self::Published,
            (Action::Upsert, _) => Self::Corrected,
        }
    }

    /// Of a row of any other kind, by how often it was published.
    pub(super) fn of_row(change: &Change) -> Self {
        match Self::of_window(change) {
            Self::Corrected => Self::Updated,
            kind => kind,
        }
    }

    /// Of a moment, by whether it is open, and was: `None` if it was not there.
    pub(super) fn of_moment(open: bool, was_open: Option<bool>) -> Self {
        match (open, was_open) {
            (true, None) => Self::Opened,
            (false, None | Some(true)) => Self::Closed,
            (true, Some(_)) | (false, Some(false)) => Self::Updated,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Corrected => "corrected",
            Self::Opened => "opened",
            Self::Updated => "updated",
            Self::Closed => "closed",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// The fields of a message beside the subject's.
pub(super) const FIELDS: [&str; 5] = ["type", "kind", "time", "revision", "row"];

/// The message of a change.
pub(super) fn message(
    kind: Kind,
    change: &Change,
    subject: &str,
    time: EventTime,
    form: &Form,
) -> Result<String, fmt::Error> {
    let mut out = String::with_capacity(512);
    out.push_str("{\"type\":");
    json::string(&mut out, &form.message)?;
    write!(out, ",\"kind\":\"{}\",", kind.as_str())?;
    json::string(&mut out, &form.subject_field)?;
    out.push(':');
    json::string(&mut out, subject)?;
    write!(out, ",\"time\":{},\"revision\":{},\"row\":", time.0, change.revision)?;
    form.columns.object(&mut out, change)?;
    out.push('}');
    Ok(out)
}
