//! Which tables are kept in Redis, and under what keys.

use std::borrow::Cow;

/// A table that a [`RedisSink`](super::RedisSink) keeps: in what form, under what keys, and what its messages
/// are called.
///
/// A key's *pattern* is what comes after the prefix and its colon. In it `{}` stands for the row's
/// [subject](telemetra_core::AnyRow::subject) in braces, its hash tag: all keys of one subject are on one
/// node of a cluster.
///
/// ```
/// use telemetra_sinks::{RedisKeys, RedisTable};
/// let minute = RedisTable::latest("device_minute").key("device:{}:latest").rank("by_rate", "per_second");
/// let keys = RedisKeys::default().table(minute).table(RedisTable::rows("devices"));
/// assert_eq!(keys.latest("device_minute", "d1"), "telemetra:device:{d1}:latest");
/// assert_eq!(keys.row("devices", "d1", &["d1"]), "telemetra:devices:{d1}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisTable {
    pub(super) name: String,
    pub(super) kept: Kept,
    pub(super) pattern: Option<String>,
    pub(super) ranks: Vec<(String, String)>,
    pub(super) message: Option<String>,
    pub(super) subject_field: String,
}

/// In what form a table is kept.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Latest,
    Moments,
    Rows,
}

impl RedisTable {
    fn new(name: impl Into<String>, kept: Kept) -> Self {
        let (pattern, ranks, message) = (None, Vec::new(), None);
        Self { name: name.into(), kept, pattern, ranks, message, subject_field: "key".into() }
    }

    /// A table of windows, kept as a hash for each subject: the columns of its newest window, and `time`, as
    /// of when the hash is. By default the keys are `{table}:{}:latest`.
    #[must_use]
    pub fn latest(table: impl Into<String>) -> Self {
        Self::new(table, Kept::Latest)
    }

    /// A table of moments, kept as a list for each subject: its newest moments, newest first, as JSON. By
    /// default the keys are `{table}:{}`.
    #[must_use]
    pub fn moments(table: impl Into<String>) -> Self {
        Self::new(table, Kept::Moments)
    }

    /// A table of any other rows, kept as a hash for each row: its columns, and `time`, as of when the hash
    /// is. It is removed when the row is withdrawn. By default the keys are `{table}:{}` where the table has
    /// one key column, and `{table}:{}:{key}` where it has several: `{key}` stands for their values, with
    /// slashes between.
    #[must_use]
    pub fn rows(table: impl Into<String>) -> Self {
        Self::new(table, Kept::Rows)
    }

    /// The pattern of the keys, with `{}` where the subject's hash tag is to be, and for rows `{key}` where
    /// the values of the key columns are to be. It may be left out where a table has one key column and its
    /// rows are about just that.
    #[must_use]
    pub fn key(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// Adds a leaderboard: the sorted set of that key after the prefix, of subjects by a column of numbers in
    /// their newest window.
    #[must_use]
    pub fn rank(mut self, key: impl Into<String>, column: impl Into<String>) -> Self {
        self.ranks.push((key.into(), column.into()));
        self
    }

    /// The `type` of its messages. Default: the table's name.
    #[must_use]
    pub fn message(mut self, name: impl Into<String>) -> Self {
        self.message = Some(name.into());
        self
    }

    /// The name of the field that has the subject in its messages. Default: `key`.
    #[must_use]
    pub fn subject_field(mut self, name: impl Into<String>) -> Self {
        self.subject_field = name.into();
        self
    }

    /// The pattern of its keys where the table has so many key columns.
    pub(super) fn pattern(&self, key_columns: usize) -> Cow<'_, str> {
        match (&self.pattern, self.kept) {
            (Some(pattern), _) => Cow::Borrowed(pattern),
            (None, Kept::Latest) => format!("{}:{{}}:latest", self.name).into(),
            (None, Kept::Rows) if key_columns != 1 => format!("{}:{{}}:{{key}}", self.name).into(),
            (None, Kept::Moments | Kept::Rows) => format!("{}:{{}}", self.name).into(),
        }
    }
}
