//! The whole pipeline as a program: events from a generator, files or standard input; windows and moments to SQLite or files of
//! JSON lines.
//!
//! ```sh
//! cargo run --release --example full_pipeline
//! cargo run --release --example full_pipeline -- --input events.jsonl --output jsonl:answers --workers 2 --json
//! cargo run --release --example full_pipeline -- --help
//! ```
//!
//! The library's part is in `pipeline.rs`; the rest is what a program has around it.

mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod options;
mod pipeline;
mod progress;
mod report;
mod settings;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use telemetra::prelude::*;

use cluster::{Others, Share};
use common::settings::{Command, Wrong};
use common::show::print;
use common::usage::Usage;
use common::{log, stop};
use progress::Progress;
use report::Outcome;
use settings::Settings;
use tally::Tally;

/// How often it is looked whether something happened, and how often it is shown.
const LOOK: Duration = Duration::from_millis(5);
const SHOW: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let started = Instant::now();
    let command = settings::read(std::env::args_os().skip(1), |name| std::env::var(name).ok());
    let done = match command {
        Ok(Command::Help) => print(&options::TABLE.help()).map(|()| ExitCode::SUCCESS),
        Ok(Command::Version) => print(&options::TABLE.version()).map(|()| ExitCode::SUCCESS),
        Ok(Command::Run(given)) => run(&given.settings, started),
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        let settings = error.is::<Wrong>()
            || error.is::<ConfigError>()
            || matches!(error.downcast_ref(), Some(PipelineError::Config(_)));
        ExitCode::from(if settings { 2 } else { 1 })
    })
}

fn run(settings: &Settings, started: Instant) -> Result<ExitCode> {
    if settings.cluster.is_some() {
        return assist(settings);
    }
    let mut settings = settings.clone();
    let stop = stop::listen()?;
    let progress = Progress::new(&settings);
    log::start(settings.log_level, &progress.bar);
    let tally = Tally::new(settings.checkpoint.clone(), settings.is_scored());
    let mut others = Others::default();
    if settings.processes > 1 {
        let addresses = cluster::free_addresses(settings.processes)?;
        settings.cluster = Some((0, addresses.clone()));
        // What cannot work is better told once than by each.
        pipeline::build(&settings, &tally)?;
        others = Others::start(&addresses)?;
        others.watch();
    }
    let running = pipeline::build(&settings, &tally)?.start()?;
    let (report, interrupted) = follow(running, &settings, &stop, &mut others, progress, &tally)?;
    let elsewhere = others.join()?;
    let mut usage = Usage::now();
    usage += elsewhere.usage;
    let counts = tally.counts().clone();
    let outcome = Outcome {
        fates: report.fates + elsewhere.fates,
        scores: report::scores(&settings, &counts),
        counts,
        wall: started.elapsed(),
        usage,
    };
    print(&outcome.text(&settings))?;
    if settings.json {
        print(&outcome.json())?;
    }
    Ok(ExitCode::from(if interrupted { 130 } else { 0 }))
}

/// Shows how the pipeline gets on until its end, or drains it when told to. Says which it was.
fn follow(
    running: Running,
    settings: &Settings,
    stop: &AtomicBool,
    others: &mut Others,
    mut progress: Progress,
    tally: &Tally,
) -> Result<(Report, bool)> {
    let mut shown = Instant::now();
    while !running.is_finished() && !stop.load(Ordering::Acquire) {
        std::thread::sleep(LOOK);
        if shown.elapsed() >= SHOW {
            shown = Instant::now();
            let rows = tally.counts().windows;
            progress.show(&running.status(), others.share().fates.read, rows);
        }
    }
    progress.finish();
    if running.is_finished() || !stop.load(Ordering::Acquire) {
        return Ok((running.wait()?, false));
    }
    eprintln!("finishing what was read; once more to stop at once");
    others.drain();
    Ok((running.drain(settings.drain())?, true))
}

/// The life of a process that was started by another: works, tells how it stands, and obeys.
fn assist(settings: &Settings) -> Result<ExitCode> {
    let drain = Arc::new(AtomicBool::new(false));
    cluster::obey(Arc::clone(&drain));
    let running = pipeline::build(settings, &Tally::new(None, false))?.start()?;
    let mut told = Instant::now();
    while !running.is_finished() && !drain.load(Ordering::Acquire) {
        std::thread::sleep(LOOK);
        if told.elapsed() >= SHOW {
            told = Instant::now();
            cluster::tell(&Share { fates: running.fates(), usage: Usage::now(), done: false });
        }
    }
    let report = if running.is_finished() { running.wait()? } else { running.drain(settings.drain())? };
    cluster::tell(&Share { fates: report.fates, usage: Usage::now(), done: true });
    Ok(ExitCode::SUCCESS)
}
