//! The messages that are sent and not yet acknowledged, and the dead letters that must be sent again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer as _};
use telemetra_core::{DeadLetter, ExternalError, TRACEPARENT};

use super::context::{Context, Failures, Kind, Producer};
use super::routes::Routes;
use super::settings::Settings;
use super::{letter, topics};
use crate::kafka::error::failed;
use crate::kafka::report::Reporter;

/// The time for which one poll waits for delivery reports.
const WAIT: Duration = Duration::from_millis(100);
/// The time for which one poll waits when a caller waits for the last reports.
const MOMENT: Duration = Duration::from_millis(1);
/// The bytes that a message may need beside key, value and headers.
const OVERHEAD: usize = 512;

/// The producer, and the dead letters that must be sent again.
pub(super) struct Outbox {
    settings: Settings,
    producer: Producer,
    /// The number of partitions of each topic of rows.
    partitions: HashMap<String, usize>,
    /// Dead letters that were not delivered and must be sent again.
    again: Vec<OwnedMessage>,
    /// Dead letters in a batch that the broker rejected as too long: either one of them is too long, or all
    /// together are.
    refused: Vec<OwnedMessage>,
}

impl Outbox {
    /// Creates the producer, and looks up the partitions of all topics.
    pub(super) fn open(settings: &Settings, routes: &Routes) -> Result<Self, ExternalError> {
        let producer = producer(settings)?;
        let mut missing = Vec::new();
        if let Some(how) = settings.create {
            for topic in routes.topics() {
                if topics::partitions(&producer, topic.0, settings.timeout)?.is_none() {
                    missing.push(topic);
                }
            }
            if !missing.is_empty() {
                topics::create(settings, &missing, how)?;
            }
        }
        let mut partitions = HashMap::new();
        for (topic, rows) in routes.topics() {
            let made = missing.contains(&(topic, rows));
            let count = topics::known(&producer, topic, settings.timeout, made)?;
            partitions.insert(topic.to_owned(), count);
        }
        Ok(Self { settings: settings.clone(), producer, partitions, again: Vec::new(), refused: Vec::new() })
    }

    /// Sends a row, in the trace of `parent` if there is one; `None` sends a tombstone.
    pub(super) fn row(
        &mut self,
        topic: &str,
        key: &str,
        value: Option<&[u8]>,
        parent: Option<&str>,
        partition: impl Fn(usize) -> usize,
    ) -> Result<(), ExternalError> {
        let partition = self.partitions.get(topic).map(|count| partition(*count));
        let partition = partition.and_then(|partition| i32::try_from(partition).ok());
        let headers = parent.map(|parent| {
            OwnedHeaders::new_with_capacity(1).insert(Header { key: TRACEPARENT, value: Some(parent) })
        });
        let message = Outgoing { kind: Kind::Row, topic, key: key.as_bytes(), value, partition, headers };
        self.send(message).map_err(|error| {
            let what = format!("cannot write the row `{key}` to the topic `{topic}`");
            failed(what, error)
        })
    }

    /// Sends a dead letter, cut to the greatest size of a message.
    pub(super) fn letter(&mut self, topic: &str, letter: &DeadLetter) -> Result<(), ExternalError> {
        self.send_again()?;
        let key = letter::key(letter);
        let headers = letter::headers(letter, false);
        let beside: usize =
            headers.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
        let room = self.settings.max_bytes().saturating_sub(OVERHEAD + key.len() + beside);
        let cut = letter.bytes.len() > room;
        let value = if cut { &letter.bytes[..room] } else { &letter.bytes };
        let headers = if cut { letter::headers(letter, true) } else { headers };
        let message = Outgoing {
            kind: Kind::Letter,
            topic,
            key: key.as_bytes(),
            value: Some(value),
            partition: None,
            headers: Some(headers),
        };
        self.send(message).map_err(|error| {
            let what = format!("cannot write the dead letter `{key}` to the topic `{topic}`");
            failed(what, error)
        })
    }

    /// Passes a message to the client, waiting for room in its queue.
    fn send(&self, message: Outgoing<'_>) -> Result<(), KafkaError> {
        let Outgoing { kind, topic, key, value, partition, headers } = message;
        let record = BaseRecord {
            topic,
            partition,
            payload: value,
            key: Some(key),
            timestamp: None,
            headers,
            delivery_opaque: Box::new(kind),
        };
        let mut record: BaseRecord<'_, [u8], [u8], Box<Kind>> = record;
        // By this time the oldest message has been given up, which makes room.
        let deadline = Instant::now() + 2 * self.settings.delivery;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, unsent)) => {
                    if error.rdkafka_error_code() != Some(Code::QueueFull) || Instant::now() > deadline {
                        return Err(error);
                    }
                    record = unsent;
                    self.producer.poll(WAIT);
                }
            }
        }
    }

    /// Sends the dead letters that were not delivered.
    fn send_again(&mut self) -> Result<(), ExternalError> {
        if self.producer.context().has_failed() {
            let failures = self.producer.context().take_failures();
            self.settle(failures)?;
        }
        while let Some(unsent) = self.again.pop() {
            if let Err(error) = self.resend(&unsent) {
                let what = format!("cannot write dead letters to the topic `{}`", unsent.topic());
                self.again.push(unsent);
                return Err(failed(what, error));
            }
        }
        Ok(())
    }

    fn resend(&self, letter: &OwnedMessage) -> Result<(), KafkaError> {
        self.send(Outgoing {
            kind: Kind::Letter,
            topic: letter.topic(),
            key: letter.key().unwrap_or_default(),
            value: letter.payload(),
            partition: None,
            headers: letter.headers().cloned(),
        })
    }

    /// Waits until all messages are acknowledged.
    pub(super) fn confirm(&mut self) -> Result<(), ExternalError> {
        loop {
            self.send_again()?;
            self.wait();
            if self.producer.context().has_failed() {
                let failures = self.producer.context().take_failures();
                self.settle(failures)?;
            } else if let Some(letter) = self.refused.pop() {
                self.send_alone(letter)?;
            } else if self.again.is_empty() {
                return Ok(());
            }
        }
    }

    /// Waits until each message is delivered or given up.
    fn wait(&self) {
        while self.producer.in_flight_count() > 0 {
            self.producer.poll(MOMENT);
        }
        self.producer.poll(Duration::ZERO);
    }

    /// Sends a dead letter in a batch of its own, and half of it whenever it is rejected.
    fn send_alone(&mut self, mut letter: OwnedMessage) -> Result<(), ExternalError> {
        loop {
            let sent = self.resend(&letter);
            self.wait();
            let failure = self.producer.context().take_failures().letters.pop().map(|(error, _)| error);
            let Some(error) = sent.err().or(failure) else { return Ok(()) };
            let what = format!("cannot write dead letters to the topic `{}`", letter.topic());
            if error.rdkafka_error_code() != Some(Code::MessageSizeTooLarge) {
                self.again.push(letter);
                return Err(failed(what, error));
            }
            letter = letter::halved(letter).ok_or_else(|| failed(what, error))?;
        }
    }

    /// Handles messages that were not delivered. Dead letters are kept, to be sent again.
    fn settle(&mut self, failures: Failures) -> Result<(), ExternalError> {
        let mut first = None;
        for (error, letter) in failures.letters {
            if error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge) {
                self.refused.push(letter);
            } else {
                let what = format!("cannot write dead letters to the topic `{}`", letter.topic());
                self.again.push(letter);
                first.get_or_insert((error, what));
            }
        }
        if let Some((error, key)) = failures.row {
            first = Some((error, format!("cannot write the row `{key}`")));
        }
        let Some((error, what)) = first else { return Ok(()) };
        if let Some((_, reason)) = self.producer.client().fatal_error() {
            // After a fatal error a producer sends nothing any more.
            self.producer = producer(&self.settings)?;
            let what = what + ": the producer had to be made anew";
            return Err(ExternalError::transient(what).because(reason));
        }
        Err(match error.rdkafka_error_code() {
            Some(Code::MessageTimedOut | Code::BrokerTransportFailure) => {
                self.producer.context().reporter.timed_out(&what, error)
            }
            _ => failed(what, error),
        })
    }
}

/// A message to send.
struct Outgoing<'a> {
    kind: Kind,
    topic: &'a str,
    key: &'a [u8],
    value: Option<&'a [u8]>,
    partition: Option<i32>,
    headers: Option<OwnedHeaders>,
}

/// Creates the client.
fn producer(settings: &Settings) -> Result<Producer, ExternalError> {
    let what = || format!("cannot make a Kafka client for {}", settings.config.servers());
    let client = settings.client().map_err(|error| ExternalError::permanent(what()).because(error))?;
    let context = Context::new(Reporter::new(&settings.config));
    client.create_with_context(context).map_err(|error| failed(what(), error))
}
