//! An operator of your own with state in checkpoints: it computes for how long each machine was running, idle
//! or at fault, hour by hour, into Postgres.
//!
//! ```sh
//! scripts/services up && eval "$(scripts/services env)"         # a Postgres, if you have none
//! export DATABASE_URL=postgres://telemetra:secret@localhost/telemetra
//! cargo run --release --example own_operator                    # heartbeats that are made up
//! cargo run --release --example own_operator -- heartbeats.jsonl --follow --workers 2
//! ```
//!
//! Kill the program at any moment and start it again, with another number of workers if you like: rows and
//! state continue as if it had not been killed. [`time_in_state`] is the operator.

mod heartbeat;
#[cfg(test)]
mod tests;
mod time_in_state;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::builder::RangedU64ValueParser;
use clap::error::ErrorKind;
use clap::{Command, arg, value_parser};
use telemetra::differential_dataflow::AsCollection;
use telemetra::prelude::*;
use telemetra::sinks::PostgresStore;

use heartbeat::Heartbeat;
use time_in_state::{MachineHour, TimeInState};

const ABOUT: &str = "\
Reads heartbeats of machines, JSON lines such as {\"machine\": \"press 1\", \"time\": \"2026-01-01T06:00:00Z\", \"state\": \"running\"} \
with the states running, idle and fault, and keeps in the table machine_hours for how long each machine was in each.";

struct Options {
    file: Option<PathBuf>,
    database: PostgresConfig,
    workers: usize,
    follow: bool,
}

fn command() -> Command {
    Command::new("own_operator").about(ABOUT).args([
        arg!([FILE] "a file of heartbeats [two days that are made up]").value_parser(value_parser!(PathBuf)),
        arg!(--database <URL> "where Postgres is, as postgres://user:password@host/database")
            .env("DATABASE_URL")
            .hide_env_values(true)
            .required(false),
        arg!(--workers <N> "threads that read and compute")
            .default_value("1")
            .value_parser(RangedU64ValueParser::<usize>::new().range(1..)),
        arg!(--follow "wait at the end of the file for more").requires("FILE"),
    ])
}

fn options(
    mut command: Command,
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<Options, clap::Error> {
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let hint =
        "no database was given; set DATABASE_URL or --database, as postgres://user:password@host/database";
    let url = matches.remove_one::<String>("database");
    let url = url.ok_or_else(|| command.error(ErrorKind::MissingRequiredArgument, hint))?;
    // Not by a value parser: clap's error would show the password.
    let database = PostgresConfig::from_url(&url);
    Ok(Options {
        file: matches.remove_one("FILE"),
        database: database.map_err(|error| command.error(ErrorKind::ValueValidation, error))?,
        workers: matches.remove_one("workers").unwrap_or(1),
        follow: matches.get_flag("follow"),
    })
}

/// Starts the pipeline.
fn start(source: impl Source + 'static, database: &PostgresConfig, workers: usize) -> Result<Running> {
    // An event beyond the allowed lateness is not counted, whether the program was restarted meanwhile or not.
    // There is one partition, so no partition waits for a silent one.
    let time = TimeConfig { idle_after: None, ..TimeConfig::default() };
    let for_operator = time.clone();
    let running = Pipeline::<Heartbeat>::new()
        .source(source, SerdeJson::new())
        .sink(Postgres::new(database.clone()))
        // State and rows may be in one database or in two: after a restart they are consistent in either
        // case.
        .checkpoints(PostgresStore::new(database.clone()).pipeline("own_operator"), minutes(10))
        .startup_timeout(seconds(5))
        .workers(workers)
        .time(time)
        // Sinks create their tables before anything runs.
        .table::<MachineHour>()
        .collect(
            "heartbeats",
            |heartbeat: &Heartbeat| Some(heartbeat.clone()),
            move |graph, heartbeats| {
                let tactic = TimeInState::new(&for_operator);
                let updates = heartbeats.checkpointed("time_in_state", graph.context(), tactic);
                graph.publish(updates.as_collection());
            },
        )
        .start()?;
    Ok(running)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let options = options(command(), std::env::args_os()).unwrap_or_else(|error| error.exit());
    let running = match &options.file {
        Some(file) => {
            let lines = Lines::file(file);
            let lines = if options.follow { lines.follow(Duration::from_millis(200)) } else { lines };
            start(lines, &options.database, options.workers)?
        }
        None => {
            let source = MemorySource::default().partition("made up", heartbeat::made_up(48));
            start(source, &options.database, options.workers)?
        }
    };
    let report = running.wait()?;
    println!("{} heartbeats were read; to see what they say:", report.fates.read);
    println!("  psql \"$DATABASE_URL\" -c 'SELECT * FROM machine_hours ORDER BY hour, machine'");
    Ok(())
}
