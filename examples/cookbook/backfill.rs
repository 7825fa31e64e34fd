//! A backfill: a first run reads history from files, and a later run continues from there with new events.
//! After Materialize's and Arroyo's start from history.

use std::fs;
use std::path::Path;

use telemetra::prelude::*;

#[derive(serde::Deserialize)]
struct Sale {
    shop: String,
    time: EventTime,
    cents: u64,
}

impl Event for Sale {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.shop
    }
}

/// Reads the new lines of the file, and keeps the table in `tables`.
fn catch_up(file: &Path, checkpoints: &Path, tables: &MemorySink) -> anyhow::Result<Report> {
    let report = Pipeline::<Sale>::new()
        .source(Lines::files([file.display().to_string()]), SerdeJson::new())
        .sink(tables.clone())
        .checkpoints(Directory::new(checkpoints), hours(1))
        .group("turnover", tumbling(hours(1)), |a| a.sum("cents", |sale| sale.cents))
        .key_columns(["shop"])
        .start()?
        .wait()?;
    Ok(report)
}

pub(crate) fn run(tables: &MemorySink) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, checkpoints) = (folder.path().join("sales.jsonl"), folder.path().join("checkpoints"));
    let history = r#"{"shop": "north", "time": "2026-01-01T09:10:00Z", "cents": 100}
{"shop": "north", "time": "2026-01-01T10:20:00Z", "cents": 200}
"#;
    fs::write(&file, history)?;
    let first = catch_up(&file, &checkpoints, tables)?;
    // One event belongs to the last hour of history, whose row is corrected.
    let new = r#"{"shop": "north", "time": "2026-01-01T10:40:00Z", "cents": 50}
{"shop": "north", "time": "2026-01-01T11:30:00Z", "cents": 400}
"#;
    fs::write(&file, format!("{history}{new}"))?;
    let second = catch_up(&file, &checkpoints, tables)?;
    println!("{} read at first, {} in all", first.fates.read, second.fates.read);
    Ok(())
}

#[test]
fn what_is_new_corrects_and_continues_history() -> anyhow::Result<()> {
    let tables = MemorySink::new();
    run(&tables)?;
    let turnover = crate::summaries::<String, i128>(&tables, "turnover");
    let sums: Vec<i128> = turnover.into_iter().map(|(_, _, cents)| cents).collect();
    assert_eq!(sums, [100, 250, 400]);
    Ok(())
}
