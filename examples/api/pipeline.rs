//! The pipeline behind the answers: one in this process, or what one elsewhere writes.
//!
//! Embedding takes a source, the rules, a live view to ask and follow, and tables for what is older.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use telemetra::livestream::{self, JsonDecoder, Lexicon, WithSentiment, default_rules};
use telemetra::prelude::*;
use tempfile::TempDir;

use crate::demo::Demo;
use crate::server::store::Store;
use crate::server::store::archive::Archive;
use crate::server::store::embedded::Embedded;
use crate::server::store::servers::{Channel, Servers, Tables};
use crate::settings::{Input, Settings};

/// The event time for which answers stay in memory.
const HORIZON: Duration = Duration::from_secs(2 * 3600);

/// Answers, and what has to be ended with them.
pub(crate) struct Answers {
    pub(crate) store: Arc<dyn Store>,
    /// The pipeline in this process.
    pub(crate) embedded: Option<Arc<Embedded>>,
    /// The folder of the tables, if they are removed at the end.
    _folder: Option<TempDir>,
}

pub(crate) fn open(settings: &Settings) -> Result<Answers> {
    let Some(postgres) = settings.postgres.config() else { return embed(settings) };
    let tables = Arc::new(Tables::new(postgres, &settings.pipeline));
    let redis = settings.redis.url.0.as_ref();
    let channel = redis.map(|url| Channel::new(url, &settings.redis.prefix)).transpose()?;
    let store = Arc::new(Servers { tables, channel });
    Ok(Answers { store, embedded: None, _folder: None })
}

/// Starts the pipeline.
fn embed(settings: &Settings) -> Result<Answers> {
    let clock = Clock::system();
    let decoder = JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english()));
    let pipeline = livestream::pipeline()
        .time(settings.time.clone())
        .clock(clock.clone())
        // For the operations page; it reads the clock whenever an operator is scheduled.
        .operator_times(true)
        .rules(default_rules(settings.threshold)?);
    let pipeline = match &settings.input {
        Input::Demo => pipeline.source(Demo::new(settings, clock)?, decoder),
        Input::Lines(path) => pipeline.source(Lines::file(path), decoder),
    };
    let (database, folder) = match &settings.database {
        Some(path) => (path.clone(), None),
        None => {
            let folder = tempfile::Builder::new().prefix("telemetra-api-").tempdir();
            let folder = folder.context("could not make a folder for the tables; give a --database")?;
            (folder.path().join("telemetra.db"), Some(folder))
        }
    };
    let mut tables = Sqlite::new(&database);
    if settings.input != Input::Lines("-".into()) {
        // What is read is not what was read before, or comes again from its beginning.
        tables = tables.start_over();
    }
    let view = LiveView::new(HORIZON).only(["streams", "chat_summary_minute", "moments"]);
    let reader = view.reader();
    let running = pipeline.sink(view).sink(tables).start()?;
    let store = Arc::new(Embedded::new(reader, Archive::new(&database), running));
    Ok(Answers { store: Arc::clone(&store) as _, embedded: Some(store), _folder: folder })
}
