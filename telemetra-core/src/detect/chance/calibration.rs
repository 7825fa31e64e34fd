//! The frequency with which chance reaches a score: in theory, and by the moments that a rule has found.

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
    /// The rates for windows of this many panes.
    #[must_use]
    pub fn new(panes: u64) -> Self {
        Self { panes, known: BTreeMap::new() }
    }

    /// The rate of a score.
    pub fn of(&mut self, level: Level) -> f64 {
        let panes = self.panes;
        *self.known.entry(level).or_insert_with(|| upcrossings(level.score(), panes))
    }
}

/// The factor by which the scores of a rule are too great, as a ratio of levels: its noise varies more than
/// its detector assumes.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Calibration {
    found: Level,
    usual: Level,
}

impl Calibration {
    /// The least number of moments from which the noise is estimated.
    const LEAST: i64 = 25;
    /// The scores above the threshold at which moments are counted, in hundredths: there most moments are
    /// chance.
    const ABOVE: [u16; 3] = [0, 50, 100];

    /// The calibration of a rule by the moments that it has found at the threshold and little above it:
    /// `looks(level)` is the number of looks at which a chance moment was possible, and `moments(level)` the
    /// number of moments found. If this number exceeds the expected number of chance moments by two standard
    /// deviations, a score counts as the level that chance reaches that often.
    pub fn of(
        threshold: Level,
        looks: impl Fn(Level) -> i64,
        moments: impl Fn(Level) -> i64,
        rates: &mut Rates,
    ) -> Self {
        let mut least = Self { found: Level(1), usual: Level(1) };
        for above in Self::ABOVE {
            let found = Level(threshold.0.saturating_add(above));
            let number = moments(found);
            if number < Self::LEAST || found.0 == 0 {
                continue;
            }
            let surely = number as f64 - 2.0 * (number as f64).sqrt();
            let looks = looks(found) as f64;
            let (mut low, mut high) = (0, found.0);
            if looks * rates.of(found) >= surely {
                continue;
            }
            // The greatest level that chance reaches at least as often.
            while high - low > 1 {
                let middle = low.midpoint(high);
                if looks * rates.of(Level(middle)) >= surely { low = middle } else { high = middle }
            }
            let here = Self { found, usual: Level(low) };
            if u32::from(here.usual.0) * u32::from(least.found.0)
                < u32::from(least.usual.0) * u32::from(here.found.0)
            {
                least = here;
            }
        }
        least
    }

    /// The level that is as rare in noise as the detector assumes.
    #[must_use]
    pub fn apply(self, level: Level) -> Level {
        let scaled = u32::from(level.0) * u32::from(self.usual.0) / u32::from(self.found.0.max(1));
        Level(u16::try_from(scaled).unwrap_or(u16::MAX))
    }
}
