use std::borrow::Cow;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{All, Cooldown, Hysteresis, Max, MinDuration};
use crate::detect::Detector;
use crate::detect::observed::{Finding, Observed};
use crate::error::ConfigError;

/// A day, in milliseconds.
pub(super) const DAY: u64 = 86_400_000;

/// Judges the windows of one key in the order of time, and may remember.
///
/// The general form of what finds moments. A [`Detector`], which needs a baseline and nothing else, is a tracker without
/// state; a [`Model`](crate::Model) learns from disjoint windows; combinators take trackers and are trackers.
///
/// # Contract
///
/// * **A fold.** State and findings depend on the windows alone, in the order of their ends. So a late event is put right by
///   folding again from before it, and the answer is the same for any order of arrival, any number of workers
///   and after any restart. State is cloned to be kept from before what may still change, and is written into checkpoints.
/// * **Silent when unsure**, and **`Some` is anomalous**, as for a [`Detector`].
/// * **Total.** No sequence of values makes it panic; findings are finite.
/// * **Pure** ones say so, and then must not use their state: they are judged again only where their baselines change.
///
/// Checked by [`tracker_compliance`](crate::testkit::tracker_compliance).
///
/// ```
/// use telemetra_core::{MomentRule, Side, Tracker, VarianceFloor, ZScore};
/// let spike = ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// // Begins above 3 and lasts until it falls below 2; two windows in a row; one moment in ten minutes.
/// let steady = spike.hysteresis(2.0)?.min_duration(2)?.cooldown(600_000);
/// let rule = MomentRule::count("chat_spike", steady, |messages: &u64| *messages);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub trait Tracker: Debug + Send + Sync + 'static {
    /// What is remembered of a key; as new at its first window.
    type State: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// Its name, as in a moment's `detection_method`.
    fn name(&self) -> Cow<'static, str>;

    /// The threshold of its scores, as in a moment's `threshold`.
    fn limit(&self) -> f64;

    /// The least score that a finding may have: the threshold, but for what a [`hysteresis`](Self::hysteresis) goes on with.
    fn least(&self) -> f64 {
        self.limit()
    }

    /// Adds the lengths of baselines that it asks for, in disjoint windows.
    fn reaches(&self, reaches: &mut Vec<u32>);

    /// Whether findings depend on value and baselines alone.
    fn is_pure(&self) -> bool {
        false
    }

    /// After how long a silence of the key, in milliseconds, its state is as new: memory is then given back.
    fn forgets_after(&self) -> u64 {
        DAY
    }

    /// What it finds in a window; called once for each, in the order of their ends.
    fn track(&self, state: &mut Self::State, window: &Observed<'_>) -> Option<Finding>;

    /// The same that begins above its threshold but lasts until the score falls below `lower`.
    ///
    /// # Errors
    ///
    /// If `lower` is not between zero and the threshold, or the tracker has no [`sensitive`](Self::sensitive) form.
    fn hysteresis(self, lower: f64) -> Result<Hysteresis<Self>, ConfigError>
    where
        Self: Sized,
    {
        Hysteresis::new(self, lower)
    }

    /// The same tracker with a lower threshold, if it can be had.
    ///
    /// # Errors
    ///
    /// If it cannot.
    fn sensitive(&self, _threshold: f64) -> Result<Self, ConfigError>
    where
        Self: Sized,
    {
        Err(ConfigError::new(
            "hysteresis",
            format!("`{}` has one threshold, and says nothing below it", self.name()),
            "put the hysteresis on the detector itself",
        ))
    }

    /// What either finds; of two findings the one further above its own threshold.
    fn max<O: Tracker>(self, other: O) -> Max<Self, O>
    where
        Self: Sized,
    {
        Max(self, other)
    }

    /// What both find, on the same side; the one less far above its own threshold.
    fn all<O: Tracker>(self, other: O) -> All<Self, O>
    where
        Self: Sized,
    {
        All(self, other)
    }

    /// The same, silent until `windows` adjacent windows in a row were anomalous.
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

    /// The same, silent for so many milliseconds after a moment has ended.
    fn cooldown(self, millis: u64) -> Cooldown<Self>
    where
        Self: Sized,
    {
        Cooldown::new(self, millis)
    }
}

/// A detector needs no state.
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

    fn is_pure(&self) -> bool {
        true
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
