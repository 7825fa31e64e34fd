//! What is current, in Redis: the newest window of each subject, its moments and rows, leaderboards, and a
//! channel of changes.
//!
//! The idea: the sink knows what the keys should be, and every write says as of which event time it is. A
//! script refuses what is older than what is there, so nobody who comes late can do harm; and when the server
//! has less than was written, all is written anew.

mod cache;
mod error;
mod form;
mod keys;
mod message;
mod server;
mod state;
mod subject;
mod table;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, EventTime, ExternalError, Sink, Table};

pub use keys::RedisKeys;
pub use server::RedisServer;
pub use table::RedisTable;

use cache::Cache;
use error::refused;
use state::State;
use write::{Scripts, Writer};

/// A sink that keeps what is current in Redis 6.2 or newer, or in what speaks its protocol.
///
/// By default it keeps every table of windows and every table of moments that the pipeline has. What is kept
/// otherwise, and under what keys, [`RedisTable`]s say; [`RedisKeys`] makes the names for those who read.
///
/// | key | holds |
/// |---|---|
/// | `telemetra:{table}:{subject}:latest` | hash: the columns of the subject's newest window, and `time` |
/// | `telemetra:{table}:{subject}` | list: the newest moments of the horizon, newest first, as JSON |
/// | `telemetra:{table}:{subject}` | hash: the columns of a row, and `time`, of [`RedisTable::rows`] |
/// | as [`RedisTable::rank`] says | sorted set: subjects by a column of their newest window |
/// | `telemetra:progress` | the time up to which everything is there |
/// | `telemetra:live:` and the subject | channel: each change of a kept row of the subject |
///
/// The braces around the subject are part of the keys' names; those around `table` are not. `time` and the progress
/// are event times in milliseconds since the epoch; columns are as in JSON (times as RFC 3339, bytes in
/// hexadecimal, a column without a value has no field). The column of the publication time
/// ([`Table::published_at`]) is left out, and `time` where the table has a column of that name.
///
/// **Messages** are JSON objects: `type` (the table's name, or what [`RedisTable::message`] says), `kind`,
/// the subject under `key` (or as [`RedisTable::subject_field`] says), `time` (when the change took effect),
/// `revision`, and `row`, the columns; of what is withdrawn, the row as it was. Of windows the kinds are
/// `published`, `corrected` (also of a window that is not the newest) and `withdrawn`; of moments `opened`,
/// `updated`, `closed` and `withdrawn`; of other rows `published`, `updated` and `withdrawn`. Each is
/// published after its keys are written, with a later time than the message before it. After an error
/// messages may come again; one that a receiver has seen has the same `time` and `revision`. Who was not
/// connected has missed them, and reads the keys.
///
/// ```json
/// {"type":"moments","kind":"opened","key":"d1","time":1767225659999,"revision":0,
///  "row":{"moment_id":"…","ended_at":null,…}}
/// ```
///
/// * **Corrections.** A window that is withdrawn uncovers the one before it. One that is older than the
///   newest changes no key. A subject that has had no window for [`silent_after`](Self::silent_after) leaves
///   the leaderboards, and one that has had none for the [`horizon`](Self::horizon) leaves all: both by event
///   time, so the keys are a function of the input. A row that tells of an event time
///   ([`AnyRow::time`](telemetra_core::AnyRow::time)) is kept for the horizon too; one that is about now
///   until it is withdrawn.
/// * **Nothing older overwrites.** Every write carries the time as of which it is; a script refuses it where
///   the key is of a later time. So a process that was thought dead does no harm, and one that starts from a
///   checkpoint waits until it is as far as the keys are. `telemetra:as_of:{subject}` and the `as_of` of each
///   leaderboard hold these times.
/// * **Memory that was lost is written anew**: after a restart without data, `FLUSHALL` or a failover to a
///   replica that had less, the progress is not what it was, and all keys are written in one go. Keys that
///   alone were evicted come back with the next change.
/// * Keys expire after [`ttl`](Self::ttl) by the server's clock, but for rows that are about now: they do not
///   outlive a pipeline that is gone.
/// * **In memory** the sink keeps the rows within the horizon: about 200 bytes a window, besides the row
///   itself, which is shared with the other sinks. Of windows of a minute that slide by ten seconds that is
///   180 windows a subject.
/// * An apply is one round trip for a thousand subjects, and two short ones before and after. In a cluster
///   each script is on one node, and the leaderboards, the progress and each subject may be on different
///   ones.
///
/// [`open`](Sink::open) returns `None`: a restart gives the whole state again, of which nothing is published.
///
/// Connections lost, timeouts, servers that load, are busy, full or read-only, and clusters that move keys
/// are transient errors. A password that is refused, a right that is missing, a key of another kind, and a
/// table or column that the pipeline has not got are permanent. The user needs `EVALSHA`, `SCRIPT LOAD`,
/// `TYPE` and what the scripts call: `+get +set +del +pexpire +hset +hlen +rpush +llen +zadd +zrem +zcard
/// +publish`, for the keys and channels `telemetra:*`.
///
/// ```no_run
/// use std::time::Duration;
/// use telemetra_sinks::{RedisServer, RedisSink, RedisTable};
///
/// let sink = RedisSink::new("redis://127.0.0.1:6379/");
/// // Or, with a password, TLS, an authority of one's own, and names:
/// let authority = std::fs::read("ca.pem")?;
/// let server = RedisServer::url("rediss://telemetra:secret@redis.example/").authority(authority);
/// let minute = RedisTable::latest("device_minute").key("device:{}:latest").rank("by_rate", "per_second");
/// let sink = RedisSink::new(server)
///     .prefix("app")
///     .table(minute)
///     .table(RedisTable::rows("devices").subject_field("device"))
///     .horizon(Duration::from_secs(3600));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct RedisSink {
    server: RedisServer,
    keys: RedisKeys,
    most_moments: usize,
    ttl: Duration,
    horizon: Duration,
    silent_after: Duration,
    start_over: bool,
    state: Option<State>,
}

impl RedisSink {
    /// A sink into that server, of all windows and moments.
    pub fn new(server: impl Into<RedisServer>) -> Self {
        Self {
            server: server.into(),
            keys: RedisKeys::default(),
            most_moments: 50,
            ttl: Duration::from_secs(3600),
            horizon: Duration::from_secs(30 * 60),
            silent_after: Duration::from_secs(60),
            start_over: false,
            state: None,
        }
    }

    /// What is kept and all names, in place of those that were said before: for those that readers have too.
    #[must_use]
    pub fn keys(mut self, keys: RedisKeys) -> Self {
        self.keys = keys;
        self
    }

    /// The names of what it writes.
    #[must_use]
    pub fn key_names(&self) -> &RedisKeys {
        &self.keys
    }

    /// What all keys and channels begin with, before a colon. Default: `telemetra`.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.keys = self.keys.prefix(prefix);
        self
    }

    /// Names a table that is kept. Once one is named, those that are not are left out. See
    /// [`RedisKeys::table`].
    #[must_use]
    pub fn table(mut self, table: RedisTable) -> Self {
        self.keys = self.keys.table(table);
        self
    }

    /// The most moments in a subject's list, up to 1000. Default: 50.
    #[must_use]
    pub fn most_moments(mut self, most: usize) -> Self {
        self.most_moments = most.min(1000);
        self
    }

    /// How long after they were last written keys expire, by the server's clock. Should be longer than the
    /// horizon. Default: one hour.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.clamp(Duration::from_millis(1), Duration::from_secs(366 * 86_400));
        self
    }

    /// For how much event time windows and moments are kept: at least the allowed lateness; and no more than
    /// the horizon of the pipeline, if the keys are to be the same after a restart. Default: 30 minutes.
    #[must_use]
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    /// How much event time after its newest window a subject leaves the leaderboards. Default: one minute.
    #[must_use]
    pub fn silent_after(mut self, silent_after: Duration) -> Self {
        self.silent_after = silent_after;
        self
    }

    /// Overwrites what is newer, when a pipeline starts from the beginning. Without this nothing is written
    /// until it is as far as the keys are, which is right where the input is the same as before. Keys of
    /// subjects that are no more are left to expire, and those of rows about now stay.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    fn writer(&self, tables: &[Arc<Table>]) -> Result<Writer, ExternalError> {
        let resolved = form::resolve(&self.keys, tables);
        let (forms, boards) = resolved.map_err(|why| refused(&self.server.to_string(), why))?;
        let ttl_ms = millis(self.ttl);
        Ok(Writer {
            scripts: Scripts::new(),
            keys: self.keys.clone(),
            forms,
            boards,
            most_moments: self.most_moments,
            ttl_ms,
            // A process that wakes up after the keys are gone is to find how far they were.
            as_of_ttl_ms: ttl_ms.max(86_400_000),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for RedisSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSink")
            .field("server", &self.server)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl Sink for RedisSink {
    fn name(&self) -> &str {
        "redis"
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.state = None;
        let cache = Cache::new(millis(self.horizon), millis(self.silent_after));
        let writer = self.writer(tables)?;
        let state = State::open(self.server.clone(), writer, cache, resume, self.start_over)?;
        self.state = Some(state);
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        match &mut self.state {
            Some(state) => state.apply(batches),
            None => Err(refused(&self.server.to_string(), "the sink is not open; call `open` first")),
        }
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        self.state = None;
        Ok(())
    }
}
