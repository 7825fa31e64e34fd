use super::check;
use super::sorted::Sorted;
use super::{Side, VarianceFloor};
use crate::aggregate::power_sums::PowerSums;
use crate::detect::Verdict;
use crate::detect::model::{Model, Sample};
use crate::error::ConfigError;

/// The median distance from the median of normal values, in standard deviations.
const MAD_OF_NORMAL: f64 = 0.6745;

/// How far a value departs from the median, in units of the median distance from it: what a few wild samples do not move.
///
/// The **score** is `0.6745 · (x − median) / MAD`, which for normal values and many samples is the z-score (Iglewicz and Hoaglin 1993,
/// who recommend a threshold of 3.5). With few samples it raises more false alarms than a z would: half of them say how wide
/// the spread is. Where more than half of the samples are alike the MAD is 0 and says nothing: the standard deviation takes
/// its place, and if that is 0 too, the least unit of the metric. A [`VarianceFloor`] holds in any case.
///
/// Two binary searches for each window, and 16 bytes a sample, key and rule. Silent for the first 15 samples.
///
/// ```
/// use telemetra_core::{Model, MomentRule, RobustZScore, Side, VarianceFloor};
/// let detector = RobustZScore::new(3.5)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let rule = MomentRule::count("chat_spike", detector.learning(), |messages: &u64| *messages);
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

/// The samples that [`RobustZScore`] looks at.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RobustState {
    samples: Sorted,
    sums: PowerSums,
}

impl RobustZScore {
    /// Scores above `threshold` are anomalous. The last 60 samples, from 15 on, both sides, no floor.
    ///
    /// # Errors
    ///
    /// If the threshold is not above zero and below 38.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::deviations(threshold)?;
        Ok(Self { threshold, min: 15, max: 60, side: Side::Both, floor: VarianceFloor::None })
    }

    /// The fewest samples with which it speaks, and the most it looks at.
    ///
    /// # Errors
    ///
    /// If the range is empty, starts below 3 or ends above 100,000.
    pub fn samples(mut self, samples: std::ops::RangeInclusive<u32>) -> Result<Self, ConfigError> {
        self.min = check::samples("samples", *samples.start(), 3, 100_000)?;
        self.max = check::samples("samples", *samples.end(), self.min, 100_000)?;
        Ok(self)
    }

    /// Which departures matter.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// The least deviation that the samples are believed to have.
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
