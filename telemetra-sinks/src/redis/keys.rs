//! The names of the Redis keys and channels that the sink writes.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::table::{Kept, RedisTable};

/// The keys and channels that a [`RedisSink`](super::RedisSink) writes: given to the sink, and used by those
/// who read what it wrote.
///
/// Keys of one subject share the hash tag `{subject}`, so in a cluster they are on one node. In it `%`, `{`
/// and `}` are written `%25`, `%7B` and `%7D`, and an empty subject `%`, since a cluster reads braces. Channels
/// have no slot, so in their names the subject is as it is.
///
/// ```
/// use telemetra_sinks::{RedisKeys, RedisTable};
/// let table = RedisTable::latest("device_minute").key("device:{}:latest");
/// let keys = RedisKeys::new("app").table(table).channel("changes:{}");
/// assert_eq!(keys.latest("device_minute", "d1"), "app:device:{d1}:latest");
/// assert_eq!(keys.moments("moments", "d1"), "app:moments:{d1}");
/// assert_eq!(keys.live("a}b"), "app:changes:a}b");
/// assert_eq!(keys.rank("devices:by_rate"), "app:devices:by_rate");
/// ```
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
    /// Keys that begin with `prefix` and a colon.
    #[must_use]
    pub fn new(prefix: impl Into<String>) -> Self {
        let (as_of, channel) = ("as_of:{}".into(), "live:{}".into());
        Self { prefix: prefix.into(), tables: Vec::new(), as_of, channel }
    }

    /// The same keys with another prefix.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Names a table that is kept. With none named, every table of windows is kept as [`RedisTable::latest`]
    /// and every table of moments as [`RedisTable::moments`]; once one is, no other but those that are named.
    #[must_use]
    pub fn table(mut self, table: RedisTable) -> Self {
        self.tables.push(table);
        self
    }

    /// The pattern of the keys that say as of when a subject's keys were last written, with `{}` for its hash
    /// tag. Default: `as_of:{}`.
    #[must_use]
    pub fn as_of_key(mut self, pattern: impl Into<String>) -> Self {
        self.as_of = pattern.into();
        self
    }

    /// The pattern of the channels on which changes are published, with `{}` for the subject itself. Default:
    /// `live:{}`.
    #[must_use]
    pub fn channel(mut self, pattern: impl Into<String>) -> Self {
        self.channel = pattern.into();
        self
    }

    /// The hash of a subject's newest window in a table.
    #[must_use]
    pub fn latest(&self, table: &str, subject: &str) -> String {
        self.fill(&self.named(table, Kept::Latest).pattern(0), subject, None)
    }

    /// The list of a subject's moments in a table.
    #[must_use]
    pub fn moments(&self, table: &str, subject: &str) -> String {
        self.fill(&self.named(table, Kept::Moments).pattern(0), subject, None)
    }

    /// The hash of a row of a table, by the values of its key columns: numbers in decimal, times in RFC 3339.
    #[must_use]
    pub fn row(&self, table: &str, subject: &str, key: &[&str]) -> String {
        let named = self.named(table, Kept::Rows);
        self.fill(&named.pattern(key.len()), subject, Some(&key_text(key)))
    }

    /// The time as of which the subject's keys were last written.
    #[must_use]
    pub fn as_of(&self, subject: &str) -> String {
        self.fill(&self.as_of, subject, None)
    }

    /// The channel on which changes of the subject are published.
    #[must_use]
    pub fn live(&self, subject: &str) -> String {
        format!("{}:{}", self.prefix, self.channel.replacen("{}", subject, 1))
    }

    /// The pattern of the channels of all subjects, for `PSUBSCRIBE`. It matches as text: a prefix with `*`,
    /// `?`, `[` or `\` is not for patterns.
    #[must_use]
    pub fn live_pattern(&self) -> String {
        format!("{}:{}", self.prefix, self.channel.replacen("{}", "*", 1))
    }

    /// The sorted set of a [rank](RedisTable::rank).
    #[must_use]
    pub fn rank(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }

    /// The time as of which a rank was last written. It hashes to the rank's slot.
    #[must_use]
    pub fn rank_as_of(&self, key: &str) -> String {
        let rank = self.rank(key);
        if rank.contains('{') { format!("{rank}:as_of") } else { format!("{}:{{{rank}}}:as_of", self.prefix) }
    }

    /// The time up to which everything is there.
    #[must_use]
    pub fn progress(&self) -> String {
        format!("{}:progress", self.prefix)
    }

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

    /// The key of a pattern for a subject, and for the row of that key.
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

    /// Whether the patterns of these tables, and those of the sink itself, make keys of which no two are the
    /// same, and which are on one node of a cluster where they have to be.
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

/// A pattern has the subject once, and no other brace but `{key}` after it, of rows.
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

/// Whether two patterns can make one key.
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

fn is_between(text: &str, (start, end): (&str, &str)) -> bool {
    text.strip_prefix(start).is_some_and(|rest| rest.ends_with(end))
}

/// The values of key columns as one text: different values are different texts, without braces.
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

/// A subject in braces.
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
