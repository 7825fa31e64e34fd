//! How a pipeline ends: the order to stop or drain, and the word that it has ended.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use telemetra_core::EventTime;

use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::read::ingress::{Reading, Shared};
use crate::support::failure::Failure;

/// What happens to windows that are still open when a pipeline is drained.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Drain {
    /// They close as if all partitions had ended. What comes after a restart starts new windows.
    CloseWindows,
    /// They stay open: the state is kept in a checkpoint, and a restart goes on as if nothing had been. Without
    /// checkpoints, and for a cluster of processes, it is as if the process had been killed.
    KeepWindows,
}

/// The end of a pipeline, shared by its handles and its workers.
#[derive(Debug)]
pub(crate) struct Finish {
    /// The workers of this process that still run.
    running: AtomicUsize,
    /// Who waits for the end.
    wakers: Mutex<Vec<Waker>>,
    /// The boundary of the last checkpoint: when it is complete, the pipeline halts. [`EventTime::MAX`]: none.
    last: AtomicU64,
    checkpoints: Arc<CheckpointGauge>,
    /// How long draining may take, and when the order came.
    timeout: Duration,
    ordered: OnceLock<Instant>,
    /// Whether it took longer.
    overdue: AtomicBool,
}

impl Finish {
    pub(crate) fn new(workers: usize, checkpoints: Arc<CheckpointGauge>, timeout: Duration) -> Self {
        Self {
            running: AtomicUsize::new(workers),
            wakers: Mutex::default(),
            last: AtomicU64::new(EventTime::MAX.0),
            checkpoints,
            timeout,
            ordered: OnceLock::new(),
            overdue: AtomicBool::new(false),
        }
    }

    /// Halts the pipeline if draining takes longer than it may.
    pub(crate) fn halt_when_overdue(&self, failure: &Failure) {
        let late = self.ordered.get().is_some_and(|ordered| ordered.elapsed() >= self.timeout);
        if late && !failure.is_down() {
            self.overdue.store(true, Ordering::Release);
            failure.halt();
        }
    }

    /// How long the threads of sinks and of the checkpoint store may take to close once all are to stop.
    pub(crate) fn closing(&self) -> Duration {
        if self.is_overdue() { self.timeout / 8 } else { self.timeout }
    }

    /// Whether draining was given up.
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::Acquire)
    }

    /// A worker has come to its end.
    pub(crate) fn worker_ended(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wakers.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(Waker::wake);
        }
    }

    /// Whether all workers of this process have come to their end.
    fn has_ended(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }

    /// Halts the pipeline once its last checkpoint is complete.
    pub(crate) fn halt_when_kept(&self, failure: &Failure) {
        let last = self.last.load(Ordering::Acquire);
        if last != EventTime::MAX.0 && self.checkpoints.boundary.load(Ordering::Acquire) >= last {
            failure.halt();
        }
    }
}

/// Stops a pipeline from any thread, also one that is still being started: [`Pipeline::start`](crate::Pipeline::start) then gives
/// [`PipelineError::Stopped`](crate::PipelineError::Stopped) as soon as the call that it waits for returns. Clones are the same.
#[derive(Clone, Debug)]
pub struct StopSignal(pub(crate) Failure);

impl StopSignal {
    /// Has the pipeline stop as soon as can be. Returns at once.
    pub fn stop(&self) {
        self.0.halt();
    }
}

/// Stops or drains a pipeline from any thread or task, and waits for its end without a thread. Clones are the same.
#[derive(Clone, Debug)]
pub struct StopHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) failure: Failure,
    pub(crate) finish: Arc<Finish>,
    pub(crate) processes: usize,
}

impl StopHandle {
    /// Has the pipeline stop as soon as can be. What is not in a checkpoint is read again after a restart. Returns at once;
    /// [`Running::wait`](crate::Running::wait) gives the report.
    pub fn stop(&self) {
        self.failure.halt();
    }

    /// Has the pipeline stop reading, finish what was read and flush its sinks, and keep a checkpoint if windows stay open. Returns at
    /// once. It ends within the [drain timeout](crate::Pipeline::drain_timeout), also if a sink is away.
    pub fn drain(&self, how: Drain) {
        self.finish.ordered.get_or_init(Instant::now);
        match how {
            Drain::CloseWindows => self.shared.set_reading(Reading::Ends),
            Drain::KeepWindows => {
                self.shared.set_reading(Reading::Rests);
                let last = (self.processes == 1)
                    .then(|| self.shared.trigger.close(|| self.shared.floor()))
                    .flatten();
                match last {
                    Some(last) => self.finish.last.store(last.0, Ordering::Release),
                    // Without a last checkpoint the workers come to an end by themselves only if the sources have.
                    None if self.shared.floor() < EventTime::MAX => self.failure.halt(),
                    None => {}
                }
            }
        }
    }

    /// Whether the pipeline has come to its end: all was read and is durable, it was stopped, or it failed.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.finish.has_ended()
    }

    /// Waits for the end, as a future for any executor. [`Running::wait`](crate::Running::wait) then returns without waiting for data.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        Ended(Arc::clone(&self.finish))
    }
}

struct Ended(Arc<Finish>);

impl Future for Ended {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut wakers = self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock: whoever ends it wakes those that are there.
        if self.0.has_ended() {
            return Poll::Ready(());
        }
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}
