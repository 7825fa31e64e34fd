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

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use lexopt::prelude::*;
use telemetra::differential_dataflow::AsCollection;
use telemetra::prelude::*;
use telemetra::sinks::PostgresStore;

use heartbeat::Heartbeat;
use time_in_state::{MachineHour, TimeInState};

const HELP: &str = "\
own_operator [FILE] [--database URL] [--workers N] [--follow]

Reads heartbeats of machines, JSON lines such as {\"machine\": \"press 1\", \"time\": \"2026-01-01T06:00:00Z\", \"state\": \"running\"}
with the states running, idle and fault, and keeps in the table machine_hours for how long each machine was in each.
Without a file, heartbeats of two days are made up.

  --database URL   where Postgres is, as postgres://user:password@host/database [the variable DATABASE_URL]
  --workers N      threads that read and compute [1]
  --follow         waits at the end of the file for more
";

struct Options {
    file: Option<PathBuf>,
    database: PostgresConfig,
    workers: usize,
    follow: bool,
}

/// The options; `None` if help is requested.
fn options(mut parser: lexopt::Parser, mut url: Option<String>) -> Result<Option<Options>> {
    let (mut file, mut workers, mut follow) = (None, 1, false);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("database") => url = Some(parser.value()?.string()?),
            Long("workers") => workers = parser.value()?.parse().context("--workers takes a whole number")?,
            Long("follow") => follow = true,
            Long("help") | Short('h') => return Ok(None),
            Value(value) if file.is_none() => file = Some(PathBuf::from(value)),
            _ => return Err(anyhow!("{}; --help lists the options", arg.unexpected())),
        }
    }
    let url = url.context(
        "no database was given; set DATABASE_URL or --database, as postgres://user:password@host/database",
    )?;
    ensure!(file.is_some() || !follow, "--follow waits for more of a file; name one");
    Ok(Some(Options { file, database: PostgresConfig::from_url(&url)?, workers, follow }))
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
    let Some(options) = options(lexopt::Parser::from_env(), std::env::var("DATABASE_URL").ok())? else {
        print!("{HELP}");
        return Ok(());
    };
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
