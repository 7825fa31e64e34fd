//! The cost of the whole job, from bytes to windows and moments in a sink, beside hand-written loops.
//!
//! One seeded workload: 2,000,000 JSON chat events of 280 bytes, 1,000 streams by Zipf's law of exponent 0.9, 30 minutes of
//! event time, disorder exponential with a mean of 0.8 s. Each case runs in a process of its own, in turn, several times; the
//! table shows medians. `cargo bench --bench whole_job -- help` lists the cases and options.

#[path = "../support/allocator.rs"]
mod allocator;
mod hand_loop;
mod naive_loop;
#[path = "../support/usage.rs"]
mod usage;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use telemetra::core::WindowSpec;
use telemetra::livestream::testkit::Workload;
use telemetra::livestream::{
    self, JsonDecoder, Lexicon, StreamId, StreamSummary, WithSentiment, default_rules,
};
use telemetra::prelude::*;
use telemetra::sinks::Lines;

/// Counts what it is given: the cheapest sink there is.
#[derive(Clone, Debug, Default)]
struct Tally(Arc<std::sync::Mutex<Outcome>>);

/// What a case found, to show that all did the same work.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) events: u64,
    pub(crate) windows: u64,
    pub(crate) moments: u64,
    /// The sum over all windows of messages and different chatters.
    pub(crate) messages: u64,
    pub(crate) chatters: u64,
}

impl Sink for Tally {
    fn name(&self) -> &str {
        "tally"
    }
    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        Ok(None)
    }
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        let mut tally = self.0.lock().map_err(|_| ExternalError::permanent("poisoned"))?;
        for change in batches.iter().flat_map(|batch| &batch.changes) {
            if change.revision > 0 {
                continue;
            }
            if let Some(SummaryRow { summary, .. }) = change.row::<SummaryRow<StreamId, StreamSummary>>() {
                tally.windows += 1;
                tally.messages += summary.value.chat_count;
                tally.chatters += summary.value.unique_chatters;
            } else if change.row::<Moment<StreamId>>().is_some() {
                tally.moments += 1;
            }
        }
        Ok(())
    }
}

/// The size of a run.
#[derive(Clone, Debug)]
pub(crate) struct Size {
    events: u64,
    streams: u32,
    minutes: u32,
    window: u64,
    slide: u64,
    /// The memory for state in MiB, beyond which it is kept on disk; 0 for all in memory.
    memory: u64,
}

impl Size {
    pub(crate) fn windows(&self) -> Result<WindowSpec> {
        Ok(WindowSpec::sliding(
            Duration::from_millis(self.window * 1000),
            Duration::from_millis(self.slide * 1000),
        )?)
    }

    fn file(&self) -> Result<PathBuf> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let name = format!("chat-{}-{}-{}.jsonl", self.events, self.streams, self.minutes);
        let path = folder.join(name);
        if !path.exists() {
            let beside = path.with_extension("part");
            let workload =
                Workload::standard().events(self.events).streams(self.streams).minutes(self.minutes);
            workload.write_to(&mut BufWriter::new(File::create(&beside)?))?;
            fs::rename(&beside, &path)?;
        }
        Ok(path)
    }
}

fn pipeline(path: &Path, size: &Size, workers: usize) -> Result<Outcome> {
    let tally = Tally::default();
    let time = TimeConfig { windows: size.windows()?, idle_after: None, ..TimeConfig::default() };
    let mut job = livestream::pipeline();
    if size.memory > 0 {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("spill");
        job = job.spill(SpillConfig::new(folder).memory(size.memory << 20));
    }
    let report = job
        .source(Lines::file(path), JsonDecoder::mixed().with_sentiment(Arc::new(Lexicon::english())))
        .time(time)
        .rules(default_rules(3.0)?)
        .sink(tally.clone())
        .workers(workers)
        .start()?
        .wait()?;
    if let Some(spill) = report.spill {
        eprintln!("{spill:?}");
    }
    let outcome = *tally.0.lock().map_err(|_| anyhow::anyhow!("the sink panicked"))?;
    Ok(Outcome { events: report.fates.read, ..outcome })
}

/// Reads and decodes, and does nothing with it.
fn decode_only(path: &Path) -> Result<Outcome> {
    let mut events = 0;
    hand_loop::for_each_event(path, |_| events += 1)?;
    Ok(Outcome { events, ..Outcome::default() })
}

fn run_case(case: &str, size: &Size) -> Result<()> {
    let path = size.file()?;
    let begun = Instant::now();
    let before = usage::cpu_seconds()?;
    let outcome = match case.split_once(' ').unwrap_or((case, "")) {
        ("decode", _) => decode_only(&path)?,
        ("naive", _) => naive_loop::run(&path, size)?,
        ("loop", _) => hand_loop::run(&path, size)?,
        ("pipeline", workers) => pipeline(&path, size, workers.parse().context("how many workers?")?)?,
        _ => bail!("there is no case `{case}`"),
    };
    let (cpu, wall) = (usage::cpu_seconds()? - before, begun.elapsed().as_secs_f64());
    println!(
        "{cpu} {wall} {} {} {} {} {} {}",
        usage::peak_rss_bytes()?,
        outcome.events,
        outcome.windows,
        outcome.moments,
        outcome.messages,
        outcome.chatters
    );
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |name: &str, default: u64| -> Result<u64> {
        let at = args.iter().position(|arg| arg == &format!("--{name}"));
        let value = at.and_then(|at| args.get(at + 1)).map(|value| value.parse());
        Ok(value.transpose().with_context(|| format!("--{name} takes a number"))?.unwrap_or(default))
    };
    let size = Size {
        events: number("events", 2_000_000)?,
        streams: u32::try_from(number("streams", 1_000)?)?,
        minutes: u32::try_from(number("minutes", 30)?)?,
        window: number("window", 60)?,
        slide: number("slide", 10)?,
        memory: number("memory", 0)?,
    };
    if let Some(at) = args.iter().position(|arg| arg == "--case") {
        return run_case(args.get(at + 1).context("--case takes a name")?, &size);
    }
    if args.iter().any(|arg| arg == "help" || arg == "--help") {
        println!(
            "cases: decode, naive, loop, pipeline 1, pipeline 2 (give some after --only, comma-separated)"
        );
        println!(
            "options: --events N --streams N --minutes N --window SECONDS --slide SECONDS --memory MIB --runs N"
        );
        return Ok(());
    }
    let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1));
    let cases: Vec<&str> = only.map_or_else(
        || vec!["decode", "naive", "loop", "pipeline 1", "pipeline 2"],
        |only| only.split(',').collect(),
    );
    let runs = number("runs", 5)?;
    eprintln!("{size:?}, {} bytes", fs::metadata(size.file()?)?.len());
    let mut rows: Vec<Vec<Vec<f64>>> = vec![Vec::new(); cases.len()];
    let passed: Vec<&String> = args.iter().filter(|arg| *arg != "--only" && Some(*arg) != only).collect();
    for _ in 0..runs {
        for (case, rows) in cases.iter().zip(&mut rows) {
            let child =
                Command::new(std::env::current_exe()?).args(&passed).args(["--case", case]).output()?;
            if !child.status.success() {
                bail!("{case}: {}", String::from_utf8_lossy(&child.stderr));
            }
            eprint!("{}", String::from_utf8_lossy(&child.stderr));
            let text = String::from_utf8(child.stdout)?;
            rows.push(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?);
        }
    }
    println!(
        "| case | CPU s | wall s | M events per CPU s | µs CPU per event | peak MiB | windows | moments | messages | chatters |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (case, rows) in cases.iter().zip(&rows) {
        let column = |index: usize| median(rows.iter().map(|row| row[index]).collect());
        let (cpu, events) = (column(0), column(3));
        println!(
            "| {case} | {cpu:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {} | {} | {} | {} |",
            column(1),
            events / cpu / 1e6,
            cpu / events * 1e6,
            column(2) / 1048576.0,
            column(4),
            column(5),
            column(6),
            column(7)
        );
    }
    Ok(())
}
