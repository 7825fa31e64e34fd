//! How long from the frontier passing a window's end to its row in Postgres and its key in Redis, at a given rate that does
//! not wait for anybody.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use telemetra::prelude::*;
use telemetra::timely::dataflow::channels::pact;
use telemetra::timely::dataflow::operators::generic::operator::Operator;

use crate::rig::Rig;
use crate::services::Server;
use crate::{Options, feed, pipeline, threads, usage};

/// When each time was first seen to have been passed.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<BTreeMap<EventTime, Instant>>>);

impl Seen {
    fn note(&self, time: EventTime) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(time).or_insert_with(Instant::now);
    }

    /// When `time` had been passed.
    fn passed(&self, time: EventTime) -> Option<Instant> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.range(time..).map(|(_, at)| *at).min()
    }

    fn times(&self) -> Vec<EventTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }
}

pub(crate) fn measure(options: &Options) -> Result<()> {
    let kafka = Server::kafka();
    feed::create(&kafka.url(), options.number("partitions")?)?;
    let rig = Rig::start()?;
    let options = rig.options(options, &kafka);
    let mut feed = options.command("feed")?.spawn()?;
    let figures = options.run("watch")?;
    anyhow::ensure!(feed.wait()?.success(), "the feed failed");
    print!("{figures}");
    Ok(())
}

/// Runs the pipeline as long as it is fed, and watches both servers.
pub(crate) fn watch(options: &Options) -> Result<()> {
    let slide = options.number("slide")?;
    let time = TimeConfig {
        idle_after: Some(Duration::from_secs(5)),
        out_of_orderness: Duration::from_millis(options.number("disorder")?),
        allowed_lateness: Duration::from_secs(60),
        ..TimeConfig::default()
    };
    let (frontier, rows, keys) = (Seen::default(), Seen::default(), Seen::default());
    let noted = frontier.clone();
    let pipeline = pipeline::build(options, pipeline::source(options)?, time, "postgres+redis")?;
    let running = pipeline::checkpointed(options, pipeline)?
        .collect(
            "frontier",
            |_| None::<u64>,
            move |_, events| {
                let noted = noted.clone();
                // The frontier of ingest: it passes a window's end when no event can change that any more but a late one.
                events.sink(pact::Pipeline, "Watch", move |(input, frontier)| {
                    input.for_each_stamp(|_, messages| messages.for_each(Vec::clear));
                    if let Some(time) = frontier.frontier().first() {
                        noted.note(*time);
                    }
                });
            },
        )
        .start()?;
    let stop = Arc::new(AtomicBool::new(false));
    let watchers = [
        watch_postgres(options.text("postgres")?, rows.clone(), Arc::clone(&stop))?,
        watch_redis(options.text("redis")?, keys.clone(), Arc::clone(&stop))?,
    ];
    let (begun, before) = (Instant::now(), usage::cpu_seconds()?);
    let length = feed::LEAD + Duration::from_secs(options.number("seconds")?);
    while begun.elapsed() < length {
        anyhow::ensure!(!running.is_finished(), "{:?}", running.status().failure);
        std::thread::sleep(Duration::from_millis(50));
    }
    let (cpu, events) = (usage::cpu_seconds()? - before, running.fates().read);
    let librdkafka = threads::cpu_by_name()?.get("rdk").copied().unwrap_or(0.0);
    running.drain(Drain::KeepWindows)?;
    stop.store(true, Ordering::Release);
    for watcher in watchers {
        watcher.join().map_err(|_| anyhow::anyhow!("a watcher panicked"))??;
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{events} events in {} s; {cpu:.2} CPU s, {librdkafka:.2} of them librdkafka's",
        length.as_secs()
    )?;
    // The first windows find caches and plans cold, and count all the same. Before them, frontiers pass where no window ends.
    let first = first_window_end(options.text("postgres")?, options.number("window")?)?;
    for (name, seen) in [("row in Postgres", &rows), ("key in Redis", &keys)] {
        let mut waits = Vec::new();
        for end in frontier.times() {
            if end < first || end.0 % slide != 0 {
                continue;
            }
            if let (Some(passed), Some(visible)) = (frontier.passed(end), seen.passed(end.minus(1))) {
                let waited = visible.saturating_duration_since(passed).as_secs_f64() * 1e3;
                waits.push((waited, passed.saturating_duration_since(begun).as_secs_f64()));
            }
        }
        waits.sort_by(|a, b| a.0.total_cmp(&b.0));
        anyhow::ensure!(waits.len() > 10, "{name}: only {} windows closed", waits.len());
        let at = |share: f64| waits[((waits.len() - 1) as f64 * share).round() as usize].0;
        writeln!(
            out,
            "{name}: p50 {:.1} ms, p99 {:.1} ms, p99.9 {:.1} ms, most {:.1} ms, of {} windows' ends",
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
            waits.len()
        )?;
        let slowest =
            waits.iter().rev().take(5).map(|(waited, at)| format!("{waited:.0} ms after {at:.1} s"));
        writeln!(out, "  the slowest: {}", slowest.collect::<Vec<_>>().join(", "))?;
    }
    Ok(())
}

fn first_window_end(url: &str, window: u64) -> Result<EventTime> {
    let mut client = postgres::Client::connect(url, postgres::NoTls)?;
    let query = "SELECT (1000 * extract(epoch FROM min(window_start)))::int8 FROM chat_summary_minute";
    let start: Option<i64> = client.query_one(query, &[])?.get(0);
    Ok(EventTime(u64::try_from(start.context("no window has been written")?)? + window))
}

type Watcher = std::thread::JoinHandle<Result<()>>;

/// All rows of a time are committed with the progress that names it.
fn watch_postgres(url: &str, seen: Seen, stop: Arc<AtomicBool>) -> Result<Watcher> {
    let mut client = postgres::Client::connect(url, postgres::NoTls)?;
    Ok(std::thread::spawn(move || {
        let statement =
            client.prepare("SELECT (1000 * extract(epoch FROM min(time)))::int8 FROM telemetra_progress")?;
        while !stop.load(Ordering::Acquire) {
            let time: Option<i64> = client.query_one(&statement, &[])?.get(0);
            if let Some(time) = time {
                seen.note(EventTime(u64::try_from(time).unwrap_or(0)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }))
}

fn watch_redis(url: &str, seen: Seen, stop: Arc<AtomicBool>) -> Result<Watcher> {
    let mut connection = redis::Client::open(url)?.get_connection()?;
    Ok(std::thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            let time: Option<u64> = redis::cmd("GET").arg("telemetra:progress").query(&mut connection)?;
            time.into_iter().for_each(|time| seen.note(EventTime(time)));
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok::<_, redis::RedisError>(()).context("Redis")
    }))
}
