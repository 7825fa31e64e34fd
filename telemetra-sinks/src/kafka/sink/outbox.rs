//! Messages on their way: sent, confirmed, or to be sent again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer as _};
use telemetra_core::{DeadLetter, ExternalError, Retry};

use super::context::{Context, Failures, Kind, Producer};
use super::settings::Settings;
use super::{letter, topics};
use crate::kafka::error::{failed, judge};
use crate::kafka::report::Reporter;

/// How long to wait for events at a time.
const WAIT: Duration = Duration::from_millis(100);
/// What a message may need beside key, value and headers.
const OVERHEAD: usize = 512;

pub(super) struct Outbox {
    settings: Settings,
    producer: Producer,
    /// How many partitions the topics of rows have.
    partitions: HashMap<String, usize>,
    /// Letters that were not delivered, to be sent again.
    again: Vec<OwnedMessage>,
}

impl Outbox {
    pub(super) fn open(settings: &Settings) -> Result<Self, ExternalError> {
        if let Some(how) = settings.create {
            topics::create(settings, how)?;
        }
        let producer = producer(settings)?;
        let mut partitions = HashMap::new();
        for (topic, _) in settings.topics() {
            partitions.insert(topic.to_owned(), topics::partitions(&producer, topic, settings.timeout)?);
        }
        Ok(Self { settings: settings.clone(), producer, partitions, again: Vec::new() })
    }

    /// Sends a row; `None` is a tombstone.
    pub(super) fn row(
        &mut self,
        topic: &str,
        key: &str,
        value: Option<&[u8]>,
        partition: impl Fn(usize) -> usize,
    ) -> Result<(), ExternalError> {
        let partition = self.partitions.get(topic).map(|count| partition(*count));
        let partition = partition.and_then(|partition| i32::try_from(partition).ok());
        let message =
            Outgoing { kind: Kind::Row, topic, key: key.as_bytes(), value, partition, headers: None };
        self.send(message).map_err(|error| {
            let what = format!("cannot write the row `{key}` to the topic `{topic}`");
            failed(what, error)
        })
    }

    /// Sends a letter, cut to what a message may hold.
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

    /// Hands a message to the client, waiting for room in its queue.
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
        // Until the oldest message must have been given up, and with it there is room.
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

    /// Sends the letters that were not delivered.
    fn send_again(&mut self) -> Result<(), ExternalError> {
        if self.producer.context().has_failed() {
            let failures = self.producer.context().take_failures();
            self.settle(failures)?;
        }
        while let Some(unsent) = self.again.pop() {
            let message = Outgoing {
                kind: Kind::Letter,
                topic: unsent.topic(),
                key: unsent.key().unwrap_or_default(),
                value: unsent.payload(),
                partition: None,
                headers: unsent.headers().cloned(),
            };
            if let Err(error) = self.send(message) {
                let what = format!("cannot write dead letters to the topic `{}`", unsent.topic());
                self.again.push(unsent);
                return Err(failed(what, error));
            }
        }
        Ok(())
    }

    /// Waits until all that was sent is confirmed.
    pub(super) fn confirm(&mut self) -> Result<(), ExternalError> {
        loop {
            self.send_again()?;
            while self.producer.in_flight_count() > 0 {
                self.producer.poll(WAIT.min(Duration::from_millis(5)));
            }
            self.producer.poll(Duration::ZERO);
            if !self.producer.context().has_failed() && self.again.is_empty() {
                return Ok(());
            }
            let failures = self.producer.context().take_failures();
            self.settle(failures)?;
        }
    }

    /// Decides what is done about messages that were not delivered. Letters are kept, to be sent again.
    fn settle(&mut self, failures: Failures) -> Result<(), ExternalError> {
        let mut first = None;
        for (error, message) in failures.letters {
            let too_long = error.rdkafka_error_code() == Some(Code::MessageSizeTooLarge);
            let topic = message.topic().to_owned();
            if !too_long {
                self.again.push(message);
            } else if let Some(shorter) = letter::halved(message) {
                self.again.push(shorter);
                continue;
            }
            first.get_or_insert((error, format!("cannot write dead letters to the topic `{topic}`")));
        }
        if let Some((error, key)) = failures.row {
            first = Some((error, format!("cannot write the row `{key}`")));
        }
        let Some((error, what)) = first else { return Ok(()) };
        if let Some((code, reason)) = self.producer.client().fatal_error() {
            // Such a producer sends nothing any more.
            self.producer = producer(&self.settings)?;
            return Err(ExternalError::transient(format!("{what}: the producer had to be made anew"))
                .because(format!("{code}: {reason}")));
        }
        match error.rdkafka_error_code() {
            Some(
                Code::MessageTimedOut | Code::PurgeQueue | Code::PurgeInflight | Code::BrokerTransportFailure,
            ) => Err(self.producer.context().reporter.timed_out(&what, error)),
            Some(code) if judge(code).0 == Retry::Permanent => Err(failed(what, error)),
            _ => Err(failed(what, error)),
        }
    }
}

/// A message to be sent.
struct Outgoing<'a> {
    kind: Kind,
    topic: &'a str,
    key: &'a [u8],
    value: Option<&'a [u8]>,
    partition: Option<i32>,
    headers: Option<OwnedHeaders>,
}

fn producer(settings: &Settings) -> Result<Producer, ExternalError> {
    let what = || format!("cannot make a Kafka client for {}", settings.config.servers());
    let client = settings.client().map_err(|error| ExternalError::permanent(what()).because(error))?;
    let context = Context::new(Reporter::new(&settings.config));
    client.create_with_context(context).map_err(|error| failed(what(), error))
}
