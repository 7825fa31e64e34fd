//! Kafka, as the settings have it, and as the library wants it.

use std::time::Duration;

use telemetra::prelude::*;
use telemetra::sinks::{CreateTopics, KafkaConfig, KafkaSink, KafkaSource, OnLost, Start};

use crate::common::sender::Topics;
use crate::common::settings::Secret;

#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    /// Where it is, if it is used.
    pub(crate) servers: Option<String>,
    /// Whether it is in this process, and the generator writes to it.
    pub(crate) embedded: bool,
    pub(crate) properties: Secret<Vec<(String, String)>>,
    pub(crate) topic_prefix: String,
    pub(crate) start: Start,
    pub(crate) until_end: bool,
    pub(crate) on_lost: OnLost,
    pub(crate) wait_for_topics: Duration,
    /// If it was given: a name, or that there is none.
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
            on_lost: OnLost::Stop,
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

    /// The topic that records go to that do not count.
    pub(crate) fn dead_letter_topic(&self) -> Option<String> {
        self.dead_letters.clone().unwrap_or_else(|| Some(format!("{}.dead_letter", self.topic_prefix)))
    }

    fn config(&self) -> KafkaConfig {
        let config = KafkaConfig::new(self.servers.as_deref().unwrap_or_default());
        self.properties.0.iter().fold(config, |config, (name, value)| config.set(name, value))
    }

    /// The four topics as a source.
    pub(crate) fn source(&self, name: &str) -> Result<KafkaSource, ConfigError> {
        // An embedded one that has nothing answers late, and the generator waits for what is read.
        let config = if self.embedded { self.config().set("fetch.wait.max.ms", "5") } else { self.config() };
        let source = KafkaSource::new(config, self.topics().names())?
            .group(name)
            .start(self.start)
            .on_lost(self.on_lost)
            .wait_for_topics(self.wait_for_topics);
        Ok(if self.until_end { source.until_end() } else { source })
    }

    /// What goes to topics, if anything does.
    pub(crate) fn sink(&self) -> Result<Option<KafkaSink>, ConfigError> {
        let dead_letters = self.dead_letter_topic();
        if [&dead_letters, &self.summaries, &self.moments].into_iter().all(Option::is_none) {
            return Ok(None);
        }
        let mut sink = KafkaSink::new(self.config())?.dead_letters_to(dead_letters.as_deref());
        if let Some(topic) = &self.summaries {
            sink = sink.topic("chat_summary_minute", topic.as_str());
        }
        if let Some(topic) = &self.moments {
            sink = sink.topic("moments", topic.as_str());
        }
        // One in the process has them already, and creates none for clients.
        if self.create_topics && !self.embedded {
            let create = CreateTopics { replication: self.replication, ..CreateTopics::default() };
            sink = sink.create_topics(create);
        }
        Ok(Some(sink))
    }
}
