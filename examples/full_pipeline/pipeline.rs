//! From settings to a pipeline.

use std::sync::Arc;

use anyhow::Result;
use telemetra::core::checkpoint::Directory;
use telemetra::core::generate::Generator;
use telemetra::core::{JsonDecoder, Lexicon, Sentiment, Vader};
use telemetra::prelude::*;
use telemetra::sinks::{JsonLines, Lines, Pace, Sqlite, event_time_by};

use crate::settings::{Output, Settings};
use crate::tally::Tally;

/// The pipeline that these settings ask for. Nothing runs yet, and nothing outside is touched.
pub(crate) fn build(settings: &Settings, tally: &Tally) -> Result<Pipeline<StreamAccumulator>> {
    let mut pipeline = Pipeline::new()
        .time(settings.time.clone())
        .lead(settings.lead)
        .rules(default_rules(settings.threshold)?)
        .workers(settings.workers);
    if let Some(scorer) = scorer(&settings.sentiment)? {
        pipeline = pipeline.sentiment(scorer);
    }
    pipeline = if settings.inputs.is_empty() {
        pipeline.source(Generator::new(settings.generator.clone())?, JsonDecoder::mixed())
    } else {
        let mut lines = Lines::files(&settings.inputs);
        if let Some(factor) = settings.pace {
            lines = lines.paced(pace(factor, settings.time.max_future_skew)?);
        }
        pipeline.source(lines, JsonDecoder::mixed())
    };
    for output in &settings.outputs {
        // Without a checkpoint to go on from, tables of an earlier run are of another run.
        pipeline = match output {
            Output::Sqlite(path) => pipeline.sink(Sqlite::new(path).start_over()),
            Output::JsonLines(folder) => pipeline.sink(JsonLines::new(folder).start_over()),
        };
    }
    pipeline = pipeline.sink(tally.clone());
    if let Some(folder) = &settings.checkpoint {
        let store = Directory::new(folder);
        pipeline = pipeline.checkpoints(store, settings.checkpoint_every, settings.checkpoint_pause);
    }
    if let Some((process, addresses)) = &settings.cluster {
        pipeline = pipeline.cluster(*process, addresses.clone());
    }
    Ok(pipeline)
}

/// What scores messages, if anything shall.
fn scorer(name: &str) -> Result<Option<Arc<dyn Sentiment>>, ConfigError> {
    Ok(match name {
        "off" => None,
        "vader" => Some(Arc::new(Vader::new())),
        "lexicon" => Some(Arc::new(Lexicon::english())),
        file => Some(Arc::new(Lexicon::from_file(file)?)),
    })
}

/// The pace recorded, times a factor. An event from the future has a bad clock, and is not waited for.
fn pace(factor: f64, max_future_skew: Option<u64>) -> Result<Pace, ConfigError> {
    let time_of = event_time_by(JsonDecoder::mixed());
    let clock = Clock::system();
    let latest = move || max_future_skew.map_or(EventTime::MAX, |skew| clock.now().plus(skew));
    Pace::new(factor, Clock::system(), move |record| time_of(record).filter(|time| *time <= latest()))
}
