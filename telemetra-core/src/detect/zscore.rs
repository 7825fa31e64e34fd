//! The default detector: the z-score.

use std::ops::RangeInclusive;

use super::tail::{critical_t, score_of};
use super::{Side, VarianceFloor, check, poisson};
use crate::aggregate::power_sums::PowerSums;
use crate::detect::chance::NormalScores;
use crate::detect::{Baseline, Detector, Means, Verdict};
use crate::error::ConfigError;

/// The greatest distance in deviations at which a threshold may be met. Beyond, it would never be met.
const FURTHEST: f64 = 100.0;
/// The greatest length of a baseline.
const MOST_SAMPLES: u32 = 10_000;
/// The default for the least count that is anomalous.
const LEAST_COUNT: f64 = 10.0;

/// The default detector: the distance of a value from the mean of its baseline in standard deviations,
/// corrected for small samples.
///
/// For a baseline of `n` samples with mean `m` and standard deviation `s`, the statistic is the predictive
/// `t = (x − m) / (s √(1 + 1/n))` with `n − 1` degrees of freedom. The **score** is the `z` at which a
/// standard normal has the same tail probability. So a threshold of 3 means 1.35 false alarms in a thousand
/// windows, on each side, with 8 samples as well as with 30. (A plain z with 8 samples raises nine times as
/// many.) Scores are limited to ±38.
///
/// With [`VarianceFloor::Poisson`], values are counts. Unless the samples vary more than counts of
/// independent events (by Fisher's index of dispersion, at 1 in 5), the score is that of the exact test of a
/// count against earlier counts, which needs no estimate of the deviation. So the rate of false alarms is as
/// stated also for few events and few samples.
///
/// The score of counts that vary more is the least of three: that of the t, that of the exact test, and above
/// the mean that of the t without the skew of such counts. (The t alone overstates the score where counts are
/// small, since their distribution is skewed.)
///
/// With a metric that is a [mean](crate::MomentRule::mean) of `k` events, the score is the lesser of two. The
/// first is the t above. The second is `t = (x − M) / (S √(1/k + 1/K))`, where the `K` events of the baseline
/// have the mean `M`, and `S²` is the sum of the squared deviations from `M`, each counted once for each of its
/// events, over `n − 1`. The first is exact if all variance is between windows, the second if all is within
/// them; with both, one of the two is too high for an unusual `k`, and the lesser one is not. So a window of
/// few events must depart further, in proportion to `1/√k`, and the score of a window of many is limited by
/// the variance between windows.
///
/// With another floor in place of `s`, the degrees of freedom are still `n − 1`, which gives lower scores and
/// fewer alarms. The rate of false alarms is as stated if samples are roughly normal.
///
/// Sources: the predictive t, Student 1908; a count against counts, Przyborowski and Wilenski 1940.
///
/// The cost does not depend on the length of the baseline. The exact score is computed only for anomalous
/// values.
///
/// ```
/// use telemetra_core::{Baseline, Detector, PowerSums, Side, VarianceFloor, ZScore};
/// let detector = ZScore::new(3.0)?.samples(8..=30)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let mut sums = PowerSums::default();
/// for requests in [40, 44, 39, 41, 38, 43, 40, 42] {
///     sums.add(requests);
/// }
/// let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
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
    /// The square of the critical t times `1 + 1/n`, by number of samples, from `min`.
    limits: Vec<f64>,
    /// The square of a number of deviations within which no count is anomalous.
    clearly_usual: f64,
}

impl ZScore {
    /// A detector for scores above `threshold`, with baselines of 8 to 30 samples, both sides, no floor.
    ///
    /// # Errors
    ///
    /// If the threshold is not above zero and finite, or so great that 8 samples can never reach it.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::deviations(threshold)?;
        let (side, floor) = (Side::default(), VarianceFloor::default());
        // The exact score of a count is at most 1/0.6 of its distance in deviations, which is reached below
        // the mean for a count of 0.
        let clearly_usual = (0.6 * threshold).powi(2);
        Self { threshold, min: 0, max: 0, side, floor, min_value: None, limits: Vec::new(), clearly_usual }
            .samples(8..=30)
    }

    /// Sets the least number of samples for a verdict, and the length of the baseline.
    ///
    /// # Errors
    ///
    /// If the range is empty, starts below 2 or ends above 10,000, or if with the least number of samples
    /// only values more than a hundred deviations from the mean would be anomalous: with 2 samples and a
    /// threshold of 3 it would be 235 deviations.
    ///
    /// ```
    /// use telemetra_core::ZScore;
    /// assert!(ZScore::new(3.0)?.samples(20..=60).is_ok());
    /// let refused = ZScore::new(3.0)?.samples(2..=60).unwrap_err();
    /// assert!(refused.to_string().contains("with 2 samples"), "{refused}");
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn samples(mut self, samples: RangeInclusive<u32>) -> Result<Self, ConfigError> {
        let (min, max) = (*samples.start(), *samples.end());
        let refused = |detail: String, hint: &str| Err(ConfigError::new("samples", detail, hint));
        if min < 2 || min > max || max > MOST_SAMPLES {
            return refused(
                format!("{min} to {max} is not a valid range of samples"),
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

    /// Sets the side on which values are anomalous.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// Sets the floor of the standard deviation.
    ///
    /// # Errors
    ///
    /// If a number in it is negative or not finite.
    pub fn floor(mut self, floor: VarianceFloor) -> Result<Self, ConfigError> {
        self.floor = check::floor(floor)?;
        Ok(self)
    }

    /// Sets a least absolute value, in the metric's own units: a window is not anomalous if both the value
    /// and the baseline's mean are below it. A change from 0 to 3 may be significant and still not worth a
    /// report. The default is 10 with [`VarianceFloor::Poisson`], otherwise 0, which has no effect.
    ///
    /// # Errors
    ///
    /// If it is negative or not finite.
    pub fn min_value(mut self, least: f64) -> Result<Self, ConfigError> {
        if !(least.is_finite() && least >= 0.0) {
            return Err(ConfigError::new(
                "min_value",
                format!("the least value {least} is negative or not finite"),
                "take a finite number that is not negative; 0 is off",
            ));
        }
        self.min_value = Some(least);
        Ok(self)
    }

    /// The verdict if the value is anomalous on a side.
    fn judge_on(&self, side: Side, value: i64, baseline: &Baseline<'_>) -> Option<Verdict> {
        let sums = &baseline.sums;
        let samples = u32::try_from(sums.count).unwrap_or(u32::MAX);
        // With more samples than the greatest number, the limit for the greatest number applies.
        let limit = *self.limits.get(samples.min(self.max).checked_sub(self.min)? as usize)?;
        let n = sums.count as f64;
        // The numerator is exact, so a small departure from a great mean loses no digit.
        let departure =
            i128::from(value).wrapping_mul(i128::from(sums.count)).wrapping_sub(sums.sum) as f64 / n;
        if !side.takes(departure) {
            return None;
        }
        let (mean, scale) = (sums.mean()?, baseline.scale.max(1) as f64);
        let is_count = self.floor == VarianceFloor::Poisson && value >= 0 && mean >= 0.0;
        // Most windows are decided here.
        if is_count && departure * departure <= self.clearly_usual * mean * scale {
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
            // Rounding must not lower the score below the threshold.
            let score = score_of(t, n - 1.0).max(self.threshold);
            let lesser = match baseline.means {
                _ if is_count => self.score_of_count(value as f64 / scale, sums, t, variance, scale)?,
                Some(means) => self.score_of_mean(value, departure, means, n)?,
                None => score,
            };
            score.min(lesser)
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

    /// The lesser of the score without the skew of the counts and of the exact score, if it reaches the
    /// threshold.
    fn score_of_count(&self, x: f64, sums: &PowerSums, t: f64, variance: f64, scale: f64) -> Option<f64> {
        let (sum, n) = (sums.sum as f64 / scale, sums.count as f64);
        let exact = poisson::score(x, sum, n);
        let skewed = match exact > 0.0 {
            true => score_of(poisson::without_skew(t, sum / n, variance / (scale * scale)), n - 1.0),
            false => f64::INFINITY,
        };
        Some(exact.abs().min(skewed)).filter(|score| *score >= self.threshold)
    }

    /// The score if all variance is within windows, if it reaches the threshold on the side of `departure`.
    fn score_of_mean(&self, value: i64, departure: f64, means: &Means, n: f64) -> Option<f64> {
        let (sums, events) = (&means.sums, means.events as f64);
        let of_events = sums.departure(value)?;
        // A mean of no events says nothing.
        if of_events * departure <= 0.0 || means.events == 0 {
            return None;
        }
        let variance = sums.squares()? / (n - 1.0) * (1.0 / events + 1.0 / sums.events as f64);
        Some(score_of(of_events.abs() / variance.sqrt(), n - 1.0)).filter(|score| *score >= self.threshold)
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
        self.judge_on(self.side, value, baseline)
    }

    fn judge_or_departs(&self, value: i64, baseline: &Baseline<'_>) -> Result<Verdict, bool> {
        let verdict = self.judge_on(Side::Both, value, baseline).ok_or(false)?;
        // The score has the sign of the departure.
        if self.side.takes(verdict.score) { Ok(verdict) } else { Err(true) }
    }

    fn departs(&self, value: i64, baseline: &Baseline<'_>) -> bool {
        self.side.other().is_some_and(|side| self.judge_on(side, value, baseline).is_some())
    }

    fn quiet_below(&self) -> f64 {
        self.least()
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        Some(NormalScores { sides: self.side.count(), min_samples: self.min })
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        let mut other = Self::new(threshold)?.samples(self.min..=self.max)?;
        (other.side, other.floor, other.min_value) = (self.side, self.floor, self.min_value);
        Ok(other)
    }
}
