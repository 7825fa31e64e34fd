//! The detector by distance from all past values, on a scale of square roots.

use serde::{Deserialize, Serialize};

use super::check;
use super::novelty_gap::gap;
use super::records::{Fade, Records};
use super::season::Season;
use super::sorted::Sorted;
use crate::detect::Verdict;
use crate::detect::model::{Model, Sample};
use crate::detect::side::Side;
use crate::error::ConfigError;

/// The default number of values that are kept: eleven days of minutes.
const MEMORY: u32 = 16_384;
/// The number of departures from the season, and of reports, that are kept. It is less, since seasons drift.
const DRIFT: usize = 4_000;
/// The number of samples over which the effect of a high score fades.
const QUIET: Fade = Fade::Linear(120);
/// The weight of a departure from the season, relative to the value itself.
const SEASONAL: f64 = 0.15;
/// The number of fixed-point units that make one in a root.
const ROOT_SCALE: f64 = 1_048_576.0;

/// A detector that measures the distance of a value from all past values, on a scale on which the noise of
/// counts is uniform. It is a refinement of [`NoveltyGap`](crate::NoveltyGap):
///
/// * **Square roots.** It compares `x = ±√|v|`. For counts, the noise is then the same at every level, so a
///   distance between small values means as much as one between great values, and one huge value does not
///   make all later distances small.
/// * **Two memories.** Values are kept for long, since a value is not new if it occurred at any time.
///   Departures from the season are kept for less, since seasons change.
/// * **Fading.** The effect of a high score fades, instead of suppressing others for a fixed time.
///
/// With `gap` as in [`NoveltyGap`](crate::NoveltyGap), `e = x − usual(hour)`, signed, and
/// `s = max(gap(x), 0.15 · gap(e))`, an `s` is reported if it is above each of the last 120, which are
/// reduced by `1/120` for each sample since. It is divided by `1 + 0.1 k`, where `k` is the number of reports
/// at least as high within 4,000 samples. The **score** is `s / (1 + s)`, between 0 and 1, with the sign of
/// the departure from the mean.
///
/// # Cost and warm-up
///
/// The cost is that of [`NoveltyGap`](crate::NoveltyGap). With the default memory the state takes 400 KiB per
/// key and rule. There is no verdict on the first 120 samples.
///
/// ```
/// use telemetra_core::{Model, MomentRule, Side, Unseen};
/// let detector = Unseen::new(0.02)?.side(Side::Upper).memory(4_000)?;
/// let rule = MomentRule::count("novelty", detector.learning(), |requests: &u64| *requests);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Unseen {
    threshold: f64,
    side: Side,
    memory: u32,
}

/// The state of [`Unseen`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnseenState {
    roots: Sorted,
    departures: Sorted,
    /// The usual roots.
    season: Season,
    records: Records,
}

impl Unseen {
    /// A detector for scores above `threshold`, on both sides.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::share("threshold", threshold, "0.01 is for few misses, 0.1 for few alarms")?;
        Ok(Self { threshold, side: Side::Both, memory: MEMORY })
    }

    /// Sets the side of the mean on which values are anomalous.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// Sets the number of values that are kept, at 16 bytes each; by default 16,384.
    ///
    /// # Errors
    ///
    /// If it is less than 120 or more than a million.
    pub fn memory(mut self, values: u32) -> Result<Self, ConfigError> {
        self.memory = check::samples("memory", values, 120, 1_000_000)?;
        Ok(self)
    }
}

/// The square root of a value, with its sign, in fixed point.
fn root(sample: &Sample) -> i64 {
    let value = sample.in_units();
    (value.abs().sqrt() * ROOT_SCALE).copysign(value).round() as i64
}

impl UnseenState {
    /// The departure of a root from the usual root at its hour.
    fn departure(&self, sample: &Sample, root: i64) -> Option<i64> {
        Some((root as f64 - self.season.expected(sample.window.start.or_epoch())?).round() as i64)
    }

    /// The `s` of the documentation.
    fn raw(&self, sample: &Sample, root: i64) -> f64 {
        let seasonal = self.departure(sample, root).map_or(0.0, |e| gap(&self.departures, e));
        gap(&self.roots, root).max(SEASONAL * seasonal)
    }
}

impl Model for Unseen {
    type State = UnseenState;

    fn method(&self) -> &'static str {
        "unseen"
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Self::new(threshold)?.side(self.side).memory(self.memory)
    }

    fn min_samples(&self) -> u32 {
        120
    }

    fn judge(&self, state: &UnseenState, sample: &Sample) -> Option<Verdict> {
        let root = root(sample);
        let rated = state.records.rate(state.raw(sample, root), QUIET)?;
        let score = rated / (1.0 + rated);
        if score < self.threshold {
            return None;
        }
        // From roots to values: the square of the mean, and the change of a value when its root changes by a
        // deviation.
        let mean = state.season.mean() / ROOT_SCALE;
        let deviation = state.season.deviation() / ROOT_SCALE;
        let spread = 2.0 * mean.abs() * deviation + deviation * deviation;
        check::verdict(self.side, root as f64 - state.season.mean(), score, mean * mean.abs(), spread)
    }

    fn learn(&self, state: &mut UnseenState, sample: &Sample, _anomalous: bool) {
        let root = root(sample);
        state.records.push(state.raw(sample, root), QUIET, DRIFT as u64);
        if let Some(departure) = state.departure(sample, root) {
            state.departures.push(departure, DRIFT);
        }
        state.roots.push(root, self.memory as usize);
        state.season.learn(sample.window.start.or_epoch(), root as f64);
    }
}
