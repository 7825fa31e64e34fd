//! The settings of a Kafka sink: its topics, how missing topics are created, and the producer's properties.

use std::time::Duration;

use rdkafka::ClientConfig;
use telemetra_core::ConfigError;

use crate::kafka::config::{KafkaConfig, Owned};

/// The settings of a Kafka sink.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) config: KafkaConfig,
    pub(super) letters: Option<String>,
    /// The topics of tables, in the order in which they were set; `None` means that the table's rows are not
    /// written.
    pub(super) tables: Vec<(String, Option<String>)>,
    /// The prefix of the topics of all other tables, if their rows are written.
    pub(super) prefix: Option<String>,
    pub(super) create: Option<CreateTopics>,
    pub(super) timeout: Duration,
    pub(super) delivery: Duration,
}

/// The properties of topics that [`KafkaSink::create_topics`](crate::KafkaSink::create_topics) creates.
///
/// ```
/// use telemetra_sinks::CreateTopics;
/// let topics = CreateTopics { partitions: 12, replication: 3, ..CreateTopics::default() };
/// assert!(topics.compact);
/// assert_eq!(CreateTopics::default(), CreateTopics { partitions: 1, replication: 1, compact: true });
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CreateTopics {
    /// The number of partitions of each topic. Default: 1.
    pub partitions: u32,
    /// The number of replicas of each partition. Default: 1; production clusters usually need 3.
    pub replication: u16,
    /// True if topics of tables are compacted, so that they hold the newest version of each row without a
    /// time limit; otherwise the cluster's retention applies. Default: true. The topic of dead letters is never
    /// compacted.
    pub compact: bool,
}

impl Default for CreateTopics {
    /// One partition, one replica, compacted.
    fn default() -> Self {
        Self { partitions: 1, replication: 1, compact: true }
    }
}

/// Properties that the sink does not let users set.
const OWNED: &[Owned] = &[
    ("enable.idempotence", "without it retries would write twice or out of order"),
    ("acks", "a batch is durable when all replicas have it"),
    ("request.required.acks", "a batch is durable when all replicas have it"),
    ("retries", "idempotence needs them, up to `delivery_timeout`"),
    ("message.send.max.retries", "idempotence needs them, up to `delivery_timeout`"),
    ("transactional.id", "rows and letters have keys, so writing them again does no harm"),
    ("delivery.report.only.error", "the sink waits for what is delivered"),
    ("enable.gapless.guarantee", "a letter that is too long would stop the producer"),
    ("message.timeout.ms", "it is given by `delivery_timeout`"),
    ("delivery.timeout.ms", "it is given by `delivery_timeout`"),
];

/// Properties whose defaults differ from librdkafka's.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "telemetra"),
    // A misspelt topic must be an error, not a new topic.
    ("allow.auto.create.topics", "false"),
    ("linger.ms", "5"),
    ("compression.codec", "lz4"),
    // The greatest message that brokers accept by default.
    ("message.max.bytes", "1048588"),
    // A broker that is down must hold back the pipeline, not fill the memory.
    ("queue.buffering.max.kbytes", "65536"),
    ("reconnect.backoff.max.ms", "1000"),
];

impl Settings {
    pub(super) fn client(&self) -> Result<ClientConfig, ConfigError> {
        let delivery = self.delivery.as_millis().to_string();
        let fixed =
            [("enable.idempotence", "true"), ("acks", "all"), ("message.timeout.ms", delivery.as_str())];
        self.config.client(OWNED, DEFAULTS, &fixed)
    }

    /// The greatest size of a message that librdkafka accepts, with key and headers.
    pub(super) fn max_bytes(&self) -> usize {
        self.config.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(1_048_588)
    }
}
