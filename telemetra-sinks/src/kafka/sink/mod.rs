//! A sink that writes rows and dead letters to topics.
//!
//! Every message has a key, so writing it again does no harm in a compacted topic. A batch is durable when
//! the brokers have acknowledged all its messages.

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
    Action, Batch, Change, ConfigError, DeadLetter, EventTime, ExternalError, Shard, Sink, Table, TraceParent,
};

use super::config::KafkaConfig;
use crate::json_lines::line::ChangeLines;
use outbox::Outbox;
use routes::{Routes, message_key};
use settings::Settings;

/// A sink that writes dead letters to a Kafka topic, and the rows of chosen tables to further topics.
///
/// * **Dead letters** go to the topic `telemetra.events.dead_letter`. The value of a message is the record as it
///   was read, and the key is the record's place (`partition/offset/index`). The headers are listed below. A
///   record that is longer than a message may be is cut.
/// * **Rows** of a table with a [`topic`](Self::topic) are JSON objects, with the fields of a line of
///   [`JsonLines`](crate::JsonLines). The message key consists of the row's key columns, separated by
///   slashes, with times in milliseconds: for example `device/window start`. In all columns but the first, a
///   slash is written as `%2F` and a percent sign as `%25`. A withdrawal is a tombstone, so a compacted topic
///   holds the newest version of each row. All rows of one [subject](telemetra_core::Row::subject) are in one
///   partition, in the order of their changes. In a program that sends its spans somewhere, messages have the
///   header `traceparent` of the span that wrote them ([`TraceParent::current`](telemetra_core::TraceParent::current)).
/// * **Durability.** A message is durable when all in-sync replicas have acknowledged it (`acks=all`). The
///   producer is idempotent, so its own retries write nothing twice. Each [`apply`](Sink::apply) waits for
///   all messages sent so far.
/// * **Restart.** [`open`](Sink::open) returns no time, so a restarted pipeline writes the whole state again,
///   under the same keys; dead letters found since the checkpoint are written again too. Until a consumer has
///   read past them, it may see older revisions.
///
/// A broker that is down is a transient error after the [`delivery_timeout`](Self::delivery_timeout). A
/// missing right, a missing topic or a row that is too long is a permanent error.
///
/// Transactions of Kafka are not used: consumers that need each change exactly once must be able to apply a row
/// twice, by its key.
///
/// # Headers of dead letters
///
/// | header | value |
/// |---|---|
/// | `telemetra.fate` | the [fate](telemetra_core::Fate), for example `malformed` or `too_late` |
/// | `telemetra.reason` | why the record was not counted, as text |
/// | `telemetra.time` | the event time in RFC 3339; absent if it is not known |
/// | `telemetra.origin` | the id of the source's partition |
/// | `telemetra.origin.topic`, `telemetra.origin.partition` | topic and number, if the record came from Kafka |
/// | `telemetra.origin.offset` | the record's offset |
/// | `telemetra.origin.index` | the number of the event in its record, from 0 |
/// | `telemetra.truncated` | the length of the whole record in bytes; only if the record was cut |
/// | `traceparent` | as the record had it, if it was valid |
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

/// The producer and the topics of an open sink.
struct Opened {
    outbox: Outbox,
    routes: Routes,
    lines: ChangeLines,
    text: String,
}

impl KafkaSink {
    /// Creates a sink for this cluster, which writes dead letters and the rows of no table. It connects when
    /// it is opened.
    ///
    /// # Errors
    ///
    /// If a property cannot be set by users, has an invalid value, or needs a feature that this build does
    /// not have.
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

    /// Sets the topic of dead letters; with `None` they are not written. Default: `telemetra.events.dead_letter`.
    /// The topic must exist, unless [`create_topics`](Self::create_topics) is set.
    ///
    /// ```
    /// use telemetra_core::{Retry, Sink};
    /// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSink};
    ///
    /// let kafka = EmbeddedKafka::start(1)?;
    /// let config = KafkaConfig::new(kafka.bootstrap_servers());
    /// let missing = KafkaSink::new(config.clone())?.open(&[], None).unwrap_err();
    /// assert_eq!(missing.retry(), Retry::Permanent);
    /// assert_eq!(KafkaSink::new(config)?.dead_letters_to(None).open(&[], None)?, None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn dead_letters_to<'a>(mut self, topic: impl Into<Option<&'a str>>) -> Self {
        self.settings.letters = topic.into().map(str::to_owned);
        self
    }

    /// Writes the rows of a table to a topic of its own, which should be compacted; with `None` they are not
    /// written, also if [`topics_by_prefix`](Self::topics_by_prefix) is set. Default: no rows are written.
    /// If a table is named twice, the last call counts. [`open`](Sink::open) fails with a permanent error if the
    /// pipeline has no such table, or if two tables share a topic.
    #[must_use]
    pub fn topic<'a>(mut self, table: &str, topic: impl Into<Option<&'a str>>) -> Self {
        self.settings.tables.push((table.to_owned(), topic.into().map(str::to_owned)));
        self
    }

    /// Writes the rows of every table without a [`topic`](Self::topic) to the topic `prefix.table`. Default:
    /// off.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use telemetra_core::{Column, ColumnKind, Sink, Table};
    /// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSink};
    ///
    /// let kafka = EmbeddedKafka::start(1)?;
    /// kafka.create_topic("plant.sites", 1)?;
    /// let sites = Arc::new(Table::new("sites").key(Column::new("site", ColumnKind::Text)));
    /// let config = KafkaConfig::new(kafka.bootstrap_servers());
    /// let mut sink = KafkaSink::new(config)?.dead_letters_to(None).topics_by_prefix("plant");
    /// sink.open(&[sites], None)?;
    ///
    /// // There is no topic `plant.rooms`.
    /// let rooms = Arc::new(Table::new("rooms").key(Column::new("room", ColumnKind::Text)));
    /// assert!(sink.open(&[rooms], None).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn topics_by_prefix(mut self, prefix: &str) -> Self {
        self.settings.prefix = Some(prefix.to_owned());
        self
    }

    /// Creates missing topics when the sink is opened. Existing topics are left as they are. Default: a
    /// missing topic is an error. The user needs the right `Create`. With a login by OAUTHBEARER topics cannot be
    /// created, and a missing one is an error too.
    ///
    /// ```
    /// use telemetra_sinks::{CreateTopics, KafkaConfig, KafkaSink};
    /// let sink = KafkaSink::new(KafkaConfig::new("kafka-1:9092"))?
    ///     .topics_by_prefix("plant")
    ///     .create_topics(CreateTopics { partitions: 12, replication: 3, ..CreateTopics::default() });
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn create_topics(mut self, how: CreateTopics) -> Self {
        self.settings.create = Some(how);
        self
    }

    /// Sets how long the servers may take to answer when the sink is opened; then opening fails with a transient error
    /// and is repeated. Default: 10 s; limited to between 1 ms and one hour.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout.clamp(Duration::from_millis(1), Duration::from_secs(3600));
        self
    }

    /// Sets how long the delivery of a message may take, the producer's own retries included. After that
    /// [`apply`](Sink::apply) fails with a transient error, and the pipeline repeats it. Default: 30 s; limited
    /// to between 1 s and one hour.
    #[must_use]
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.settings.delivery = timeout.clamp(Duration::from_secs(1), Duration::from_secs(3600));
        self
    }
}

impl Opened {
    /// Sends the message of one change, if its table has a topic.
    fn write(
        &mut self,
        change: &Change,
        (time, shown): (EventTime, &str),
        parent: Option<&str>,
    ) -> Result<(), ExternalError> {
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
        self.outbox.row(topic, &message_key(&*change.row), value, parent, partition)
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
        let parent = TraceParent::current().map(|parent| parent.to_string());
        for batch in batches {
            let shown = batch.time.to_string();
            for change in &batch.changes {
                opened.write(change, (batch.time, &shown), parent.as_deref())?;
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

/// Builds the error of a call before the sink is open.
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
