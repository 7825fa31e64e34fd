//! The settings of a Kafka sink: its topics, how missing topics are created, and the producer's properties.

use std::time::Duration;

use rdkafka::ClientConfig;
use telemetra_core::ConfigError;

use crate::kafka::config::{KafkaConfig, Owned};

/// Where to write, and how.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) config: KafkaConfig,
    pub(super) letters: Option<String>,
    /// The topics of tables, in the order in which they were given; `None`: the table's rows are not written.
    pub(super) tables: Vec<(String, Option<String>)>,
    /// Before the names of all other tables, if these are written.
    pub(super) prefix: Option<String>,
    pub(super) create: Option<CreateTopics>,
    pub(super) timeout: Duration,
    pub(super) delivery: Duration,
}

/// How topics are made that do not exist.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CreateTopics {
    /// How many partitions each has.
    pub partitions: u32,
    /// How many replicas each partition has.
    pub replication: u16,
    /// Whether topics of tables are compacted: they then hold the newest of each row for ever. The topic of dead letters keeps what it
    /// is given for as long as the broker keeps records.
    pub compact: bool,
}

impl Default for CreateTopics {
    /// One partition, one replica, compacted.
    fn default() -> Self {
        Self { partitions: 1, replication: 1, compact: true }
    }
}

/// What the sink does not let others set.
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

/// What is better than librdkafka's own defaults here.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "telemetra"),
    // A name that is misspelt is to be an error.
    ("allow.auto.create.topics", "false"),
    ("linger.ms", "5"),
    ("compression.codec", "lz4"),
    // What brokers take unless configured otherwise.
    ("message.max.bytes", "1048588"),
    // A broker that is down is to hold back the pipeline, not to fill the memory.
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

    /// The longest message that librdkafka takes, with its key and headers.
    pub(super) fn max_bytes(&self) -> usize {
        self.config.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(1_048_588)
    }
}
