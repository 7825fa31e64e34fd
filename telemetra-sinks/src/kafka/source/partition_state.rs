//! The state that a partition's reader and the consumer thread share: positions, flags, and the offset to
//! commit.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::error::RDKafkaErrorCode as Code;
use telemetra_core::{ExternalError, PartitionId};

/// The value of an unknown offset.
pub(super) const NONE: i64 = -1;

/// The shared state of one partition that is being read.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) id: PartitionId,
    pub(super) topic: String,
    pub(super) number: i32,
    /// The number of polls.
    pub(super) polls: AtomicU64,
    /// The reader's next offset.
    pub(super) next: AtomicI64,
    /// A flag of the thread: fetching is paused, and fetched records were dropped.
    pub(super) paused: AtomicBool,
    /// A flag of the reader: it wants to continue.
    pub(super) wanted: AtomicBool,
    /// A flag of the reader: it is dropped.
    pub(super) closed: AtomicBool,
    /// A flag of the thread: the partition's broker cannot be reached, for at least two checks.
    pub(super) unreachable: AtomicBool,
    /// A flag of the thread: the partition's broker could not be reached at the previous check.
    pub(super) was_down: AtomicBool,
    /// The last known end of the log.
    pub(super) end: AtomicI64,
    /// The number of records that were skipped because the log no longer contained them.
    pub(super) lost: AtomicU64,
    /// The offset to commit.
    pub(super) commit: AtomicI64,
    /// An error that the reader asks the thread to resolve, and its offset.
    question: Mutex<Option<(Code, u64)>>,
    /// The answer of the thread: the offset to continue from, or an error.
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

    /// Asks the thread to resolve an error that the partition has met before `next`.
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

    /// Returns the number of records that are left, if it is known.
    pub(super) fn lag(&self) -> Option<u64> {
        let end = self.end.load(Ordering::Relaxed);
        let lag = end.saturating_sub(self.next.load(Ordering::Relaxed)).max(0);
        (end != NONE).then_some(u64::try_from(lag).unwrap_or(0))
    }
}

/// Converts an offset to librdkafka's type.
pub(super) fn signed(offset: u64) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

/// The partitions that are being read.
pub(super) type Partitions = Arc<Mutex<Vec<Arc<PartitionState>>>>;

/// Locks a mutex, ignoring poison: the values behind these mutexes are always complete.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
