//! Events per second, CPU per event, and whose it is; beside a consumer that only counts.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result};
use telemetra::prelude::*;

use crate::rig::Rig;
use crate::services::Server;
use crate::{Options, feed, pipeline, threads, usage};

/// The figures of a case, which it prints as one line of numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) events: u64,
    pub(crate) windows: u64,
    pub(crate) cpu: f64,
    pub(crate) wall: f64,
    /// Of `cpu`, that of librdkafka's threads.
    pub(crate) librdkafka: f64,
    pub(crate) peak_mib: f64,
}

pub(crate) fn print(figures: &Figures) {
    let Figures { events, windows, cpu, wall, librdkafka, .. } = figures;
    let peak = usage::peak_rss_bytes().unwrap_or(0) as f64 / 1048576.0;
    // The one that reads it would notice.
    let _ = writeln!(std::io::stdout(), "{events} {windows} {cpu} {wall} {librdkafka} {peak}");
}

fn read(line: &str) -> Result<Figures> {
    let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let &[events, windows, cpu, wall, librdkafka, peak_mib] = numbers.as_slice() else {
        anyhow::bail!("a case printed `{line}`")
    };
    Ok(Figures { events: events as u64, windows: windows as u64, cpu, wall, librdkafka, peak_mib })
}

/// The cases, from the least to the whole.
const CASES: &[&str] =
    &["bare", "nowhere", "postgres", "redis", "postgres+redis", "postgres+redis+checkpoints"];

pub(crate) fn measure(options: &Options) -> Result<()> {
    let kafka = Server::kafka();
    feed::create(&kafka.url(), options.number("partitions")?)?;
    feed::fill(options, &kafka.url())?;
    let only = options.text("only")?;
    let cases: Vec<&str> =
        CASES.iter().copied().filter(|case| only.is_empty() || only.split(',').any(|o| o == *case)).collect();
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); cases.len()];
    for _ in 0..options.number("runs")? {
        for (case, figures) in cases.iter().zip(&mut figures) {
            let rig = Rig::start()?;
            let line = rig.options(options, &kafka).run(case)?;
            figures.push(read(line.lines().last().context("it printed nothing")?)?);
        }
    }
    println!(
        "| case | events/s | CPU s per M events | of it librdkafka | beside the bare consumer | wall s | peak MiB | windows |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let mut bare = None;
    for (case, figures) in cases.iter().zip(&figures) {
        let median = |of: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = figures.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let per_million = median(|figures| figures.cpu / figures.events as f64 * 1e6);
        if *case == "bare" {
            bare = Some(per_million);
        }
        println!(
            "| {case} | {:.0} | {per_million:.2} | {:.0} % | {} | {:.2} | {:.0} | {:.0} |",
            median(|figures| figures.events as f64 / figures.wall),
            100.0 * median(|figures| figures.librdkafka / figures.cpu),
            bare.map_or_else(String::new, |bare| format!("{:.2}", per_million / bare)),
            median(|figures| figures.wall),
            median(|figures| figures.peak_mib),
            median(|figures| figures.windows as f64),
        );
    }
    Ok(())
}

pub(crate) fn run(options: &Options, sinks: &str) -> Result<()> {
    let (begun, before) = (Instant::now(), usage::cpu_seconds()?);
    let time = TimeConfig { idle_after: None, ..TimeConfig::default() };
    let source = pipeline::source(options)?.until_end();
    let mut pipeline = pipeline::build(options, source, time, sinks)?;
    if sinks.contains("checkpoints") {
        pipeline = pipeline::checkpointed(options, pipeline)?;
    }
    let running = pipeline.start()?;
    let mut librdkafka = 0.0;
    let mut changes = 0;
    while !running.is_finished() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        // Its threads end with the pipeline: what they used is asked for while they are there.
        let threads = threads::cpu_by_name()?;
        librdkafka = threads.get("rdk").copied().unwrap_or(librdkafka);
        changes = running.status().sinks.first().map_or(changes, |sink| sink.changes);
    }
    let report = running.wait()?;
    assert!(report.fates.is_balanced(), "something vanished");
    print(&Figures {
        events: report.fates.read,
        windows: changes,
        cpu: usage::cpu_seconds()? - before,
        wall: begun.elapsed().as_secs_f64(),
        librdkafka,
        ..Figures::default()
    });
    Ok(())
}
