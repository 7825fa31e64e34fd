//! The names of the Redis keys and channels that the sink writes.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::table::{Kept, RedisTable};

/// The names of the keys and channels that a [`RedisSink`](super::RedisSink) writes. Pass it to the
/// [sink](super::RedisSink::keys), and use it in services that read the keys.
///
/// All keys of one subject contain the hash tag `{subject}`, so a Redis cluster keeps them on one node.
/// Inside the tag, `%`, `{` and `}` are written as `%25`, `%7B` and `%7D`, and an empty subject as `%`, as a
/// cluster interprets braces. Channels belong to no slot of a cluster, so their names contain the subject
/// without a change.
///
/// ```
/// use telemetra_sinks::{RedisKeys, RedisTable};
/// let table = RedisTable::latest("device_minute").key("device:{}:latest");
/// let keys = RedisKeys::new("app").table(table).channel("changes:{}");
/// assert_eq!(keys.latest("device_minute", "d1"), "app:device:{d1}:latest");
/// assert_eq!(keys.moments("moments", "d1"), "app:moments:{d1}");
/// assert_eq!(keys.live("a}b"), "app:changes:a}b");
/// assert_eq!(keys.rank("devices:by_rate"), "app:devices:by_rate");
/// assert_eq!(keys.rank_as_of("devices:by_rate"), "app:{app:devices:by_rate}:as_of");
/// assert_eq!(keys.row("doors", "d1", &["d1", "7"]), "app:doors:{d1}:d1/7");
/// assert_eq!((keys.as_of("d1"), keys.progress()), ("app:as_of:{d1}".into(), "app:progress".into()));
/// assert_eq!(keys.live_pattern(), "app:changes:*");
/// ```
///
/// A pattern that is not valid, and two tables whose keys could be the same, are permanent errors when the sink is
/// opened; the methods here do not check patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisKeys {
    prefix: String,
    pub(super) tables: Vec<RedisTable>,
    as_of: String,
    channel: String,
}

impl Default for RedisKeys {
    fn default() -> Self {
        Self::new("telemetra")
    }
}

impl RedisKeys {
    /// Creates names that begin with `prefix` and a colon. [`RedisKeys::default`] uses `telemetra`.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        let (as_of, channel) = ("as_of:{}".into(), "live:{}".into());
        Self { prefix: prefix.into(), tables: Vec::new(), as_of, channel }
    }

    /// Sets the prefix of all names. A prefix may contain one hash tag, such as `{app}`, and no other braces;
    /// otherwise opening the sink fails. With a hash tag all keys are on one node of a cluster.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Adds a kept table. If none is added, all tables of windows are kept as [`RedisTable::latest`] and all
    /// tables of moments as [`RedisTable::moments`]; otherwise only the added ones are kept.
    #[must_use]
    pub fn table(mut self, table: RedisTable) -> Self {
        self.tables.push(table);
        self
    }

    /// Sets the pattern of the keys that hold the event time of a subject's last write. `{}` stands for the
    /// subject's hash tag. Default: `as_of:{}`.
    #[must_use]
    pub fn as_of_key(mut self, pattern: impl Into<String>) -> Self {
        self.as_of = pattern.into();
        self
    }

    /// Sets the pattern of the channels on which changes are published. `{}` stands for the subject itself.
    /// Default: `live:{}`.
    #[must_use]
    pub fn channel(mut self, pattern: impl Into<String>) -> Self {
        self.channel = pattern.into();
        self
    }

    /// Returns the key of the hash of a subject's newest window in a table.
    #[must_use]
    pub fn latest(&self, table: &str, subject: &str) -> String {
        self.fill(&self.named(table, Kept::Latest).pattern(0), subject, None)
    }

    /// Returns the key of the list of a subject's moments in a table.
    #[must_use]
    pub fn moments(&self, table: &str, subject: &str) -> String {
        self.fill(&self.named(table, Kept::Moments).pattern(0), subject, None)
    }

    /// Returns the key of a row's hash. `key` holds the values of the key columns as text: numbers in
    /// decimal, times in RFC 3339. They are separated by slashes; in each, `%`, `/`, `{` and `}` are written as `%25`,
    /// `%2F`, `%7B` and `%7D`.
    #[must_use]
    pub fn row(&self, table: &str, subject: &str, key: &[&str]) -> String {
        let named = self.named(table, Kept::Rows);
        self.fill(&named.pattern(key.len()), subject, Some(&key_text(key)))
    }

    /// Returns the key that holds the event time of the subject's last write, in milliseconds since the epoch.
    #[must_use]
    pub fn as_of(&self, subject: &str) -> String {
        self.fill(&self.as_of, subject, None)
    }

    /// Returns the channel on which changes of a subject are published.
    #[must_use]
    pub fn live(&self, subject: &str) -> String {
        format!("{}:{}", self.prefix, self.channel.replacen("{}", subject, 1))
    }

    /// Returns the pattern that matches the channels of all subjects, for `PSUBSCRIBE`. The prefix is not
    /// escaped, so a prefix that contains `*`, `?`, `[` or `\` does not work here.
    #[must_use]
    pub fn live_pattern(&self) -> String {
        format!("{}:{}", self.prefix, self.channel.replacen("{}", "*", 1))
    }

    /// Returns the key of the sorted set of a [rank](RedisTable::rank).
    #[must_use]
    pub fn rank(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }

    /// Returns the key that holds the event time of a rank's last write. It is in the same cluster slot as
    /// the rank.
    #[must_use]
    pub fn rank_as_of(&self, key: &str) -> String {
        let rank = self.rank(key);
        if rank.contains('{') { format!("{rank}:as_of") } else { format!("{}:{{{rank}}}:as_of", self.prefix) }
    }

    /// Returns the key that holds the event time up to which everything is written, in milliseconds since the epoch. A
    /// service can read it to see how far the pipeline has come.
    #[must_use]
    pub fn progress(&self) -> String {
        format!("{}:progress", self.prefix)
    }

    /// Returns the settings of a table, or the default ones.
    fn named(&self, table: &str, kept: Kept) -> Cow<'_, RedisTable> {
        let found = self.tables.iter().find(|named| named.name == table && named.kept == kept);
        found.map_or_else(
            || {
                Cow::Owned(match kept {
                    Kept::Latest => RedisTable::latest(table),
                    Kept::Moments => RedisTable::moments(table),
                    Kept::Rows => RedisTable::rows(table),
                })
            },
            Cow::Borrowed,
        )
    }

    /// Fills a pattern with a subject, and for rows with the text of the row's key.
    pub(super) fn fill(&self, pattern: &str, subject: &str, key: Option<&str>) -> String {
        let (before, after) = pattern.split_once("{}").unwrap_or((pattern, ""));
        let mut name = String::with_capacity(self.prefix.len() + pattern.len() + subject.len() + 8);
        // Writing into a string cannot fail.
        let _ = write!(name, "{}:{before}{}", self.prefix, Tag(subject));
        match (key, after.split_once("{key}")) {
            (Some(key), Some((between, after))) => name.extend([between, key, after]),
            _ => name.push_str(after),
        }
        name
    }

    /// Checks that the patterns of these tables and of the sink itself never produce the same key, and that
    /// keys of one subject are on one node of a cluster.
    pub(super) fn check(&self, tables: &[(String, &RedisTable)]) -> Result<(), String> {
        check_prefix(&self.prefix)?;
        check_pattern(&self.channel, false)?;
        check_pattern(&self.as_of, false)?;
        // The sink's own, beside its ranks.
        const OF_RANKS: &str = "{}:as_of";
        if self.as_of == OF_RANKS {
            return Err(format!(
                "the keys `{OF_RANKS}` may be those of ranks; give others by `RedisKeys::as_of_key`"
            ));
        }
        let mut known: Vec<(&str, String)> =
            vec![(&self.as_of, "`as_of_key`".into()), (OF_RANKS, "ranks".into())];
        let mut ranks: Vec<String> = vec!["progress".into()];
        for (pattern, table) in tables {
            check_pattern(pattern, table.kept == Kept::Rows)?;
            if let Some((_, other)) = known.iter().find(|(known, _)| may_meet(known, pattern)) {
                let name = &table.name;
                return Err(format!(
                    "the keys `{pattern}` of the table `{name}` may be those of {other}; give it others by \
                     `RedisTable::key`"
                ));
            }
            known.push((pattern, format!("the table `{}`", table.name)));
            for (key, _) in &table.ranks {
                if key.contains(['{', '}']) {
                    return Err(format!("the rank `{key}` has a brace; leave it out"));
                }
                if ranks.contains(key) {
                    return Err(format!(
                        "two keys are called `{key}`; give the rank another by `RedisTable::rank`"
                    ));
                }
                ranks.extend([key.clone(), format!("{key}:as_of")]);
            }
        }
        Ok(())
    }
}

/// Checks that a prefix has no braces, except those of one hash tag.
fn check_prefix(prefix: &str) -> Result<(), String> {
    let tagged = prefix.split_once('{').map(|(_, tag)| tag.find('}').is_some_and(|end| end > 0));
    match tagged {
        None if !prefix.contains('}') => Ok(()),
        Some(true) => Ok(()),
        _ => {
            Err(format!("the prefix `{prefix}` has a brace; leave it out, or enclose a hash tag: `{{app}}`"))
        }
    }
}

/// Checks that a pattern contains the subject once, and no other braces except `{key}` after it, for rows.
fn check_pattern(pattern: &str, of_rows: bool) -> Result<(), String> {
    let Some((before, after)) = pattern.split_once("{}") else {
        return Err(format!(
            "the pattern `{pattern}` does not say where the subject is to be; put `{{}}` there"
        ));
    };
    let after = if of_rows { after.replacen("{key}", "", 1) } else { after.to_owned() };
    if before.contains(['{', '}']) || after.contains(['{', '}']) {
        let key = if of_rows { " and one `{key}` after it" } else { "" };
        return Err(format!("the pattern `{pattern}` has other braces than one `{{}}`{key}; leave them out"));
    }
    Ok(())
}

/// Returns whether two patterns can produce the same key.
fn may_meet(one: &str, other: &str) -> bool {
    let (Some((before, one)), Some((other_before, other))) = (one.split_once("{}"), other.split_once("{}"))
    else {
        return false;
    };
    // A subject's tag has no braces, so keys are the same only where what comes before and after it is.
    before == other_before
        && match (one.split_once("{key}"), other.split_once("{key}")) {
            (None, None) => one == other,
            (Some(ends), None) => is_between(other, ends),
            (None, Some(ends)) => is_between(one, ends),
            (Some((a, b)), Some((c, d))) => {
                (a.starts_with(c) || c.starts_with(a)) && (b.ends_with(d) || d.ends_with(b))
            }
        }
}

/// Returns whether a text starts and ends with these texts, without overlap.
fn is_between(text: &str, (start, end): (&str, &str)) -> bool {
    text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end))
}

/// Joins the values of key columns to one text without braces. Different values give different texts.
pub(super) fn key_text<T: AsRef<str>>(parts: &[T]) -> String {
    let mut text = String::new();
    for (n, part) in parts.iter().enumerate() {
        text.push_str(if n > 0 { "/" } else { "" });
        for c in part.as_ref().chars() {
            match c {
                '%' => text.push_str("%25"),
                '/' => text.push_str("%2F"),
                '{' => text.push_str("%7B"),
                '}' => text.push_str("%7D"),
                c => text.push(c),
            }
        }
    }
    text
}

/// A subject as a hash tag, in braces.
struct Tag<'a>(&'a str);

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subject = self.0;
        match subject {
            "" => f.write_str("{%}"),
            _ if !subject.contains(['%', '{', '}']) => write!(f, "{{{subject}}}"),
            _ => {
                let subject = subject.replace('%', "%25").replace('{', "%7B").replace('}', "%7D");
                write!(f, "{{{subject}}}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
