//! The settings of a table that is kept in Redis: its form and the pattern of its keys.

use std::borrow::Cow;

/// A table that a [`RedisSink`](super::RedisSink) keeps: its form, its keys, its leaderboards, and the fields
/// of its messages.
///
/// A *pattern* is a key without the prefix and its colon. In it, `{}` stands for the
/// [subject](telemetra_core::AnyRow::subject) of the row, written in braces as a hash tag: a Redis cluster
/// keeps all keys of one subject on one node.
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

/// The form in which a table is kept.
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

    /// Creates a table of windows, kept as one hash for each subject: the columns of its newest window, and
    /// the field `time`, the event time of the hash. Default pattern: `{table}:{}:latest`.
    #[must_use]
    pub fn latest(table: impl Into<String>) -> Self {
        Self::new(table, Kept::Latest)
    }

    /// Creates a table of moments, kept as one list for each subject: its newest moments as JSON, newest
    /// first. Default pattern: `{table}:{}`.
    #[must_use]
    pub fn moments(table: impl Into<String>) -> Self {
        Self::new(table, Kept::Moments)
    }

    /// Creates a table of other rows, kept as one hash for each row: its columns, and the field `time`, the
    /// event time of the hash. The hash is deleted when the row is withdrawn.
    ///
    /// The default pattern is `{table}:{}` if the table has one key column, and `{table}:{}:{key}` if it has
    /// several; `{key}` stands for their values, separated by slashes.
    #[must_use]
    pub fn rows(table: impl Into<String>) -> Self {
        Self::new(table, Kept::Rows)
    }

    /// Sets the pattern of the keys. It must contain `{}` once, for the subject's hash tag. For
    /// [`rows`](Self::rows) it may contain `{key}` after that, for the values of the key columns; leave
    /// `{key}` out only if the subject alone identifies the row.
    #[must_use]
    pub fn key(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// Adds a leaderboard to a table of [windows](Self::latest): a sorted set under `key` (after the prefix),
    /// which ranks subjects by a numeric column of their newest window. Subjects leave it when they are
    /// [silent](super::RedisSink::silent_after). Opening the sink fails with a permanent error if the table has no such
    /// column.
    #[must_use]
    pub fn rank(mut self, key: impl Into<String>, column: impl Into<String>) -> Self {
        self.ranks.push((key.into(), column.into()));
        self
    }

    /// Sets the field `type` of the table's messages. Default: the table's name.
    #[must_use]
    pub fn message(mut self, name: impl Into<String>) -> Self {
        self.message = Some(name.into());
        self
    }

    /// Sets the name of the messages' field that holds the subject. Default: `key`.
    #[must_use]
    pub fn subject_field(mut self, name: impl Into<String>) -> Self {
        self.subject_field = name.into();
        self
    }

    /// Returns the pattern of the keys for a table with this number of key columns.
    pub(super) fn pattern(&self, key_columns: usize) -> Cow<'_, str> {
        match (&self.pattern, self.kept) {
            (Some(pattern), _) => Cow::Borrowed(pattern),
            (None, Kept::Latest) => format!("{}:{{}}:latest", self.name).into(),
            (None, Kept::Rows) if key_columns != 1 => format!("{}:{{}}:{{key}}", self.name).into(),
            (None, Kept::Moments | Kept::Rows) => format!("{}:{{}}", self.name).into(),
        }
    }
}
