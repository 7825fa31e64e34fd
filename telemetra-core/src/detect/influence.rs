//! Detectors on baselines that anomalous values hardly change.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::check;
use super::model::Learning;
use crate::aggregate::power_sums::PowerSums;
use crate::detect::chance::NormalScores;
use crate::detect::model::{Model, Sample};
use crate::detect::{Baseline, Detector, EventSums, Means, Samples, Verdict};
use crate::error::ConfigError;

/// A [`Detector`] whose baselines contain anomalous values only with reduced deviation; made by
/// [`Detector::influence`].
///
/// An anomalous value `x` enters the baseline as `m + influence · (x − m)`, where `m` is the mean of its own
/// baseline. So a moment neither hides the next one nor increases the deviation. (This is Brakel's smoothed
/// z-score of 2014, with the mean in place of the previous value.) With a small influence, a permanent change
/// of level is a moment for a long time.
///
/// Costs as much as the detector, and one value added and one removed per window; 16 bytes per sample, key and
/// rule.
#[derive(Clone, Debug)]
pub struct Influence<D> {
    detector: D,
    influence: f64,
}

/// The samples of the baseline, with reduced deviations.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InfluenceState {
    /// The samples, newest first, with their numbers of events.
    samples: VecDeque<(i64, u64)>,
    sums: PowerSums,
    means: EventSums,
}

impl<D: Detector + 'static> Influence<D> {
    pub(super) fn learning_of(detector: D, influence: f64) -> Result<Learning<Self>, ConfigError> {
        let influence = check::share(
            "influence",
            influence,
            "0.1 keeps most of a moment out; with 0 a permanent change of level would be a moment for ever",
        )?;
        Ok(Self { detector, influence }.learning())
    }
}

impl Samples for InfluenceState {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        (1..).zip(&self.samples).for_each(|(back, (sample, _))| visit(back, *sample));
    }
}

impl<D: Detector + 'static> Model for Influence<D> {
    type State = InfluenceState;

    fn method(&self) -> &'static str {
        self.detector.method()
    }

    fn threshold(&self) -> f64 {
        self.detector.threshold()
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        self.detector.normal_scores()
    }

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { detector: self.detector.with_threshold(threshold)?, influence: self.influence })
    }

    fn min_samples(&self) -> u32 {
        self.detector.min_samples()
    }

    fn judge(&self, state: &InfluenceState, sample: &Sample) -> Option<Verdict> {
        // If all windows have one event, the sums of means are equal to the others.
        let is_mean = sample.events != 1 || state.means.events != state.sums.count;
        let means = is_mean.then_some(Means { events: sample.events, sums: state.means });
        let baseline =
            Baseline { sums: state.sums, scale: sample.scale, samples: state, means: means.as_ref() };
        self.detector.judge(sample.value, &baseline)
    }

    fn learn(&self, state: &mut InfluenceState, sample: &Sample, anomalous: bool) {
        let value = match state.sums.mean().filter(|_| anomalous) {
            Some(mean) => (mean + self.influence * (sample.value as f64 - mean)).round() as i64,
            None => sample.value,
        };
        state.sums.add(value);
        state.means.add(value, sample.events);
        state.samples.push_front((value, sample.events));
        while state.samples.len() > self.detector.max_samples() as usize {
            if let Some((oldest, events)) = state.samples.pop_back() {
                state.sums.remove(oldest);
                state.means.remove(oldest, events);
            }
        }
    }
}
