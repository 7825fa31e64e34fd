use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::check;
use super::model::Learning;
use crate::aggregate::power_sums::PowerSums;
use crate::detect::model::{Model, Sample};
use crate::detect::{Baseline, Detector, Samples, Verdict};
use crate::error::ConfigError;

/// A [`Detector`] whose baselines moments do not poison; made by [`Detector::influence`].
///
/// What was anomalous enters the baseline as `m + influence · (x − m)`, with `m` the mean of the baseline by which it was judged,
/// so a moment neither hides the next one nor widens what counts as usual. (Brakel's smoothed z-score of 2014, which starts
/// from the previous value instead of the mean.) The smaller the influence, the longer a level that changes for good is a moment.
///
/// Costs what the detector does, one value in and one out, and 8 bytes a sample, key and rule.
#[derive(Clone, Debug)]
pub struct Influence<D> {
    detector: D,
    influence: f64,
}

/// The samples of the baseline as they count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InfluenceState {
    /// Newest first.
    samples: VecDeque<i64>,
    sums: PowerSums,
}

impl<D: Detector + 'static> Influence<D> {
    pub(super) fn learning_of(detector: D, influence: f64) -> Result<Learning<Self>, ConfigError> {
        let influence = check::share(
            "influence",
            influence,
            "0.1 keeps most of a moment out; with 0 a level that changes for good would be a moment for ever",
        )?;
        Ok(Self { detector, influence }.learning())
    }
}

impl Samples for InfluenceState {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        (1..).zip(&self.samples).for_each(|(back, sample)| visit(back, *sample));
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

    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { detector: self.detector.with_threshold(threshold)?, influence: self.influence })
    }

    fn min_samples(&self) -> u32 {
        self.detector.min_samples()
    }

    fn judge(&self, state: &InfluenceState, sample: &Sample) -> Option<Verdict> {
        let baseline = Baseline { sums: state.sums, scale: sample.scale, samples: state };
        self.detector.judge(sample.value, &baseline)
    }

    fn learn(&self, state: &mut InfluenceState, sample: &Sample, anomalous: bool) {
        let value = match state.sums.mean().filter(|_| anomalous) {
            Some(mean) => (mean + self.influence * (sample.value as f64 - mean)).round() as i64,
            None => sample.value,
        };
        state.sums.add(value);
        state.samples.push_front(value);
        while state.samples.len() > self.detector.max_samples() as usize {
            if let Some(oldest) = state.samples.pop_back() {
                state.sums.remove(oldest);
            }
        }
    }
}
