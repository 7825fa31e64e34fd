//! The mapping of kept tables to keys: the user's settings, resolved against the tables of the pipeline.

use std::sync::Arc;

use telemetra_core::{
    AnyRow, Change, Column, ColumnKind, EventTime, ExternalError, KeyPart, RowKey, Shape, SignedTime, Table,
    Value, Window,
};

use super::RedisKeys;
use super::keys::key_text;
use super::message::{Columns, FIELDS};
use super::table::{Kept, RedisTable};

/// The mapping of one kept table: its columns, its key pattern, and the fields of its messages.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) table: Arc<Table>,
    pub(super) kept: Kept,
    pub(super) pattern: String,
    pub(super) message: String,
    pub(super) subject_field: String,
    pub(super) columns: Columns,
    /// The columns that order the rows of a subject: for windows the start and the end, for moments the
    /// start, the type and the end.
    places: Vec<usize>,
}

/// A leaderboard: its key without the prefix, and the kept table and column that it ranks by.
#[derive(Debug)]
pub(super) struct Board {
    pub(super) key: String,
    pub(super) table: usize,
    pub(super) column: usize,
}

/// The position of a row among those of its table and subject.
pub(super) enum Place {
    Window(Window),
    Moment { started_at: EventTime, moment_type: Box<str>, ended_at: Option<EventTime> },
    Row { key: Arc<str>, time: Option<EventTime> },
}

impl Place {
    /// Returns the time at which an existing row ended, if it has one.
    pub(super) fn ended(&self) -> Option<EventTime> {
        match self {
            Self::Window(window) => Some(window.end),
            Self::Moment { ended_at, .. } => *ended_at,
            Self::Row { time, .. } => *time,
        }
    }
}

/// Returns the kept tables and the leaderboards, or a message that says which setting to change.
pub(super) fn resolve(keys: &RedisKeys, tables: &[Arc<Table>]) -> Result<(Vec<Form>, Vec<Board>), String> {
    let all = if keys.tables.is_empty() { by_shape(tables) } else { keys.tables.clone() };
    if all.is_empty() {
        return Err(format!(
            "of the pipeline's tables ({}) none has windows or moments; name one by `RedisTable::rows`",
            names(tables)
        ));
    }
    let (mut patterns, mut forms, mut boards) = (Vec::new(), Vec::<Form>::new(), Vec::new());
    for named in &all {
        let name = &named.name;
        let Some(table) = tables.iter().find(|table| table.name() == name) else {
            let known = names(tables);
            return Err(format!(
                "the pipeline has no table `{name}`, which `RedisTable` names; it has these: {known}"
            ));
        };
        if forms.iter().any(|form| form.table.name() == name) {
            return Err(format!("the table `{name}` is named twice; leave one `RedisTable` out"));
        }
        let form = Form::of(named, table)?;
        for (key, column) in &named.ranks {
            let column = rank_column(named, table, key, column)?;
            boards.push(Board { key: key.clone(), table: forms.len(), column });
        }
        patterns.push((form.pattern.clone(), named));
        forms.push(form);
    }
    keys.check(&patterns)?;
    Ok((forms, boards))
}

/// Returns all tables of windows and of moments, as they are kept by default.
fn by_shape(tables: &[Arc<Table>]) -> Vec<RedisTable> {
    let named = |table: &Arc<Table>| match table.row_shape() {
        Shape::Windows => Some(RedisTable::latest(table.name())),
        Shape::Moments => Some(RedisTable::moments(table.name())),
        _ => None,
    };
    tables.iter().filter_map(named).collect()
}

/// Lists the names of tables, for an error.
fn names(tables: &[Arc<Table>]) -> String {
    let names: Vec<_> = tables.iter().map(|table| format!("`{}`", table.name())).collect();
    names.join(", ")
}

/// Returns the index of the column that a leaderboard ranks by.
fn rank_column(named: &RedisTable, table: &Table, key: &str, column: &str) -> Result<usize, String> {
    let name = table.name();
    if named.kept != Kept::Latest {
        return Err(format!(
            "the rank `{key}` is by windows, and `{name}` has none; name a table of windows"
        ));
    }
    let is_number = |column: &Column| {
        matches!(column.kind, ColumnKind::Integer | ColumnKind::Float | ColumnKind::Decimal)
    };
    let columns = table.all_columns();
    match table.position(column).filter(|at| table.published_at_column() != Some(*at)) {
        Some(at) if is_number(&columns[at]) => Ok(at),
        found => {
            let numbers = columns.iter().filter(|column| is_number(column));
            let numbers: Vec<_> = numbers.map(|column| format!("`{}`", column.name)).collect();
            let what = if found.is_some() { "is no number" } else { "is not there" };
            Err(format!(
                "the rank `{key}` is by the column `{column}` of `{name}`, which {what}; take one of {}",
                numbers.join(", ")
            ))
        }
    }
}

impl Form {
    fn of(named: &RedisTable, table: &Arc<Table>) -> Result<Self, String> {
        let name = table.name();
        let constructor = match table.row_shape() {
            Shape::Windows => Some(("windows", Kept::Latest, "RedisTable::latest")),
            Shape::Moments => Some(("moments", Kept::Moments, "RedisTable::moments")),
            Shape::Rows => Some(("rows of any kind", Kept::Rows, "RedisTable::rows")),
            _ => None,
        };
        match constructor {
            Some((_, kept, _)) if kept == named.kept => {}
            Some((what, _, by)) => return Err(format!("`{name}` is a table of {what}; name it by `{by}`")),
            None => return Err(format!("`{name}` is a table of a kind that is not kept; leave it out")),
        }
        table.check().map_err(|error| error.to_string())?;
        let columns: &[&str] = match named.kept {
            Kept::Latest => &["window_start", "window_end"],
            Kept::Moments => &["started_at", "moment_type", "ended_at"],
            Kept::Rows => &[],
        };
        let places = columns.iter().map(|column| {
            table.position(column).ok_or_else(|| format!("the table `{name}` has no column `{column}`"))
        });
        let places = places.collect::<Result<_, _>>()?;
        let pattern = named.pattern(table.keys().len());
        if named.kept == Kept::Rows && table.keys().len() > 1 && !pattern.contains("{key}") {
            return Err(format!(
                "rows of `{name}` are known by several columns; say by `{{key}}` where their values are to be \
                 in the pattern `{pattern}`"
            ));
        }
        let field = &named.subject_field;
        if FIELDS.contains(&field.as_str()) {
            return Err(format!("messages have a field `{field}` already; give another by `subject_field`"));
        }
        Ok(Self {
            table: Arc::clone(table),
            kept: named.kept,
            pattern: pattern.into_owned(),
            message: named.message.clone().unwrap_or_else(|| name.to_owned()),
            subject_field: named.subject_field.clone(),
            columns: Columns::of(table),
            places,
        })
    }

    /// Returns the position of a row of the table.
    pub(super) fn place(
        &self,
        change: &Change,
        subject: &str,
        keys: &RedisKeys,
    ) -> Result<Place, ExternalError> {
        let row = &*change.row;
        if self.kept == Kept::Rows {
            return Ok(Place::Row { key: self.row_key(row, subject, keys)?.into(), time: row.time() });
        }
        let (mut at, mut times, mut moment_type) = (0, [None; 3], None);
        row.values(&mut |value| {
            if let Some(place) = self.places.iter().position(|place| *place == at) {
                match value {
                    Value::Text(text) => moment_type = Some(text.into()),
                    value => times[place] = value.time(),
                }
            }
            at += 1;
        });
        match (self.kept, times, moment_type) {
            (Kept::Latest, [Some(start), Some(end), _], _) => {
                Ok(Place::Window(Window { start, end: end.or_epoch() }))
            }
            (Kept::Moments, [Some(started_at), _, ended_at], Some(moment_type)) => {
                let (started_at, ended_at) = (started_at.or_epoch(), ended_at.map(SignedTime::or_epoch));
                Ok(Place::Moment { started_at, moment_type, ended_at })
            }
            _ => Err(unwritable(row)),
        }
    }

    /// Returns the key of a row's hash.
    fn row_key(&self, row: &dyn AnyRow, subject: &str, keys: &RedisKeys) -> Result<String, ExternalError> {
        let key = RowKey::of(row);
        let parts: Vec<_> = key.parts().iter().map(KeyPart::to_string).collect();
        let is_subject = || matches!(&parts[..], [only] if only == subject);
        if !self.pattern.contains("{key}") && !is_subject() {
            return Err(ExternalError::permanent(format!(
                "could not keep the row {key} in Redis: it is about `{subject}`, of which there may be several \
                 rows; put `{{key}}` into the pattern `{}` by `RedisTable::key`",
                self.pattern
            )));
        }
        Ok(keys.fill(&self.pattern, subject, Some(&key_text(&parts))))
    }
}

/// The error of a row that gives another number of values than its table has columns, or JSON that cannot be
/// formatted.
pub(super) fn unwritable(row: &dyn AnyRow) -> ExternalError {
    let key = RowKey::of(row);
    ExternalError::permanent(format!(
        "could not keep the row {key} in Redis: its values are not those of its columns, or are JSON that \
         cannot be written"
    ))
}
