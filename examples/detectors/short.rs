//! Bursts of several lengths, found by windows of several lengths that raise false alarms equally often.

use std::time::Duration;

use anyhow::Result;
use comfy_table::{Table, presets};
use telemetra::core::testkit::{Noise, WatchedCounts};
use telemetra::core::{ConfigError, Side, TimeConfig, VarianceFloor, WindowSpec, ZScore};

use super::{BETWEEN, Options, PER_HOUR, WARM_UP, pass};

/// The sizes of the windows in seconds; all slide by ten, and baselines have 30 disjoint windows.
const SIZES: [u64; 3] = [20, 30, 60];
/// The lengths of bursts in panes of ten seconds.
const LENGTHS: [u64; 4] = [2, 4, 6, 12];
/// The rates, in events per second.
const RATES: [f64; 3] = [0.3, 3.0, 30.0];
/// The factor of a burst over the rate.
const FACTOR: f64 = 1.5;
/// False alarms per stream-hour: the rate of `ZScore` at 3 with windows of a minute.
const ALARMS: f64 = 0.3;
/// The number of steps of the search for the threshold, each of which halves its range from 2 to 6.
const STEPS: u32 = 9;

fn watched(size: u64, threshold: f64) -> Result<WatchedCounts, ConfigError> {
    let windows = WindowSpec::sliding(Duration::from_secs(size), Duration::from_secs(10))?;
    let detector = ZScore::new(threshold)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
    Ok(WatchedCounts::new(&TimeConfig { windows, ..TimeConfig::default() }, detector))
}

/// The number of bursts found at equally many false alarms.
pub(super) fn by_length(options: &Options) -> Result<Table> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let lengths = LENGTHS.map(|panes| format!("{} s", panes * 10));
    let head = ["events a second", "window", "threshold"].map(str::to_owned);
    table.set_header(head.into_iter().chain(lengths));
    for (seed, rate) in (options.seed + 9_000..).step_by(1_000).zip(RATES) {
        for size in SIZES {
            let threshold = threshold(options, size, rate * 10.0, seed)?;
            let mut row = vec![rate.to_string(), format!("{size} s"), format!("{threshold:.2}")];
            for (length, seed) in LENGTHS.into_iter().zip(seed + 1..) {
                let found = found(options, watched(size, threshold)?, (rate * 10.0, length, size / 10), seed);
                row.push(format!("{:.0} %", 100.0 * found as f64 / options.bursts.max(1) as f64));
            }
            table.add_row(row);
        }
    }
    Ok(table)
}

/// The threshold at which noise raises [`ALARMS`].
fn threshold(options: &Options, size: u64, per_pane: f64, seed: u64) -> Result<f64> {
    let (mut low, mut high) = (2.0, 6.0);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        let mut noise = Noise::new(seed);
        let law = noise.law(per_pane);
        let mut watched = watched(size, middle)?;
        pass(&mut watched, WARM_UP, &law, &mut noise);
        let panes = options.hours * PER_HOUR;
        let begun = (0..panes).filter(|_| watched.pane(noise.count(&law)).begins).count();
        if begun as f64 > ALARMS * options.hours as f64 { low = middle } else { high = middle }
    }
    Ok(high)
}

/// The number of bursts that are found while a window contains them.
fn found(
    options: &Options,
    mut watched: WatchedCounts,
    (per_pane, length, window): (f64, u64, u64),
    seed: u64,
) -> u64 {
    let mut noise = Noise::new(seed);
    let (usual, burst) = (noise.law(per_pane), noise.law(per_pane * FACTOR));
    pass(&mut watched, WARM_UP, &usual, &mut noise);
    let visible = length + window - 1;
    let mut found = 0;
    for _ in 0..options.bursts {
        pass(&mut watched, BETWEEN - visible, &usual, &mut noise);
        let mut seen = false;
        for pane in 0..visible {
            seen |= watched.pane(noise.count(if pane < length { &burst } else { &usual })).anomalous;
        }
        found += u64::from(seen);
    }
    found
}
