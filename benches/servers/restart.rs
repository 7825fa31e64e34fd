//! How large a checkpoint is, what taking it costs, and how soon a restart goes on from it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use telemetra::prelude::*;

use crate::services::Server;
use crate::{Options, feed, pipeline, usage};

pub(crate) fn measure(options: &Options) -> Result<()> {
    let kafka = Server::kafka();
    feed::create(&kafka.url(), options.number("partitions")?)?;
    let options = options.with("streams", options.number("streams")?.max(10_000));
    feed::fill(&options, &kafka.url())?;
    let folder = tempfile::tempdir()?;
    let options = options.with("kafka", kafka.url()).with("folder", folder.path().display());
    print!("{}", options.run("keep")?);
    for _ in 0..options.number("runs")? {
        print!("{}", options.run("resume")?);
    }
    Ok(())
}

fn time() -> TimeConfig {
    TimeConfig { idle_after: None, ..TimeConfig::default() }
}

/// Reads the log to its end and keeps the windows open in a checkpoint; beside it, the same without checkpoints.
pub(crate) fn keep(options: &Options) -> Result<()> {
    let before = usage::cpu_seconds()?;
    let without = pipeline::build(options, pipeline::source(options)?.until_end(), time(), "nowhere")?;
    without.start()?.wait()?;
    let plain = usage::cpu_seconds()? - before;

    let before = usage::cpu_seconds()?;
    let pipeline = pipeline::build(options, pipeline::source(options)?, time(), "nowhere")?;
    let running = pipeline::checkpointed(options, pipeline)?.start()?;
    let events = options.number("events")?;
    while running.fates().read < events {
        anyhow::ensure!(!running.is_finished(), "{:?}", running.status().failure);
        std::thread::sleep(Duration::from_millis(5));
    }
    let (count, bytes, writing) = running.status().checkpoints;
    let cpu = usage::cpu_seconds()? - before;
    running.drain(Drain::KeepWindows)?;
    let each = (cpu - plain) / count as f64;
    println!(
        "{count} checkpoints, {:.1} MB each, {:.0} ms writing each; {cpu:.2} CPU s instead of {plain:.2}: {:.0} ms each, {:.2} % of a core at one a minute",
        bytes as f64 / count as f64 / 1e6,
        writing.as_secs_f64() / count as f64 * 1e3,
        each * 1e3,
        each / 60.0 * 100.0
    );
    Ok(())
}

/// Starts from the checkpoint, with sinks that hold nothing, and prints when the state was durable in them again.
pub(crate) fn resume(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let pipeline = pipeline::build(options, pipeline::source(options)?, time(), "nowhere")?;
    let running = pipeline::checkpointed(options, pipeline)?.start()?;
    let started = begun.elapsed();
    let mut restored = None;
    while restored.is_none() {
        anyhow::ensure!(!running.is_finished(), "{:?}", running.status().failure);
        let status = running.status();
        let from = status.partitions.iter().map(|partition| partition.floor).min();
        if from.is_some_and(|from| from > EventTime::MIN && status.durable >= from) {
            restored = Some(begun.elapsed());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let (cpu, resident) = (usage::cpu_seconds()?, usage::rss_bytes()?);
    running.stop()?;
    println!(
        "restart: {:.2} s until it reads, {:.2} s and {cpu:.2} CPU s until all {} streams are with the sinks again; {} MiB, at most {} MiB",
        started.as_secs_f64(),
        restored.context("not restored")?.as_secs_f64(),
        options.number("streams")?,
        resident >> 20,
        usage::peak_rss_bytes()? >> 20
    );
    Ok(())
}
