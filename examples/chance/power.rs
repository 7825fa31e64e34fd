//! The share of planted bursts that is found, beside that of an oracle: it knows the true rate of each stream
//! and the law of the noise, so that its probabilities are exact, and applies Benjamini and Hochberg to all
//! windows of each half hour.

use std::collections::BTreeMap;

use anyhow::Result;
use comfy_table::{Table, presets};
use telemetra::core::testkit::{ComparedCounts, Law, Noise};
use telemetra::core::{Side, TimeConfig, VarianceFloor, ZScore};

use crate::{Options, PER_HOUR, PERIOD, rate};

/// The limit of chance up to which a moment is trusted, and the oracle's share of false discoveries.
const LIMIT: f64 = 0.1;
/// The sizes of bursts: how many events there are more in a minute, in standard deviations of the usual count.
const SIZES: [u64; 5] = [4, 5, 6, 8, 12];
/// The bursts of each size in a period.
const BURSTS: u64 = 4;
/// The panes of a window, and of a burst.
const PANES: u64 = 6;
/// The panes of a period.
const PER_PERIOD: u64 = PER_HOUR / 2;
/// The periods before the first burst, in which baselines become complete.
const WARM_UP: u64 = 2;
/// The oracle rejects no window of a greater probability.
const CANDIDATE: f64 = 0.01;

/// A kind of noise: independent events, or counts whose variance is this many times the mean.
const KINDS: [(&str, Option<f64>); 3] = [
    ("independent", None),
    ("variance 1.5 times the mean", Some(1.5)),
    ("variance 3 times the mean", Some(3.0)),
];

/// A planted burst: its size, and the period of its first pane.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Burst {
    size: u64,
    period: u64,
}

/// The findings of a method: the bursts by stream and first pane, and how often it found something else.
#[derive(Default)]
struct Found {
    bursts: BTreeMap<(u64, u64), u64>,
    true_ones: u64,
    all: u64,
}

impl Found {
    /// Notes that something was found in a window that ended after some panes.
    fn note(&mut self, planted: &BTreeMap<(u64, u64), Burst>, stream: u64, first: u64, last: u64) {
        self.all += 1;
        // Windows that end in or after the burst and began before its end overlap it.
        let overlap = planted.range((stream, first.saturating_sub(2 * PANES - 2))..=(stream, last));
        let mut any = false;
        for (place, burst) in overlap {
            self.bursts.insert(*place, burst.size);
            any = true;
        }
        self.true_ones += u64::from(any);
    }

    fn share(&self, planted: &BTreeMap<(u64, u64), Burst>, size: u64) -> f64 {
        let found = self.bursts.values().filter(|found| **found == size).count();
        found as f64 / planted.values().filter(|burst| burst.size == size).count().max(1) as f64
    }

    fn precision(&self) -> String {
        format!("{:.3}", self.true_ones as f64 / self.all.max(1) as f64)
    }
}

/// Prints the share of bursts found, by noise and size.
pub(crate) fn print(options: &Options) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    let sizes = SIZES.map(|size| format!("{size} deviations"));
    let head = ["noise", "found by"].map(str::to_owned).into_iter().chain(sizes);
    table.set_header(head.chain(["precision".to_owned()]));
    for (name, ratio) in KINDS {
        let (planted, ours, oracle) = find(options, ratio)?;
        for (method, found) in [(format!("chance ≤ {LIMIT}"), ours), ("oracle".to_owned(), oracle)] {
            let shares = SIZES.map(|size| format!("{:.3}", found.share(&planted, size)));
            let row = [name.to_owned(), method].into_iter().chain(shares);
            table.add_row(row.chain([found.precision()]));
        }
    }
    println!("{table}");
    Ok(())
}

fn law(noise: &Noise, mean: f64, ratio: Option<f64>) -> Law {
    ratio.map_or_else(|| noise.law(mean), |ratio| noise.scattered_law(mean, ratio))
}

/// The places of the bursts: each in a stream of its own in its period, by stream and first pane.
fn plant(options: &Options) -> BTreeMap<(u64, u64), Burst> {
    let mut noise = Noise::new(options.seed ^ 0x5eed);
    let mut planted = BTreeMap::new();
    for period in WARM_UP..options.hours * 2 {
        let mut taken = Vec::new();
        for size in SIZES.into_iter().flat_map(|size| std::iter::repeat_n(size, BURSTS as usize)) {
            let stream = (noise.uniform() * options.streams as f64) as u64;
            // Not at the ends of a period, so that its windows are of this period.
            let within = PANES + (noise.uniform() * (PER_PERIOD - 4 * PANES) as f64) as u64;
            if !taken.contains(&stream) {
                taken.push(stream);
                planted.insert((stream, period * PER_PERIOD + within), Burst { size, period });
            }
        }
    }
    planted
}

type Outcome = (BTreeMap<(u64, u64), Burst>, Found, Found);

fn find(options: &Options, ratio: Option<f64>) -> Result<Outcome> {
    let detector = ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)?.min_value(0.0)?;
    let mut compared = ComparedCounts::new(&TimeConfig::default(), detector, PERIOD);
    let (planted, panes) = (plant(options), options.hours * PER_HOUR);
    // By period.
    let mut unlikely: BTreeMap<u64, Vec<Unlikely>> = BTreeMap::new();
    for stream in 0..options.streams {
        let mut noise = Noise::new(options.seed << 32 | stream);
        let mean = rate(options, stream);
        let usual = law(&noise, mean, ratio);
        let mut counts: Vec<u64> = (0..panes).map(|_| noise.count(&usual)).collect();
        let deviation = (mean * PANES as f64 * ratio.unwrap_or(1.0)).sqrt();
        for ((_, first), burst) in planted.range((stream, 0)..=(stream, panes)) {
            let more = noise.law(burst.size as f64 * deviation / PANES as f64);
            for count in counts.iter_mut().skip(*first as usize).take(PANES as usize) {
                *count += noise.count(&more);
            }
        }
        let window = law(&noise, mean * PANES as f64, ratio);
        for (start, counts) in (0..).zip(counts.windows(PANES as usize)) {
            let last = start + PANES - 1;
            let p = window.at_least(counts.iter().sum());
            if p < CANDIDATE && last / PER_PERIOD >= WARM_UP {
                unlikely.entry(last / PER_PERIOD).or_default().push((p, stream, last));
            }
        }
        compared.key(&stream.to_string(), counts);
    }
    let (mut ours, mut oracle) = (Found::default(), Found::default());
    let start = compared.start().0;
    for moment in compared.moments() {
        let pane = |time: u64| (time - start) / 10_000;
        let (first, last) = (pane(moment.started_at.0), pane(moment.last_at.0) - 1);
        if last / PER_PERIOD >= WARM_UP && moment.chance.is_some_and(|chance| chance.to_f64() <= LIMIT) {
            ours.note(&planted, moment.key.parse()?, first, last);
        }
    }
    for windows in unlikely.values_mut() {
        windows.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
        let rejected = rejected(windows, (options.streams * PER_PERIOD) as f64);
        rejected.sort_by_key(|(_, stream, last)| (*stream, *last));
        for run in rejected.chunk_by(follows) {
            if let (Some((_, stream, first)), Some((.., last))) = (run.first(), run.last()) {
                oracle.note(&planted, *stream, *first, *last);
            }
        }
    }
    Ok((planted, ours, oracle))
}

/// A window: its probability, its stream and its last pane.
type Unlikely = (f64, u64, u64);

/// Whether two windows are one after the other, so that they are one discovery, as they are one moment.
fn follows((_, stream, last): &Unlikely, (_, other, next): &Unlikely) -> bool {
    stream == other && last + 1 == *next
}

/// The windows that the oracle rejects among `all` windows, of the unlikely ones in the order of their
/// probabilities.
fn rejected(windows: &mut [Unlikely], all: f64) -> &mut [Unlikely] {
    let is_rejected = |rank: &usize| windows[*rank].0 <= LIMIT * (rank + 1) as f64 / all;
    let most = (0..windows.len()).rev().find(is_rejected).map_or(0, |last| last + 1);
    &mut windows[..most]
}
