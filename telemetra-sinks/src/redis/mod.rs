//! What is current, in Redis: the newest window of each stream, its moments, leaderboards, and a channel of changes.
//!
//! The idea: the sink knows what the keys should be, and every write says as of which event time it is. A script
//! refuses what is older than what is there, so nobody who comes late can do harm; and when the server has less than was
//! written, all is written anew.

mod cache;
mod error;
mod keys;
mod message;
mod server;
mod state;
mod write;

use std::fmt;
use std::time::Duration;

use telemetra_core::{Batch, EventTime, ExternalError, Sink, StreamSummary};

pub use keys::RedisKeys;
pub use server::RedisServer;

use crate::tabular::tables::Table;
use crate::{Layout, Tabular};
use cache::Cache;
use error::refused;
use message::Columns;
use state::State;
use write::{Board, Form, Scripts};

/// Keeps what is current in Redis 6.2 or newer, or what speaks its protocol.
///
/// | key | holds |
/// |---|---|
/// | `telemetra:stream:{id}:latest` | hash: the columns of the stream's newest window, `revision` and `time` |
/// | `telemetra:stream:{id}:moments` | list: the newest moments that are open or ended within the horizon, newest first, as JSON |
/// | `telemetra:streams:by_chat_rate`, `telemetra:streams:by_viewers` | sorted sets: streams by `chat_rate` and `avg_viewers` of their newest window |
/// | `telemetra:progress` | the time up to which everything is there |
/// | `telemetra:live:{id}` | channel: each change of the stream |
///
/// The braces are part of the names: see [`RedisKeys`], which makes them. `time` and the progress are event times in milliseconds
/// since the epoch; columns are as in JSON (times as RFC 3339, a column without a value has no field).
///
/// **Messages** are JSON objects: `type` (`metrics` or `moment`), `kind`, `stream_id`, `time` (when the change took effect),
/// `revision`, and `row`, the columns of `chat_summary_minute` or `moments` without `updated_at`; of what is withdrawn, the row as it was.
/// Of metrics the kinds are `published`, `corrected` (also of a window that is not the newest) and `withdrawn`; of moments `opened`,
/// `updated`, `closed` and `withdrawn`. Each is published after its keys are written, with a later time than the message before it.
/// After an error messages may come again; one that a receiver has seen has the same `time` and `revision`.
/// Who was not connected has missed them, and reads the keys.
///
/// ```json
/// {"type":"moment","kind":"opened","stream_id":"s1","time":1767225659999,"revision":0,"row":{"moment_id":"…","ended_at":null,…}}
/// ```
///
/// * **Corrections.** A window that is withdrawn uncovers the one before it. One that is older than the newest changes no key.
///   A stream that has had no window for [`silent_after`](Self::silent_after) leaves the leaderboards, and one that has had none for
///   the [`horizon`](Self::horizon) leaves all: both by event time, so the keys are a function of the input.
/// * **Nothing older overwrites.** Every write carries the time as of which it is; a script refuses it where the key is of a later
///   time. So a process that was thought dead does no harm, and one that starts from a checkpoint waits until it is as far as the
///   keys are. `telemetra:stream:{id}:as_of` and the leaderboards' `as_of` hold these times.
/// * **Memory that was lost is written anew**: after a restart without data, `FLUSHALL` or a failover to a replica that had less, the
///   progress is not what it was, and all keys are written in one go. Keys that alone were evicted come back with the next change.
/// * Keys of streams expire after [`ttl`](Self::ttl) by the server's clock: they do not outlive a pipeline that is gone.
/// * **In memory** the sink keeps the windows and moments within the horizon: about 200 bytes a window, besides the summary itself,
///   which is shared with the other sinks. With the defaults that is 180 windows a stream.
/// * An apply is one round trip for a thousand streams, and two short ones before and after. In a cluster each script is on one node,
///   and the leaderboards, the progress and each stream may be on different ones.
///
/// [`open`](Sink::open) returns `None`: a restart gives the whole state again, of which nothing is published.
///
/// Connections lost, timeouts, servers that load, are busy, full or read-only, and clusters that move keys are
/// transient errors. A password that is refused, a right that is missing and a key of another kind are permanent. The user needs
/// `EVALSHA`, `SCRIPT LOAD`, `TYPE` and what the scripts call: `+get +set +del +pexpire +hset +hlen +rpush +llen +zadd +zrem +zcard
/// +publish`, for the keys and channels `telemetra:*`.
///
/// ```no_run
/// use telemetra_core::StreamSummary;
/// use telemetra_sinks::{RedisServer, RedisSink};
///
/// let sink = RedisSink::<StreamSummary>::new("redis://127.0.0.1:6379/");
/// // Or, with a password, TLS, and an authority of one's own:
/// let server = RedisServer::url("rediss://telemetra:secret@redis.example/").authority(std::fs::read("ca.pem")?);
/// let sink = RedisSink::<StreamSummary>::new(server).prefix("app").most_moments(20);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct RedisSink<S = StreamSummary> {
    server: RedisServer,
    layout: Layout<S>,
    keys: RedisKeys,
    leaderboards: Vec<(String, String)>,
    most_moments: usize,
    ttl: Duration,
    horizon: u64,
    silent_after: u64,
    start_over: bool,
    state: Option<State<S>>,
}

impl<S: Tabular> RedisSink<S> {
    /// Into that server, with the columns that the summaries' type names.
    pub fn new(server: impl Into<RedisServer>) -> Self {
        Self::with_layout(server, Layout::tabular())
    }
}

impl<S> RedisSink<S> {
    /// Into that server, with summaries laid out as said. A leaderboard whose column the layout has not got is left out.
    pub fn with_layout(server: impl Into<RedisServer>, layout: Layout<S>) -> Self {
        let has = |column: &str| layout.columns().iter().any(|found| found.name == column);
        let boards = [("by_chat_rate", "chat_rate"), ("by_viewers", "avg_viewers")];
        let leaderboards = boards.iter().filter(|(_, column)| has(column));
        Self {
            server: server.into(),
            layout,
            keys: RedisKeys::default(),
            leaderboards: leaderboards.map(|(name, column)| (name.to_string(), column.to_string())).collect(),
            most_moments: 50,
            ttl: Duration::from_secs(3600),
            horizon: 30 * 60_000,
            silent_after: 60_000,
            start_over: false,
            state: None,
        }
    }

    /// What all keys and channels begin with, before a colon. Default: `telemetra`.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.keys = RedisKeys::new(prefix);
        self
    }

    /// Another leaderboard, by a column of numbers: the sorted set `telemetra:streams:{name}`.
    #[must_use]
    pub fn leaderboard(mut self, name: &str, column: &str) -> Self {
        self.leaderboards.push((name.to_owned(), column.to_owned()));
        self
    }

    /// The most moments in a stream's list, up to 1000. Default: 50.
    #[must_use]
    pub fn most_moments(mut self, most: usize) -> Self {
        self.most_moments = most.min(1000);
        self
    }

    /// How long after they were last written keys expire, by the server's clock. Should be longer than the horizon. Default: one hour.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl.clamp(Duration::from_millis(1), Duration::from_secs(366 * 86_400));
        self
    }

    /// For how many milliseconds of event time windows and moments are kept: at least the allowed lateness; and no more than the
    /// horizon of the pipeline, if the keys are to be the same after a restart. Default: 30 minutes.
    #[must_use]
    pub fn horizon(mut self, ms: u64) -> Self {
        self.horizon = ms;
        self
    }

    /// How many milliseconds of event time after its newest window a stream leaves the leaderboards. Default: one minute.
    #[must_use]
    pub fn silent_after(mut self, ms: u64) -> Self {
        self.silent_after = ms;
        self
    }

    /// Overwrites what is newer, when a pipeline starts from the beginning. Without this nothing is written until it is as far as
    /// the keys are, which is right where the input is the same as before. Keys of streams that are no more are left to expire.
    #[must_use]
    pub fn start_over(mut self) -> Self {
        self.start_over = true;
        self
    }

    fn form(&self) -> Result<Form<S>, ExternalError> {
        let refused = |why| refused(&self.server.to_string(), why);
        self.keys.check().map_err(refused)?;
        let summaries = Columns::of(Table::Summaries, &self.layout);
        let mut boards = Vec::new();
        for (name, column) in &self.leaderboards {
            let Some(column) = summaries.position(column) else {
                return Err(refused(format!(
                    "the leaderboard {name} is by {column}, which summaries have not"
                )));
            };
            boards.push(Board { name: name.clone(), column });
        }
        let ttl_ms = u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(Form {
            scripts: Scripts::new(),
            keys: self.keys.clone(),
            layout: self.layout,
            summaries,
            moments: Columns::of(Table::Moments, &self.layout),
            boards,
            most_moments: self.most_moments,
            ttl_ms,
            // A process that wakes up after the keys are gone is to find how far they were.
            as_of_ttl_ms: ttl_ms.max(86_400_000),
        })
    }
}

impl<S> fmt::Debug for RedisSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisSink")
            .field("server", &self.server)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

impl<S: Clone + Send + Sync> Sink<S> for RedisSink<S> {
    fn name(&self) -> &str {
        "redis"
    }

    fn open(&mut self, resume: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        self.state = None;
        let cache = Cache::new(self.horizon, self.silent_after);
        let state = State::open(self.server.clone(), self.form()?, cache, resume, self.start_over)?;
        self.state = Some(state);
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch<S>]) -> Result<(), ExternalError> {
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
