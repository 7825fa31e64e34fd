//! Topics as a sink.
//!
//! The idea: everything written has a key, so writing it again does no harm, and durable means that the brokers have confirmed it.

mod context;
mod letter;
mod outbox;
mod settings;
mod topics;

pub use settings::CreateTopics;

use std::fmt;
use std::time::Duration;

use telemetra_core::{
    Action, Batch, Change, ConfigError, DeadLetter, EventTime, ExternalError, Row, Shard, Sink, StreamId,
    StreamSummary,
};

use super::config::KafkaConfig;
use crate::json_lines::line::Keys;
use crate::{Layout, RowKey};
use outbox::Outbox;
use settings::Settings;

/// Writes dead letters to a topic and, by choice, summaries and moments to others.
///
/// * **Dead letters** go to `telemetra.events.dead_letter`. The value is the record as it came, the key its place
///   (`partition/offset/index`), and headers hold the rest: `telemetra.fate`, `.reason`, `.origin` (the partition's name), `.origin.topic`,
///   `.origin.partition`, `.origin.offset` and `.origin.index`. What is longer than a message may be is cut, and the header
///   `telemetra.truncated` says how long it was.
/// * **Rows** are JSON objects, one line as of [`JsonLines`](crate::JsonLines); the key is the row's: `stream/window start in
///   milliseconds` of a summary, the id of a moment. A withdrawal is a tombstone, so in a compacted topic there is the newest of each row
///   and no other. All rows of a stream are in one partition, in the order in which they changed.
/// * **Durable** is what all replicas that are in sync have confirmed (`acks=all`); the producer is idempotent, so its own retries write
///   nothing twice. Each [`apply`](Sink::apply) waits for everything written so far.
/// * **After a restart** the sink is given the state anew, as [`open`](Sink::open) names no time: rows are written again under their keys, and
///   letters found since the checkpoint too, known by their place. Until a consumer has read up to there it may see older revisions again.
///
/// A broker that is down is a transient error after [`delivery_timeout`](Self::delivery_timeout); no right, no topic or a row too long is a
/// permanent one.
///
/// ```
/// use telemetra_core::{Batch, EventTime, Sink, StreamSummary};
/// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSink};
///
/// let kafka = EmbeddedKafka::start(1)?;
/// kafka.create_topic("telemetra.events.dead_letter", 1)?;
/// kafka.create_topic("telemetra.moments", 1)?;
/// let mut sink = KafkaSink::<StreamSummary>::new(KafkaConfig::new(kafka.bootstrap_servers()))?.moments("telemetra.moments");
/// assert_eq!(sink.open(None)?, None);
/// sink.apply(&[Batch { time: EventTime(59_999), changes: Vec::new() }])?;
/// sink.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KafkaSink<S = StreamSummary> {
    settings: Settings,
    layout: Layout<S>,
    keys: Keys,
    opened: Option<Outbox>,
    text: String,
}

impl<S: crate::Tabular> KafkaSink<S> {
    /// Writes to this cluster. Summaries have the columns that their type names.
    ///
    /// # Errors
    ///
    /// If a property cannot be set or needs a feature that this build does not have.
    pub fn new(config: KafkaConfig) -> Result<Self, ConfigError> {
        Self::with_layout(config, Layout::tabular())
    }
}

impl<S> KafkaSink<S> {
    /// Writes to this cluster, with summaries laid out as said.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with_layout(config: KafkaConfig, layout: Layout<S>) -> Result<Self, ConfigError> {
        let settings = Settings {
            config,
            letters: Some("telemetra.events.dead_letter".to_owned()),
            summaries: None,
            moments: None,
            create: None,
            timeout: Duration::from_secs(10),
            delivery: Duration::from_secs(30),
        };
        settings.client()?;
        Ok(Self { settings, keys: Keys::new(&layout), layout, opened: None, text: String::new() })
    }

    /// The topic of dead letters; `None`: they are not written. Default: `telemetra.events.dead_letter`.
    #[must_use]
    pub fn dead_letters_to<'a>(mut self, topic: impl Into<Option<&'a str>>) -> Self {
        self.settings.letters = topic.into().map(str::to_owned);
        self
    }

    /// Writes summaries to this topic, which should be compacted. Default: they are not written.
    #[must_use]
    pub fn summaries(mut self, topic: &str) -> Self {
        self.settings.summaries = Some(topic.to_owned());
        self
    }

    /// Writes moments to this topic, which should be compacted. Default: they are not written.
    #[must_use]
    pub fn moments(mut self, topic: &str) -> Self {
        self.settings.moments = Some(topic.to_owned());
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

    fn write(&mut self, change: &Change<S>, time: EventTime, shown: &str) -> Result<(), ExternalError> {
        let (topic, stream): (_, &StreamId) = match &change.row {
            Row::Summary(stream, _) => (&self.settings.summaries, stream),
            Row::Moment(moment) => (&self.settings.moments, &moment.stream_id),
            Row::Stream(_) | Row::Viewer(_) | Row::Transaction(_) => return Ok(()),
        };
        let (Some(topic), Some(outbox)) = (topic, &mut self.opened) else { return Ok(()) };
        let key = match RowKey::of(&change.row) {
            RowKey::Summary(stream, window) => format!("{stream}/{}", window.start.0),
            RowKey::Moment(id) => id.to_string(),
            RowKey::Stream(_) | RowKey::Viewer(_) | RowKey::Transaction(_) => return Ok(()),
        };
        let value = match change.action {
            Action::Withdraw => None,
            Action::Upsert => {
                self.text.clear();
                let made = self.keys.write(&mut self.text, change, time, shown, &self.layout);
                made.map_err(|error| {
                    let row = RowKey::of(&change.row);
                    ExternalError::permanent(format!("cannot write the row {row} as JSON")).because(error)
                })?;
                Some(self.text.trim_end().as_bytes())
            }
        };
        outbox.row(topic, &key, value, |partitions| Shard::index_of(stream, partitions))
    }
}

impl<S: Send + Sync> Sink<S> for KafkaSink<S> {
    fn name(&self) -> &str {
        "kafka"
    }

    fn open(&mut self, _resume: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        self.opened = None;
        self.opened = Some(Outbox::open(&self.settings)?);
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch<S>]) -> Result<(), ExternalError> {
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

impl<S> fmt::Debug for KafkaSink<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSink").field("settings", &self.settings).finish_non_exhaustive()
    }
}
