use std::ops::RangeInclusive;

use super::tail::{critical_t, score_of};
use super::{Side, VarianceFloor, check, poisson};
use crate::detect::{Baseline, Detector, Verdict};
use crate::error::ConfigError;

/// A threshold that asks a value to lie further out than this many deviations is never met.
const FURTHEST: f64 = 100.0;
/// The longest baseline.
const MOST_SAMPLES: u32 = 10_000;
/// Below this a count is no moment, whatever its baseline, unless set otherwise.
const LEAST_COUNT: f64 = 10.0;

/// How many standard deviations a value departs from its baseline, with due doubt of small samples.
///
/// For a baseline of `n` samples with mean `m` and deviation `s` the statistic is the predictive
/// `t = (x − m) / (s √(1 + 1/n))` with `n − 1` degrees of freedom. The **score** is the `z` of a standard normal with
/// the same tail, so that a threshold of 3 promises the same 1.35 false alarms in a thousand windows, on each
/// side, with 8 samples as with 30. (A plain z with 8 samples raises nine times as many.) Scores end at ±38.
///
/// Counts, which is what [`VarianceFloor::Poisson`] is for, have a law of their own: unless the samples scatter more than independent
/// events do (Fisher's index of dispersion, at 1 in 5), the score is that of the exact test of a count against earlier
/// ones, which estimates no deviation at all. So the promise holds for few events and for few samples. Counts that
/// scatter more are judged by their own deviation, by the t.
///
/// Where another floor takes the place of `s` the degrees of freedom stay `n − 1`, although less is in doubt then:
/// the score errs on the side of silence. The promise is made for samples that are roughly normal.
///
/// Sources: the predictive t, Student 1908; a count against counts, Przyborowski and Wilenski 1940.
///
/// Judging costs the same for any length of baseline; the exact score is only computed of what is anomalous.
///
/// ```
/// use telemetra_core::{Baseline, Detector, PowerSums, Side, VarianceFloor, ZScore};
/// let detector = ZScore::new(3.0)?.samples(8..=30)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let mut sums = PowerSums::default();
/// for messages in [40, 44, 39, 41, 38, 43, 40, 42] {
///     sums.add(messages);
/// }
/// let baseline = Baseline { sums, scale: 1, samples: &() };
/// assert_eq!(detector.judge(60, &baseline), None);
/// let verdict = detector.judge(90, &baseline).unwrap();
/// assert!(verdict.score > 3.0 && verdict.mean > 40.0);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ZScore {
    threshold: f64,
    min: u32,
    max: u32,
    side: Side,
    floor: VarianceFloor,
    min_value: Option<f64>,
    /// By number of samples, from `min`: the square of the critical t, times `1 + 1/n`.
    limits: Vec<f64>,
    /// The square of how many deviations a count must at least be out to be worth an exact look.
    surely_calm: f64,
}

impl ZScore {
    /// Scores beyond `threshold` are anomalous. Baselines of 8 to 30 samples, both sides, no floor.
    ///
    /// # Errors
    ///
    /// If the threshold is not above zero and finite, or so great that 8 samples can never reach it.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::deviations(threshold)?;
        let (side, floor) = (Side::default(), VarianceFloor::default());
        // By the exact score no count is further out than 1/0.6 of its distance in deviations, which is reached below
        // the mean, where a count ends at 0.
        let surely_calm = (0.6 * threshold).powi(2);
        Self { threshold, min: 0, max: 0, side, floor, min_value: None, limits: Vec::new(), surely_calm }
            .samples(8..=30)
    }

    /// The fewest samples with which it speaks, and the most it looks at.
    ///
    /// # Errors
    ///
    /// If the range is empty, starts below 2, ends above 10,000, or starts so low that the threshold would only be met more
    /// than a hundred deviations out: with 2 samples and a threshold of 3, say, it would be 235.
    pub fn samples(mut self, samples: RangeInclusive<u32>) -> Result<Self, ConfigError> {
        let (min, max) = (*samples.start(), *samples.end());
        let refused = |detail: String, hint: &str| Err(ConfigError::new("samples", detail, hint));
        if min < 2 || min > max || max > MOST_SAMPLES {
            return refused(
                format!("{min} to {max} is no range of samples to take a deviation of"),
                "take at least 2, better 8, and at most 10000",
            );
        }
        self.limits.clear();
        for n in min..=max {
            let n = f64::from(n);
            let Some(t) = critical_t(self.threshold, n - 1.0, FURTHEST) else {
                return refused(
                    format!(
                        "with {n} samples a score of {} takes a value more than {FURTHEST} deviations out",
                        self.threshold
                    ),
                    "ask for more samples, or lower the threshold",
                );
            };
            self.limits.push(t * t * (1.0 + 1.0 / n));
        }
        (self.min, self.max) = (min, max);
        Ok(self)
    }

    /// Which departures matter.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// The least deviation that a baseline is believed to have.
    ///
    /// # Errors
    ///
    /// If a number in it is negative or not finite.
    pub fn floor(mut self, floor: VarianceFloor) -> Result<Self, ConfigError> {
        self.floor = check::floor(floor)?;
        Ok(self)
    }

    /// No moment while both the value and the baseline's mean are nearer to zero than this, in the metric's own units:
    /// from 0 to 3 is far for statistics, and nothing to tell anybody of. By default 10 with [`VarianceFloor::Poisson`],
    /// which is for counts, otherwise 0, which is off.
    ///
    /// # Errors
    ///
    /// If it is negative or not finite.
    pub fn min_value(mut self, least: f64) -> Result<Self, ConfigError> {
        if !(least.is_finite() && least >= 0.0) {
            return Err(ConfigError::new(
                "min_value",
                format!("{least} is no least value"),
                "take a finite number that is not negative; 0 is off",
            ));
        }
        self.min_value = Some(least);
        Ok(self)
    }

    fn least(&self) -> f64 {
        self.min_value.unwrap_or(if self.floor == VarianceFloor::Poisson { LEAST_COUNT } else { 0.0 })
    }
}

impl Detector for ZScore {
    fn method(&self) -> &'static str {
        "zscore"
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }

    fn min_samples(&self) -> u32 {
        self.min
    }

    fn max_samples(&self) -> u32 {
        self.max
    }

    fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict> {
        let sums = &baseline.sums;
        let samples = u32::try_from(sums.count).unwrap_or(u32::MAX);
        // More samples than asked for are judged as strictly as the most asked for.
        let limit = *self.limits.get(samples.min(self.max).checked_sub(self.min)? as usize)?;
        let n = sums.count as f64;
        // Exact up to the division: a small departure from a great mean loses no digit.
        let departure =
            i128::from(value).wrapping_mul(i128::from(sums.count)).wrapping_sub(sums.sum) as f64 / n;
        if !self.side.takes(departure) {
            return None;
        }
        let (mean, scale) = (sums.mean()?, baseline.scale.max(1) as f64);
        let is_count = self.floor == VarianceFloor::Poisson && value >= 0 && mean >= 0.0;
        // By whichever law. Most windows end here.
        if is_count && departure * departure <= self.surely_calm * mean * scale {
            return None;
        }
        let own = sums.sample_variance()?;
        let variance = own.max(self.floor.variance(mean, n, scale));
        let score = if is_count && !poisson::is_overdispersed(own, mean * scale, n) {
            let score = poisson::score(value as f64 / scale, sums.sum as f64 / scale, n).abs();
            Some(score).filter(|score| *score >= self.threshold)?
        } else {
            if departure * departure <= limit * variance {
                return None;
            }
            let t = departure.abs() / (variance * (1.0 + 1.0 / n)).sqrt();
            // Rounding must not leave a score below the threshold that was just crossed.
            score_of(t, n - 1.0).max(self.threshold)
        };
        if (value as f64).abs().max(mean.abs()) < self.least() * scale {
            return None;
        }
        Some(Verdict {
            score: score.copysign(departure),
            mean: mean / scale,
            stddev: variance.sqrt() / scale,
        })
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        let mut other = Self::new(threshold)?.samples(self.min..=self.max)?;
        (other.side, other.floor, other.min_value) = (self.side, self.floor, self.min_value);
        Ok(other)
    }
}
