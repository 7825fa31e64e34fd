//! Measures how often detectors raise false alarms on noise, how many bursts they find, and how soon.
//!
//! ```sh
//! cargo run --release --example detectors
//! cargo run --release --example detectors -- --hours 200 --bursts 50 --seed 7
//! ```
//!
//! The events are independent at steady rates, in windows of a minute that slide by ten seconds, and pass
//! through the same code as in a pipeline that finds moments. A burst is a minute long unless stated
//! otherwise, starts with a pane, and comes every 45 minutes. The program is seeded: the same command prints
//! the same numbers on every machine.

mod again;
mod candidates;
mod short;

use anyhow::Result;
use clap::{Command, arg, value_parser};
use comfy_table::{Table, presets};
use telemetra::core::TimeConfig;
use telemetra::core::testkit::{Law, Noise, WatchedCounts};

use candidates::Candidate;

/// The rates, in events per second.
const RATES: [f64; 7] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
/// The number of panes of ten seconds in an hour.
const PER_HOUR: u64 = 360;
const BETWEEN: u64 = 270;
const BURST: u64 = 6;
/// The number of panes after the start of a burst during which windows contain it.
const VISIBLE: u64 = 11;
/// The share of windows that a threshold of 3 promises to find anomalous on one side: the tail of the normal
/// distribution.
const PROMISE: f64 = 1.349_898e-3;
/// The number of panes before bursts begin, so that every detector has enough samples.
const WARM_UP: u64 = 4 * PER_HOUR;

struct Options {
    hours: u64,
    bursts: u64,
    seed: u64,
}

fn options() -> Options {
    let matches = Command::new("detectors")
        .about("Measures how often detectors raise false alarms on noise, how many bursts they find, and how soon.")
        .args([
            arg!(--hours <N> "how much noise").default_value("1000").value_parser(value_parser!(u64).range(1..)),
            arg!(--bursts <N> "how many bursts").default_value("200").value_parser(value_parser!(u64).range(1..)),
            arg!(--seed <N> "which noise is made").default_value("1").value_parser(value_parser!(u64)),
        ])
        .get_matches();
    let number = |name| matches.get_one(name).copied().unwrap_or_default();
    Options { hours: number("hours"), bursts: number("bursts"), seed: number("seed") }
}

fn main() -> Result<()> {
    let options = options();
    println!("False alarms: moments per stream-hour, by events per second\n\n{}\n", alarms(&options)?);
    for factor in [1.5, 2.0, 3.0] {
        println!(
            "Bursts of {factor} times the rate: found, and seconds until the median one is\n\n{}\n",
            bursts(&options, factor)?
        );
    }
    println!(
        "Bursts of 2 times the rate that come after something: found\n\n{}\n",
        again::found_again(&options)?
    );
    println!(
        "Bursts of 1.5 times the rate by their length, at 0.3 false alarms per stream-hour: found\n\n{}\n",
        short::by_length(&options)?
    );
    Ok(())
}

fn table(first: &str) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([first.to_owned()].into_iter().chain(RATES.map(|rate| rate.to_string())));
    table
}

fn alarms(options: &Options) -> Result<Table> {
    let mut table = table("detector");
    let panes = options.hours * PER_HOUR;
    for candidate in Candidate::ALL {
        let mut row = vec![candidate.name.to_owned()];
        let mut kept = vec![format!("{}: windows, to those promised", candidate.name)];
        for (seed, rate) in (options.seed..).zip(RATES) {
            let mut noise = Noise::new(seed);
            let law = noise.law(rate * 10.0);
            let mut watched = (candidate.watch)(&TimeConfig::default())?;
            pass(&mut watched, WARM_UP, &law, &mut noise);
            let (mut begun, mut anomalous) = (0, 0);
            for _ in 0..panes {
                let seen = watched.pane(noise.count(&law));
                begun += u64::from(seen.begins);
                anomalous += u64::from(seen.anomalous);
            }
            row.push(format!("{:.3}", begun as f64 / options.hours as f64));
            kept.push(format!("{:.2}", anomalous as f64 / panes as f64 / PROMISE));
        }
        table.add_row(row);
        // The detector that makes a promise about noise.
        if candidate.name == "ZScore" {
            table.add_row(kept);
        }
    }
    Ok(table)
}

fn bursts(options: &Options, factor: f64) -> Result<Table> {
    let mut table = table("detector");
    for candidate in Candidate::ALL {
        let mut row = vec![candidate.name.to_owned()];
        for (seed, rate) in (options.seed + 1_000..).zip(RATES) {
            let mut delays =
                delays(&mut (candidate.watch)(&TimeConfig::default())?, rate, factor, options.bursts, seed);
            let missed = delays.iter().filter(|delay| delay.is_none()).count();
            delays.sort_unstable_by_key(|delay| delay.unwrap_or(u64::MAX));
            let found = 100.0 * (delays.len() - missed) as f64 / delays.len().max(1) as f64;
            let median = delays.get(delays.len() / 2).copied().flatten();
            row.push(match median {
                Some(panes) => format!("{found:.0} %, {} s", panes * 10),
                None => format!("{found:.0} %"),
            });
        }
        table.add_row(row);
    }
    Ok(table)
}

/// Feeds panes of noise.
fn pass(watched: &mut WatchedCounts, panes: u64, law: &Law, noise: &mut Noise) {
    for _ in 0..panes {
        watched.pane(noise.count(law));
    }
}

/// The number of panes after which each burst was found.
fn delays(watched: &mut WatchedCounts, rate: f64, factor: f64, bursts: u64, seed: u64) -> Vec<Option<u64>> {
    let mut noise = Noise::new(seed);
    let (usual, burst) = (noise.law(rate * 10.0), noise.law(rate * factor * 10.0));
    pass(watched, WARM_UP, &usual, &mut noise);
    let mut delays = Vec::new();
    for _ in 0..bursts {
        pass(watched, BETWEEN - VISIBLE, &usual, &mut noise);
        let mut found = None;
        for pane in 0..VISIBLE {
            let law = if pane < BURST { &burst } else { &usual };
            let seen = watched.pane(noise.count(law));
            found = found.or(seen.anomalous.then_some(pane + 1));
        }
        delays.push(found);
    }
    delays
}
