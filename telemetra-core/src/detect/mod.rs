//! Detectors: how far a value departs from its baseline.
//!
//! A baseline is made of *disjoint earlier* windows. The judged window is never part of it (its own z could then
//! not exceed (n−1)/√n), and neighbours that share most of their data are not counted as if they were independent.
//!
//! Three contracts, each a special case of the next: a [`Detector`] judges a value by its baseline, a [`Model`] learns, sample
//! by sample, and a [`Tracker`] follows the windows of a key in the order of time.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use crate::ConfigError;

mod check;
mod combine;
mod ewma;
mod influence;
mod judge;
mod model;
mod novelty_gap;
mod observed;
mod poisson;
mod records;
mod robust;
mod season;
mod shape;
mod side;
mod sorted;
mod tail;
mod tracker;
mod unseen;
mod zscore;

pub use combine::{All, Max};
pub use ewma::{Ewma, EwmaState};
pub use influence::{Influence, InfluenceState};
pub use judge::{Follower, Judge};
pub use model::{Learning, Learnt, Model, Sample};
pub use novelty_gap::{NoveltyGap, NoveltyGapState};
pub use observed::{Baselines, Finding, Observed, Silence};
pub use robust::{RobustState, RobustZScore};
pub use shape::{Cooldown, Hysteresis, MinDuration, Run};
pub use side::{Side, VarianceFloor};
pub use tracker::Tracker;
pub use unseen::{Unseen, UnseenState};
pub use zscore::ZScore;

/// A number with six decimals, as moments carry it: ordered and hashable, so that it can be data.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micro(pub i64);

impl Micro {
    /// The nearest such number; saturates, and takes "not a number" for 0.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        Self((value * 1e6).round() as i64)
    }

    /// As a float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// Count, sum and sum of squares of fixed-point values: exact, so that taking away undoes adding.
///
/// ```
/// let mut sums = telemetra_core::PowerSums::default();
/// for x in [2, 4, 4, 4, 5, 5, 7, 9] { sums.add(x); }
/// assert_eq!(sums.mean(), Some(5.0));
/// assert_eq!(sums.sample_variance().map(|v| (v * 1000.0).round()), Some(4571.0));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PowerSums {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: i128,
    /// The sum of their squares.
    pub sum_sq: i128,
}

impl PowerSums {
    /// Takes a value in.
    pub fn add(&mut self, value: i64) {
        let value = i128::from(value);
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        self.sum_sq = self.sum_sq.wrapping_add(value * value);
    }

    /// Takes a value that was added out again.
    pub fn remove(&mut self, value: i64) {
        let value = i128::from(value);
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(value);
        self.sum_sq = self.sum_sq.wrapping_sub(value * value);
    }

    /// Adds `zeros` values of zero.
    #[must_use]
    pub fn with_zeros(mut self, zeros: u64) -> Self {
        self.count += zeros;
        self
    }

    /// The mean; `None` of nothing.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The variance of a sample, with n − 1 below; `None` of fewer than two values. The numerator is an exact integer.
    #[must_use]
    pub fn sample_variance(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let n = i128::from(self.count);
        let numerator = n.wrapping_mul(self.sum_sq).wrapping_sub(self.sum.wrapping_mul(self.sum));
        Some(numerator.max(0) as f64 / (n as f64 * (n - 1) as f64))
    }
}

/// The disjoint earlier windows that a value is judged against.
#[derive(Copy, Clone, Debug)]
pub struct Baseline<'a> {
    /// Count, sum and sum of squares, in fixed-point units, silence that counts as zero included.
    pub sums: PowerSums,
    /// Fixed-point units per one of the metric: 1 for counts.
    pub scale: i64,
    /// The samples that are not silence, newest first: how many windows back (1 is the nearest), and the value.
    pub samples: &'a dyn Samples,
}

/// Gives the samples of a baseline one by one, for detectors to which sums are not enough.
pub trait Samples: Debug {
    /// Calls `visit` with how many windows back (from 1) and the value, newest first, without those that are silence.
    fn visit(&self, visit: &mut dyn FnMut(u32, i64));
}

/// Nothing to visit: for detectors that only look at sums, and tests of these.
impl Samples for () {
    fn visit(&self, _visit: &mut dyn FnMut(u32, i64)) {}
}

/// What a detector found: that the value is anomalous, and by how much.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Verdict {
    /// How far out, on the detector's own scale; its sign is the side.
    pub score: f64,
    /// The baseline's mean, in the metric's own units.
    pub mean: f64,
    /// The baseline's deviation as the detector used it, floors included, in the metric's own units.
    pub stddev: f64,
}

/// Judges a value against its baseline.
///
/// # Contract
///
/// * **Pure.** The verdict depends on value and baseline alone. Corrections judge a window again, and a restart all of them.
/// * **Silent when unsure.** With fewer than [`min_samples`](Self::min_samples) there is no call and no verdict.
/// * **`Some` is anomalous.** What is not is `None`, so that the hot path need not compute an exact score.
/// * **Total.** No value and no baseline make it panic; the score is finite.
///
/// Checked by [`detector_compliance`](crate::testkit::detector_compliance).
pub trait Detector: Debug + Send + Sync {
    /// Its name, as in a moment's `detection_method`.
    fn method(&self) -> &'static str;

    /// The threshold of its score, as in a moment's `threshold`.
    fn threshold(&self) -> f64;

    /// The fewest samples with which it speaks.
    fn min_samples(&self) -> u32;

    /// The most samples it looks at: how many disjoint windows back the baseline goes.
    fn max_samples(&self) -> u32;

    /// The verdict, if `value` (fixed point, by the baseline's scale) is anomalous.
    fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict>;

    /// The same with another threshold, which [`hysteresis`](Tracker::hysteresis) wants.
    ///
    /// # Errors
    ///
    /// If the threshold cannot work, or, as by default, the detector has but one.
    fn with_threshold(&self, _threshold: f64) -> Result<Self, ConfigError>
    where
        Self: Sized,
    {
        Err(ConfigError::new(
            "threshold",
            format!("`{}` has one threshold, and says nothing below it", self.method()),
            "implement `with_threshold`, or go without a hysteresis",
        ))
    }

    /// The same on baselines into which what is anomalous enters with this share of its departure.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    fn influence(self, influence: f64) -> Result<Learning<Influence<Self>>, ConfigError>
    where
        Self: Sized + 'static,
    {
        Influence::learning_of(self, influence)
    }
}
