//! The state that a partition's reader and the consumer thread share: positions, flags, and the offset to
//! commit.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;
use telemetra_core::{ExternalError, PartitionId};

/// No offset.
pub(super) const NONE: i64 = -1;

/// One partition that is being read.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) id: PartitionId,
    pub(super) topic: String,
    pub(super) number: i32,
    /// How often it was polled.
    pub(super) polls: AtomicU64,
    /// Where its reader is.
    pub(super) next: AtomicI64,
    /// Set by the thread: nothing is fetched, and what was fetched is gone.
    pub(super) paused: AtomicBool,
    /// Set by the reader: it wants to go on.
    pub(super) wanted: AtomicBool,
    /// Set by the reader: it will not come again.
    pub(super) closed: AtomicBool,
    /// Set by the thread: its broker cannot be reached, and could not when this was seen before.
    pub(super) unreachable: AtomicBool,
    pub(super) was_down: AtomicBool,
    /// The end of the log when it was last seen.
    pub(super) end: AtomicI64,
    /// How many records were passed over because the log no longer held them.
    pub(super) lost: AtomicU64,
    /// The offset to commit.
    pub(super) commit: AtomicI64,
    /// Set by the reader: look into this error.
    question: Mutex<Option<(Code, u64)>>,
    /// Set by the thread: where to go on, or why not.
    answer: Mutex<Option<Result<u64, ExternalError>>>,
}

impl PartitionState {
    pub(super) fn new(id: &PartitionId, topic: &str, number: i32, next: u64, end: Option<u64>) -> Self {
        Self {
            id: id.clone(),
            topic: topic.to_owned(),
            number,
            polls: AtomicU64::new(0),
            next: AtomicI64::new(signed(next)),
            paused: AtomicBool::new(false),
            wanted: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            was_down: AtomicBool::new(false),
            end: AtomicI64::new(end.map_or(NONE, signed)),
            lost: AtomicU64::new(0),
            commit: AtomicI64::new(NONE),
            question: Mutex::default(),
            answer: Mutex::default(),
        }
    }

    /// Asks the thread to look into an error that the partition met before `next`.
    pub(super) fn ask(&self, code: Code, next: u64) {
        *lock(&self.question) = Some((code, next));
    }

    pub(super) fn question(&self) -> Option<(Code, u64)> {
        *lock(&self.question)
    }

    pub(super) fn answer(&self, answer: Result<u64, ExternalError>) {
        *lock(&self.answer) = Some(answer);
        *lock(&self.question) = None;
    }

    pub(super) fn answered(&self) -> Option<Result<u64, ExternalError>> {
        lock(&self.answer).take()
    }

    /// How many records are left, as far as is known.
    pub(super) fn lag(&self) -> Option<u64> {
        let end = self.end.load(Ordering::Relaxed);
        let lag = end.saturating_sub(self.next.load(Ordering::Relaxed)).max(0);
        (end != NONE).then_some(u64::try_from(lag).unwrap_or(0))
    }
}

/// An offset as librdkafka has it.
pub(super) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The partitions that are being read.
pub(super) type Partitions = Arc<Mutex<Vec<Arc<PartitionState>>>>;

/// What is behind the mutexes here is whole whatever became of the thread that held one.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
