//! The false-discovery value of moments: the share of moments at least as extreme that is expected to be chance.
//!
//! This is the arithmetic of the *chance* operator. All keys and rules of a grouping are compared with each
//! other over a period of event time. Each pane adds a few integers to the comparison: the number of *looks*,
//! and the number of moments of each score that ended in it. Their sum does not depend on the order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

mod calibration;
mod looks;

pub use calibration::{Calibration, Rates};
pub use looks::{Level, Looks};
use looks::{OfRule, count};

use crate::detect::moment::Moment;
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// The sides and the least baseline of a detector with normal scores, for which the probability of a score by
/// chance is known.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct NormalScores {
    /// The number of sides on which values are anomalous: 1 or 2, or the sum of several detectors.
    pub sides: u32,
    /// The number of samples in a baseline from which on values are judged.
    pub min_samples: u32,
}

/// Looks and moments of all rules of a period, by calibrated scores.
#[derive(Clone, Debug, Default)]
struct Calibrated {
    of_rules: BTreeMap<u16, Calibration>,
    looks: BTreeMap<Level, i64>,
    moments: BTreeMap<Level, i64>,
}

impl Calibrated {
    fn level(&self, rule: u16, level: Level) -> Level {
        self.of_rules.get(&rule).map_or(level, |calibration| calibration.apply(level))
    }

    /// The expected number of chance moments, in the period, of at least this score.
    fn expected(&self, level: Level, rates: &mut Rates) -> f64 {
        // A rule has no moments below its threshold.
        let looks: i64 = self.looks.range(..=level).map(|(_, number)| number).sum();
        looks as f64 * rates.of(level)
    }
}

/// The comparison of all moments of a period of event time, which ends with the newest settled pane.
///
/// A run of anomalous windows is one moment, so the number of chance moments differs from the number of
/// chance windows: it is the number of looks times the probability that a sliding window is above the score
/// and the window before it is not.
///
/// If a rule finds more moments than chance alone would make, most of them little above the threshold, then
/// its noise varies more than its detector assumes, and its scores are [calibrated](Calibration).
#[derive(Clone, Debug)]
pub struct Comparison {
    period: u64,
    windows: WindowRules,
    state: ComparisonState,
    /// The sum over the period.
    total: Looks,
    /// The sums by calibrated scores; `None` until they are needed.
    calibrated: Option<Calibrated>,
    /// The end of the period.
    newest: EventTime,
    rates: Rates,
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
            calibrated: None,
            newest: EventTime::MIN,
            rates: Rates::new(windows.windows.panes_per_window()),
        }
    }

    /// Continues from a checkpoint.
    pub fn restore(&mut self, state: ComparisonState) {
        self.total = Looks::default();
        state.panes.values().for_each(|looks| self.total.add(looks, 1));
        self.state = state;
        self.calibrated = None;
    }

    /// The state for a checkpoint.
    #[must_use]
    pub fn state(&self) -> &ComparisonState {
        &self.state
    }

    /// Adds the counts that a worker found in a settled pane of the period.
    pub fn add(&mut self, pane: EventTime, looks: &Looks) {
        if looks.has_looks() {
            let first = self.state.first.get_or_insert(pane);
            *first = pane.min(*first);
        }
        self.total.add(looks, 1);
        self.state.panes.entry(pane).or_default().add(looks, 1);
        self.calibrated = None;
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
            self.calibrated = None;
        }
    }

    /// The end of the period.
    #[must_use]
    pub fn newest(&self) -> EventTime {
        self.newest
    }

    fn calibrated(&mut self) -> &Calibrated {
        let (total, rates) = (&self.total, &mut self.rates);
        self.calibrated.get_or_insert_with(|| {
            let mut calibrated = Calibrated::default();
            for (&rule, OfRule { looks, moments }) in &total.0 {
                let threshold = looks.keys().next().copied().unwrap_or(Level(0));
                let looks_at = |level| looks.range(..=level).map(|(_, number)| number).sum();
                let moments_at = |level| moments.range(level..).map(|(_, number)| number).sum();
                let calibration = Calibration::of(threshold, looks_at, moments_at, rates);
                calibrated.of_rules.insert(rule, calibration);
                for (level, number) in looks {
                    count(&mut calibrated.looks, calibration.apply(*level), *number);
                }
                for (level, number) in moments {
                    count(&mut calibrated.moments, calibration.apply(*level), *number);
                }
            }
            calibrated
        })
    }

    /// The number of chance moments expected per hour, and the number of moments found per hour.
    pub fn per_hour(&mut self) -> (f64, f64) {
        let hours = self.covered() as f64 / 3_600_000.0;
        self.calibrated();
        let (Some(calibrated), rates) = (&self.calibrated, &mut self.rates) else { return (0.0, 0.0) };
        let expected: f64 =
            calibrated.looks.iter().map(|(level, number)| *number as f64 * rates.of(*level)).sum();
        let found: i64 = calibrated.moments.values().sum();
        if hours > 0.0 { (expected / hours, found as f64 / hours) } else { (0.0, 0.0) }
    }

    /// The part of the period that has been looked at.
    fn covered(&self) -> u64 {
        let end = self.newest.plus(self.windows.windows.slide());
        self.state.first.map_or(0, |first| end.0.saturating_sub(first.0)).min(self.period)
    }

    /// The chance of a moment of the period, with a score of a rule: the least ratio of moments expected to
    /// moments found, over this score and all below it.
    pub fn chance(&mut self, rule: u16, level: Level) -> Micro {
        self.least_ratio(rule, level, 0, 1.0)
    }

    /// The chance of one additional moment, in a pane that is not settled, compared with those of the period.
    /// If only a part of the period has been looked at, as many looks are assumed for the rest. `None` before
    /// the first look is settled.
    pub fn provisional(&mut self, rule: u16, level: Level) -> Option<Micro> {
        let covered = self.covered();
        (covered > 0).then(|| self.least_ratio(rule, level, 1, self.period as f64 / covered as f64))
    }

    /// The least ratio, up to a score, of moments expected, times `more`, to those found and `besides`.
    fn least_ratio(&mut self, rule: u16, level: Level, besides: i64, more: f64) -> Micro {
        let own = self.calibrated().level(rule, level);
        let (Some(calibrated), rates) = (&self.calibrated, &mut self.rates) else {
            return Micro(Micro::SCALE);
        };
        let mut above: i64 = besides + calibrated.moments.values().sum::<i64>();
        let mut least = 1.0_f64;
        for (level, number) in calibrated.moments.range(..own) {
            least = least.min(more * calibrated.expected(*level, rates) / above.max(1) as f64);
            above -= number;
        }
        as_chance(least.min(more * calibrated.expected(own, rates) / above.max(1) as f64))
    }
}

/// A probability, rounded up to millionths, so that it is never zero.
fn as_chance(probability: f64) -> Micro {
    Micro(((probability * 1e6).ceil() as i64).clamp(1, Micro::SCALE))
}

impl<K: Key> Moment<K> {
    /// The level of the moment's score; `None` if its detector's scores are not normal. With a hysteresis or
    /// a minimum duration the score may be below the threshold: the looks are then those at the threshold.
    #[must_use]
    pub fn level(&self) -> Option<Level> {
        self.comparable.then(|| Level::of(self.score).max(Level::of(self.threshold)))
    }
}
