//! Detectors: how far a value departs from its baseline.
//!
//! A baseline is made of *disjoint earlier* windows. The judged window is never part of it (its own z could then
//! not exceed (n−1)/√n), and neighbours that share most of their data are not counted as if they were independent.
//!
//! Three contracts, each a special case of the next: a [`Detector`] judges a value by its baseline, a [`Model`] learns, sample
//! by sample, and a [`Tracker`] follows the windows of a key in the order of time.

use std::fmt::Debug;

use crate::aggregate::power_sums::PowerSums;
use crate::error::ConfigError;

pub(crate) mod any_detector;
mod check;
mod combine;
pub(crate) mod episodes;
mod ewma;
mod influence;
pub(crate) mod model;
pub(crate) mod moment;
mod novelty_gap;
pub(crate) mod observed;
mod poisson;
mod records;
mod robust;
mod season;
mod shape;
pub(crate) mod side;
mod sorted;
mod tail;
pub(crate) mod tracker;
mod unseen;
pub(crate) mod zscore;

pub use any_detector::{AnyDetector, DetectorState};
pub use combine::{All, Max};
pub use ewma::{Ewma, EwmaState};
pub use influence::{Influence, InfluenceState};
pub use model::{Learning, Learnt, Model, Sample};
pub use novelty_gap::{NoveltyGap, NoveltyGapState};
pub use observed::{Baselines, Finding, MissingWindow, Observed};
pub use robust::{RobustState, RobustZScore};
pub use shape::{Cooldown, Hysteresis, MinDuration, Run};
pub use side::{Side, VarianceFloor};
pub use tracker::Tracker;
pub use unseen::{Unseen, UnseenState};
pub use zscore::ZScore;

/// The disjoint earlier windows that a value is judged against.
#[derive(Copy, Clone, Debug)]
pub struct Baseline<'a> {
    /// Count, sum and sum of squares, in fixed-point units, silence that counts as zero included.
    pub sums: PowerSums,
    /// Fixed-point units per one of the metric: 1 for counts.
    pub scale: i64,
    /// The samples that are not missing, newest first: how many windows back (1 is the nearest), and the value.
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
