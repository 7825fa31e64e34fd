//! What is published, and rows as text.

use std::fmt::{self, Write};

use telemetra_core::{Action, Change, EventTime, Row};

use crate::tabular::json;
use crate::tabular::tables::{self, Table};
use crate::{Layout, Value};

/// The columns of a table but `updated_at`, which is the last: the time is published beside the row, and after a restart a row that
/// did not change is the same.
#[derive(Debug)]
pub(super) struct Columns(Vec<&'static str>);

impl Columns {
    pub(super) fn of<S>(table: Table, layout: &Layout<S>) -> Self {
        let mut names: Vec<_> = table.columns(layout).iter().map(|column| column.name).collect();
        names.retain(|name| *name != "updated_at");
        Self(names)
    }

    /// The place of a column.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|column| *column == name)
    }

    /// Calls `put` with each column and its value. Fails where the layout puts another number of values than it has columns.
    pub(super) fn each<S>(
        &self,
        change: &Change<S>,
        layout: &Layout<S>,
        mut put: impl FnMut(&'static str, Value<'_>) -> fmt::Result,
    ) -> fmt::Result {
        let (mut names, mut extra, mut result) = (self.0.iter(), 0, Ok(()));
        tables::values(change, EventTime::MIN, layout, &mut |value| match names.next() {
            Some(name) if result.is_ok() => result = put(name, value),
            Some(_) => {}
            None => extra += 1,
        });
        if names.next().is_some() || extra != 1 { Err(fmt::Error) } else { result }
    }

    /// The row as a JSON object.
    pub(super) fn object<S>(&self, out: &mut String, change: &Change<S>, layout: &Layout<S>) -> fmt::Result {
        let mut before = '{';
        self.each(change, layout, |name, value| {
            write!(out, "{before}\"{name}\":")?;
            before = ',';
            json::value(out, value)
        })?;
        out.write_char('}')
    }
}

/// A value as text, as a field of a hash or a score has it; nothing where there is none.
pub(super) fn text(value: Value<'_>) -> Result<Option<String>, fmt::Error> {
    Ok(match value {
        Value::Null => None,
        Value::Float(x) if !x.is_finite() => None,
        Value::Text(text) => Some(text.to_owned()),
        Value::Shown(shown) | Value::Json(shown) => {
            let mut text = String::new();
            write!(text, "{shown}")?;
            Some(text)
        }
        Value::Time(time) => Some(time.to_string()),
        Value::Decimal(decimal) => Some(decimal.to_string()),
        Value::Bool(_) | Value::Unsigned(_) | Value::Float(_) => {
            let mut text = String::new();
            json::value(&mut text, value)?;
            Some(text)
        }
    })
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
    /// Of a summary, by how often it was published.
    pub(super) fn of_summary<S>(change: &Change<S>) -> Self {
        match (change.action, change.revision) {
            (Action::Withdraw, _) => Self::Withdrawn,
            (Action::Upsert, 0) => Self::Published,
            (Action::Upsert, _) => Self::Corrected,
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

/// The message of a change.
pub(super) fn message<S>(
    kind: Kind,
    change: &Change<S>,
    time: EventTime,
    columns: &Columns,
    layout: &Layout<S>,
) -> Result<String, fmt::Error> {
    let (of, stream) = match &change.row {
        Row::Moment(moment) => ("moment", &moment.stream_id),
        Row::Summary(stream, _) => ("metrics", stream),
        Row::Stream(_) | Row::Viewer(_) | Row::Transaction(_) => return Err(fmt::Error),
    };
    let mut out = String::with_capacity(512);
    write!(out, "{{\"type\":\"{of}\",\"kind\":\"{}\",\"stream_id\":", kind.as_str())?;
    json::string(&mut out, stream)?;
    write!(out, ",\"time\":{},\"revision\":{},\"row\":", time.0, change.revision)?;
    columns.object(&mut out, change, layout)?;
    out.push('}');
    Ok(out)
}
