//! The false-discovery value of moments: the share of moments at least as extreme that is expected to be chance.
//!
//! This is the arithmetic of the *chance* operator. All keys and rules of a grouping are compared with each
//! other over a period of event time. What a pane adds to the comparison is a few integers: the number of
//! *looks*, and how many moments of each score ended in it. They add up in any order.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use super::tail::upcrossings;
use crate::detect::moment::Moment;
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// The sides and the least baseline of a detector whose scores are normal: how often chance alone reaches a
/// score is then known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NormalScores {
    /// The number of sides on which values are anomalous: 1 or 2, or the sum of several detectors.
    pub sides: u32,
    /// The number of samples in a baseline from which on values are judged.
    pub min_samples: u32,
}

/// The absolute value of a score or threshold in hundredths, rounded down.
///
/// Rounding makes a moment less extreme by at most a hundredth, which raises its chance by up to 4 % at a
/// score of 4, and keeps the number of distinct scores small.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Level(u16);

impl Level {
    /// The level of a score.
    #[must_use]
    pub fn of(score: Micro) -> Self {
        Self(u16::try_from(score.0.unsigned_abs() / 10_000).unwrap_or(u16::MAX))
    }

    /// The least score of this level.
    #[must_use]
    pub fn score(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

/// Looks and moments of one pane, or of several: how many looks there were by threshold, and how many moments
/// ended by score. A look is one side of one window of one key judged by one rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    looks: BTreeMap<Level, i64>,
    moments: BTreeMap<Level, i64>,
}

fn count(counts: &mut BTreeMap<Level, i64>, level: Level, number: i64) {
    match counts.entry(level) {
        Entry::Vacant(_) if number == 0 => {}
        Entry::Vacant(entry) => drop(entry.insert(number)),
        Entry::Occupied(mut entry) => {
            *entry.get_mut() += number;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

impl Looks {
    /// Counts looks, or takes them back.
    pub fn look(&mut self, threshold: Level, number: i64) {
        count(&mut self.looks, threshold, number);
    }

    /// Counts a moment, or takes it back.
    pub fn moment(&mut self, score: Level, number: i64) {
        count(&mut self.moments, score, number);
    }

    /// Adds those of `other`, multiplied by `sign`.
    pub fn add(&mut self, other: &Self, sign: i64) {
        other.looks.iter().for_each(|(level, number)| count(&mut self.looks, *level, sign * number));
        other.moments.iter().for_each(|(level, number)| count(&mut self.moments, *level, sign * number));
    }

    /// Whether nothing is counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.looks.is_empty() && self.moments.is_empty()
    }
}

/// The comparison of all moments of a period of event time, which ends with the newest settled pane.
///
/// A run of anomalous windows is one moment, so the number of chance moments is not that of chance windows:
/// it is the number of looks times the probability that a sliding window is above the score and the one
/// before it is not.
#[derive(Clone, Debug)]
pub struct Comparison {
    period: u64,
    windows: WindowRules,
    state: ComparisonState,
    /// The sum over the period.
    total: Looks,
    /// The end of the period.
    newest: EventTime,
    /// The expected number of chance moments by look, by level.
    rates: BTreeMap<Level, f64>,
}

/// The part of a comparison that is in checkpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonState {
    /// The settled panes of the period, by their end.
    panes: BTreeMap<EventTime, Looks>,
    /// The end of the first pane ever with a look.
    first: Option<EventTime>,
}

impl Comparison {
    /// A comparison over `period` milliseconds.
    #[must_use]
    pub fn new(period: u64, windows: WindowRules) -> Self {
        Self {
            period,
            windows,
            state: ComparisonState::default(),
            total: Looks::default(),
            newest: EventTime::MIN,
            rates: BTreeMap::new(),
        }
    }

    /// Goes on from a checkpoint.
    pub fn restore(&mut self, state: ComparisonState) {
        self.total = Looks::default();
        state.panes.values().for_each(|looks| self.total.add(looks, 1));
        self.state = state;
    }

    /// The state for a checkpoint.
    #[must_use]
    pub fn state(&self) -> &ComparisonState {
        &self.state
    }

    /// Adds what a worker found in a settled pane of the period.
    pub fn add(&mut self, pane: EventTime, looks: &Looks) {
        if !looks.looks.is_empty() {
            let first = self.state.first.get_or_insert(pane);
            *first = pane.min(*first);
        }
        self.total.add(looks, 1);
        self.state.panes.entry(pane).or_default().add(looks, 1);
    }

    /// Moves the end of the period to the newest pane that is settled at `boundary`.
    pub fn advance(&mut self, boundary: EventTime) {
        let windows = &self.windows;
        let settled = boundary.minus(windows.settled_at(EventTime::MIN).0);
        self.newest = windows.windows.pane_start(settled);
        while let Some(oldest) = self.state.panes.first_entry()
            && oldest.key().plus(self.period) <= self.newest
        {
            self.total.add(&oldest.remove(), -1);
        }
    }

    /// The end of the period.
    #[must_use]
    pub fn newest(&self) -> EventTime {
        self.newest
    }

    /// The expected number of chance moments, per look, of at least this score.
    fn rate(&mut self, level: Level) -> f64 {
        let panes = self.windows.windows.panes_per_window();
        *self.rates.entry(level).or_insert_with(|| upcrossings(level.score(), panes))
    }

    /// The expected number of chance moments, in the period, of at least this score.
    fn expected(&mut self, level: Level) -> f64 {
        // A rule has no moments below its threshold.
        let looks: i64 = self.total.looks.range(..=level).map(|(_, number)| number).sum();
        looks as f64 * self.rate(level)
    }

    /// How many chance moments are expected in an hour, and how many moments were found in one.
    pub fn per_hour(&mut self) -> (f64, f64) {
        let looks: Vec<_> = self.total.looks.iter().map(|(level, number)| (*level, *number)).collect();
        let expected: f64 = looks.into_iter().map(|(level, number)| number as f64 * self.rate(level)).sum();
        let found: i64 = self.total.moments.values().sum();
        let hours = self.covered() as f64 / 3_600_000.0;
        if hours > 0.0 { (expected / hours, found as f64 / hours) } else { (0.0, 0.0) }
    }

    /// How much of the period has been looked at.
    fn covered(&self) -> u64 {
        let end = self.newest.plus(self.windows.windows.slide());
        self.state.first.map_or(0, |first| end.0.saturating_sub(first.0)).min(self.period)
    }

    /// The chance of each score among the moments of the period: the least ratio of moments expected to
    /// moments found, over this score and all below it.
    pub fn chances(&mut self) -> BTreeMap<Level, Micro> {
        self.ratios(Level(u16::MAX), 0, 1.0).map(|(level, ratio)| (level, as_chance(ratio))).collect()
    }

    /// The chance of one moment more, in a pane that is not settled, among those of the period. If less than
    /// the period has been looked at, as many looks are assumed for the rest of it. `None` before the first
    /// look is settled.
    pub fn provisional(&mut self, level: Level) -> Option<Micro> {
        let covered = self.covered();
        if covered == 0 {
            return None;
        }
        let more = self.period as f64 / covered as f64;
        let least = self.ratios(level, 1, more).last().map_or(1.0, |(_, ratio)| ratio);
        Some(as_chance(least))
    }

    /// For scores up to `level`, the ratio of moments expected, times `more`, to moments found, with as many
    /// `besides` of `level`; the least of those so far.
    fn ratios(&mut self, level: Level, besides: i64, more: f64) -> impl Iterator<Item = (Level, f64)> {
        let mut found = self.total.moments.clone();
        let mut above: i64 = besides + found.values().sum::<i64>();
        if besides > 0 {
            found.entry(level).or_default();
            found.retain(|other, _| *other <= level);
        }
        let mut least = 1.0_f64;
        found.into_iter().map(move |(level, number)| {
            least = least.min(more * self.expected(level) / above.max(1) as f64);
            above -= number;
            (level, least)
        })
    }
}

/// A probability, rounded up to millionths: nothing is certain.
fn as_chance(probability: f64) -> Micro {
    Micro(((probability * 1e6).ceil() as i64).clamp(1, Micro::SCALE))
}

impl<K: Key> Moment<K> {
    /// The level of its score; `None` if its detector's scores say nothing of chance.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.comparable.then(|| Level::of(self.score))
    }
}
