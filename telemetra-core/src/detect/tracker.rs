//! The general contract of anomaly detection: trackers with state.

use std::borrow::Cow;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{All, Cooldown, Hysteresis, Max, MinDuration};
use crate::detect::Detector;
use crate::detect::chance::NormalScores;
use crate::detect::observed::{Finding, Observed};
use crate::error::ConfigError;

/// A day, in milliseconds.
pub(super) const DAY: u64 = 86_400_000;

/// A tracker: an anomaly detector with state, which evaluates the windows of one key in the order of time.
///
/// It is the general form of detection. A [`Detector`], which needs only a baseline, is a tracker without
/// state. A [`Model`](crate::Model), which learns from disjoint windows, becomes a tracker by
/// [`learning`](crate::Model::learning). Combinations of trackers are trackers.
///
/// # Contract
///
/// * **A fold.** State and findings depend on the windows alone, in the order of their ends. After a
///   correction, the tracker evaluates the windows again, from a clone of an earlier state. So results do not
///   depend on the order of arrival, the number of workers, or restarts. The state is written into
///   checkpoints.
/// * **`Some` is anomalous.** The finding in a usual window, or with too few samples, is `None`.
/// * **Total.** No sequence of values makes it panic, and findings are finite.
/// * **Pure trackers use no state.** If [`is_pure`](Self::is_pure), a window is evaluated again only if its
///   value or its baselines change.
///
/// Checked by [`tracker_compliance`](crate::testkit::tracker_compliance).
///
/// ```
/// use telemetra_core::{MomentRule, Side, Tracker, VarianceFloor, ZScore};
/// let spike = ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// // A moment begins above 3 and lasts until the score falls below 2. It takes two windows in a row, and the
/// // next one comes after ten minutes at the earliest.
/// let steady = spike.hysteresis(2.0)?.min_duration(2)?.cooldown(600_000);
/// let rule = MomentRule::count("spike", steady, |requests: &u64| *requests);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub trait Tracker: Debug + Send + Sync + 'static {
    /// The state for one key; the default is the state before its first window.
    type State: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// The name of the method, which is a moment's `detection_method`.
    fn name(&self) -> Cow<'static, str>;

    /// The threshold of the score, which is a moment's `threshold`.
    fn limit(&self) -> f64;

    /// The least score of a finding: the threshold, or, with a [`hysteresis`](Self::hysteresis), its lower
    /// threshold.
    fn least(&self) -> f64 {
        self.limit()
    }

    /// Adds the lengths of the baselines that it needs, in disjoint windows.
    fn reaches(&self, reaches: &mut Vec<u32>);

    /// The least number of samples in each baseline with which it may find anything; 0, the default, if that
    /// is unknown. Where [moments are left out](crate::MomentRule::include_moments) of baselines, at least
    /// this many samples remain.
    fn fewest(&self) -> u32 {
        0
    }

    /// The value below which nothing is found and nothing departs, as of a [`Detector`](Detector::quiet_below).
    /// Only that of a [pure](Self::is_pure) tracker is used.
    fn quiet_below(&self) -> f64 {
        0.0
    }

    /// Returns whether its findings depend on value and baselines alone.
    fn is_pure(&self) -> bool {
        false
    }

    /// The sides and the least baseline of the detector, if its scores are normal: in noise, a score of `z`
    /// or more is as frequent as in a standard normal distribution. Only then can the
    /// [chance](crate::Moment::chance) of its moments be computed. By default `None`.
    fn normal_scores(&self) -> Option<NormalScores> {
        None
    }

    /// The length of a silence of the key after which its state is reset and its memory freed, in
    /// milliseconds. Default: a day.
    fn forgets_after(&self) -> u64 {
        DAY
    }

    /// Returns whether a window without a finding departs on a side that is not reported, so that it is not a
    /// sample of later ones. See [`Detector::departs`].
    fn departs(&self, _window: &Observed<'_>) -> bool {
        false
    }

    /// The finding of a new state in a window, or else whether the window departs all the same.
    fn track_or_departs(&self, window: &Observed<'_>) -> Result<Finding, bool> {
        self.track(&mut Self::State::default(), window).ok_or_else(|| self.departs(window))
    }

    /// Evaluates a window. Called for each window in the order of their ends.
    fn track(&self, state: &mut Self::State, window: &Observed<'_>) -> Option<Finding>;

    /// The same tracker with a second threshold: a moment lasts until the score falls below `lower`. See
    /// [`Hysteresis`].
    ///
    /// # Errors
    ///
    /// If `lower` is not between zero and the threshold, or the tracker has no [`sensitive`](Self::sensitive)
    /// form.
    fn hysteresis(self, lower: f64) -> Result<Hysteresis<Self>, ConfigError>
    where
        Self: Sized,
    {
        Hysteresis::new(self, lower)
    }

    /// The same tracker with a lower threshold, which [`hysteresis`](Self::hysteresis) needs.
    ///
    /// # Errors
    ///
    /// If the tracker has a fixed threshold, as by default, or the threshold cannot work.
    fn sensitive(&self, _threshold: f64) -> Result<Self, ConfigError>
    where
        Self: Sized,
    {
        Err(ConfigError::new(
            "hysteresis",
            format!("`{}` has a fixed threshold", self.name()),
            "put the hysteresis on the detector itself",
        ))
    }

    /// A tracker that reports what either of two trackers finds. See [`Max`].
    fn max<O: Tracker>(self, other: O) -> Max<Self, O>
    where
        Self: Sized,
    {
        Max(self, other)
    }

    /// A tracker that reports what both of two trackers find, on the same side. See [`All`].
    fn all<O: Tracker>(self, other: O) -> All<Self, O>
    where
        Self: Sized,
    {
        All(self, other)
    }

    /// The same tracker, which reports a window only if it is at least the `windows`-th adjacent anomalous
    /// one. See [`MinDuration`].
    ///
    /// # Errors
    ///
    /// If it is zero.
    fn min_duration(self, windows: u32) -> Result<MinDuration<Self>, ConfigError>
    where
        Self: Sized,
    {
        MinDuration::new(self, windows)
    }

    /// The same tracker, which reports nothing for `millis` milliseconds after the end of a moment. See
    /// [`Cooldown`].
    fn cooldown(self, millis: u64) -> Cooldown<Self>
    where
        Self: Sized,
    {
        Cooldown::new(self, millis)
    }
}

/// A detector is a tracker without state.
impl<D: Detector + 'static> Tracker for D {
    type State = ();

    fn name(&self) -> Cow<'static, str> {
        self.method().into()
    }

    fn limit(&self) -> f64 {
        self.threshold()
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        reaches.push(self.max_samples());
    }

    fn fewest(&self) -> u32 {
        self.min_samples()
    }

    fn quiet_below(&self) -> f64 {
        Detector::quiet_below(self)
    }

    fn is_pure(&self) -> bool {
        true
    }

    fn departs(&self, window: &Observed<'_>) -> bool {
        let baseline = window.baselines.baseline(self.max_samples());
        let enough = baseline.filter(|baseline| baseline.sums.count >= u64::from(self.min_samples()));
        enough.is_some_and(|baseline| Detector::departs(self, window.value, &baseline))
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        Detector::normal_scores(self)
    }

    fn track_or_departs(&self, window: &Observed<'_>) -> Result<Finding, bool> {
        let baseline = window.baselines.baseline(self.max_samples()).ok_or(false)?;
        if baseline.sums.count < u64::from(self.min_samples()) {
            return Err(false);
        }
        let verdict = self.judge_or_departs(window.value, &baseline)?;
        Ok(Finding { verdict, samples: u32::try_from(baseline.sums.count).unwrap_or(u32::MAX) })
    }

    fn track(&self, (): &mut (), window: &Observed<'_>) -> Option<Finding> {
        let baseline = window.baselines.baseline(self.max_samples())?;
        if baseline.sums.count < u64::from(self.min_samples()) {
            return None;
        }
        let verdict = self.judge(window.value, &baseline)?;
        Some(Finding { verdict, samples: u32::try_from(baseline.sums.count).unwrap_or(u32::MAX) })
    }

    fn sensitive(&self, threshold: f64) -> Result<Self, ConfigError> {
        self.with_threshold(threshold)
    }
}
