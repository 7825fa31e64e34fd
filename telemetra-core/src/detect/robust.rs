//! The detector by median and median absolute deviation.

use super::check;
use super::sorted::Sorted;
use super::{Side, VarianceFloor};
use crate::aggregate::power_sums::PowerSums;
use crate::detect::Verdict;
use crate::detect::model::{Model, Sample};
use crate::error::ConfigError;

/// The median absolute deviation of a normal distribution, in standard deviations.
const MAD_OF_NORMAL: f64 = 0.6745;

/// A detector that measures the distance of a value from the median, in units of the median absolute
/// deviation (MAD). A few outliers among the samples hardly change it.
///
/// The **score** is `0.6745 · (x − median) / MAD`, which equals the z-score for normal values and many
/// samples (Iglewicz and Hoaglin 1993, who recommend a threshold of 3.5). With few samples it raises more
/// false alarms than a z-score, since the MAD is less exact than a standard deviation. If more than half of
/// the samples are equal, the MAD is 0; the standard deviation is then used instead, and if that is 0 too,
/// the least unit of the metric. A [`VarianceFloor`] applies in each case.
///
/// Evaluating a window takes two binary searches. The state takes 16 bytes per sample, key and rule. There is
/// no verdict on the first 15 samples.
///
/// ```
/// use telemetra_core::{Model, MomentRule, RobustZScore, Side, VarianceFloor};
/// let detector = RobustZScore::new(3.5)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let rule = MomentRule::count("spike", detector.learning(), |requests: &u64| *requests);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RobustZScore {
    threshold: f64,
    min: u32,
    max: u32,
    side: Side,
    floor: VarianceFloor,
}

/// The state of [`RobustZScore`]: its samples.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RobustState {
    samples: Sorted,
    sums: PowerSums,
}

impl RobustZScore {
    /// A detector for scores above `threshold`, with 15 to 60 samples, both sides, no floor.
    ///
    /// # Errors
    ///
    /// If the threshold is not above zero and below 38.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::deviations(threshold)?;
        Ok(Self { threshold, min: 15, max: 60, side: Side::Both, floor: VarianceFloor::None })
    }

    /// Sets the least number of samples for a verdict, and the greatest number that is kept.
    ///
    /// # Errors
    ///
    /// If the range is empty, starts below 3 or ends above 100,000.
    pub fn samples(mut self, samples: std::ops::RangeInclusive<u32>) -> Result<Self, ConfigError> {
        self.min = check::samples("samples", *samples.start(), 3, 100_000)?;
        self.max = check::samples("samples", *samples.end(), self.min, 100_000)?;
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
}

impl Model for RobustZScore {
    type State = RobustState;

    fn method(&self) -> &'static str {
        "robust_zscore"
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { threshold: check::deviations(threshold)?, ..self.clone() })
    }

    fn min_samples(&self) -> u32 {
        self.min
    }

    fn judge(&self, RobustState { samples, sums }: &RobustState, sample: &Sample) -> Option<Verdict> {
        let twice = samples.median_twice()?;
        let departure = (2 * i128::from(sample.value) - twice) as f64 / 2.0;
        if !self.side.takes(departure) {
            return None;
        }
        let (median, scale) = (twice as f64 / 2.0, sample.scale as f64);
        let mad = samples.spread_twice(twice)? as f64 / 2.0;
        let floor = self.floor.variance(median, samples.len() as f64, scale).sqrt();
        let spread = if mad > 0.0 { mad / MAD_OF_NORMAL } else { sums.sample_variance()?.sqrt() };
        let deviation = if spread > 0.0 { spread.max(floor) } else { floor.max(1.0) };
        let score = departure.abs() / deviation;
        (score >= self.threshold)
            .then(|| check::verdict(self.side, departure, score, median / scale, deviation / scale))
            .flatten()
    }

    fn learn(&self, state: &mut RobustState, sample: &Sample, _anomalous: bool) {
        state.sums.add(sample.value);
        if let Some(oldest) = state.samples.push(sample.value, self.max as usize) {
            state.sums.remove(oldest);
        }
    }
}
