//! The pipelines that are measured.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use telemetra::core::WindowSpec;
use telemetra::livestream::{self, JsonDecoder, Lexicon, LiveStreams, WithSentiment, default_rules};
use telemetra::prelude::*;
use telemetra::sinks::{KafkaConfig, KafkaSource, Postgres, PostgresConfig, RedisServer, RedisSink};

use crate::Options;
use crate::feed::TOPIC;

/// Drops what it is given: the cheapest sink there is.
#[derive(Debug)]
struct Nowhere;

impl Sink for Nowhere {
    fn name(&self) -> &str {
        "nowhere"
    }
    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        Ok(None)
    }
    fn apply(&mut self, _batches: &[Batch]) -> Result<(), ExternalError> {
        Ok(())
    }
}

pub(crate) fn source(options: &Options) -> Result<KafkaSource> {
    let source = KafkaSource::new(KafkaConfig::new(options.text("kafka")?), [TOPIC])?;
    Ok(if options.text("headers")? == "yes" { source } else { source.without_headers() })
}

pub(crate) fn windows(options: &Options) -> Result<WindowSpec> {
    Ok(WindowSpec::sliding(
        Duration::from_millis(options.number("window")?),
        Duration::from_millis(options.number("slide")?),
    )?)
}

/// From the topic to the sinks named, with all that is computed by default.
pub(crate) fn build(
    options: &Options,
    source: KafkaSource,
    time: TimeConfig,
    sinks: &str,
) -> Result<LiveStreams> {
    let workers = usize::try_from(options.number("workers")?)?;
    let mut pipeline = livestream::pipeline()
        .source(source, JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english())))
        .time(TimeConfig { windows: windows(options)?, ..time })
        .rules(default_rules(3.0)?)
        .workers(workers)
        .sink(Nowhere);
    if sinks.contains("postgres") {
        let config = PostgresConfig::from_url(options.text("postgres")?)?;
        pipeline = pipeline.sharded_sink(workers, move |shard| Postgres::new(config.clone()).shard(shard));
    }
    if sinks.contains("redis") {
        pipeline = pipeline
            .sink(RedisSink::new(RedisServer::url(options.text("redis")?)).keys(livestream::redis_keys()));
    }
    Ok(pipeline)
}

/// Checkpoints in the folder, one a minute of event time.
pub(crate) fn checkpointed(options: &Options, pipeline: LiveStreams) -> Result<LiveStreams> {
    Ok(pipeline.checkpoints(Directory::new(options.text("folder")?), Duration::from_millis(60_000)))
}
