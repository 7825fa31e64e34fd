//! The rate at which chance reaches a score: in theory, and by what a rule has found.

use std::collections::BTreeMap;

use super::looks::Level;
use crate::detect::tail::upcrossings;

/// The expected number of chance moments per look, of at least a score, for windows of a number of panes.
#[derive(Clone, Debug)]
pub struct Rates {
    panes: u64,
    known: BTreeMap<Level, f64>,
}

impl Rates {
    /// The rates for windows of so many panes.
    #[must_use]
    pub fn new(panes: u64) -> Self {
        Self { panes, known: BTreeMap::new() }
    }

    /// The rate of a score.
    pub fn of(&mut self, level: Level) -> f64 {
        let panes = self.panes;
        *self.known.entry(level).or_insert_with(|| upcrossings(level.score(), panes))
    }

    /// The greatest level up to `most` that chance reaches at least `number` times in so many looks.
    fn reached(&mut self, looks: f64, number: f64, most: Level) -> Level {
        if looks * self.of(most) >= number {
            return most;
        }
        let (mut low, mut high) = (0, most.0);
        while high - low > 1 {
            let middle = low.midpoint(high);
            if looks * self.of(Level(middle)) >= number { low = middle } else { high = middle }
        }
        Level(low)
    }
}

/// The upper tail of a rule's scores, as its moments have it: above the threshold their number falls by `e` for every
/// `1 / slope`.
#[derive(Copy, Clone, Debug, PartialEq)]
struct Tail {
    threshold: Level,
    looks: f64,
    /// The number of moments at the threshold or above.
    moments: f64,
    /// By hundredth of a score.
    slope: f64,
}

impl Tail {
    /// The range above the threshold in which scores are looked at one by one, in hundredths: where chance makes most moments.
    /// Of those beyond it counts only that they are.
    const REACH: u16 = 100;

    /// The maximum likelihood estimate of an exponential tail, of which what lies beyond the reach is censored.
    fn of(threshold: Level, looks: f64, moments: impl Fn(Level) -> i64) -> Option<Self> {
        let number = moments(threshold);
        let above = |level: u16| moments(Level(threshold.0.saturating_add(level)));
        let inside = number - above(Self::REACH + 1);
        if number < Calibration::LEAST || inside < 1 {
            return None;
        }
        // A score of whole hundredths lies half of one higher on average.
        let excess = (1..=Self::REACH).map(above).sum::<i64>() as f64 + 0.5 * number as f64;
        Some(Self { threshold, looks, moments: number as f64, slope: inside as f64 / excess })
    }

    /// The expected number of moments of at least this score.
    fn expected(&self, level: Level) -> f64 {
        self.moments * (-self.slope * f64::from(level.0.saturating_sub(self.threshold.0))).exp()
    }
}

/// The correction of a rule's scores where its noise scatters more than its detector assumes: the ratio of the level that
/// chance should reach to the one that it does reach, and the tail of the scores above.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Calibration {
    found: Level,
    usual: Level,
    tail: Option<Tail>,
}

impl Calibration {
    /// The least number of moments from which the noise is estimated.
    const LEAST: i64 = 25;
    /// The scores above the threshold at which moments are counted, in hundredths: there most moments are chance.
    const ABOVE: [u16; 3] = [0, 50, 100];

    /// The calibration of a rule by the moments that it has found at the threshold and little above it:
    /// `looks(level)` is the number of looks at which a chance moment was possible, and `moments(level)` the
    /// number of moments found. If this number exceeds the expected number of chance moments by two standard
    /// deviations, a score counts as the level that chance reaches that often. Further above, a score counts as no
    /// rarer than the tail of the rule's own moments makes it.
    pub fn of(
        threshold: Level,
        looks: impl Fn(Level) -> i64,
        moments: impl Fn(Level) -> i64,
        rates: &mut Rates,
    ) -> Self {
        let tail = Tail::of(threshold, looks(threshold) as f64, &moments);
        let mut least = Self { found: Level(1), usual: Level(1), tail };
        for above in Self::ABOVE {
            let found = Level(threshold.0.saturating_add(above));
            let number = moments(found);
            if number < Self::LEAST || found.0 == 0 {
                continue;
            }
            let surely = number as f64 - 2.0 * (number as f64).sqrt();
            let usual = rates.reached(looks(found) as f64, surely, found);
            let here = Self { found, usual, tail };
            if u32::from(here.usual.0) * u32::from(least.found.0)
                < u32::from(least.usual.0) * u32::from(here.found.0)
            {
                least = here;
            }
        }
        least
    }

    /// The level at which noise as the detector knows it is as rare.
    #[must_use]
    pub fn apply(self, level: Level, rates: &mut Rates) -> Level {
        let scaled = self.scaled(level);
        match self.tail {
            Some(tail) if level > tail.threshold => {
                let as_rare = rates.reached(tail.looks, tail.expected(level), scaled);
                // The rule's looks are at its threshold.
                as_rare.max(self.scaled(tail.threshold))
            }
            _ => scaled,
        }
    }

    fn scaled(self, level: Level) -> Level {
        let scaled = u32::from(level.0) * u32::from(self.usual.0) / u32::from(self.found.0.max(1));
        Level(u16::try_from(scaled).unwrap_or(u16::MAX))
    }
}
