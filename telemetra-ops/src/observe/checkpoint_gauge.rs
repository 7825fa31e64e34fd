//! The gauge of checkpoints: the checkpoint writer updates it, metrics and status read it.

use std::sync::atomic::AtomicU64;

use crate::observe::spans::CheckpointSpans;
use crate::support::retry::RetryState;

/// The state of checkpoints.
#[derive(Debug)]
pub(crate) struct CheckpointGauge {
    /// The boundary of the last complete checkpoint; 0 if there is none.
    pub(crate) boundary: AtomicU64,
    /// The number of checkpoints completed in this run.
    pub(crate) completed: AtomicU64,
    /// The number of bytes written for them.
    pub(crate) bytes: AtomicU64,
    /// The time spent writing them, in microseconds.
    pub(crate) micros: AtomicU64,
    pub(crate) retry: RetryState,
    pub(crate) spans: CheckpointSpans,
}

impl Default for CheckpointGauge {
    fn default() -> Self {
        let zero = AtomicU64::default;
        let retry = RetryState::new("the checkpoint store".to_owned());
        Self {
            boundary: zero(),
            completed: zero(),
            bytes: zero(),
            micros: zero(),
            retry,
            spans: CheckpointSpans::default(),
        }
    }
}
