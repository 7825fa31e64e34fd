//! From settings to a pipeline.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use telemetra::core::checkpoint::Directory;
use telemetra::livestream::generate::Generator;
use telemetra::livestream::{self, LiveEvents, LiveStreams, WithSentiment, default_rules};
use telemetra::livestream::{JsonDecoder, Lexicon, Sentiment, Vader};
use telemetra::prelude::*;
use telemetra::sinks::{
    JsonLines, KafkaCounters, Lines, Pace, Postgres, PostgresStore, RedisSink, Sqlite, event_time_by,
};

use crate::places::Source;
use crate::settings::{Output, Settings, Store};
use crate::tally::Tally;

/// The longest that windows and moments stay in Redis, by event time.
const REDIS_HORIZON: Duration = Duration::from_secs(30 * 60);

/// A pipeline, and what its source counts besides.
pub(crate) struct Built {
    pub(crate) pipeline: LiveStreams,
    pub(crate) counters: Option<KafkaCounters>,
}

/// The pipeline that these settings ask for. Nothing runs yet, and nothing outside is touched.
pub(crate) fn build(settings: &Settings, tally: &Tally) -> Result<Built> {
    let rules = default_rules(settings.threshold)?;
    let samples = rules.iter().map(|rule| rule.max_samples()).max().unwrap_or(0);
    let mut pipeline = livestream::pipeline()
        .name(&settings.name)
        .operator_times(settings.operator_times)
        .time(settings.time.clone())
        .max_watermark_drift(Duration::from_millis(settings.lead))
        .rules(rules)
        .workers(settings.workers);
    let decoder: Arc<dyn Decoder<LiveEvents>> = match scorer(&settings.sentiment)? {
        Some(scorer) => Arc::new(JsonDecoder::mixed().with_sentiment(scorer)),
        None => Arc::new(JsonDecoder::mixed()),
    };
    let mut counters = None;
    pipeline = match settings.source {
        Source::Generator => pipeline.source(Generator::new(settings.generator.clone())?, decoder),
        Source::Lines => {
            let mut lines = Lines::files(&settings.inputs);
            if let Some(factor) = settings.pace {
                lines = lines.paced(pace(factor, settings.time.max_future_skew)?);
            }
            pipeline.source(lines, decoder)
        }
        Source::Kafka | Source::Embedded => {
            let source = settings.kafka.source(&settings.name)?;
            counters = Some(source.counters());
            pipeline.source(source, decoder)
        }
    };
    for output in &settings.outputs {
        // Without a checkpoint to go on from, tables of an earlier run are of another run.
        pipeline = match output {
            Output::Sqlite(path) => pipeline.sink(Sqlite::new(path).start_over()),
            Output::JsonLines(folder) => pipeline.sink(JsonLines::new(folder).start_over()),
        };
    }
    if let Some(config) = settings.postgres.config() {
        // What is on a server may be somebody's: it is emptied only when asked for.
        let (name, start_over) = (settings.name.clone(), settings.start_over);
        let shard = move |shard| {
            let sink = Postgres::new(config.clone()).pipeline(&name).shard(shard);
            if start_over { sink.start_over() } else { sink }
        };
        pipeline = pipeline.sharded_sink(settings.workers * settings.processes, shard);
    }
    if let Some(url) = &settings.redis.url.0 {
        // A run that is asked to start over overwrites keys that are of a later time.
        let sink = RedisSink::new(url.as_str())
            .keys(livestream::redis_keys())
            .prefix(&settings.redis.prefix)
            // No longer than the pipeline itself, which gives that much again after a restart.
            .horizon(settings.time.horizon(samples).min(REDIS_HORIZON))
            .silent_after(Duration::from_millis(settings.window));
        pipeline = pipeline.sink(if settings.start_over { sink.start_over() } else { sink });
    }
    if matches!(settings.source, Source::Kafka | Source::Embedded)
        && let Some(sink) = settings.kafka.sink()?
    {
        pipeline = pipeline.sink(sink);
    }
    pipeline = pipeline.sink(tally.clone());
    let every = Duration::from_millis(settings.checkpoint_every);
    pipeline = match (&settings.store, settings.postgres.config()) {
        (Some(Store::Folder(folder)), _) => pipeline.checkpoints(Directory::new(folder), every),
        (Some(Store::Postgres), Some(config)) => {
            pipeline.checkpoints(PostgresStore::new(config).pipeline(&settings.name), every)
        }
        _ => pipeline,
    };
    if let Some(name) = &settings.start.from_savepoint {
        pipeline = pipeline.from_savepoint(name);
    }
    pipeline = pipeline.checkpoint_pause(settings.checkpoint_pause);
    if let Some((process, addresses)) = &settings.cluster {
        pipeline = pipeline.cluster(*process, addresses.clone());
    }
    Ok(Built { pipeline, counters })
}

/// What scores messages, if anything shall.
fn scorer(name: &str) -> Result<Option<Arc<dyn Sentiment>>, ConfigError> {
    Ok(match name {
        "off" => None,
        "chat" => Some(Arc::new(Vader::chat())),
        "vader" => Some(Arc::new(Vader::new())),
        "lexicon" => Some(Arc::new(Lexicon::english())),
        file => Some(Arc::new(Lexicon::from_file(file)?)),
    })
}

/// The pace recorded, times a factor. An event from the future has a bad clock, and is not waited for.
fn pace(factor: f64, max_future_skew: Option<Duration>) -> Result<Pace, ConfigError> {
    let time_of = event_time_by(JsonDecoder::mixed());
    let clock = Clock::system();
    let latest = move || max_future_skew.map_or(EventTime::MAX, |skew| clock.now() + skew);
    Pace::new(factor, Clock::system(), move |record| time_of(record).filter(|time| *time <= latest()))
}
