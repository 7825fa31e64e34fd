//! A source that reads topics.
//!
//! One consumer serves all partitions of the process, with a queue for each. Workers take messages from the
//! queues and never block. A thread beside them does whatever may block: finding partitions, resolving
//! errors, pausing, committing.

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

/// A source that reads all partitions of one or more Kafka topics, and continues from the offsets in the
/// pipeline's checkpoint, as Flink's Kafka source does. The id of a partition is `topic/number`, for example
/// `readings/3`.
///
/// * **Offsets are part of checkpoints.** There is no consumer group: partitions are assigned to processes by
///   their place in the list. A partition continues from the checkpoint's offset, or begins at
///   [`start`](Self::start) without one. A partition that is found while running is read from its first
///   record. Gaps between offsets, as from compaction or transaction markers, do no harm.
/// * **Committed offsets are informative.** When a checkpoint is complete, its offsets are committed for the
///   [`group`](Self::group), so that lag monitors see them. Nothing depends on the commit, and a failure is
///   only logged.
/// * **Transactions.** Only committed records are read, unless [`read_uncommitted`](Self::read_uncommitted)
///   is set.
/// * **Memory is bounded** by `partitions · (queue_bytes + 1 MiB)` of records, and about 400 bytes for each
///   of at most `queue_bytes / 128` records in a partition; see [`queue_bytes`](Self::queue_bytes). A
///   partition that is not polled while others are is paused, as its few queued records would keep the whole
///   fetch in memory.
/// * **Lost records**, which retention removed before they were read, are a permanent error that names their
///   number, or are [skipped and counted](OnLost::Skip).
/// * **Brokers that are down** make polling fail with a transient error, so the partition does not count as
///   idle and the watermark waits for it. Reading continues by itself when the brokers are back. A topic that
///   is deleted while it is read is a permanent error, as is one that [does not exist](Self::wait_for_topics).
/// * **Decoders** receive the topic, key, headers and timestamp of a record with its value. A header whose
///   name is not UTF-8 is left out. [`without_headers`](Self::without_headers) leaves all out.
/// * **Tombstones**, which are records without a value, are malformed and become dead letters.
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
///     .on_lost(OnLost::Skip)
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

/// The settings of a Kafka source.
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
    headers: bool,
}

/// Properties that the source does not let users set.
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

/// Properties whose defaults differ from librdkafka's.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "telemetra"),
    // How soon a resumed or new partition joins the fetches of its broker.
    ("fetch.wait.max.ms", "100"),
    // How soon a queue that was full is fetched into again. The default is a second, which starves a fast
    // reader.
    ("fetch.queue.backoff.ms", "20"),
    ("reconnect.backoff.max.ms", "1000"),
];

impl KafkaSource {
    /// Creates a source of all partitions of these topics, in this order. It connects when the pipeline
    /// starts.
    ///
    /// # Errors
    ///
    /// If there is no topic, a name is not one of a topic, a topic is given twice, or a property cannot be set by users,
    /// has an invalid value, or needs a feature that this build does not have.
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
                    format!("`{}` is not a valid name of a topic", topic.escape_debug()),
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
            headers: true,
        };
        settings.client(&config)?;
        Ok(Self { config, topics, settings, counters: KafkaCounters::default(), shared: None })
    }

    /// Sets the consumer group for which offsets are committed. Default: `telemetra`. The name matters only for
    /// lag monitors and for [`Start::Committed`]; two pipelines with the same group both read all partitions. An empty
    /// name is a permanent error at the start of the pipeline.
    #[must_use]
    pub fn group(mut self, group: &str) -> Self {
        self.settings.group = group.to_owned();
        self
    }

    /// Sets the position at which a partition begins that is not in a checkpoint. It has no effect on
    /// partitions in the checkpoint that the pipeline starts from. Default: [`Start::Earliest`].
    #[must_use]
    pub fn start(mut self, start: Start) -> Self {
        self.settings.start = start;
        self
    }

    /// Sets the reaction to records that were removed before they were read. Default: [`OnLost::Stop`].
    #[must_use]
    pub fn on_lost(mut self, on_lost: OnLost) -> Self {
        self.settings.on_lost = on_lost;
        self
    }

    /// Reads each partition only up to the end that it had when it was opened, so that the pipeline ends (in
    /// Flink's terms, a bounded source): for backfills and tests. New partitions are not looked for. Default:
    /// the source never ends.
    ///
    /// ```
    /// use std::time::Duration;
    /// use telemetra_core::Source;
    /// use telemetra_sinks::{KafkaConfig, KafkaSource};
    ///
    /// let source = KafkaSource::new(KafkaConfig::new("kafka-1:9092"), ["readings"])?;
    /// assert_eq!(source.refresh_every(), Some(Duration::from_secs(30)));
    /// assert_eq!(source.until_end().refresh_every(), None);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn until_end(mut self) -> Self {
        self.settings.until_end = true;
        self.settings.refresh = None;
        self
    }

    /// Also reads records of open and aborted transactions (`isolation.level=read_uncommitted`). Default: only
    /// committed records, so the records after an open transaction are read when the transaction ends.
    #[must_use]
    pub fn read_uncommitted(mut self) -> Self {
        self.settings.uncommitted = true;
        self
    }

    /// Sets how often to look for new partitions of the topics; with `None` the source never does. Default: 30 s. The
    /// pipeline does so on a thread of its own, so a slow answer delays no records.
    #[must_use]
    pub fn find_partitions_every(mut self, interval: Option<Duration>) -> Self {
        self.settings.refresh = interval;
        self
    }

    /// Sets how long the servers may take to answer when partitions are listed and opened, at the start of the pipeline
    /// and when new ones are found; then the call fails with a transient error and is repeated. Default: 10 s; limited
    /// to between 1 ms and one hour.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// Sets how long to wait, when the pipeline starts, for topics that do not exist yet; a topic that is still
    /// missing then is a permanent error. Default: zero, so a missing topic is an error at once.
    ///
    /// ```
    /// use telemetra_core::{Retry, Source};
    /// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSource};
    ///
    /// let kafka = EmbeddedKafka::start(1)?;
    /// let mut source = KafkaSource::new(KafkaConfig::new(kafka.bootstrap_servers()), ["readings"])?;
    /// assert_eq!(source.partitions().unwrap_err().retry(), Retry::Permanent);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn wait_for_topics(mut self, longest: Duration) -> Self {
        self.settings.wait_for_topics = longest;
        self
    }

    /// Sets how many bytes of records may be queued for each partition, rounded down to KiB; one fetch may
    /// exceed it. Default: 1 MiB, which is enough for 50 MB/s per partition from near brokers; limited to between
    /// 64 KiB and 2,000,000 KiB. More helps if brokers are far away, and is slower if they are near, as records that
    /// wait longer have left the CPU's caches.
    #[must_use]
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.settings.queue_bytes = bytes;
        self
    }

    /// Skips the headers of records: decoders see none, and dead letters and the log of slow batches have
    /// no [`TraceParent`](telemetra_core::TraceParent). Default: headers are read.
    ///
    /// librdkafka allocates a buffer to parse the headers of a record, even of a record without headers, which
    /// costs less than 0.1 µs of CPU a record.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.settings.headers = false;
        self
    }

    /// Returns the source's counters, which can be read while a pipeline owns the source.
    #[must_use]
    pub fn counters(&self) -> KafkaCounters {
        self.counters.clone()
    }

    /// Returns the consumer, which is created at first use.
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
