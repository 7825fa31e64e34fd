//! Tables: the name, columns and indexes of rows, the same for every sink.

use std::borrow::Cow;

use crate::column::{Column, ColumnKind};
use crate::error::ConfigError;

/// The definition of a table: its name, its key columns, its other columns, and its indexes.
///
/// ```
/// use telemetra_core::{Column, ColumnKind, Table};
/// let alerts = Table::new("alerts")
///     .key(Column::new("device", ColumnKind::Text))
///     .key(Column::new("raised_at", ColumnKind::Time))
///     .column(Column::new("celsius", ColumnKind::Float))
///     .revision("revision")
///     .published_at("updated_at")
///     .index(["raised_at"]);
/// assert_eq!(alerts.keys().len(), 2);
/// assert!(alerts.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    name: Cow<'static, str>,
    columns: Vec<Column>,
    keys: usize,
    indexes: Vec<Index>,
    day: Option<usize>,
    shape: Shape,
    published_at: Option<usize>,
}

/// The kind of a table's rows, for sinks that treat some kinds in a special way.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// Rows of any other kind.
    #[default]
    Rows,
    /// Summaries of windows: the key of the grouping, `window_start`, `window_end`, then other columns.
    Windows,
    /// Moments.
    Moments,
}

/// An index of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The name; by default the table's name, `_by_` and the names of the columns.
    pub name: Cow<'static, str>,
    /// The names of the columns, in order.
    pub columns: Vec<Cow<'static, str>>,
    /// The condition of a partial index, in SQL that both SQLite and Postgres accept.
    pub only: Option<Cow<'static, str>>,
}

impl Table {
    /// Creates a table without columns. The name follows the rules of [column names](crate::Column::name), and must
    /// not begin with `telemetra_`.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            columns: Vec::new(),
            keys: 0,
            indexes: Vec::new(),
            day: None,
            shape: Shape::Rows,
            published_at: None,
        }
    }

    /// Adds a key column, after the other key columns and before all columns that are not in the key.
    #[must_use]
    pub fn key(mut self, column: Column) -> Self {
        self.columns.insert(self.keys, column);
        // The columns after it move by one place.
        for place in [&mut self.day, &mut self.published_at].into_iter().flatten() {
            if *place >= self.keys {
                *place = place.saturating_add(1);
            }
        }
        self.keys += 1;
        self
    }

    /// Adds a column that is not part of the key, after the others.
    #[must_use]
    pub fn column(mut self, column: Column) -> Self {
        self.columns.push(column);
        self
    }

    /// Adds several columns that are not part of the key.
    #[must_use]
    pub fn columns(mut self, columns: impl IntoIterator<Item = Column>) -> Self {
        self.columns.extend(columns);
        self
    }

    /// Adds a column for the revision, the number of changes of the row that were published before. The row
    /// puts [`Value::Revision`](crate::Value::Revision) there.
    #[must_use]
    pub fn revision(self, name: &'static str) -> Self {
        self.column(Column::new(name, ColumnKind::Integer))
    }

    /// Adds a column for the event time at which the row was published. The row puts
    /// [`Value::PublishedAt`](crate::Value::PublishedAt) there. Messages and snapshots do not contain it, so
    /// that an unchanged row stays equal.
    #[must_use]
    pub fn published_at(mut self, name: &'static str) -> Self {
        self.published_at = Some(self.columns.len());
        self.column(Column::new(name, ColumnKind::Time))
    }

    /// Adds an index over these columns, in this order. Sinks without indexes ignore it.
    #[must_use]
    pub fn index<const N: usize>(mut self, columns: [&'static str; N]) -> Self {
        let name = format!("{}_by_{}", self.name, columns.join("_"));
        let columns = columns.into_iter().map(Cow::Borrowed).collect();
        self.indexes.push(Index { name: name.into(), columns, only: None });
        self
    }

    /// Adds an index with a name. With a condition in SQL, it is a partial index.
    ///
    /// ```
    /// use telemetra_core::{Column, ColumnKind, Table};
    /// let table = Table::new("alerts")
    ///     .key(Column::new("device", ColumnKind::Text))
    ///     .column(Column::nullable("ended_at", ColumnKind::Time))
    ///     .index_named("open_alerts", ["device"], Some("ended_at IS NULL"));
    /// assert_eq!(table.indexes()[0].only.as_deref(), Some("ended_at IS NULL"));
    /// assert!(table.index(["raised_at"]).check().is_err(), "there is no such column");
    /// ```
    #[must_use]
    pub fn index_named<const N: usize>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        columns: [&'static str; N],
        only: Option<&'static str>,
    ) -> Self {
        let columns = columns.into_iter().map(Cow::Borrowed).collect();
        self.indexes.push(Index { name: name.into(), columns, only: only.map(Cow::Borrowed) });
        self
    }

    /// Sets the time column by which a sink with a retention partitions the table into days. The rows of a
    /// table without one are kept for ever.
    ///
    /// ```
    /// use telemetra_core::{Column, ColumnKind, Table};
    /// let table = Table::new("alerts").key(Column::new("device", ColumnKind::Text)).key(Column::new("at", ColumnKind::Time));
    /// assert!(table.clone().by_day("at").check().is_ok());
    /// assert!(table.by_day("device").check().is_err(), "a device is no time");
    /// ```
    #[must_use]
    pub fn by_day(mut self, column: &str) -> Self {
        // `check` finds a column that does not exist.
        self.day = Some(self.position(column).unwrap_or(usize::MAX));
        self
    }

    /// Sets the kind of its rows.
    #[doc(hidden)]
    #[must_use]
    pub fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    /// Returns the same table with another name. Indexes keep their names.
    #[must_use]
    pub fn renamed(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns all columns, the key columns first: the order in which rows put their values.
    #[must_use]
    pub fn all_columns(&self) -> &[Column] {
        &self.columns
    }

    /// Returns the key columns.
    #[must_use]
    pub fn keys(&self) -> &[Column] {
        &self.columns[..self.keys]
    }

    /// Returns the indexes.
    #[must_use]
    pub fn indexes(&self) -> &[Index] {
        &self.indexes
    }

    /// Returns the column by which the table is partitioned into days; `None` if it is not.
    #[must_use]
    pub fn day_column(&self) -> Option<&Column> {
        self.day.and_then(|day| self.columns.get(day))
    }

    /// Returns the kind of its rows.
    #[must_use]
    pub fn row_shape(&self) -> Shape {
        self.shape
    }

    /// The columns that form the [subject](crate::Row::subject) of a row: those of the grouping's key, or the
    /// first key column. A row type with a different subject derives it from other columns.
    #[must_use]
    pub fn subject_columns(&self) -> &[Column] {
        match self.shape {
            Shape::Rows => self.columns.get(..1.min(self.keys)),
            // The window's start is the last of the key.
            Shape::Windows => self.columns.get(..self.keys.saturating_sub(1)),
            Shape::Moments => self.columns.get(self.keys..self.position("moment_type").unwrap_or(self.keys)),
        }
        .unwrap_or_default()
    }

    /// The index of the column that [`published_at`](Self::published_at) added.
    #[must_use]
    pub fn published_at_column(&self) -> Option<usize> {
        self.published_at
    }

    /// Returns the index of the column with this name among [`all_columns`](Self::all_columns).
    #[must_use]
    pub fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known.name == column)
    }

    /// Checks that the table can be created.
    ///
    /// # Errors
    ///
    /// If a name cannot be used, there is no key column, a key column may be null, two columns or indexes
    /// have the same name, an index is over a column that does not exist, or the column for days does not
    /// exist or is not of time.
    pub fn check(&self) -> Result<(), ConfigError> {
        let error =
            |detail: String, hint: &str| Err(ConfigError::new(format!("table {}", self.name), detail, hint));
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= 63
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && !name.as_bytes()[0].is_ascii_digit()
        };
        if !is_name(&self.name) {
            let hint = "take letters, digits and underscores, at most 63, not beginning with a digit";
            return error(format!("`{}` cannot be the name of a table", self.name), hint);
        }
        if self.name.starts_with("telemetra_") {
            return error(
                "names that begin with `telemetra_` are the library's".to_owned(),
                "take another name",
            );
        }
        if self.keys == 0 {
            return error("it has no key column".to_owned(), "add one by `key`: rows are upserted by it");
        }
        for (n, column) in self.columns.iter().enumerate() {
            if !is_name(&column.name) {
                let hint = "take letters, digits and underscores, at most 63, not beginning with a digit";
                return error(format!("`{}` cannot be the name of a column", column.name), hint);
            }
            if self.columns[..n].iter().any(|other| other.name == column.name) {
                return error(
                    format!("two columns are called `{}`", column.name),
                    "give each a name of its own",
                );
            }
            if n < self.keys && column.nullable {
                return error(
                    format!("the key column `{}` may be null", column.name),
                    "make it `Column::new`",
                );
            }
        }
        for (n, index) in self.indexes.iter().enumerate() {
            if !is_name(&index.name) {
                let hint = "name it by `index_named`: letters, digits and underscores, at most 63";
                return error(format!("`{}` cannot be the name of an index", index.name), hint);
            }
            if self.indexes[..n].iter().any(|other| other.name == index.name) {
                let hint = "give each a name of its own, by `index_named`";
                return error(format!("two indexes are called `{}`", index.name), hint);
            }
            for column in &index.columns {
                if self.position(column).is_none() {
                    let detail = format!("the index `{}` is over `{column}`, which it has not", index.name);
                    return error(detail, "name a column of the table");
                }
            }
        }
        if self.day.is_some() && self.day_column().is_none_or(|day| day.kind != ColumnKind::Time) {
            return error("`by_day` names no column of time".to_owned(), "name a column of the kind `Time`");
        }
        Ok(())
    }
}
