//! A sink that keeps current state in Redis: the newest window of each subject, moments, rows, leaderboards,
//! and a pub/sub channel of changes.
//!
//! The sink caches what every key should hold. Each write carries the event time as of which it is, and a Lua
//! script on the server rejects a write that is older than the key, so a delayed process does no harm. If the
//! server has lost data, all keys are written again.

mod cache;
mod error;
mod form;
mod keys;
mod link;
mod message;
mod server;
mod standby;
mod state;
mod subject;
mod table;
mod write;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Batch, EventTime, ExternalError, Sink, SinkProgress, Table};

pub use keys::RedisKeys;
pub use server::RedisServer;
pub use table::RedisTable;

use cache::Cache;
use error::refused;
use state::State;
use write::{Scripts, Writer};

/// A sink that keeps the current state of a pipeline in Redis 6.2 or newer, or in a compatible server, and publishes
/// each change to a channel of Redis's pub/sub. It is a cache for services that look up current values by key: use
/// `Postgres` if rows must outlive the horizon or be queried by SQL.
///
/// By default the sink keeps every table of windows and every table of moments that the pipeline has.
/// [`RedisTable`] selects other tables and sets their keys, and [`RedisKeys`] returns the names of keys for
/// the services that read them. A *subject* is what a row is about, usually the text of its key: see
/// [`AnyRow::subject`](telemetra_core::AnyRow::subject). Dead letters are not written.
///
/// # Keys
///
/// | key | holds |
/// |---|---|
/// | `telemetra:{table}:{subject}:latest` | hash: the columns of the subject's newest window, and `time` |
/// | `telemetra:{table}:{subject}` | list: the newest moments of the horizon, newest first, as JSON |
/// | `telemetra:{table}:{subject}` | hash: the columns of a row, and `time`, of [`RedisTable::rows`] |
/// | named by [`RedisTable::rank`] | sorted set: subjects by a column of their newest window |
/// | `telemetra:progress` | the event time up to which all batches are written |
/// | `telemetra:as_of:{subject}` | the event time as of which the subject's keys are |
/// | `telemetra:live:` and the subject | channel: each change of a kept row of the subject |
///
/// The braces around the subject are part of the keys' names, as a hash tag; `table` stands for the table's
/// name without braces. The field `time` and the progress are event times in milliseconds since the epoch.
/// Columns are formatted as in JSON: times as RFC 3339, bytes in hexadecimal; a column without a value has no
/// field. The column of the publication time ([`Table::published_at`]) is left out.
///
/// The field `time` of a hash is the event time of the row's last change, or the time at which the subject became
/// [silent](Self::silent_after). If the table has a column of that name, the field holds the column's value.
///
/// Keys expire after the [`ttl`](Self::ttl) by the server's clock, so they disappear after the pipeline has
/// stopped. Keys of rows without an event time do not expire.
///
/// # Messages
///
/// Each change of a kept row is published to the subject's channel, after its keys are written. A message is
/// a JSON object with these fields:
///
/// * `type`: the name of the table, or the name that [`RedisTable::message`] sets.
/// * `kind`: for windows `published`, `corrected` (also of a window that is not the newest) or `withdrawn`;
///   for moments `opened`, `updated`, `closed` or `withdrawn`; for other rows `published`, `updated` or
///   `withdrawn`.
/// * `key`, or the name that [`RedisTable::subject_field`] sets: the subject.
/// * `time`: the event time at which the change takes effect.
/// * `revision`: how often the row was published before.
/// * `row`: the columns of the row; of a withdrawn row, as it was.
///
/// ```json
/// {"type":"moments","kind":"opened","key":"d1","time":1767225659999,"revision":0,
///  "row":{"moment_id":"…","ended_at":null,…}}
/// ```
///
/// Delivery has the limits of Redis's pub/sub. After an error a message may be repeated, with the same `time`
/// and `revision`. A subscriber that was not connected has missed messages, and has to read the keys.
///
/// # Corrections
///
/// When the newest window of a subject is withdrawn, the key holds the window before it. A late correction of a
/// window that is not the newest changes no key. A subject leaves the leaderboards when it has had no window
/// for [`silent_after`](Self::silent_after), and its keys are removed when it has had none for the
/// [`horizon`](Self::horizon). Both spans are event time, so the keys depend only on the input. A row with an
/// event time ([`AnyRow::time`](telemetra_core::AnyRow::time)) is kept for the horizon too, and a row without
/// an event time until it is withdrawn.
///
/// # Guarantees
///
/// * **An older write never replaces a newer one.** Every write carries its event time, and a Lua script on the
///   server rejects the write if the key is newer. So a second process that still runs, for example after a
///   network partition, does no harm, and a process that starts from a checkpoint writes nothing until it has
///   reached the time of the keys. `telemetra:as_of:{subject}` and the `as_of` of each leaderboard hold these
///   times.
/// * **Lost data is written again.** After a restart without data, a `FLUSHALL`, or a failover to a replica
///   that lagged, the progress in Redis differs from the one that the sink wrote, and all keys are written at
///   once. Single keys that were evicted come back with their next change.
/// * **Standby.** A pipeline that [stands by](Sink::hold) writes no key and publishes nothing until it takes over.
///   Then it writes all keys, and publishes the changes after the progress in Redis. The other process is not
///   locked out of Redis: stop it, or give both pipelines another sink that is taken over when it is opened, such
///   as `Postgres`.
/// * **Restart.** [`open`](Sink::open) returns `None`, so a restarted pipeline writes all current rows again.
///   No messages are published for rows that were there before.
///
/// # Cost
///
/// The sink keeps the rows within the horizon in memory: about 200 bytes for each window, beside the row
/// itself, which it shares with the other sinks. Windows of one minute that slide by ten seconds make 180 windows
/// for each subject at the default horizon. A call of [`apply`](Sink::apply) takes one round trip for each
/// thousand subjects, and a short one before and after. In a cluster each script runs on one node; leaderboards,
/// progress and subjects may be on different nodes.
///
/// # Errors
///
/// Lost connections, time-outs, servers that are loading, busy, full or read-only, and clusters that are
/// moving keys are transient errors. A rejected password, a missing right, a key of another type, settings of TLS for
/// a connection without it, and a table or column that the pipeline does not have are permanent errors. The user needs the rights for `EVALSHA`,
/// `SCRIPT LOAD`, `TYPE` and the commands of the scripts: `+get +set +del +pexpire +hset +hlen +rpush +llen
/// +zadd +zrem +zcard +publish`, for the keys and channels `telemetra:*`.
///
/// ```
/// use std::time::Duration;
/// use telemetra_sinks::{RedisServer, RedisSink, RedisTable};
///
/// let sink = RedisSink::new("redis://127.0.0.1:6379/");
/// // Or, with a password, TLS, an authority of one's own (read from a file of PEM), and names:
/// # let authority = Vec::new();
/// let server = RedisServer::url("rediss://telemetra:secret@redis.example/").authority(authority);
/// let minute = RedisTable::latest("device_minute").key("device:{}:latest").rank("by_rate", "per_second");
/// let sink = RedisSink::new(server)
///     .prefix("app")
///     .table(minute)
///     .table(RedisTable::rows("devices").subject_field("device"))
///     .horizon(Duration::from_secs(3600));
/// assert_eq!(sink.key_names().latest("device_minute", "d1"), "app:device:{d1}:latest");
/// assert!(!format!("{sink:?}").contains("secret"));
/// ```
pub struct RedisSink {
    server: RedisServer,
    keys: RedisKeys,
    most_moments: usize,
    ttl: Duration,
    horizon: Duration,
    silent_after: Duration,
    start_over: bool,
    /// True if another process writes the keys, and this one only takes note.
    holds: bool,
    state: Option<State>,
}

impl RedisSink {
    /// Creates a sink that writes to `server`, and keeps all tables of windows and moments until a
    /// [`table`](Self::table) is named. It connects when it is opened.
    ///
    /// ```
    /// use telemetra_sinks::RedisSink;
    ///
    /// let sink = RedisSink::new("redis://127.0.0.1:6379/").prefix("app");
    /// assert_eq!(sink.key_names().latest("device_minute", "d1"), "app:device_minute:{d1}:latest");
    /// ```
    pub fn new(server: impl Into<RedisServer>) -> Self {
        Self {
            server: server.into(),
            keys: RedisKeys::default(),
            most_moments: 50,
            ttl: Duration::from_secs(3600),
            horizon: Duration::from_secs(30 * 60),
            silent_after: Duration::from_secs(60),
            start_over: false,
            holds: false,
            state: None,
        }
    }

    /// Sets the kept tables and all key names at once, in place of earlier settings. Use it to share one
    /// [`RedisKeys`] with the services that read the keys. Default: [`RedisKeys::default`].
    #[must_use]
    pub fn keys(mut self, keys: RedisKeys) -> Self {
        self.keys = keys;
        self
    }

    /// Returns the names of the keys and channels that the sink writes.
    #[must_use]
    pub fn key_names(&self) -> &RedisKeys {
        &self.keys
    }

    /// Sets the prefix of all keys and channels; a colon follows it. Default: `telemetra`. Give each pipeline
    /// that writes to one Redis its own.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.keys = self.keys.prefix(prefix);
        self
    }

    /// Adds a table to keep. Once a table is added, only added tables are kept. Default: all tables of windows
    /// and moments. [`open`](Sink::open) fails with a permanent error if the pipeline has no such table.
    ///
    /// ```
    /// use telemetra_sinks::{RedisSink, RedisTable};
    /// let sink = RedisSink::new("redis://127.0.0.1:6379/")
    ///     .table(RedisTable::latest("device_minute").rank("devices:by_readings", "readings"))
    ///     .table(RedisTable::moments("device_minute_moments"));
    /// ```
    #[must_use]
    pub fn table(mut self, table: RedisTable) -> Self {
        self.keys = self.keys.table(table);
        self
    }

    /// Sets the greatest number of moments in a subject's list, at most 1000; the newest are kept. Default:
    /// 50.
    #[must_use]
    pub fn most_moments(mut self, most: usize) -> Self {
        self.most_moments = most.min(1000);
        self
    }

    /// Sets the time to live of keys, counted from their last write by the server's clock. It should be longer
    /// than the [`horizon`](Self::horizon). Default: one hour; limited to between 1 ms and 366 days. The keys
    /// that hold event times, `as_of`, live for at least one day.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.clamp(Duration::from_millis(1), Duration::from_secs(366 * 86_400));
        self
    }

    /// Sets for how much event time windows and moments are kept, and rows that have an event time. Default:
    /// 30 minutes.
    ///
    /// It must be at least the allowed lateness. It should not exceed the pipeline's own horizon, as a
    /// restart restores no more than that. The memory of the sink is proportional to it: see
    /// [the cost](Self#cost).
    #[must_use]
    pub fn horizon(mut self, horizon: Duration) -> Self {
        self.horizon = horizon;
        self
    }

    /// Sets after how much event time without a new window a subject counts as silent and leaves the
    /// leaderboards, counted from the end of its newest window. Default: one minute.
    #[must_use]
    pub fn silent_after(mut self, silent_after: Duration) -> Self {
        self.silent_after = silent_after;
        self
    }

    /// Overwrites keys that are newer, when the pipeline starts without a checkpoint, and so from the beginning of
    /// its input. Default: off, so nothing is written until the pipeline has reached the time of the keys, which
    /// is right if the input is the same as before.
    ///
    /// Keys of subjects that no longer occur are left to expire. Rows that have no event time stay.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    /// Resolves the settings against the tables that the sink is opened with.
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
            // A process that resumes after the keys have expired must still find their time.
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

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        let reached = match &mut self.state {
            Some(state) => state.progress(),
            None => standby::reached(&self.server, &self.keys),
        };
        reached.map(SinkProgress::Rewritten)
    }

    fn hold(&mut self, holds: bool) {
        self.holds = holds;
        if let Some(state) = &mut self.state {
            state.hold(holds);
        }
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
        self.state.insert(state).hold(self.holds);
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
