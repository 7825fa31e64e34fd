//! The gauge of checkpoints: what the writer says of them, and metrics and status read.

use std::sync::atomic::AtomicU64;

use crate::support::retry::RetryState;

/// How checkpoints stand.
#[derive(Debug)]
pub(crate) struct CheckpointGauge {
    /// The boundary of the last complete one; 0 for none.
    pub(crate) boundary: AtomicU64,
    /// How many were completed in this run.
    pub(crate) completed: AtomicU64,
    /// Bytes written for them.
    pub(crate) bytes: AtomicU64,
    /// Microseconds spent writing.
    pub(crate) micros: AtomicU64,
    pub(crate) retry: RetryState,
}

impl Default for CheckpointGauge {
    fn default() -> Self {
        let zero = AtomicU64::default;
        let retry = RetryState::new("the checkpoint store".to_owned());
        Self { boundary: zero(), completed: zero(), bytes: zero(), micros: zero(), retry }
    }
}
