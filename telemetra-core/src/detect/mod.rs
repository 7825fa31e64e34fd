//! Anomaly detection: detectors, their baselines, and the moments that they find.
//!
//! A baseline consists of *disjoint earlier* windows. The evaluated window is never part of its own baseline,
//! since its z could then not exceed (n−1)/√n, and overlapping windows are not treated as independent
//! samples.
//!
//! There are three contracts, each a special case of the next: a [`Detector`] compares a value with its
//! baseline, a [`Model`] learns from one sample after the other, and a [`Tracker`] sees all windows of a key
//! in the order of time.

use std::fmt::Debug;

use crate::aggregate::power_sums::PowerSums;
use crate::error::ConfigError;

pub(crate) mod any_detector;
pub(crate) mod chance;
mod check;
mod combine;
pub(crate) mod episodes;
mod ewma;
pub(crate) mod explain;
mod influence;
mod mean;
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
pub(crate) mod tail;
pub(crate) mod tracker;
mod unseen;
pub(crate) mod zscore;

pub use any_detector::{AnyDetector, DetectorState};
pub use chance::NormalScores;
pub use combine::{All, Max};
pub use ewma::{Ewma, EwmaState};
pub use explain::{Carried, Explanation, Shares, USUAL_WINDOWS, Usual};
pub use influence::{Influence, InfluenceState};
pub use mean::{EventSums, MeanOf, Means};
pub use model::{Learning, Learnt, Model, Sample};
pub use novelty_gap::{NoveltyGap, NoveltyGapState};
pub use observed::{Baselines, Finding, MissingWindow, Observed};
pub use robust::{RobustState, RobustZScore};
pub use shape::{Cooldown, Hysteresis, MinDuration, Run};
pub use side::{Side, VarianceFloor};
pub use tracker::Tracker;
pub use unseen::{Unseen, UnseenState};
pub use zscore::ZScore;

/// The baseline of a value: the disjoint earlier windows that it is compared with.
#[derive(Copy, Clone, Debug)]
pub struct Baseline<'a> {
    /// The count, sum and sum of squares of the samples in fixed-point units, including zeros for missing
    /// windows.
    pub sums: PowerSums,
    /// The number of fixed-point units that make one in the metric: 1 for counts.
    pub scale: i64,
    /// The samples one by one, without zeros for missing windows.
    pub samples: &'a dyn Samples,
    /// The numbers of events of the value and the samples, if the metric is a
    /// [mean](crate::MomentRule::mean); otherwise `None`.
    pub means: Option<&'a Means>,
}

/// The samples of a baseline one by one, for detectors that need more than sums. Visiting costs time
/// proportional to the samples; the sums are there at no cost.
///
/// # Contract
///
/// * **In order.** Samples are visited newest first, each once.
pub trait Samples: Debug {
    /// Calls `visit` for each sample, newest first, with its distance in disjoint windows (1 is the nearest)
    /// and its value. Missing windows are left out, and so are the windows of
    /// [moments](crate::MomentRule::include_moments).
    fn visit(&self, visit: &mut dyn FnMut(u32, i64));
}

/// No samples, for tests of detectors that use sums only.
impl Samples for () {
    fn visit(&self, _visit: &mut dyn FnMut(u32, i64)) {}
}

/// The verdict of a detector on an anomalous value: its score, and the baseline that it was compared with.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The distance from the baseline on the detector's own scale; negative below the baseline.
    pub score: f64,
    /// The mean of the baseline, in the metric's own units.
    pub mean: f64,
    /// The standard deviation that the detector used, after its floor was applied, in the metric's own units.
    pub stddev: f64,
}

/// A detector without state: it decides whether a value is anomalous by comparing it with its baseline.
///
/// # Contract
///
/// * **Pure.** The verdict depends on value and baseline alone. After a correction, windows are evaluated
///   again.
/// * **Enough samples.** [`judge`](Self::judge) is not called with fewer than
///   [`min_samples`](Self::min_samples).
/// * **`Some` is anomalous.** For a usual value the verdict is `None`, so no exact score has to be computed
///   for it.
/// * **Total.** No value and no baseline make it panic, and the score is finite.
///
/// Checked by [`detector_compliance`](crate::testkit::detector_compliance).
///
/// ```
/// use telemetra_core::{Baseline, Detector, Verdict};
///
/// /// Values of at least twice the mean of the last ten windows.
/// #[derive(Debug)]
/// struct Doubled;
///
/// impl Detector for Doubled {
///     fn method(&self) -> &'static str { "doubled" }
///     fn threshold(&self) -> f64 { 2.0 }
///     fn min_samples(&self) -> u32 { 5 }
///     fn max_samples(&self) -> u32 { 10 }
///     fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict> {
///         let mean = baseline.sums.mean().filter(|mean| *mean >= 1.0)?;
///         let (score, scale) = (value as f64 / mean, baseline.scale as f64);
///         (score >= self.threshold()).then(|| Verdict { score, mean: mean / scale, stddev: 0.0 })
///     }
/// }
///
/// telemetra_core::testkit::detector_compliance(&Doubled);
/// ```
pub trait Detector: Debug + Send + Sync {
    /// Returns the name of the method, which is a moment's `detection_method`.
    fn method(&self) -> &'static str;

    /// Returns the threshold of the score, which is a moment's `threshold`.
    fn threshold(&self) -> f64;

    /// Returns the least number of samples for a verdict. Windows with fewer are not judged.
    fn min_samples(&self) -> u32;

    /// Returns the greatest number of samples: the length of the baseline in disjoint windows. It sets how
    /// long summaries are kept in memory.
    fn max_samples(&self) -> u32;

    /// Returns the verdict if `value` is anomalous, else `None`. The value is in fixed point with the
    /// baseline's scale. Called once for each key, window and rule, and again after corrections.
    fn judge(&self, value: i64, baseline: &Baseline<'_>) -> Option<Verdict>;

    /// Returns whether a value without a verdict would have one on a side that is not reported. Where
    /// [moments are left out](crate::MomentRule::include_moments) of baselines, such windows are not samples
    /// either: a fall is not a spike, but it is a change of level. By default there are none.
    fn departs(&self, _value: i64, _baseline: &Baseline<'_>) -> bool {
        false
    }

    /// The verdict, or else whether the value departs all the same: [`judge`](Self::judge) and
    /// [`departs`](Self::departs) in one.
    fn judge_or_departs(&self, value: i64, baseline: &Baseline<'_>) -> Result<Verdict, bool> {
        self.judge(value, baseline).ok_or_else(|| self.departs(value, baseline))
    }

    /// The value below which nothing is found: a window is neither anomalous nor departs while its value and all
    /// values of its baseline are less than this, in magnitude and in the units of the metric. The windows of a
    /// quiet key are then not judged at all. 0, the default, if there is no such value.
    fn quiet_below(&self) -> f64 {
        0.0
    }

    /// The sides and the least baseline of the detector, if its scores are normal: in noise, a score of `z`
    /// or more is as frequent as in a standard normal distribution. Only then can the
    /// [chance](crate::Moment::chance) of its moments be computed. By default `None`.
    fn normal_scores(&self) -> Option<NormalScores> {
        None
    }

    /// The same detector with another threshold, which [`hysteresis`](Tracker::hysteresis) needs.
    ///
    /// # Errors
    ///
    /// If the threshold cannot work, or the detector has a fixed threshold, as by default.
    fn with_threshold(&self, _threshold: f64) -> Result<Self, ConfigError>
    where
        Self: Sized,
    {
        Err(ConfigError::new(
            "threshold",
            format!("`{}` has a fixed threshold", self.method()),
            "implement `with_threshold`, or go without a hysteresis",
        ))
    }

    /// The same detector on baselines in which the deviation of anomalous values is reduced to the given
    /// share, so that a moment does not hide the next one. See [`Influence`].
    ///
    /// # Errors
    ///
    /// If the share is not between 0 and 1.
    fn influence(self, influence: f64) -> Result<Learning<Influence<Self>>, ConfigError>
    where
        Self: Sized + 'static,
    {
        Influence::learning_of(self, influence)
    }
}
