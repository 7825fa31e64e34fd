//! The messages of the channel, and rows as text.

use std::fmt::{self, Write};

use telemetra_core::{Action, Change, EventTime, Table, Value, json};

use super::form::Form;

/// The columns of a table that are written, which is all but the publication time: messages carry that time
/// beside the row, and leaving it out keeps an unchanged row equal after a restart.
#[derive(Debug)]
pub(super) struct Columns {
    names: Vec<String>,
    /// The names as beginnings of members of a JSON object: `"name":`.
    members: Vec<String>,
    left_out: Option<usize>,
}

impl Columns {
    pub(super) fn of(table: &Table) -> Self {
        let names: Vec<_> = table.all_columns().iter().map(|column| column.name.to_string()).collect();
        let members = names.iter().map(|name| format!("\"{name}\":")).collect();
        Self { names, members, left_out: table.published_at_column() }
    }

    /// Calls `put` with the index, name and value of each column. Fails if the row gives another number of
    /// values than there are columns.
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

    /// Returns whether there is a column of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().enumerate().any(|(at, column)| column == name && self.left_out != Some(at))
    }

    /// Appends the row as a JSON object.
    pub(super) fn object(&self, out: &mut String, change: &Change) -> fmt::Result {
        let mut before = '{';
        self.each(change, |at, _, value| {
            out.push(before);
            out.push_str(&self.members[at]);
            before = ',';
            json::value(out, value)
        })?;
        out.write_char('}')
    }
}

/// Appends a value as the text of a hash field or a score. Returns whether there is one: there is none for null
/// and for floats that are not finite.
pub(super) fn text(out: &mut String, value: Value<'_>) -> Result<bool, fmt::Error> {
    match value {
        Value::Null => return Ok(false),
        Value::Float(x) if !x.is_finite() => return Ok(false),
        Value::Text(plain) => out.push_str(plain),
        Value::Shown(shown) | Value::Json(shown) => write!(out, "{shown}")?,
        Value::Time(time) => write!(out, "{time}")?,
        Value::BeforeEpoch(time) => write!(out, "{time}")?,
        Value::Decimal(decimal) => write!(out, "{decimal}")?,
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?,
        value => json::value(out, value)?,
    }
    Ok(true)
}

/// The kind of a change, as messages name it.
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
    /// Returns the kind of a window's change, by its revision.
    pub(super) fn of_window(change: &Change) -> Self {
        match (change.action, change.revision) {
            (Action::Withdraw, _) => Self::Withdrawn,
            (Action::Upsert, 0) => Self::Published,
            (Action::Upsert, _) => Self::Corrected,
        }
    }

    /// Returns the kind of any other row's change, by its revision.
    pub(super) fn of_row(change: &Change) -> Self {
        match Self::of_window(change) {
            Self::Corrected => Self::Updated,
            kind => kind,
        }
    }

    /// Returns the kind of a moment's change: by whether it is open now, and whether it was open before,
    /// `None` if it was not there.
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

/// The fields of a message, beside the one of the subject.
pub(super) const FIELDS: [&str; 5] = ["type", "kind", "time", "revision", "row"];

/// Formats the message of a change.
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
