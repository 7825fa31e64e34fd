//! The callbacks of the Kafka producer: delivery reports, logs, errors, and OAuth tokens.

use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Message};

use crate::kafka::report::Reporter;

pub(super) type Producer = BaseProducer<Context>;

/// The kind of a message, which its delivery report returns.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A row. After an error, the pipeline gives it again.
    Row,
    /// A dead letter. It is given once, so it must be kept until it is delivered.
    Letter,
}

/// The callbacks of the producer: they collect failed deliveries and report messages of the client.
pub(super) struct Context {
    pub(super) reporter: Reporter,
    failures: Mutex<Failures>,
}

/// The messages that were not delivered.
#[derive(Default)]
pub(super) struct Failures {
    /// The error of the first row, with its topic and key.
    pub(super) row: Option<(KafkaError, String)>,
    /// The dead letters, with their whole messages.
    pub(super) letters: Vec<(KafkaError, OwnedMessage)>,
}

impl Context {
    pub(super) fn new(reporter: Reporter) -> Self {
        Self { reporter, failures: Mutex::default() }
    }

    fn failures(&self) -> MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the failures since the last call.
    pub(super) fn take_failures(&self) -> Failures {
        take(&mut *self.failures())
    }

    /// Returns whether any message was not delivered.
    pub(super) fn has_failed(&self) -> bool {
        let failures = self.failures();
        failures.row.is_some() || !failures.letters.is_empty()
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, kind: &str, line: &str) {
        self.reporter.log(level, kind, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporter.error(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.reporter.token()
    }
}

impl ProducerContext for Context {
    // A box, so that zero is no valid kind and none is mistaken for the absence of one.
    type DeliveryOpaque = Box<Kind>;

    fn delivery(&self, result: &DeliveryResult<'_>, kind: Box<Kind>) {
        let (error, message) = match result {
            Ok(_) => return self.reporter.clear(),
            Err((error, message)) => (error.clone(), message),
        };
        let mut failures = self.failures();
        match *kind {
            Kind::Letter => failures.letters.push((error, message.detach())),
            Kind::Row => {
                let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
                failures.row.get_or_insert((error, key));
            }
        }
    }
}
