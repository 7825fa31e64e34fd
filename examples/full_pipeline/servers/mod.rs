//! The parts of the pipeline that are on servers: sources, sinks and checkpoints, made from settings.

mod embedded;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use telemetra::core::checkpoint::CheckpointStore;
use telemetra::livestream::{self, LiveEvents, LiveStreams};
use telemetra::prelude::*;
use telemetra::sinks::{
    ChangeLog, CreateTopics, KafkaConfig, KafkaCounters, KafkaSink, KafkaSource, ObjectCheckpoints,
    ObjectStoreConfig, OnLost, Parquet, Postgres, PostgresStore, RedisSink, Start, Webhook, WebhookSecret,
};

pub(crate) use embedded::Embedded;

use crate::kafka::{self, Kafka};
use crate::places::Source;
use crate::settings::{Output, Settings};

/// The longest that windows and moments stay in Redis, by event time.
const REDIS_HORIZON: Duration = Duration::from_secs(30 * 60);

/// The additional counters of the source.
pub(crate) type Counters = KafkaCounters;

/// Checks the settings that only this build supports.
pub(crate) fn check(settings: &Settings) -> Result<(), ConfigError> {
    settings.objects().try_for_each(|(name, url)| {
        let checked = ObjectStoreConfig::from_url(url).and_then(|config| ObjectCheckpoints::new(&config));
        checked.map(drop).map_err(|error| error.of(name))
    })
}

/// Adds the topics of Kafka as the source.
pub(crate) fn read(
    pipeline: LiveStreams,
    settings: &Settings,
    decoder: Arc<dyn Decoder<LiveEvents>>,
) -> Result<(LiveStreams, Counters)> {
    let source = settings.kafka.source(&settings.name)?;
    let counters = source.counters();
    Ok((pipeline.source(source, decoder), counters))
}

/// Adds the sinks that are on servers, and those of features that not every build has.
pub(crate) fn write(mut pipeline: LiveStreams, settings: &Settings, samples: u32) -> Result<LiveStreams> {
    if let Some(config) = settings.postgres.config() {
        // Data on a server may belong to others: it is deleted only on request.
        let (name, start_over) = (settings.name.clone(), settings.start_over);
        let log = settings.change_log.map(|keep| ChangeLog { keep, ..ChangeLog::default() });
        let shard = move |shard| {
            let sink = Postgres::new(config.clone()).pipeline(&name).shard(shard);
            let sink = if let Some(log) = log { sink.change_log(log) } else { sink };
            if start_over { sink.start_over() } else { sink }
        };
        pipeline = pipeline.sharded_sink(settings.workers * settings.processes, shard);
    }
    if let Some(url) = &settings.redis.url.0 {
        // A run that is asked to start over overwrites keys of a later time.
        let sink = RedisSink::new(url.as_str())
            .keys(livestream::redis_keys())
            .prefix(&settings.redis.prefix)
            // The horizon is no longer than the pipeline's, which emits that much again after a restart.
            .horizon(settings.time.horizon(samples).min(REDIS_HORIZON))
            .silent_after(Duration::from_millis(settings.window));
        pipeline = pipeline.sink(if settings.start_over { sink.start_over() } else { sink });
    }
    if matches!(settings.source, Source::Kafka | Source::Embedded)
        && let Some(sink) = settings.kafka.sink()?
    {
        pipeline = pipeline.sink(sink);
    }
    for output in &settings.outputs {
        let files = match output {
            Output::Parquet(folder) => Parquet::new(folder),
            Output::ParquetObjects(url) => Parquet::in_object_store(&ObjectStoreConfig::from_url(url)?)?,
            Output::Sqlite(_) | Output::JsonLines(_) => continue,
        };
        pipeline = pipeline.sink(files.start_over());
    }
    if let Some(url) = &settings.webhook.0 {
        let mut sink = Webhook::new(url, &settings.webhook_state)?.table("moments").start_over();
        if let Some(secret) = &settings.webhook_secret.0 {
            sink = sink.secret(WebhookSecret::new(secret)?);
        }
        pipeline = pipeline.sink(sink);
    }
    Ok(pipeline)
}

/// The store of checkpoints in Postgres under a name, or that of the pipeline, if there is a Postgres.
pub(crate) fn store(settings: &Settings, name: Option<&str>) -> Result<Option<Box<dyn CheckpointStore>>> {
    let config = settings.postgres.config();
    let name = name.unwrap_or(&settings.name);
    Ok(config.map(|config| Box::new(PostgresStore::new(config).pipeline(name)) as _))
}

/// The store of checkpoints under a URL of an object store.
pub(crate) fn object_store(url: &str) -> Result<Box<dyn CheckpointStore>> {
    Ok(Box::new(ObjectCheckpoints::new(&ObjectStoreConfig::from_url(url)?)?))
}

impl Kafka {
    fn config(&self) -> KafkaConfig {
        let config = KafkaConfig::new(self.servers.as_deref().unwrap_or_default());
        self.properties.0.iter().fold(config, |config, (name, value)| config.set(name, value))
    }

    /// The four topics as a source.
    fn source(&self, name: &str) -> Result<KafkaSource, ConfigError> {
        // An embedded broker without new records answers late, and the generator waits for the reader.
        let config = if self.embedded { self.config().set("fetch.wait.max.ms", "5") } else { self.config() };
        let start = match self.start {
            kafka::Start::Earliest => Start::Earliest,
            kafka::Start::Latest => Start::Latest,
            kafka::Start::Committed => Start::Committed,
            kafka::Start::At(time) => Start::Timestamp(time),
        };
        let source = KafkaSource::new(config, self.topics().names())?
            .group(name)
            .start(start)
            .on_lost(if self.go_on_if_lost { OnLost::Skip } else { OnLost::Stop })
            .wait_for_topics(self.wait_for_topics);
        Ok(if self.until_end { source.until_end() } else { source })
    }

    /// The sink for topics, if any are written.
    fn sink(&self) -> Result<Option<KafkaSink>, ConfigError> {
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
        // The embedded broker has its topics already, and creates none for clients.
        if self.create_topics && !self.embedded {
            let create = CreateTopics { replication: self.replication, ..CreateTopics::default() };
            sink = sink.create_topics(create);
        }
        Ok(Some(sink))
    }
}
