//! The names of the Redis keys and channels that the sink writes.

use std::fmt;

/// The keys and channels that a [`RedisSink`](super::RedisSink) writes, for who reads them.
///
/// Keys of one stream share the hash tag `{id}`, so in a cluster they are on one node. In it `%`, `{` and `}` are written
/// `%25`, `%7B` and `%7D`, and an empty id `%`, since a cluster reads braces.
///
/// ```
/// use telemetra_sinks::RedisKeys;
/// let keys = RedisKeys::default();
/// assert_eq!(keys.latest("s1"), "telemetra:stream:{s1}:latest");
/// assert_eq!(keys.live("a}b"), "telemetra:live:{a%7Db}");
/// assert_eq!(keys.leaderboard("by_chat_rate"), "telemetra:streams:by_chat_rate");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisKeys {
    prefix: String,
}

impl Default for RedisKeys {
    fn default() -> Self {
        Self::new("telemetra")
    }
}

impl RedisKeys {
    /// Keys that begin with `prefix` and a colon.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The hash of the stream's newest window.
    #[must_use]
    pub fn latest(&self, stream: &str) -> String {
        format!("{}:stream:{}:latest", self.prefix, Tag(stream))
    }

    /// The list of the stream's moments.
    #[must_use]
    pub fn moments(&self, stream: &str) -> String {
        format!("{}:stream:{}:moments", self.prefix, Tag(stream))
    }

    /// The time as of which the stream's keys were last written.
    #[must_use]
    pub fn as_of(&self, stream: &str) -> String {
        format!("{}:stream:{}:as_of", self.prefix, Tag(stream))
    }

    /// The channel on which changes of the stream are published.
    #[must_use]
    pub fn live(&self, stream: &str) -> String {
        format!("{}:live:{}", self.prefix, Tag(stream))
    }

    /// The pattern of the channels of all streams, for `PSUBSCRIBE`. It matches as text: a prefix with `*`, `?`, `[` or `\` is
    /// not for patterns.
    #[must_use]
    pub fn live_pattern(&self) -> String {
        format!("{}:live:*", self.prefix)
    }

    /// The sorted set of that name: `by_chat_rate`, `by_viewers`.
    #[must_use]
    pub fn leaderboard(&self, name: &str) -> String {
        format!("{}:streams:{name}", self.prefix)
    }

    /// The time as of which the leaderboard was last written. It hashes to the leaderboard's slot.
    #[must_use]
    pub fn leaderboard_as_of(&self, name: &str) -> String {
        let board = self.leaderboard(name);
        if board.contains('{') {
            format!("{board}:as_of")
        } else {
            format!("{}:{{{board}}}:as_of", self.prefix)
        }
    }

    /// The time up to which everything is there.
    #[must_use]
    pub fn progress(&self) -> String {
        format!("{}:progress", self.prefix)
    }

    /// Whether keys that have to be on one node of a cluster are.
    pub(super) fn check(&self) -> Result<(), String> {
        let prefix = &self.prefix;
        let tagged = prefix.split_once('{').map(|(_, tag)| tag.find('}').is_some_and(|end| end > 0));
        match tagged {
            None if !prefix.contains('}') => Ok(()),
            Some(true) => Ok(()),
            _ => Err(format!(
                "the prefix `{prefix}` has a brace; leave it out, or enclose a hash tag: `{{app}}`"
            )),
        }
    }
}

/// A stream's id in braces.
struct Tag<'a>(&'a str);

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.0;
        match id {
            "" => f.write_str("{%}"),
            _ if !id.contains(['%', '{', '}']) => write!(f, "{{{id}}}"),
            _ => {
                let id = id.replace('%', "%25").replace('{', "%7B").replace('}', "%7D");
                write!(f, "{{{id}}}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The part of a key that a cluster hashes.
    fn hashed(key: &str) -> &str {
        let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
        tag.filter(|tag| !tag.is_empty()).unwrap_or(key)
    }

    #[test]
    fn what_a_script_touches_is_in_one_slot() {
        for prefix in ["telemetra", "", "{app}", "a:{b}:c"] {
            let keys = RedisKeys::new(prefix);
            assert_eq!(keys.check(), Ok(()));
            for id in ["s1", "", "}", "{}", "a}b{c", "%", "%7D"] {
                let of = [keys.latest(id), keys.moments(id), keys.as_of(id)];
                assert!(of.iter().all(|key| hashed(key) == hashed(&of[0])), "{of:?}");
            }
            assert_eq!(hashed(&keys.leaderboard("by_x")), hashed(&keys.leaderboard_as_of("by_x")));
        }
        for prefix in ["{", "}", "a}b", "a{}b", "a{b"] {
            assert!(RedisKeys::new(prefix).check().is_err(), "{prefix}");
        }
    }

    #[test]
    fn no_two_ids_have_one_key() {
        let keys = RedisKeys::default();
        let ids = ["", "%", "%25", "{", "}", "%7B", "%7D", "{}"];
        let all: std::collections::BTreeSet<_> = ids.iter().map(|id| keys.latest(id)).collect();
        assert_eq!(all.len(), ids.len());
    }
}
