//! The settings of Kafka.

use std::time::Duration;

use telemetra::prelude::*;

use crate::common::settings::Secret;
use crate::common::topics::Topics;

/// The position at which to begin partitions that are in no checkpoint.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Start {
    Earliest,
    Latest,
    Committed,
    At(EventTime),
}

#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    /// The addresses of the servers, if Kafka is used.
    pub(crate) servers: Option<String>,
    /// Whether the broker is embedded in this process, with the generator as its writer.
    pub(crate) embedded: bool,
    pub(crate) properties: Secret<Vec<(String, String)>>,
    pub(crate) topic_prefix: String,
    pub(crate) start: Start,
    pub(crate) until_end: bool,
    /// Whether to continue where retention removed records that were to be read.
    pub(crate) go_on_if_lost: bool,
    pub(crate) wait_for_topics: Duration,
    /// The topic of dead letters, if the setting was given: a name, or none.
    pub(crate) dead_letters: Option<Option<String>>,
    pub(crate) summaries: Option<String>,
    pub(crate) moments: Option<String>,
    pub(crate) create_topics: bool,
    pub(crate) replication: u16,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            servers: None,
            embedded: false,
            properties: Secret::default(),
            topic_prefix: "telemetra.events".to_owned(),
            start: Start::Earliest,
            until_end: false,
            go_on_if_lost: false,
            wait_for_topics: Duration::from_secs(30),
            dead_letters: None,
            summaries: None,
            moments: None,
            create_topics: true,
            replication: 1,
        }
    }
}

impl Kafka {
    pub(crate) fn topics(&self) -> Topics {
        Topics::with_prefix(&self.topic_prefix)
    }

    /// The topic to which dead letters are written.
    pub(crate) fn dead_letter_topic(&self) -> Option<String> {
        self.dead_letters.clone().unwrap_or_else(|| Some(format!("{}.dead_letter", self.topic_prefix)))
    }
}
