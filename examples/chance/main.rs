//! Measures whether the chance of moments is right: how many moments are trusted in noise, where nothing is
//! planted, and how many of planted bursts are found, beside an oracle that knows the noise.
//!
//! ```sh
//! cargo run --release --example chance
//! cargo run --release --example chance -- --streams 100 --hours 20 --seed 7 --bursts
//! ```
//!
//! The events are noise at steady or daily changing rates, in windows of a minute that slide by ten seconds.
//! They pass through the same code as in a pipeline that finds moments and compares them. The rates go from
//! 30 events a second to one in ten seconds. In the first table nothing is planted, so each moment is chance.
//! In the second, bursts of a minute are. The program is seeded: the same command prints the same numbers on
//! every machine.

mod power;

use std::time::Duration;

use anyhow::Result;
use clap::{Command, arg, value_parser};
use comfy_table::{Table, presets};
use telemetra::core::testkit::{ComparedCounts, Law, Noise};
use telemetra::core::{Moment, Side, TimeConfig, VarianceFloor, ZScore};

/// The number of panes of ten seconds in an hour.
const PER_HOUR: u64 = 360;
const PERIOD: Duration = Duration::from_secs(1800);
/// The limits of chance up to which moments are trusted.
const LIMITS: [f64; 3] = [0.01, 0.05, 0.2];
/// The events per second of the busiest stream.
const BUSIEST: f64 = 30.0;
/// The events per second of the quietest stream.
const QUIETEST: f64 = 0.1;
/// The number of panes for which a stream whose rate changes within the day has one law.
const STEP: u64 = 6;

struct Options {
    streams: u64,
    hours: u64,
    seed: u64,
    /// Whether only the second table is printed.
    only_bursts: bool,
}

/// A kind of noise.
#[derive(Copy, Clone)]
enum Kind {
    Independent,
    /// The variance is this many times the mean.
    Scattered(f64),
    /// The rate rises and falls within a day by this share.
    Daily(f64),
}

impl Kind {
    const ALL: [(&'static str, Self); 6] = [
        ("independent", Self::Independent),
        ("variance 1.5 times the mean", Self::Scattered(1.5)),
        ("variance 2 times the mean", Self::Scattered(2.0)),
        ("variance 3 times the mean", Self::Scattered(3.0)),
        ("daily, ± 30 %", Self::Daily(0.3)),
        ("daily, ± 80 %", Self::Daily(0.8)),
    ];

    fn law(self, noise: &Noise, mean: f64, pane: u64) -> Law {
        match self {
            Self::Independent => noise.law(mean),
            Self::Scattered(ratio) => noise.scattered_law(mean, ratio),
            Self::Daily(share) => {
                let turn = std::f64::consts::TAU * pane as f64 / (24 * PER_HOUR) as f64;
                noise.law(mean * (1.0 + share * turn.sin()))
            }
        }
    }

    /// The number of panes that have one law.
    fn step(self, panes: u64) -> u64 {
        if matches!(self, Self::Daily(_)) { STEP } else { panes }
    }
}

fn options() -> Options {
    let matches = Command::new("chance")
        .about("Measures whether the chance of moments is right, in noise and with planted bursts.")
        .args([
            arg!(--streams <N> "how many streams")
                .default_value("1000")
                .value_parser(value_parser!(u64).range(1..)),
            arg!(--hours <N> "how long each is")
                .default_value("100")
                .value_parser(value_parser!(u64).range(1..)),
            arg!(--seed <N> "which noise is made").default_value("1").value_parser(value_parser!(u64)),
            arg!(--bursts "print only the table of planted bursts"),
        ])
        .get_matches();
    let number = |name| matches.get_one(name).copied().unwrap_or_default();
    Options {
        streams: number("streams"),
        hours: number("hours"),
        seed: number("seed"),
        only_bursts: matches.get_flag("bursts"),
    }
}

fn main() -> Result<()> {
    let options = options();
    if !options.only_bursts {
        print_noise(&options)?;
    }
    power::print(&options)
}

/// Prints how many moments are trusted in each kind of noise.
fn print_noise(options: &Options) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let heads = LIMITS.map(|limit| format!("periods with one of chance ≤ {limit}"));
    let means = LIMITS.map(|limit| format!("moments a period of chance ≤ {limit}"));
    let head = ["noise".to_owned(), "moments per stream-hour".to_owned()];
    table.set_header(head.into_iter().chain(heads).chain(means));
    for (name, kind) in Kind::ALL {
        let moments = moments(options, kind)?;
        let periods = options.hours * 2;
        let per_hour = moments.len() as f64 / (options.hours * options.streams) as f64;
        let mut row = vec![name.to_owned(), format!("{per_hour:.3}")];
        let shares = LIMITS.map(|limit| with_trusted(&moments, limit) as f64 / periods as f64);
        row.extend(shares.map(|share| format!("{share:.3}")));
        let means = LIMITS.map(|limit| trusted(&moments, limit).count() as f64 / periods as f64);
        row.extend(means.map(|mean| format!("{mean:.3}")));
        table.add_row(row);
    }
    println!("{table}");
    Ok(())
}

/// The mean number of events of a stream in a pane.
fn rate(options: &Options, stream: u64) -> f64 {
    let share = stream as f64 / (options.streams.max(2) - 1) as f64;
    10.0 * BUSIEST * (QUIETEST / BUSIEST).powf(share)
}

/// The moments of all streams in one kind of noise, in the order of their ends.
fn moments(options: &Options, kind: Kind) -> Result<Vec<Moment<String>>> {
    let detector = ZScore::new(3.0)?.side(Side::Both).floor(VarianceFloor::Poisson)?.min_value(0.0)?;
    let mut compared = ComparedCounts::new(&TimeConfig::default(), detector, PERIOD);
    let panes = options.hours * PER_HOUR;
    for stream in 0..options.streams {
        let mut noise = Noise::new(options.seed << 32 | stream);
        let mean = rate(options, stream);
        let mut counts = Vec::with_capacity(panes as usize);
        while (counts.len() as u64) < panes {
            let law = kind.law(&noise, mean, counts.len() as u64);
            counts.extend((0..kind.step(panes)).map(|_| noise.count(&law)));
        }
        compared.key(&stream.to_string(), counts);
    }
    Ok(compared.moments())
}

fn trusted(moments: &[Moment<String>], limit: f64) -> impl Iterator<Item = &Moment<String>> {
    moments.iter().filter(move |moment| moment.chance.is_some_and(|chance| chance.to_f64() <= limit))
}

/// The number of periods in which at least one moment is trusted.
fn with_trusted(moments: &[Moment<String>], limit: f64) -> usize {
    let period = PERIOD.as_millis() as u64;
    let mut periods: Vec<u64> = trusted(moments, limit).map(|moment| moment.last_at.0 / period).collect();
    periods.dedup();
    periods.len()
}
