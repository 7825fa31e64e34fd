//! The whole pipeline as a program: it reads events from Kafka, files, standard input or a generator, and
//! writes windows and moments to Postgres, Redis, topics of Kafka, SQLite, Parquet files or files of JSON lines.
//!
//! ```sh
//! cargo run --profile demo -p telemetra-demo       # the defaults alone: compiled without the clients of servers
//! cargo run --release --example full_pipeline -- --input events.jsonl --output jsonl:answers --workers 2 --json
//! KAFKA_BOOTSTRAP_SERVERS=localhost:9092 POSTGRES_HOST=localhost REDIS_URL=redis://localhost \
//!     cargo run --release --example full_pipeline
//! cargo run --release --example full_pipeline -- --help
//! ```
//!
//! `pipeline.rs` uses the library; the rest is what a program needs around it.

mod cluster;
#[path = "../common/mod.rs"]
mod common;
#[cfg_attr(not(feature = "kafka"), allow(dead_code, reason = "settings that this build refuses"))]
mod kafka;
mod options;
mod pipeline;
mod places;
mod progress;
mod report;
mod savepoint;
#[cfg(all(
    feature = "kafka",
    feature = "postgres",
    feature = "redis",
    feature = "parquet",
    feature = "webhook",
    feature = "object-store"
))]
mod servers;
#[cfg(not(all(
    feature = "kafka",
    feature = "postgres",
    feature = "redis",
    feature = "parquet",
    feature = "webhook",
    feature = "object-store"
)))]
#[path = "no_servers.rs"]
mod servers;
mod settings;
mod standby;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use telemetra::livestream::LiveStreams;
use telemetra::prelude::*;

use cluster::{Others, Share};
use common::log::Format;
use common::screen::{ProgressLine, tell};
use common::settings::variable;
use common::show::print;
use common::stop::Stop;
use common::usage::Usage;
use common::{log, metrics, stop};
use pipeline::Built;
use places::Source;
use progress::Progress;
use report::Outcome;
use servers::Embedded;
use settings::Settings;
use standby::Standby;
use tally::Tally;

/// Workers free memory that others have allocated: glibc's allocator takes a lock for that, this one does not.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The interval of checking for events, and that of showing the progress.
const LOOK: Duration = Duration::from_millis(5);
const SHOW: Duration = Duration::from_millis(100);

/// The exit code of a process whose place another one has taken. A service manager must not start it again.
const REPLACED: u8 = 3;

fn main() -> ExitCode {
    let started = Instant::now();
    options::TABLE.main(settings::read(std::env::args_os().skip(1), variable), |given| {
        if !given.settings.quiet {
            given.tell_notes();
        }
        run(&given.settings, started).or_else(|error| {
            if !error.downcast_ref().is_some_and(PipelineError::is_taken_over) {
                return Err(error);
            }
            tell(&format!("error: {error:#}"));
            tell("another process has taken the place of this one: do not start it again");
            Ok(ExitCode::from(REPLACED))
        })
    })
}

fn run(settings: &Settings, started: Instant) -> Result<ExitCode> {
    if settings.assists {
        return assist(settings);
    }
    if let Some(said) = savepoint::manage(settings)? {
        return print(&said).map(|()| ExitCode::SUCCESS);
    }
    let mut settings = settings.clone();
    let stop = stop::listen()?;
    let progress = Progress::new(&settings);
    let _otlp = log::start("full_pipeline", settings.log_level, settings.log_format, &progress.line);
    let places = if settings.quiet { &[][..] } else { &settings.places };
    for place in places {
        match settings.log_format {
            Format::Text => progress.line.say(place),
            Format::Json => {
                progress.line.line(&serde_json::json!({ "level": "INFO", "message": place }).to_string());
            }
        }
    }
    if let Some(address) = settings.metrics_address() {
        let bound = metrics::serve(&address)?;
        if !settings.quiet {
            progress.line.say(&format!("metrics at http://{bound}/metrics"));
        }
    }
    let embedded = if settings.source == Source::Embedded { Some(Embedded::start(&settings)?) } else { None };
    if let Some(embedded) = &embedded {
        settings.kafka.servers = Some(embedded.servers().to_owned());
    }
    let tally = Tally::new(settings.checkpoint_folder(), settings.is_scored(), settings.chance);
    let mut others = Others::default();
    if settings.processes > 1 && settings.cluster.is_none() {
        let addresses =
            telemetra::ops::free_addresses(settings.processes).context("could not find a free port")?;
        settings.cluster = Some((0, addresses.clone()));
        // A setting that cannot work is reported once, and not by each process.
        pipeline::build(&settings, &tally)?;
        others = Others::start(&addresses, embedded.as_ref().map(Embedded::servers))?;
        others.watch();
    }
    let Built { pipeline, counters } = pipeline::build(&settings, &tally)?;
    if settings.start.dry_run {
        let plan = pipeline.check_restore()?;
        let said = plan
            .as_ref()
            .map_or("there is no checkpoint; it would start afresh".to_owned(), |plan| plan.to_string());
        print(&said)?;
        let is_possible = plan.is_none_or(|plan| plan.is_possible());
        return Ok(if is_possible { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let running = match start(pipeline, &stop) {
        Err(error) if matches!(error.downcast_ref(), Some(PipelineError::Stopped)) => {
            tell(&error.to_string());
            return Ok(stop.exit(true));
        }
        started => started?,
    };
    if let Some(embedded) = &embedded {
        embedded.write(&settings)?;
    }
    let before = running.fates_before().read;
    let watch = Watch { settings: &settings, stop: &stop, embedded: embedded.as_ref(), tally: &tally };
    let (report, interrupted) = watch.follow(running, &mut others, progress)?;
    let elsewhere = others.join()?;
    let mut usage = Usage::now();
    usage += elsewhere.usage;
    let counts = tally.counts().clone();
    let outcome = Outcome {
        fates: report.fates + elsewhere.fates,
        scores: report::scores(&settings, &counts),
        comparison: report.moments.into_iter().next(),
        counts,
        before: before + elsewhere.before.read,
        lost: counters.map_or(0, |counters| counters.lost_records()),
        interrupted,
        wall: started.elapsed(),
        usage,
    };
    if !settings.quiet {
        print(&outcome.text(&settings))?;
    } else if !settings.json {
        print(&outcome.line(&settings))?;
    }
    if settings.json {
        print(&outcome.json())?;
    }
    let fates = outcome.fates;
    if !interrupted && fates.read > 0 && fates.malformed == fates.read {
        let read = fates.read;
        tell(&format!(
            "error: none of the {read} records could be decoded: check that the input has the expected format"
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(stop.exit(interrupted))
}

/// Starts the pipeline, and reacts to a request to stop meanwhile.
fn start(pipeline: LiveStreams, stop: &Stop) -> Result<Running> {
    let (signal, stop) = (pipeline.stop_signal(), stop.clone());
    let begun = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&begun);
    std::thread::spawn(move || {
        while !over.load(Ordering::Acquire) {
            if stop.is_given() {
                return signal.stop();
            }
            std::thread::sleep(LOOK);
        }
    });
    let started = pipeline.start();
    begun.store(true, Ordering::Release);
    Ok(started?)
}

/// The values that the first process observes while the pipeline runs.
struct Watch<'a> {
    settings: &'a Settings,
    stop: &'a Stop,
    embedded: Option<&'a Embedded>,
    tally: &'a Tally,
}

impl Watch<'_> {
    /// Shows the progress of the pipeline until its end, or drains it on a request to stop. Returns whether
    /// there was one.
    fn follow(
        &self,
        running: Running,
        others: &mut Others,
        mut progress: Progress,
    ) -> Result<(Report, bool)> {
        let mut shown = Instant::now();
        let mut read_all = false;
        let mut standby = Standby::listen(self.settings.start.standby)?;
        while !running.is_finished() && !self.stop.is_given() && !read_all {
            std::thread::sleep(LOOK);
            if let Some(news) = standby.look(&running) {
                progress.line.say(news);
            }
            others.take_over(&standby);
            let elsewhere = others.share().fates.read;
            if let Some(embedded) = self.embedded {
                read_all = embedded.is_read(running.fates().read + elsewhere)?;
            }
            if shown.elapsed() >= SHOW {
                shown = Instant::now();
                let rows = self.tally.counts().windows;
                progress.show(&running.status(), elsewhere, rows);
            }
        }
        progress.line.clear();
        if running.is_finished() || !(read_all || self.stop.is_given()) {
            return Ok((running.wait()?, false));
        }
        if !read_all && !self.settings.quiet {
            tell("finishing what was read; a second Ctrl-C or SIGTERM stops at once");
        }
        others.drain();
        let report = running.drain(self.settings.drain())?;
        if let Some(unfinished) = &report.unfinished {
            tell(&unfinished.to_string());
        }
        Ok((report, !read_all))
    }
}

/// Runs a process that was started by another: it works, sends its progress, and follows requests.
fn assist(settings: &Settings) -> Result<ExitCode> {
    let drain = Arc::new(AtomicBool::new(false));
    // The order to take over comes from the first process.
    let mut standby = Standby::listen(settings.start.standby)?;
    cluster::obey(Arc::clone(&drain), standby.order());
    let line = ProgressLine::new(true);
    let _otlp = log::start("full_pipeline", settings.log_level, settings.log_format, &line);
    if let Some(address) = settings.metrics_address() {
        metrics::serve(&address)?;
    }
    let running = pipeline::build(settings, &Tally::new(None, false, settings.chance))?.pipeline.start()?;
    let before = running.fates_before();
    let mut told = Instant::now();
    while !running.is_finished() && !drain.load(Ordering::Acquire) {
        std::thread::sleep(LOOK);
        standby.look(&running);
        if told.elapsed() >= SHOW {
            told = Instant::now();
            cluster::tell(&Share { fates: running.fates(), before, usage: Usage::now(), done: false });
        }
    }
    let report = if running.is_finished() { running.wait()? } else { running.drain(settings.drain())? };
    cluster::tell(&Share { fates: report.fates, before, usage: Usage::now(), done: true });
    Ok(ExitCode::SUCCESS)
}
