use serde::{Deserialize, Serialize};

use super::check;
use super::records::{Fade, Records};
use super::season::Season;
use super::sorted::Sorted;
use crate::detect::Verdict;
use crate::detect::model::{Model, Sample};
use crate::detect::side::Side;
use crate::error::ConfigError;

/// How many values are remembered.
const MEMORY: usize = 4_000;
/// For how many samples a high score silences lower ones.
const QUIET: Fade = Fade::Sudden(75);
/// What a departure from the season counts beside the value itself.
const SEASONAL: f64 = 0.2;

/// How far a value lies from every value of the past.
///
/// With `gap(v)` the least distance of `v` to any of the last 4,000 values, divided by their range, and `e` the departure
/// from what is [usual at the hour](#season), `s = max(gap(v), 0.2 · gap(|e|))`, each with a memory of its own. Only an `s` above
/// all of the previous 75 speaks; divided by `1 + 0.1 k`, where `k` as high ones spoke within the memory, it
/// gives the **score** `s / (1 + s)`, between 0 and 1, with the sign of the value's departure from the mean.
///
/// It makes no assumption about distributions, so it suits metrics of unknown kind, and a threshold promises no rate of false alarms.
/// On Numenta's benchmark the best threshold is near 0.012.
///
/// # Season
///
/// The mean at the hour of the week, else of the day, else of all, with exponential weights (0.02, and 0.01 for all), or
/// of all values alike while there are few. Hours are UTC.
///
/// # Cost and warm-up
///
/// O(log M) for each window, and a move of a few hundred bytes for each that is learnt; 64 KiB a key and rule. Silent for
/// the first 76 samples.
///
/// ```
/// use telemetra_core::{Model, MomentRule, NoveltyGap};
/// let rule = MomentRule::count("chat_novelty", NoveltyGap::new(0.05)?.learning(), |messages: &u64| *messages);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoveltyGap {
    threshold: f64,
    side: Side,
}

/// What [`NoveltyGap`] has learnt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoveltyGapState {
    values: Sorted,
    departures: Sorted,
    season: Season,
    records: Records,
}

impl NoveltyGap {
    /// Scores above `threshold` are anomalous, on both sides.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::share("threshold", threshold, "0.012 is for few misses, 0.1 for few alarms")?;
        Ok(Self { threshold, side: Side::Both })
    }

    /// Which departures from the mean matter.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }
}

/// The distance to the nearest, in units of the range; 0 while there is no range.
pub(super) fn gap(values: &Sorted, value: i64) -> f64 {
    match values.ends() {
        Some((least, greatest)) if least < greatest => {
            values.distance(value) as f64 / greatest.abs_diff(least) as f64
        }
        _ => 0.0,
    }
}

impl NoveltyGapState {
    /// How far the value departs from its hour, in fixed point.
    fn departure(&self, sample: &Sample) -> Option<i64> {
        let expected = self.season.expected(sample.window.start)?;
        Some((sample.value as f64 - expected).abs().round() as i64)
    }

    fn raw(&self, sample: &Sample) -> f64 {
        let seasonal = self.departure(sample).map_or(0.0, |e| gap(&self.departures, e));
        gap(&self.values, sample.value).max(SEASONAL * seasonal)
    }
}

impl Model for NoveltyGap {
    type State = NoveltyGapState;

    fn method(&self) -> &'static str {
        "novelty_gap"
    }

    fn threshold(&self) -> f64 {
        self.threshold
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self::new(threshold)?.side(self.side))
    }

    fn min_samples(&self) -> u32 {
        76
    }

    fn judge(&self, state: &NoveltyGapState, sample: &Sample) -> Option<Verdict> {
        let rated = state.records.rate(state.raw(sample), QUIET)?;
        let score = rated / (1.0 + rated);
        if score < self.threshold {
            return None;
        }
        let (mean, scale) = (state.season.mean(), sample.scale as f64);
        check::verdict(
            self.side,
            sample.value as f64 - mean,
            score,
            mean / scale,
            state.season.deviation() / scale,
        )
    }

    fn learn(&self, state: &mut NoveltyGapState, sample: &Sample, _anomalous: bool) {
        state.records.push(state.raw(sample), QUIET, MEMORY as u64);
        if let Some(departure) = state.departure(sample) {
            state.departures.push(departure, MEMORY);
        }
        state.values.push(sample.value, MEMORY);
        state.season.learn(sample.window.start, sample.value as f64);
    }
}
