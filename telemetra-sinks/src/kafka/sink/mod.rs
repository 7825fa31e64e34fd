//! Topics as a sink.
//!
//! The idea: everything written has a key, so writing it again does no harm, and durable means that the brokers have confirmed it.

mod context;
mod letter;
mod outbox;
mod routes;
mod settings;
mod topics;

pub use settings::CreateTopics;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{
    Action, Batch, Change, ConfigError, DeadLetter, EventTime, ExternalError, Shard, Sink, Table,
};

use super::config::KafkaConfig;
use crate::json_lines::line::ChangeLines;
use outbox::Outbox;
use routes::{Routes, message_key};
use settings::Settings;

/// A producer that writes dead letters to a topic and, by choice, the rows of tables to others.
///
/// * **Dead letters** go to `telemetra.events.dead_letter`. The value is the record as it came, the key its place
///   (`partition/offset/index`), and headers hold the rest: `telemetra.fate`, `.reason`, `.time` (the event's, where it is known),
///   `.origin` (the partition's name), `.origin.topic`, `.origin.partition`, `.origin.offset` and `.origin.index`. What is longer than a message may be is cut, and the header
///   `telemetra.truncated` says how long it was.
/// * **Rows** of the tables that have a [`topic`](Self::topic) are JSON objects, one line as of [`JsonLines`](crate::JsonLines). The key is
///   the row's key columns with slashes between, times in milliseconds: `device/window start`, say. In all but the first column a slash is
///   `%2F` and a percent sign `%25`. A withdrawal is a tombstone, so in a compacted topic there is the newest of each row and no other. All
///   rows of one [subject](telemetra_core::Row::subject) are in one partition, in the order in which they changed.
/// * **Durable** is what all replicas that are in sync have confirmed (`acks=all`); the producer is idempotent, so its own retries write
///   nothing twice. Each [`apply`](Sink::apply) waits for everything written so far.
/// * **After a restart** the sink is given the state anew, as [`open`](Sink::open) names no time: rows are written again under their keys, and
///   letters found since the checkpoint too, known by their place. Until a consumer has read up to there it may see older revisions again.
///
/// A broker that is down is a transient error after [`delivery_timeout`](Self::delivery_timeout); no right, no topic or a row too long is a
/// permanent one.
///
/// ```
/// use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
/// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSink};
///
/// let kafka = EmbeddedKafka::start(1)?;
/// kafka.create_topic("telemetra.events.dead_letter", 1)?;
/// kafka.create_topic("plant.sites", 1)?;
///
/// let table = Table::new("sites").key(Column::new("site", ColumnKind::Text));
/// let sites = Layout::new(table, |site: &String, put| put(Value::Text(site)));
/// let mut sink = KafkaSink::new(KafkaConfig::new(kafka.bootstrap_servers()))?.topic("sites", "plant.sites");
/// assert_eq!(sink.open(&[sites.table().clone()], None)?, None);
/// sink.apply(&[Batch { time: EventTime(59_999), changes: vec![sites.upsert("north".to_owned(), 0)] }])?;
/// sink.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KafkaSink {
    settings: Settings,
    opened: Option<Opened>,
}

struct Opened {
    outbox: Outbox,
    routes: Routes,
    lines: ChangeLines,
    text: String,
}

impl KafkaSink {
    /// Writes to this cluster: dead letters, and the rows of no table.
    ///
    /// # Errors
    ///
    /// If a property cannot be set or needs a feature that this build does not have.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigError> {
        let settings = Settings {
            config,
            letters: Some("telemetra.events.dead_letter".to_owned()),
            tables: Vec::new(),
            prefix: None,
            create: None,
            timeout: Duration::from_secs(10),
            delivery: Duration::from_secs(30),
        };
        settings.client()?;
        Ok(Self { settings, opened: None })
    }

    /// The topic of dead letters; `None`: they are not written. Default: `telemetra.events.dead_letter`.
    #[must_use]
    pub fn dead_letters_to<'a>(mut self, topic: impl Into<Option<&'a str>>) -> Self {
        self.settings.letters = topic.into().map(str::to_owned);
        self
    }

    /// Writes the rows of a table to a topic, which should be compacted and be no other table's; `None`: they are not written. A table that
    /// the pipeline does not have is an error when the sink is opened. Default: no rows are written.
    #[must_use]
    pub fn topic<'a>(mut self, table: &str, topic: impl Into<Option<&'a str>>) -> Self {
        self.settings.tables.push((table.to_owned(), topic.into().map(str::to_owned)));
        self
    }

    /// Writes the rows of every table for which no [`topic`](Self::topic) is given to the topic `prefix.table`.
    #[must_use]
    pub fn topics_by_prefix(mut self, prefix: &str) -> Self {
        self.settings.prefix = Some(prefix.to_owned());
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
}

impl Opened {
    fn write(&mut self, change: &Change, time: EventTime, shown: &str) -> Result<(), ExternalError> {
        let Some(topic) = self.routes.topic_of(change.table()) else { return Ok(()) };
        let value = match change.action {
            Action::Withdraw => None,
            Action::Upsert => {
                self.text.clear();
                self.lines.write(&mut self.text, change, time, shown)?;
                Some(self.text.trim_end().as_bytes())
            }
        };
        let subject = change.row.subject();
        let partition = |partitions| Shard::index_of(&subject, partitions);
        self.outbox.row(topic, &message_key(&*change.row), value, partition)
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
        let routes = Routes::new(&self.settings, tables)?;
        let outbox = Outbox::open(&self.settings, &routes)?;
        self.opened = Some(Opened { outbox, routes, lines: ChangeLines::new(tables), text: String::new() });
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.settings)) };
        for batch in batches {
            let shown = batch.time.to_string();
            for change in &batch.changes {
                opened.write(change, batch.time, &shown)?;
            }
        }
        opened.outbox.confirm()
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        let Some(opened) = &mut self.opened else { return Err(not_open(&self.settings)) };
        let Some(topic) = &self.settings.letters else { return Ok(()) };
        letters.iter().try_for_each(|letter| opened.outbox.letter(topic, letter))
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        match self.opened.take() {
            None => Ok(()),
            Some(mut opened) => opened.outbox.confirm(),
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
