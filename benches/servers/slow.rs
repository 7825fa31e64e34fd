//! What happens to memory, and to the events, when a sink is ten times too slow for a long time, and then is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use telemetra::prelude::*;

use crate::services::Server;
use crate::{Options, feed, pipeline, usage};

/// Takes ten times as long for a batch as it takes for the next to come.
#[derive(Debug)]
struct Slow {
    each: Duration,
    healed: Arc<AtomicBool>,
}

impl Sink for Slow {
    fn name(&self) -> &str {
        "slow"
    }
    fn open(
        &mut self,
        _tables: &[Arc<Table>],
        _resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        Ok(None)
    }
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        for _ in batches {
            let begun = Instant::now();
            while begun.elapsed() < self.each && !self.healed.load(Ordering::Acquire) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}

pub(crate) fn measure(options: &Options) -> Result<()> {
    let kafka = Server::kafka();
    feed::create(&kafka.url(), options.number("partitions")?)?;
    let options = options.with("kafka", kafka.url());
    let mut feed = options.command("feed")?.spawn()?;
    let figures = options.run("suffer");
    let fed = feed.wait()?;
    print!("{}", figures?);
    anyhow::ensure!(fed.success(), "the feed failed");
    Ok(())
}

/// Suffers as long as it is fed, then is healed and catches up.
pub(crate) fn suffer(options: &Options) -> Result<()> {
    let (slide, seconds) = (options.number("slide")?, options.number("seconds")?);
    let events = options.number("rate")? * seconds;
    let healed = Arc::new(AtomicBool::new(false));
    let slow = Slow { each: Duration::from_millis(10 * slide), healed: Arc::clone(&healed) };
    let source = pipeline::source(options)?;
    let running = pipeline::build(options, source, TimeConfig::default(), "nowhere")?.sink(slow).start()?;
    let begun = Instant::now();
    let mut caught_up = None;
    println!("| s | events read | records behind | resident MiB |\n|---|---|---|---|");
    let mut next = 0;
    while caught_up.is_none() {
        anyhow::ensure!(!running.is_finished(), "{:?}", running.status().failure);
        std::thread::sleep(Duration::from_millis(100));
        let elapsed = begun.elapsed().as_secs();
        let status = running.status();
        if elapsed >= next {
            let behind: u64 = status.partitions.iter().filter_map(|partition| partition.lag).sum();
            let resident = usage::rss_bytes()? as f64 / 1048576.0;
            println!("| {elapsed} | {} | {behind} | {resident:.0} |", status.fates.read);
            next += (seconds / 10).max(1);
        }
        if elapsed > seconds + feed::LEAD.as_secs() && !healed.swap(true, Ordering::AcqRel) {
            println!("the sink is as fast as the others from now on");
            next = elapsed;
        }
        if healed.load(Ordering::Acquire) && status.fates.read >= events {
            caught_up = Some(begun.elapsed());
        }
        anyhow::ensure!(
            elapsed < 3 * seconds + 60,
            "only {} of {events} events were read",
            status.fates.read
        );
    }
    let caught_up =
        caught_up.context("it did not catch up")?.as_secs_f64() - seconds as f64 - feed::LEAD.as_secs_f64();
    let report = running.drain(Drain::CloseWindows)?;
    anyhow::ensure!(report.fates.is_balanced() && report.fates.read == events, "{:?}", report.fates);
    let peak = usage::peak_rss_bytes()? as f64 / 1048576.0;
    println!(
        "all {events} events counted, the last {caught_up:.1} s after the sink was healed; {peak:.0} MiB at most"
    );
    Ok(())
}
