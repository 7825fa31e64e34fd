//! The detector by exponentially weighted mean and variance.

use serde::{Deserialize, Serialize};

use super::check;
use super::tail::score_of;
use super::{Side, VarianceFloor};
use crate::detect::Verdict;
use crate::detect::chance::NormalScores;
use crate::detect::model::{Model, Sample};
use crate::error::ConfigError;

/// A detector that compares a value with an exponentially weighted moving average, in standard deviations. It
/// suits metrics that drift.
///
/// With weight `α`, a value `x` changes mean `m` and variance `s²` by `m ← m + α (x − m)` and
/// `s² ← (1 − α)(s² + α (x − m)²)`; the first `1/α` values all have the same weight. Such a mean is as good
/// as one of `n = (2 − α)/α` values, and the **score** is that of the predictive t with `n − 1` degrees of
/// freedom, on the scale of a standard normal, as for [`ZScore`](crate::ZScore). (Roberts 1959; the variance
/// by West 1979.)
///
/// With [`probabilistic`](Self::probabilistic), unlikely values have less weight: PEWMA, by Carter and
/// Streilein 2012.
///
/// The cost does not depend on the weight. The state takes 24 bytes per key and rule. There is no verdict on
/// the first 8 samples, or as many as are set.
///
/// ```
/// use telemetra_core::{Ewma, Model, MomentRule, Side, VarianceFloor};
/// let detector = Ewma::new(3.0)?.weight(0.1)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let rule = MomentRule::count("spike", detector.learning(), |requests: &u64| *requests);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ewma {
    threshold: f64,
    weight: f64,
    doubt: f64,
    min: u32,
    side: Side,
    floor: VarianceFloor,
}

/// The state of [`Ewma`], in fixed-point units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EwmaState {
    count: u64,
    mean: f64,
    variance: f64,
}

impl Ewma {
    /// A detector for scores above `threshold`, with weight 0.05, both sides, no floor, from 8 samples on.
    ///
    /// # Errors
    ///
    /// If the threshold is not above zero and finite.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self {
            threshold: check::deviations(threshold)?,
            weight: 0.05,
            doubt: 0.0,
            min: 8,
            side: Side::Both,
            floor: VarianceFloor::None,
        })
    }

    /// Sets the weight of the newest value.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn weight(mut self, weight: f64) -> Result<Self, ConfigError> {
        self.weight = check::share("weight", weight, "0.05 follows about 40 windows")?;
        Ok(self)
    }

    /// Reduces the weight of unlikely values: with `p` the likelihood of a value as a share of the greatest
    /// likelihood, its weight is that of [`weight`](Self::weight) times `1 − doubt · (1 − p)`.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn probabilistic(mut self, doubt: f64) -> Result<Self, ConfigError> {
        self.doubt = check::share("doubt", doubt, "0.9 learns little from what is unlikely")?;
        Ok(self)
    }

    /// Sets the least number of samples for a verdict.
    ///
    /// # Errors
    ///
    /// If it is less than 3.
    pub fn min_samples(mut self, samples: u32) -> Result<Self, ConfigError> {
        self.min = check::samples("min_samples", samples, 3, 1_000_000)?;
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

    /// The number of equally weighted values that the mean is as good as, and the variance after the floor.
    fn worth(&self, state: &EwmaState, scale: f64) -> (f64, f64) {
        let n = ((2.0 - self.weight) / self.weight).min(state.count as f64);
        // Corrects the bias of the weighted variance, for few values and for many.
        let variance = state.variance * n / (n - 1.0);
        (n, variance.max(self.floor.variance(state.mean, n, scale)))
    }
}

impl Model for Ewma {
    type State = EwmaState;

    fn method(&self) -> &'static str {
        if self.doubt > 0.0 { "pewma" } else { "ewma" }
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        Some(NormalScores { sides: self.side.count(), min_samples: self.min })
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { threshold: check::deviations(threshold)?, ..self.clone() })
    }

    fn min_samples(&self) -> u32 {
        self.min
    }

    fn judge(&self, state: &EwmaState, sample: &Sample) -> Option<Verdict> {
        let scale = sample.scale as f64;
        let (n, variance) = self.worth(state, scale);
        let departure = sample.value as f64 - state.mean;
        let spread = (variance * (1.0 + 1.0 / n)).sqrt();
        // The tails of t are heavier than those of the normal, so this is not anomalous by either.
        if !self.side.takes(departure) || departure.abs() <= self.threshold * spread {
            return None;
        }
        let score = score_of(departure.abs() / spread, n - 1.0);
        (score >= self.threshold)
            .then(|| check::verdict(self.side, departure, score, state.mean / scale, variance.sqrt() / scale))
            .flatten()
    }

    fn learn(&self, state: &mut EwmaState, sample: &Sample, _anomalous: bool) {
        let departure = sample.value as f64 - state.mean;
        state.count += 1;
        let mut weight = self.weight.max(1.0 / state.count as f64);
        if self.doubt > 0.0 && state.count > u64::from(self.min) {
            let (n, variance) = self.worth(state, sample.scale as f64);
            let square = departure * departure / (variance * (1.0 + 1.0 / n));
            let likelihood = if square.is_finite() { (-square / 2.0).exp() } else { 0.0 };
            weight *= 1.0 - self.doubt * (1.0 - likelihood);
        }
        state.mean += weight * departure;
        state.variance = (1.0 - weight) * (state.variance + weight * departure * departure);
    }
}
