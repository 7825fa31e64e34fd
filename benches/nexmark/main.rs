//! The cost of the queries of the Nexmark benchmark, from JSON lines in files to rows in a sink.
//!
//! One seeded workload: 1,000,000 events, 10,000 of them in a second of event time, one in a hundred 20 seconds late, in two files. Each case runs
//! in a process of its own. The sink counts rows. `cargo bench --bench nexmark -- help` lists the options.

#[path = "../support/allocator.rs"]
mod allocator;
#[path = "../../examples/nexmark/event.rs"]
mod event;
#[path = "../../examples/nexmark/queries/mod.rs"]
mod queries;
#[path = "../support/usage.rs"]
mod usage;
#[path = "../../examples/nexmark/workload.rs"]
mod workload;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use event::{NexmarkEvents, NexmarkJson};
use queries::QUERIES;
use telemetra::core::Arena;
use telemetra::prelude::*;

const HELP: &str = "\
cargo bench --bench nexmark -- [OPTIONS] [QUERY…]

  --events N   how many events [1000000]
  --runs N     how often each case runs; the table shows medians [1]
";

/// Counts the rows that it is given.
#[derive(Clone, Debug, Default)]
struct Rows(Arc<AtomicU64>);

impl Sink for Rows {
    fn name(&self) -> &str {
        "rows"
    }

    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        Ok(None)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let rows: usize = batches.iter().map(|batch| batch.changes.len()).sum();
        self.0.fetch_add(rows as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Decodes the lines of both files, one after the other, and does nothing with them.
fn decode_only(folder: &Path) -> Result<u64> {
    let (mut arena, mut line, mut decoded) = (Arena::default(), Vec::new(), 0);
    for file in ["even", "odd"] {
        let mut lines = BufReader::with_capacity(1 << 16, File::open(folder.join(file))?);
        while lines.read_until(b'\n', &mut line)? > 0 {
            let mut events = Vec::new();
            Decoder::<NexmarkEvents>::decode(&NexmarkJson, Record::new(&line), &arena, &mut events)?;
            decoded += events.len() as u64;
            drop(events);
            arena.reset();
            line.clear();
        }
    }
    Ok(decoded)
}

fn run_query(folder: &Path, name: &str, workers: usize) -> Result<u64> {
    let query = QUERIES.iter().find(|query| query.name == name).context("there is no such query")?;
    let rows = Rows::default();
    let pipeline = Pipeline::<NexmarkEvents>::new()
        .source(Lines::files([folder.join("even"), folder.join("odd")]), NexmarkJson)
        .time(workload::time())
        .workers(workers)
        .sink(rows.clone());
    (query.start)(pipeline)?.wait()?;
    Ok(rows.0.load(Ordering::Relaxed))
}

/// Runs one case and prints its CPU seconds, wall seconds, peak memory and rows.
fn case(folder: &Path, name: &str, workers: usize) -> Result<()> {
    let (begun, before) = (Instant::now(), usage::cpu_seconds()?);
    let rows = if name == "decode" { decode_only(folder)? } else { run_query(folder, name, workers)? };
    let (cpu, wall) = (usage::cpu_seconds()? - before, begun.elapsed().as_secs_f64());
    println!("{cpu} {wall} {} {rows}", usage::peak_rss_bytes()?);
    Ok(())
}

fn main() -> Result<()> {
    let (mut events, mut runs, mut names) = (1_000_000, 1_usize, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--bench" => {}
            "--events" => events = value()?.parse()?,
            "--runs" => runs = value()?.parse()?,
            "--case" => {
                let (folder, name, workers) = (value()?, value()?, value()?);
                return case(Path::new(&folder), &name, workers.parse()?);
            }
            "help" | "--help" => {
                print!("{HELP}");
                return Ok(());
            }
            name if QUERIES.iter().any(|query| query.name == name) => names.push(name.to_owned()),
            other => bail!("unknown argument `{other}`\n{HELP}"),
        }
    }
    if names.is_empty() {
        names = QUERIES.iter().map(|query| query.name.to_owned()).collect();
    }
    let folder = tempfile::tempdir()?;
    let mut files = [File::create(folder.path().join("even"))?, File::create(folder.path().join("odd"))?]
        .map(BufWriter::new);
    for (n, line) in workload::lines(events, 10_000).enumerate() {
        writeln!(files[n % 2], "{line}")?;
    }
    for mut file in files {
        file.flush()?;
    }
    let mut cases = vec![("decode".to_owned(), 1)];
    cases.extend(names.into_iter().flat_map(|name| [(name.clone(), 1), (name, 2)]));
    println!("| case | what | workers | CPU s | wall s | M events per CPU s | peak MiB | rows |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, workers) in cases {
        let mut rows = Vec::new();
        for _ in 0..runs.max(1) {
            let mut command = Command::new(std::env::current_exe()?);
            let child =
                command.arg("--case").arg(folder.path()).args([&name, &workers.to_string()]).output()?;
            if !child.status.success() {
                bail!("{name}: {}", String::from_utf8_lossy(&child.stderr));
            }
            let text = String::from_utf8(child.stdout)?;
            rows.push(text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?);
        }
        let median = |column: usize| {
            let mut values: Vec<f64> = rows.iter().map(|row| row[column]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let [cpu, wall, peak, found] = [0, 1, 2, 3].map(median);
        let (rate, peak) = (events as f64 / cpu / 1e6, peak / f64::from(1 << 20));
        let known = QUERIES.iter().find(|query| query.name == name);
        let what = known.map_or("decoding alone", |query| query.about);
        println!("| {name} | {what} | {workers} | {cpu:.2} | {wall:.2} | {rate:.2} | {peak:.0} | {found} |");
    }
    Ok(())
}
