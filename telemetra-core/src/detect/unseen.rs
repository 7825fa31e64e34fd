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

/// How many values are remembered unless set otherwise: eleven days of minutes.
const MEMORY: u32 = 16_384;
/// How many departures from the season are, and records: seasons drift, so what was unusual long ago says little.
const DRIFT: usize = 4_000;
/// Over how many samples a high score fades.
const QUIET: Fade = Fade::Linear(120);
/// What a departure from the season counts beside the value itself.
const SEASONAL: f64 = 0.15;
/// Fixed-point units per one of a root.
const ROOT_SCALE: f64 = 1_048_576.0;

/// How far a value lies from every value it ever had, on the scale on which noise is even.
///
/// The idea is that of [`NoveltyGap`](crate::NoveltyGap), with what its rule of thumb lacks:
///
/// * **Everything is measured in square roots**, `x = ±√|v|`. For counts that makes the noise the same at every level, so a gap
///   means the same between small values as between great ones, and one giant does not make all later gaps small.
/// * **Values are remembered for long, departures from the season for less**: that a value was ever seen makes it old, but what
///   was unusual for its hour in another season says little.
/// * **A high score fades** instead of silencing for a fixed time and then not at all.
///
/// With `gap` as there, `e = x − usual(hour)`, signed, and `s = max(gap(x), 0.15 · gap(e))`, only an `s` above each of the last 120,
/// less `1/120` of it for each sample since, speaks; divided by `1 + 0.1 k`, where `k` as high ones spoke within 4,000
/// samples, it gives the **score** `s / (1 + s)`, between 0 and 1, with the sign of the departure from the mean.
///
/// # Cost and warm-up
///
/// As for [`NoveltyGap`](crate::NoveltyGap); with the whole memory 400 KiB a key and rule. Silent for the first 120 samples.
///
/// ```
/// use telemetra_core::{Model, MomentRule, Side, Unseen};
/// let detector = Unseen::new(0.02)?.side(Side::Upper).memory(4_000)?;
/// let rule = MomentRule::count("chat_novelty", detector.learning(), |messages: &u64| *messages);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Unseen {
    threshold: f64,
    side: Side,
    memory: u32,
}

/// What [`Unseen`] has learnt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UnseenState {
    roots: Sorted,
    departures: Sorted,
    /// Of roots.
    season: Season,
    records: Records,
}

impl Unseen {
    /// Scores above `threshold` are anomalous, on both sides.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::share("threshold", threshold, "0.01 is for few misses, 0.1 for few alarms")?;
        Ok(Self { threshold, side: Side::Both, memory: MEMORY })
    }

    /// Which departures from the mean matter.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }

    /// How many values are remembered, 16,384 by default: 16 bytes each.
    ///
    /// # Errors
    ///
    /// If there are fewer than 120 or more than a million.
    pub fn memory(mut self, values: u32) -> Result<Self, ConfigError> {
        self.memory = check::samples("memory", values, 120, 1_000_000)?;
        Ok(self)
    }
}

/// The root with the value's sign, in fixed point.
fn root(sample: &Sample) -> i64 {
    let value = sample.in_units();
    (value.abs().sqrt() * ROOT_SCALE).copysign(value).round() as i64
}

impl UnseenState {
    fn departure(&self, sample: &Sample, root: i64) -> Option<i64> {
        Some((root as f64 - self.season.expected(sample.window.start)?).round() as i64)
    }

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
        // Back from roots: the mean's own square, and how much a value moves as its root does by a deviation.
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
        state.season.learn(sample.window.start, root as f64);
    }
}
