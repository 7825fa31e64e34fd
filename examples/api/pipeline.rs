//! What embedding takes: a source, the rules, a live view to ask and follow, and tables for what is older.

use std::sync::Arc;

use anyhow::{Context, Result};
use telemetra::prelude::*;
use tempfile::TempDir;

use crate::demo::Demo;
use crate::server::store::archive::Archive;
use crate::server::store::embedded::Embedded;
use crate::settings::{Input, Settings};

/// How long answers stay in memory, in milliseconds of event time.
const HORIZON: u64 = 2 * 3_600_000;

/// Starts the pipeline. The folder, if there is one, holds the tables for as long as it is kept.
pub(crate) fn start(settings: &Settings) -> Result<(Arc<Embedded>, Option<TempDir>)> {
    let clock = Clock::system();
    let pipeline = Pipeline::<StreamAccumulator>::new()
        .time(settings.time.clone())
        .clock(clock.clone())
        .sentiment(Arc::new(Lexicon::english()))
        .rules(default_rules(settings.threshold)?);
    let pipeline = match &settings.input {
        Input::Demo => pipeline.source(Demo::new(settings, clock)?, JsonDecoder::mixed()),
        Input::Lines(path) => pipeline.source(Lines::file(path), JsonDecoder::mixed()),
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
    let view = LiveView::new(HORIZON);
    let reader = view.reader();
    let running = pipeline.sink(view).sink(tables).start()?;
    Ok((Arc::new(Embedded::new(reader, Archive::new(&database), running)), folder))
}
