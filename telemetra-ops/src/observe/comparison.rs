//! How many moments are found, and how many of them chance alone would make.

use std::sync::{Mutex, PoisonError};

use telemetra_core::{EventTime, Micro};

/// The moments of one grouping in the period that was settled last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MomentsStatus {
    /// The name of the operator that compares them: `chance`, and the table of the grouping.
    pub operator: String,
    /// The end of the period.
    pub until: EventTime,
    /// How many moments were found per hour, of those rules whose chance can be told.
    pub found_per_hour: Micro,
    /// How many chance alone would make per hour.
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
