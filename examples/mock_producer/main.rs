//! A producer that writes generated live streams to Kafka, for use without real events.
//!
//! ```sh
//! cargo run --release --example mock_producer
//! cargo run --release --example mock_producer -- --rate max --channels 1000 --duration 30m --truth truth.json
//! cargo run --release --example mock_producer -- --help
//! ```
//!
//! The library's generator decides what streams do; this program puts it into topics.

#[path = "../common/mod.rs"]
mod common;
mod options;
mod progress;
mod report;
mod run;
mod topics;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use telemetra::prelude::*;

use common::sender::Sender;
use common::settings::variable;
use common::show::print;
use common::topics::Topics;
use common::{log, stop};
use options::{Settings, TABLE};
use progress::Progress;
use report::Outcome;
use run::Run;

fn main() -> ExitCode {
    let command = TABLE.read(std::env::args_os().skip(1), variable);
    TABLE.main(command, |given| {
        if !given.settings.quiet {
            given.tell_notes();
        }
        let mut settings = given.settings;
        if settings.quiet && !given.origins.contains_key("log-level") {
            settings.log_level = Some(tracing::Level::ERROR);
        }
        produce(settings)
    })
}

fn produce(mut settings: Settings) -> Result<ExitCode> {
    let generator = options::settle(&mut settings, Clock::system().now())?;
    settings.generator = generator.config().clone();
    let stop = stop::listen()?;
    let mut progress = Progress::new(settings.quiet);
    let _otlp = log::start("mock_producer", settings.log_level, settings.log_format, &progress.line);
    let topics = Topics::with_prefix(&settings.topic_prefix);
    let sender = Sender::new(&settings.servers, &settings.properties.0, topics.clone())?;
    for told in topics::ensure(&sender, &topics, &settings)? {
        progress.tell(&told);
    }
    let started = Instant::now();
    let run = Run { settings: &settings, sender: &sender, stop: &stop, progress: &mut progress };
    let sent = run.send(&generator)?;
    progress.line.clear();
    let delivered = sender.delivered();
    let outcome =
        Outcome { settings: &settings, sent: &sent, delivered: &delivered, wall: started.elapsed() };
    if !settings.quiet {
        print(&outcome.text())?;
    } else if !settings.json {
        print(&outcome.line())?;
    }
    if let Some(file) = &settings.truth {
        outcome.write_truth(file)?;
    }
    if settings.json {
        print(&outcome.json())?;
    }
    let lost = outcome.failed() + sent.undelivered;
    if lost > 0 {
        bail!(
            "{lost} of {} records were not delivered to Kafka at {}",
            sent.truth.fates.read,
            settings.servers
        );
    }
    Ok(stop.exit(sent.interrupted))
}
