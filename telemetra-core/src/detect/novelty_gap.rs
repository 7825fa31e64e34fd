//! The detector by distance from all past values.

use serde::{Deserialize, Serialize};

use super::check;
use super::records::{Fade, Records};
use super::season::Season;
use super::sorted::Sorted;
use crate::detect::Verdict;
use crate::detect::model::{Model, Sample};
use crate::detect::side::Side;
use crate::error::ConfigError;

/// The number of values that are kept.
const MEMORY: usize = 4_000;
/// The number of samples during which a high score suppresses lower ones.
const QUIET: Fade = Fade::Sudden(75);
/// The weight of a departure from the season, relative to the value itself.
const SEASONAL: f64 = 0.2;

/// A detector that measures the distance of a value from all past values. It makes no assumption about their
/// distribution, so it suits metrics of unknown kind; but a threshold does not determine a rate of false
/// alarms.
///
/// Let `gap(v)` be the least distance of `v` from the last 4,000 values, divided by their range; let `e` be
/// the departure of `v` from the [usual value at its hour](#season), and `gap(|e|)` the same for departures.
/// Let `s = max(gap(v), 0.2 · gap(|e|))`. Only an `s` above the previous 75 is reported. It is divided by
/// `1 + 0.1 k`, where `k` is the number of reports at least as high within the last 4,000 samples. The
/// **score** is `s / (1 + s)`, between 0 and 1, with the sign of the value's departure from the mean.
///
/// On Numenta's benchmark the best threshold is near 0.012.
///
/// # Season
///
/// The usual value at an hour is the mean at that hour of the week; if there is none, at that hour of the
/// day; if there is none, the mean of all values. Means have exponential weights (0.02; 0.01 for the mean of
/// all), and equal weights while there are few values. Hours are in UTC.
///
/// # Cost and warm-up
///
/// Evaluating a window takes time logarithmic in the number of values, and learning moves a few hundred
/// bytes. The state takes 64 KiB per key and rule. There is no verdict on the first 76 samples.
///
/// ```
/// use telemetra_core::{Model, MomentRule, NoveltyGap};
/// let detector = NoveltyGap::new(0.05)?;
/// let rule = MomentRule::count("novelty", detector.learning(), |requests: &u64| *requests);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct NoveltyGap {
    threshold: f64,
    side: Side,
}

/// The state of [`NoveltyGap`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NoveltyGapState {
    values: Sorted,
    departures: Sorted,
    season: Season,
    records: Records,
}

impl NoveltyGap {
    /// A detector for scores above `threshold`, on both sides.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn new(threshold: f64) -> Result<Self, ConfigError> {
        let threshold = check::share("threshold", threshold, "0.012 is for few misses, 0.1 for few alarms")?;
        Ok(Self { threshold, side: Side::Both })
    }

    /// Sets the side of the mean on which values are anomalous.
    #[must_use]
    pub fn side(mut self, side: Side) -> Self {
        self.side = side;
        self
    }
}

/// The distance from the nearest value, divided by the range of values; 0 if all values are equal.
pub(super) fn gap(values: &Sorted, value: i64) -> f64 {
    match values.ends() {
        Some((least, greatest)) if least < greatest => {
            values.distance(value) as f64 / greatest.abs_diff(least) as f64
        }
        _ => 0.0,
    }
}

impl NoveltyGapState {
    /// The distance of the value from the usual value at its hour, in fixed point.
    fn departure(&self, sample: &Sample) -> Option<i64> {
        let expected = self.season.expected(sample.window.start.or_epoch())?;
        Some((sample.value as f64 - expected).abs().round() as i64)
    }

    /// The `s` of the documentation.
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
        state.season.learn(sample.window.start.or_epoch(), sample.value as f64);
    }
}
