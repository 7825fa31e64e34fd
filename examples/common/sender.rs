//! A Kafka producer of generated events. Each event goes to the topic of its kind with its stream as the key,
//! so a stream is in one partition of each topic, and in order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Message};
use telemetra::livestream::generate::GeneratedRecord;
use tracing::{debug, info, warn};

use super::topics::Topics;

/// The outcome of the records sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// The number of delivered records by topic.
    pub(crate) by_topic: BTreeMap<String, u64>,
    /// The number of failed records by topic and reason.
    pub(crate) failed: BTreeMap<(String, String), u64>,
}

/// Counts deliveries, and reports the state of the connection.
#[derive(Default)]
struct Ledger {
    delivered: Mutex<Delivered>,
    total: AtomicU64,
    failed: AtomicU64,
    /// Whether it was reported that no broker can be reached.
    down: AtomicBool,
}

/// The client's callbacks, which count in a [`Ledger`].
struct Clerk(Arc<Ledger>);

impl ClientContext for Clerk {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Important ones also arrive as an error, reported once and not at each attempt.
        debug!(target: "librdkafka", ?level, "{facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if !self.0.down.swap(true, Ordering::Relaxed) {
                    warn!("no broker of Kafka can be reached; what is sent waits in the queue");
                }
            }
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::Resolve) => {
                debug!("Kafka: {reason}");
            }
            _ => warn!("Kafka: {reason}"),
        }
    }
}

impl ProducerContext for Clerk {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(message) => {
                let mut delivered = self.0.delivered.lock().unwrap_or_else(PoisonError::into_inner);
                match delivered.by_topic.get_mut(message.topic()) {
                    Some(count) => *count += 1,
                    None => drop(delivered.by_topic.insert(message.topic().to_owned(), 1)),
                }
                drop(delivered);
                self.0.total.fetch_add(1, Ordering::Relaxed);
                if self.0.down.load(Ordering::Relaxed) && self.0.down.swap(false, Ordering::Relaxed) {
                    info!("Kafka can be reached again");
                }
            }
            Err((error, message)) => self.0.fail(message.topic(), error),
        }
    }
}

impl Ledger {
    fn fail(&self, topic: &str, error: &KafkaError) {
        let reason = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        let mut delivered = self.delivered.lock().unwrap_or_else(PoisonError::into_inner);
        let count = delivered.failed.entry((topic.to_owned(), reason)).or_default();
        *count += 1;
        if *count == 1 {
            warn!("a record for {topic} was not delivered, and is counted as failed: {error}");
        }
        drop(delivered);
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Whether a record was accepted.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Yes,
    /// The queue is full: [serve](Sender::serve) and try again.
    Full,
}

/// An idempotent, batching producer. A record that it accepts is delivered once, in the order of each
/// partition.
pub(crate) struct Sender {
    producer: BaseProducer<Clerk>,
    topics: Topics,
    ledger: Arc<Ledger>,
}

impl Sender {
    /// A producer for these servers; `properties` of librdkafka have precedence over the ones set here. It
    /// connects when needed.
    pub(crate) fn new(servers: &str, properties: &[(String, String)], topics: Topics) -> Result<Self> {
        let mut config = ClientConfig::new();
        for (name, value) in [
            ("bootstrap.servers", servers),
            ("client.id", "telemetra-producer"),
            ("enable.idempotence", "true"),
            // The partitioner of Java clients.
            ("partitioner", "murmur2_random"),
            ("compression.type", "lz4"),
            ("linger.ms", "20"),
            ("queue.buffering.max.messages", "200000"),
            ("queue.buffering.max.kbytes", "131072"),
            ("reconnect.backoff.max.ms", "1000"),
        ] {
            config.set(name, value);
        }
        for (name, value) in properties {
            config.set(name, value);
        }
        let ledger = Arc::<Ledger>::default();
        let producer = config.create_with_context(Clerk(Arc::clone(&ledger)));
        let producer = producer.context("could not set up a producer for Kafka")?;
        Ok(Self { producer, topics, ledger })
    }

    /// The names of the existing topics, and the number of partitions of each. Waits `patience` for the
    /// servers.
    pub(crate) fn existing(&self, patience: Duration) -> Result<BTreeMap<String, usize>, KafkaError> {
        let metadata = self.producer.client().fetch_metadata(None, patience)?;
        let partitions = |topic: &rdkafka::metadata::MetadataTopic| topic.partitions().len();
        Ok(metadata.topics().iter().map(|topic| (topic.name().to_owned(), partitions(topic))).collect())
    }

    /// Queues a record. A record that can never be sent, for example because it is too long, is accepted and
    /// counted as failed. An error is permanent, and its record is counted as failed too.
    pub(crate) fn send(&self, record: &GeneratedRecord<'_>, bytes: &[u8]) -> Result<Taken> {
        let topic = self.topics.of(record.kind);
        match self.producer.send(BaseRecord::to(topic).key(record.stream_id).payload(bytes)) {
            Ok(()) => Ok(Taken::Yes),
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Ok(Taken::Full),
                Some(
                    RDKafkaErrorCode::MessageSizeTooLarge
                    | RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::UnknownPartition,
                ) => {
                    self.ledger.fail(topic, &error);
                    Ok(Taken::Yes)
                }
                _ => {
                    self.ledger.fail(topic, &error);
                    Err(error).context(format!("could not go on sending to {topic}"))
                }
            },
        }
    }

    /// Polls for deliveries, and waits for one up to `patience`.
    pub(crate) fn serve(&self, patience: Duration) {
        self.producer.poll(patience);
    }

    /// The number of records that wait or are in flight.
    pub(crate) fn queued(&self) -> usize {
        usize::try_from(self.producer.in_flight_count()).unwrap_or(0)
    }

    /// The numbers of records that were delivered, and that failed.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.ledger.total.load(Ordering::Relaxed), self.ledger.failed.load(Ordering::Relaxed))
    }

    /// The same numbers by topic.
    pub(crate) fn delivered(&self) -> Delivered {
        self.ledger.delivered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
