//! The number of moments found, and the number expected by chance alone, for reports and metrics.

use std::sync::{Mutex, PoisonError};

use telemetra_core::{EventTime, Micro};

/// The number of moments that one grouping found per hour, and the number of false alarms per hour that its
/// rules are expected to raise without any anomaly. Both are of the last period of event time that late
/// events cannot change any more, and are the same in all processes.
///
/// If the two are about equal, most of the moments are false alarms: raise the thresholds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MomentsStatus {
    /// The name of the operator that counts them: `chance `, followed by the name of the grouping's state.
    pub operator: String,
    /// The end of the period, in event time. The period's length is
    /// [`chance_period`](crate::Pipeline::chance_period).
    pub until: EventTime,
    /// The number of moments found per hour of event time, by the rules whose detectors have a known
    /// false-alarm rate.
    pub found_per_hour: Micro,
    /// The number of moments per hour of event time that are expected by chance alone, under the same rules.
    pub expected_per_hour: Micro,
}

/// The comparisons of one worker, for monitors. All workers have the same.
#[derive(Debug, Default)]
pub(crate) struct MomentsGauge(Mutex<Vec<MomentsStatus>>);

impl MomentsGauge {
    pub(crate) fn get(&self) -> Vec<MomentsStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, status: MomentsStatus) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match all.iter_mut().find(|known| known.operator == status.operator) {
            Some(known) => *known = status,
            None => all.push(status),
        }
    }
}
