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

use anyhow::Context;
use clap::builder::RangedU64ValueParser;
use clap::{Command, arg};
use event::NexmarkJson;
use queries::{QUERIES, Query};
use telemetra::prelude::*;

struct Settings {
    query: Query,
    events: usize,
    rate: usize,
    workers: usize,
    rows: usize,
}

fn settings() -> anyhow::Result<Settings> {
    let number = |least| RangedU64ValueParser::<usize>::new().range(least..);
    let list: String = QUERIES.iter().map(|query| format!("\n  {:<5} {}", query.name, query.about)).collect();
    let matches = Command::new("nexmark")
        .about("Runs a query of the Nexmark benchmark over generated events, and prints its table.")
        .after_help(format!("Queries:{list}"))
        .args([
            arg!(<QUERY> "which query")
                .value_parser(QUERIES.map(|query| query.name))
                .hide_possible_values(true),
            arg!(--events <N> "how many events").default_value("100000").value_parser(number(0)),
            arg!(--rate <N> "events in a second of event time").default_value("1000").value_parser(number(1)),
            arg!(--workers <N> "threads").default_value("1").value_parser(number(1)),
            arg!(--rows <N> "rows to print; 0 for none").default_value("20").value_parser(number(0)),
        ])
        .get_matches();
    let number = |name| matches.get_one(name).copied().unwrap_or_default();
    let name = matches.get_one::<String>("QUERY");
    let query = QUERIES.into_iter().find(|query| name.is_some_and(|name| name == query.name));
    let query = query.context("name a query, such as `q5`; --help lists them")?;
    let (events, rate) = (number("events"), number("rate"));
    Ok(Settings { query, events, rate, workers: number("workers"), rows: number("rows") })
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
    let Settings { query, events, rate, workers, rows } = settings()?;
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
