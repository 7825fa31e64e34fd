//! The construction of the pipeline from settings.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use telemetra::livestream::generate::Generator;
use telemetra::livestream::{self, LiveEvents, LiveOptions, LiveStreams, WithSentiment, default_rules};
use telemetra::livestream::{JsonDecoder, Lexicon, Sentiment, Vader};
use telemetra::prelude::*;
use telemetra::sinks::{JsonLines, Lines, Pace, Sqlite, event_time_by};

use crate::places::Source;
use crate::savepoint;
use crate::servers::{self, Counters};
use crate::settings::{Output, Settings};
use crate::tally::Tally;

/// A pipeline, and the additional counters of its source.
pub(crate) struct Built {
    pub(crate) pipeline: LiveStreams,
    pub(crate) counters: Option<Counters>,
}

/// Builds the pipeline that the settings describe. Nothing runs yet, and no server or file is touched.
pub(crate) fn build(settings: &Settings, tally: &Tally) -> Result<Built> {
    let rules = default_rules(settings.threshold)?;
    let samples = rules.iter().map(|rule| rule.max_samples()).max().unwrap_or(0);
    let short_bursts = settings.short_bursts.then_some(settings.threshold);
    let options = LiveOptions { words: settings.words, short_bursts };
    let mut pipeline = livestream::pipeline_with(options)?
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
            let (reading, counted) = servers::read(pipeline, settings, decoder)?;
            counters = Some(counted);
            reading
        }
    };
    for output in &settings.outputs {
        // Without a checkpoint to continue from, existing tables belong to another run.
        pipeline = match output {
            Output::Sqlite(path) => pipeline.sink(Sqlite::new(path).start_over()),
            Output::JsonLines(folder) => pipeline.sink(JsonLines::new(folder).start_over()),
            // Not in every build.
            Output::Parquet(_) | Output::ParquetObjects(_) => pipeline,
        };
    }
    pipeline = servers::write(pipeline, settings, samples)?;
    pipeline = pipeline.sink(tally.clone());
    let every = Duration::from_millis(settings.checkpoint_every);
    if let Some(store) = savepoint::store(settings, settings.store.as_ref())? {
        pipeline = pipeline.checkpoints(store, every);
    }
    if let Some(name) = &settings.start.from_savepoint {
        pipeline = match savepoint::store(settings, settings.start.savepoint_in.as_ref())? {
            Some(other) => pipeline.from_savepoint_in(other, name),
            None => pipeline.from_savepoint(name),
        };
    }
    if settings.start.standby.is_some() {
        pipeline = pipeline.standby();
    }
    pipeline = pipeline.checkpoint_pause(settings.checkpoint_pause);
    if let Some(folder) = &settings.spill {
        pipeline = pipeline.spill(SpillConfig::new(folder).memory(settings.memory));
    }
    if let Some((process, addresses)) = &settings.cluster {
        pipeline = pipeline.cluster(*process, addresses.clone());
    }
    Ok(Built { pipeline, counters })
}

/// The scorer of messages, if there is one.
fn scorer(name: &str) -> Result<Option<Arc<dyn Sentiment>>, ConfigError> {
    Ok(match name {
        "off" => None,
        "chat" => Some(Arc::new(Vader::chat())),
        "vader" => Some(Arc::new(Vader::new())),
        "lexicon" => Some(Arc::new(Lexicon::english())),
        file => Some(Arc::new(Lexicon::from_file(file)?)),
    })
}

/// The recorded pace, times a factor. An event from the future has a wrong clock, and the source does not
/// wait for it.
fn pace(factor: f64, max_future_skew: Option<Duration>) -> Result<Pace, ConfigError> {
    let time_of = event_time_by(JsonDecoder::mixed());
    let clock = Clock::system();
    let latest = move || max_future_skew.map_or(EventTime::MAX, |skew| clock.now() + skew);
    Pace::new(factor, Clock::system(), move |record| time_of(record).filter(|time| *time <= latest()))
}
