//! Ten programs that other stream processors show first, each in a file of its own: word count, top-n,
//! sessions, a join, deduplication, an alert, enrichment, late data, fan-out and a backfill.
//!
//! ```sh
//! cargo run --release --example cookbook                # what there is
//! cargo run --release --example cookbook -- sessions
//! ```
//!
//! Records are in memory, so that each program runs without servers; another source, sink or number of
//! workers needs one more line.

mod alert;
mod backfill;
mod dedup;
mod enrichment;
mod fan_out;
mod join;
mod late_data;
mod sessions;
mod top_n;
mod word_count;

use std::process::ExitCode;

use telemetra::prelude::*;

type Run = fn(&MemorySink) -> anyhow::Result<()>;

const RECIPES: [(&str, &str, Run); 10] = [
    ("word_count", "how often each word occurs in a minute", word_count::run),
    ("top_n", "the three best sold items of the last hour", top_n::run),
    ("sessions", "visits: runs of clicks without a pause of half an hour", sessions::run),
    ("join", "orders with their payments, whichever comes first", join::run),
    ("dedup", "payments counted once, however often they are sent", dedup::run),
    ("alert", "a machine that is unusually hot", alert::run),
    ("enrichment", "readings by the city that a sensor is in now", enrichment::run),
    ("late_data", "late readings correct a window, and those too late are kept aside", late_data::run),
    ("fan_out", "one reading of requests, by page, by country, and those that failed", fan_out::run),
    ("backfill", "history first, then what is new, into one table", backfill::run),
];

fn main() -> ExitCode {
    let name = std::env::args().nth(1);
    let Some((_, about, run)) =
        name.as_deref().and_then(|name| RECIPES.iter().find(|(known, ..)| *known == name))
    else {
        println!("Usage: cookbook NAME\n");
        RECIPES.iter().for_each(|(name, about, _)| println!("  {name:<11} {about}"));
        // Asking for the list of programs is no error.
        return if name.is_none_or(|name| name == "--help" || name == "-h") {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    };
    println!("{about}");
    let tables = MemorySink::new();
    if let Err(error) = run(&tables) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    tables.rows().iter().for_each(|row| println!("  {row:?}"));
    tables.dead_letters().iter().for_each(|letter| println!("  {letter:?}"));
    ExitCode::SUCCESS
}

/// A source of records in one partition.
fn records<const N: usize>(lines: [&str; N]) -> MemorySource {
    MemorySource::default().partition("records", lines)
}

/// The rows of a grouping's table: key, start of the window in milliseconds, and value.
#[cfg(test)]
fn summaries<K: Key, S: Data>(tables: &MemorySink, table: &str) -> Vec<(K, u64, S)> {
    let row = |change: telemetra::core::Change| {
        let row = change.row::<SummaryRow<K, S>>().cloned();
        row.unwrap_or_else(|| panic!("the rows of {table} are of another type: {change:?}"))
    };
    let rows = tables.table(table).into_iter().map(row);
    rows.map(|row| (row.key, row.summary.window.start.or_epoch().0, (*row.summary.value).clone())).collect()
}
