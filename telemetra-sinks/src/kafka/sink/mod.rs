//! Topics as a sink.
//!
//! The idea: everything written has a key, so writing it again does no harm, and durable means that the brokers have confirmed it.

mod context;
mod letter;
mod outbox;
mod settings;
mod topics;

pub use settings::CreateTopics;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{
    Action, Batch, Change, ConfigError, DeadLetter, EventTime, ExternalError, KeyPart, RowKey, Shard, Sink,
    Table,
};

use super::config::KafkaConfig;
use crate::json_lines::line::Columns;
use outbox::Outbox;
use settings::Settings;

/// A sink that writes dead letters to a topic and, by choice, the rows of tables to others.
///
/// * **Dead letters** go to `telemetra.events.dead_letter`. The value is the record as it came, the key its place
///   (`partition/offset/index`), and headers hold the rest: `telemetra.fate`, `.reason`, `.origin` (the partition's name), `.origin.topic`,
///   `.origin.partition`, `.origin.offset` and `.origin.index`. What is longer than a message may be is cut, and the header
///   `telemetra.truncated` says how long it was.
/// * **Rows** are JSON objects, one line as of [`JsonLines`](crate::JsonLines); the key is the row's: the values of
///   its key columns with `/` between them, times in milliseconds. A withdrawal is a tombstone, so in a compacted topic there is the newest
///   of each row and no other. All rows of a subject are in one partition, in the order in which they changed.
/// * **Durable** is what all replicas that are in sync have confirmed (`acks=all`); the producer is idempotent, so its own retries write
///   nothing twice. Each [`apply`](Sink::apply) waits for everything written so far.
/// * **After a restart** the sink is given the state anew, as [`open`](Sink::open) names no time: rows are written again under their keys, and
///   letters found since the checkpoint too, known by their place. Until a consumer has read up to there it may see older revisions again.
///
/// A broker that is down is a transient error after [`delivery_timeout`](Self::delivery_timeout); no right, no topic or a row too long is a
/// permanent one.
///
/// ```
/// use telemetra_core::{Batch, EventTime, Sink};
/// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSink};
///
/// let kafka = EmbeddedKafka::start(1)?;
/// kafka.create_topic("telemetra.events.dead_letter", 1)?;
/// kafka.create_topic("sensors.moments", 1)?;
/// let mut sink = KafkaSink::new(KafkaConfig::new(kafka.bootstrap_servers()))?.topic("moments", "sensors.moments");
/// assert_eq!(sink.open(&[], None)?, None);
/// sink.apply(&[Batch { time: EventTime(59_999), changes: Vec::new() }])?;
/// sink.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KafkaSink {
    settings: Settings,
    columns: Columns,
    opened: Option<Outbox>,
    text: String,
}

impl KafkaSink {
    /// Writes to this cluster.
    ///
    /// # Errors
    ///
    /// If a property cannot be set or needs a feature that this build does not have.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigError> {
        let settings = Settings {
            config,
            letters: Some("telemetra.events.dead_letter".to_owned()),
            topics: BTreeMap::new(),
            create: None,
            timeout: Duration::from_secs(10),
            delivery: Duration::from_secs(30),
        };
        settings.client()?;
        Ok(Self { settings, columns: Columns::default(), opened: None, text: String::new() })
    }

    /// The topic of dead letters; `None`: they are not written. Default: `telemetra.events.dead_letter`.
    #[must_use]
    pub fn dead_letters_to<'a>(mut self, topic: impl Into<Option<&'a str>>) -> Self {
        self.settings.letters = topic.into().map(str::to_owned);
        self
    }

    /// Writes the rows of a table to this topic, which should be compacted. May be called for several tables, each with a topic
    /// of its own. The rows of other tables are not written.
    #[must_use]
    pub fn topic(mut self, table: &str, topic: &str) -> Self {
        self.settings.topics.insert(table.to_owned(), topic.to_owned());
        self
    }

    /// Makes the topics that do not exist when the sink is opened. Those that do are left as they are. Not possible with a login by
    /// OAUTHBEARER, where a topic that is missing is an error.
    #[must_use]
    pub fn create_topics(mut self, how: CreateTopics) -> Self {
        self.settings.create = Some(how);
        self
    }

    /// How long the servers may take to answer when the sink is opened. Default: 10 s.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// How long a message may take, retries included, before it is an error; the pipeline then tries again. At least 1 s. Default: 30 s.
    #[must_use]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.settings.delivery = timeout.clamp(Duration::from_secs(1), Duration::from_secs(3600));
        self
    }

    fn write(&mut self, change: &Change, time: EventTime, shown: &str) -> Result<(), ExternalError> {
        let Some(topic) = self.settings.topics.get(change.table()) else { return Ok(()) };
        let Some(outbox) = &mut self.opened else { return Ok(()) };
        let row = RowKey::of(&*change.row);
        let key = row.parts().iter().map(shown_key).collect::<Vec<_>>().join("/");
        let value = match change.action {
            Action::Withdraw => None,
            Action::Upsert => {
                self.text.clear();
                self.columns.write(&mut self.text, change, time, shown).map_err(|error| {
                    ExternalError::permanent(format!("cannot write the row {row} as JSON")).because(error)
                })?;
                Some(self.text.trim_end().as_bytes())
            }
        };
        let subject = change.row.subject();
        outbox.row(topic, &key, value, |partitions| Shard::index_of(&subject, partitions))
    }
}

/// A part of a message's key: times in milliseconds.
fn shown_key(part: &KeyPart) -> String {
    match part {
        KeyPart::Time(time) => time.0.to_string(),
        part => part.to_string(),
    }
}

impl Sink for KafkaSink {
    fn name(&self) -> &str {
        "kafka"
    }

    fn open(
        &mut self,
        tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        self.columns = Columns::new(tables);
        self.opened = Some(Outbox::open(&self.settings)?);
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        if self.opened.is_none() {
            return Err(not_open(&self.settings));
        }
        for batch in batches {
            let shown = batch.time.to_string();
            for change in &batch.changes {
                self.write(change, batch.time, &shown)?;
            }
        }
        self.opened.as_mut().map_or(Ok(()), Outbox::confirm)
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let Some(outbox) = &mut self.opened else { return Err(not_open(&self.settings)) };
        let Some(topic) = &self.settings.letters else { return Ok(()) };
        letters.iter().try_for_each(|letter| outbox.letter(topic, letter))
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        match self.opened.take() {
            None => Ok(()),
            Some(mut outbox) => outbox.confirm(),
        }
    }
}

fn not_open(settings: &Settings) -> ExternalError {
    let servers = settings.config.servers();
    ExternalError::permanent(format!(
        "cannot write to Kafka at {servers}: the sink is not open; call `open` first"
    ))
}

impl fmt::Debug for KafkaSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink").field("settings", &self.settings).finish_non_exhaustive()
    }
}
