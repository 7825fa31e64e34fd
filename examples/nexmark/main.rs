//! Nexmark, the benchmark of stream processors: queries about an auction, each in a file of its own under `queries`.
//!
//! ```sh
//! cargo run --release --example nexmark -- q5
//! ```
//!
//! The crate `nexmark` generates the events, as JSON lines of which one in a hundred comes late. The tests
//! compare each result, row by row, with a query of SQLite over the same events. `cargo bench --bench
//! nexmark` measures the queries.

mod event;
mod queries;
#[cfg(test)]
mod tests;
mod workload;

use std::process::ExitCode;

use anyhow::{Context, bail};
use event::NexmarkJson;
use queries::{QUERIES, Query};
use telemetra::prelude::*;

const USAGE: &str = "\
Runs a query of the Nexmark benchmark over generated events, and prints its table.

Usage: nexmark QUERY [OPTIONS]

Options:
  --events N    how many events [100000]
  --rate N      events in a second of event time [1000]
  --workers N   threads [1]
  --rows N      rows to print; 0 for none [20]
  -h, --help    this text

Queries:
";

struct Settings {
    query: Query,
    events: usize,
    rate: usize,
    workers: usize,
    rows: usize,
}

/// The settings of the command line; `None` if it asks for help.
fn settings() -> anyhow::Result<Option<Settings>> {
    use lexopt::prelude::*;
    let (mut query, mut events, mut rate, mut workers, mut rows) = (None, 100_000, 1_000, 1, 20);
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Short('h') | Long("help") => return Ok(None),
            Long("events") => events = arguments.value()?.parse()?,
            Long("rate") => rate = arguments.value()?.parse()?,
            Long("workers") => workers = arguments.value()?.parse()?,
            Long("rows") => rows = arguments.value()?.parse()?,
            Value(name) => {
                let name = name.string()?;
                let known = QUERIES.into_iter().find(|query| query.name == name);
                query =
                    Some(known.with_context(|| format!("there is no query `{name}`; --help lists them"))?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if rate == 0 {
        bail!("--rate must be at least 1");
    }
    let query = query.context("name a query, such as `q5`; --help lists them")?;
    Ok(Some(Settings { query, events, rate, workers, rows }))
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

fn run() -> anyhow::Result<()> {
    let Some(Settings { query, events, rate, workers, rows }) = settings()? else {
        print!("{USAGE}");
        QUERIES.iter().for_each(|query| println!("  {:<5} {}", query.name, query.about));
        return Ok(());
    };
    let tables = MemorySink::new();
    let source = MemorySource::default().partition("nexmark", workload::lines(events, rate));
    let pipeline = Pipeline::new().source(source, NexmarkJson).time(workload::time()).workers(workers);
    let report = (query.start)(pipeline.sink(tables.clone()))?.wait()?;
    let found = tables.table(query.name);
    println!("{}: {}", query.name, query.about);
    println!(
        "{} events, {} of them late; {} rows",
        report.fates.read,
        report.fates.late_applied,
        found.len()
    );
    found.iter().take(rows).for_each(|row| println!("  {row:?}"));
    if found.len() > rows {
        println!("  …");
    }
    Ok(())
}
