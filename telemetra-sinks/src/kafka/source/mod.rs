//! Topics as a source.
//!
//! The idea: one client for all partitions of the process, a queue for each. Workers take messages from the queues and never wait;
//! whatever may wait (finding partitions, looking into errors, pausing, committing) is done by one thread beside them.

mod assign;
mod buffered;
mod consumer;
mod consumer_thread;
mod context;
mod counters;
mod offsets;
mod open;
mod partition;
mod partition_state;
mod start;
mod stats;

pub use counters::KafkaCounters;
pub use start::{OnLost, Start};

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use telemetra_core::{ConfigError, ExternalError, Partition, PartitionId, Source};

use super::config::{KafkaConfig, Owned};
use consumer::SharedConsumer;

/// A source that reads topics. A partition is called `topic/number`, as `readings/3`.
///
/// * **Offsets are the checkpoint's.** There is no consumer group: partitions are assigned to processes by their place in the list, and go
///   on where the checkpoint left them, else at [`start`](Self::start). A partition that is found while running is read from its first
///   record. Compaction, aborted transactions and markers leave gaps between offsets and do no harm.
/// * **Committed offsets are news.** When a checkpoint is complete its offsets are committed for the [`group`](Self::group), so that lag
///   monitors see them. Nothing waits for that, and a failure is a line in the log.
/// * **Only what is committed is read**, of transactions; [`read_uncommitted`](Self::read_uncommitted) changes that.
/// * **Memory is bounded** by `partitions · (queue_bytes + 1 MiB)` of records, and some 400 bytes for each of at most `queue_bytes / 128`
///   records a partition; see [`queue_bytes`](Self::queue_bytes). A partition that is not polled while others are is paused, since the little
///   that waits in it would hold on to what was fetched together with it.
/// * **Lost records** (removed by retention before they were read) are an error that says how many, or [counted](OnLost::GoOn).
/// * **Brokers that are down** are waited for: reading goes on by itself when they are back, and meanwhile polling is a transient error, so
///   that silence is not taken for a quiet topic. A topic that was deleted is a permanent error.
/// * **Decoders see** topic, key, headers and timestamp of a record with its value. A header whose name is not UTF-8 is left out.
/// * A record without a value (a tombstone) is malformed and becomes a dead letter.
///
/// ```
/// use telemetra_core::{EventTime, Source};
/// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSource, OnLost, Start};
///
/// let kafka = EmbeddedKafka::start(1)?;
/// kafka.create_topic("readings", 2)?;
/// kafka.create_topic("alarms", 1)?;
///
/// let config = KafkaConfig::new(kafka.bootstrap_servers());
/// let mut source = KafkaSource::new(config, ["readings", "alarms"])?
///     .start(Start::Latest)
///     .on_lost(OnLost::GoOn)
///     .group("telemetra-demo");
/// let lost = source.counters();
/// let ids: Vec<_> = source.partitions()?.iter().map(ToString::to_string).collect();
/// assert_eq!(ids, ["readings/0", "readings/1", "alarms/0"]);
/// assert_eq!(lost.lost_records(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KafkaSource {
    config: KafkaConfig,
    topics: Vec<String>,
    settings: Settings,
    counters: KafkaCounters,
    shared: Option<Arc<SharedConsumer>>,
}

/// How to read.
#[derive(Clone, Debug)]
struct Settings {
    group: String,
    start: Start,
    on_lost: OnLost,
    until_end: bool,
    uncommitted: bool,
    refresh: Option<Duration>,
    timeout: Duration,
    wait_for_topics: Duration,
    queue_bytes: usize,
}

/// What the source does not let others set.
const OWNED: &[Owned] = &[
    (
        "auto.offset.reset",
        "the source decides by `start` and `on_lost`, so that nothing is skipped in silence",
    ),
    ("enable.auto.commit", "offsets are committed when a checkpoint holds what is before them"),
    ("auto.commit.interval.ms", "offsets are committed when a checkpoint holds what is before them"),
    ("enable.auto.offset.store", "offsets are committed when a checkpoint holds what is before them"),
    ("enable.partition.eof", "the source needs to know the ends of partitions"),
    ("group.id", "it is given by `group`"),
    ("group.instance.id", "partitions are assigned by hand, not by a group"),
    ("group.protocol", "partitions are assigned by hand, not by a group"),
    ("partition.assignment.strategy", "partitions are assigned by hand, not by a group"),
    ("isolation.level", "it is chosen by `read_uncommitted`"),
    ("queued.max.messages.kbytes", "it is given by `queue_bytes`"),
    ("queued.min.messages", "it follows from `queue_bytes`"),
    ("statistics.interval.ms", "the source needs the statistics"),
];

/// What is better than librdkafka's own defaults here.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "telemetra"),
    // How soon a partition that was paused or is new joins the fetches of its broker.
    ("fetch.wait.max.ms", "100"),
    // How soon a queue that was full is looked at again; by default a second, in which a fast reader starves.
    ("fetch.queue.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "1000"),
];

impl KafkaSource {
    /// Reads these topics, all their partitions, in this order.
    ///
    /// # Errors
    ///
    /// If there is no topic, one is given twice, or a property cannot be set or needs a feature that this build does not have.
    pub fn new(
        config: KafkaConfig,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, ConfigError> {
        let topics: Vec<String> = topics.into_iter().map(Into::into).collect();
        if topics.is_empty() {
            return Err(ConfigError::new("topics", "there are none", "give at least one"));
        }
        for (index, topic) in topics.iter().enumerate() {
            let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if topic.is_empty() || topic.len() > 249 || !topic.chars().all(letter) {
                let hint = "give 1 to 249 letters, digits, `.`, `_` and `-`";
                return Err(ConfigError::new(
                    "topics",
                    format!("`{}` is no name of a topic", topic.escape_debug()),
                    hint,
                ));
            }
            if topics[..index].contains(topic) {
                let detail = format!("`{topic}` is given twice");
                return Err(ConfigError::new("topics", detail, "give each once"));
            }
        }
        let settings = Settings {
            group: "telemetra".to_owned(),
            start: Start::default(),
            on_lost: OnLost::default(),
            until_end: false,
            uncommitted: false,
            refresh: Some(Duration::from_secs(30)),
            timeout: Duration::from_secs(10),
            wait_for_topics: Duration::ZERO,
            queue_bytes: 1024 * 1024,
        };
        settings.client(&config)?;
        Ok(Self { config, topics, settings, counters: KafkaCounters::default(), shared: None })
    }

    /// The group for which offsets are committed. Default: `telemetra`.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.settings.group = group.to_owned();
        self
    }

    /// Where to begin what no checkpoint knows. Default: [`Start::Earliest`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.settings.start = start;
        self
    }

    /// What to do where records were removed before they were read. Default: [`OnLost::Stop`].
    #[must_use]
    pub fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.settings.on_lost = on_lost;
        self
    }

    /// Reads each partition up to the end that it had when it was opened, and no further: for backfills and tests. New partitions are not
    /// looked for.
    #[must_use]
    pub fn until_end(mut self) -> Self {
        self.settings.until_end = true;
        self.settings.refresh = None;
        self
    }

    /// Reads records of transactions that are open or were aborted, too.
    #[must_use]
    pub fn read_uncommitted(mut self) -> Self {
        self.settings.uncommitted = true;
        self
    }

    /// How often to look for new partitions; `None`: never. Default: every 30 s.
    #[must_use]
    pub fn find_partitions_every(mut self, interval: Option<Duration>) -> Self {
        self.settings.refresh = interval;
        self
    }

    /// How long the servers may take to answer a question when the source is opened. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// How long to wait for topics that do not exist yet. Default: not at all.
    #[must_use]
    pub fn wait_for_topics(mut self, longest: Duration) -> Self {
        self.settings.wait_for_topics = longest;
        self
    }

    /// How many bytes of records may wait in the queue of each partition, to the nearest KiB; one fetch may go beyond. More
    /// helps where brokers are far away. Default: 1 MiB, which is enough for 50 MB/s a
    /// partition, and the fastest where they are near: what waits longer has left the caches.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.settings.queue_bytes = bytes;
        self
    }

    /// What it counts, to be read while a pipeline has the source.
    #[must_use]
    pub fn counters(&self) -> KafkaCounters {
        self.counters.clone()
    }

    /// The client, made when it is needed first.
    fn shared(&mut self) -> Result<&Arc<SharedConsumer>, ExternalError> {
        if self.shared.is_none() {
            let what = || format!("cannot make a Kafka client for {}", self.config.servers());
            let client = self.settings.client(&self.config);
            let client = client.map_err(|error| ExternalError::permanent(what()).because(error))?;
            self.shared = Some(SharedConsumer::start(&self.config, client, &self.settings, &self.counters)?);
        }
        self.shared.as_ref().ok_or_else(|| ExternalError::permanent("there is no Kafka client"))
    }
}

impl Settings {
    fn client(&self, config: &KafkaConfig) -> Result<ClientConfig, ConfigError> {
        let kbytes = (self.queue_bytes / 1024).clamp(64, 2_000_000);
        let isolation = if self.uncommitted { "read_uncommitted" } else { "read_committed" };
        let fixed = [
            ("group.id", self.group.as_str()),
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", isolation),
            ("queued.max.messages.kbytes", &kbytes.to_string()),
            // Each message costs some 400 bytes beside its own.
            ("queued.min.messages", &(kbytes * 8).clamp(1, 10_000_000).to_string()),
            ("statistics.interval.ms", "1000"),
        ];
        if self.group.is_empty() {
            return Err(ConfigError::new("group", "it is empty", "give the group a name"));
        }
        config.client(OWNED, DEFAULTS, &fixed)
    }
}

impl Source for KafkaSource {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        let topics = self.topics.clone();
        self.shared()?.list(&topics)
    }

    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let start = self.settings.start;
        SharedConsumer::open(self.shared()?, id, from, start)
    }

    fn open_new(&mut self, id: &PartitionId) -> Result<Box<dyn Partition>, ExternalError> {
        SharedConsumer::open(self.shared()?, id, None, Start::Earliest)
    }

    fn refresh_every(&self) -> Option<Duration> {
        self.settings.refresh
    }
}
