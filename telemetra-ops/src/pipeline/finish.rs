//! The end of a pipeline: the orders to stop and to drain, and futures that complete when it has ended.

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

/// The treatment of open windows when a pipeline is [drained](crate::Running::drain).
///
/// Use `KeepWindows` to restart or upgrade a service, as Flink's `stop` with a savepoint, and `CloseWindows`
/// when no more input will come, or when the tables must be complete now.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
///
/// use telemetra_core::checkpoint::Directory;
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Drain, Pipeline, PipelineError, Running, minutes, tumbling};
///
/// let folder = tempfile::tempdir()?;
/// let mut source = Memory::default();
/// let readings = source.handle("readings");
/// let start = || -> Result<Running, PipelineError> {
///     Pipeline::<Reading>::new()
///         .source(source.clone(), SerdeJson::new())
///         .checkpoints(Directory::new(folder.path()), minutes(1))
///         .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///         .start()
/// };
/// // An upgrade while the first minute is open: the new version goes on with its count.
/// readings.append(r#"{"device": "d1", "time": "2026-01-01T00:00:01Z"}"#);
/// let old = start()?;
/// while old.fates().read < 1 {
///     std::thread::yield_now();
/// }
/// old.drain(Drain::KeepWindows)?;
///
/// readings.append(r#"{"device": "d1", "time": "2026-01-01T00:00:02Z"}"#);
/// readings.end();
/// let new = start()?;
/// assert_eq!(new.fates_before().on_time, 1);
/// assert_eq!(new.wait()?.fates.on_time, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Drain {
    /// Open windows are closed and published, as if all partitions had ended. With checkpoints, a restart
    /// reads on where reading stopped, and events that belong to these windows revise them.
    CloseWindows,
    /// Open windows are kept in a last checkpoint, and a restart continues them as if there had been no
    /// interruption. Without checkpoints, in a cluster of processes, and before any partition has had an event,
    /// the effect is that of [`stop`](crate::Running::stop): what was read after the last complete checkpoint is
    /// read again.
    KeepWindows,
}

/// The state of a pipeline's end, shared by its handles and its workers.
#[derive(Debug)]
pub(crate) struct Finish {
    /// The number of this process's workers that still run.
    running: AtomicUsize,
    /// The tasks that wait for the end.
    wakers: Mutex<Vec<Waker>>,
    /// The boundary of the last checkpoint. When that checkpoint is complete, the pipeline halts.
    /// [`EventTime::MAX`] means none.
    last: AtomicU64,
    checkpoints: Arc<CheckpointGauge>,
    /// The time limit for draining, and when it was ordered.
    timeout: Duration,
    ordered: OnceLock<Instant>,
    /// True if draining took longer than the timeout.
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

    /// Halts the pipeline if draining takes longer than the drain timeout.
    pub(crate) fn halt_when_overdue(&self, failure: &Failure) {
        let late = self.ordered.get().is_some_and(|ordered| ordered.elapsed() >= self.timeout);
        if late && !failure.is_down() {
            self.overdue.store(true, Ordering::Release);
            failure.halt();
        }
    }

    /// Returns how long the threads of sinks and of the checkpoint store may take to end after the order to
    /// stop.
    pub(crate) fn closing(&self) -> Duration {
        if self.is_overdue() { self.timeout / 8 } else { self.timeout }
    }

    /// Returns whether draining was given up.
    pub(crate) fn is_overdue(&self) -> bool {
        self.overdue.load(Ordering::Acquire)
    }

    /// Records that one worker has ended, and wakes the waiting tasks after the last one.
    pub(crate) fn worker_ended(&self) {
        if self.running.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.wakers.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(Waker::wake);
        }
    }

    /// Returns whether all workers of this process have ended.
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

/// A handle that stops a pipeline from any thread, also while it is still starting. Clones control the same
/// pipeline.
///
/// Get it from [`Pipeline::stop_signal`](crate::Pipeline::stop_signal) before the start, for example for a
/// handler of SIGTERM. It cannot drain: once the pipeline runs, a [`StopHandle`] can do both.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Pipeline, PipelineError};
///
/// let source = Memory::default().partition("readings", [""; 0]);
/// let pipeline = Pipeline::<Reading>::new().source(source, SerdeJson::new());
/// pipeline.stop_signal().stop();
/// assert!(matches!(pipeline.start(), Err(PipelineError::Stopped)));
/// ```
#[derive(Clone, Debug)]
pub struct StopSignal(pub(crate) Failure);

impl StopSignal {
    /// Orders the pipeline to stop as soon as possible, without draining. Returns at once.
    ///
    /// Before and during the start, [`Pipeline::start`](crate::Pipeline::start) returns
    /// [`PipelineError::Stopped`](crate::PipelineError::Stopped) as soon as the call to an external system
    /// that it waits for returns. Later the effect is that of [`StopHandle::stop`].
    pub fn stop(&self) {
        self.0.halt();
    }
}

/// A handle that stops or drains a running pipeline from any thread or task, and awaits its end. Clones
/// control the same pipeline. It does not keep the pipeline running: when the [`Running`](crate::Running)
/// handle is dropped, the pipeline stops.
///
/// Get it from [`Running::stop_handle`](crate::Running::stop_handle). The report or the error is returned by
/// [`Running::wait`](crate::Running::wait), on the thread that owns that handle.
///
/// ```
/// # #[derive(serde::Deserialize)]
/// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Drain, Pipeline, minutes, tumbling};
///
/// let lines = [r#"{"device": "d1", "site": 4, "time": "2026-01-01T00:00:00Z", "celsius": 20.5}"#];
/// let running = Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///     .start()?;
/// let stop = running.stop_handle();
/// let stopper = std::thread::spawn(move || stop.drain(Drain::CloseWindows));
/// running.wait()?;
/// stopper.join().expect("draining does not panic");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StopHandle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) failure: Failure,
    pub(crate) finish: Arc<Finish>,
    pub(crate) processes: usize,
}

impl StopHandle {
    /// Orders the pipeline to stop as soon as possible, and returns at once. Input after the last checkpoint
    /// is read again after a restart. [`Running::wait`](crate::Running::wait) returns the report.
    pub fn stop(&self) {
        self.failure.halt();
    }

    /// Orders the pipeline to stop reading, finish what was read, and flush its sinks, and returns at once.
    /// With [`Drain::KeepWindows`] the pipeline also takes a checkpoint of the open windows.
    ///
    /// Draining is given up after the [drain timeout](crate::Pipeline::drain_timeout), for example if a sink
    /// is unreachable; the pipeline then stops. In a cluster the order concerns the partitions of this
    /// process, so give it in each process.
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
                    // Without a last checkpoint, the workers end by themselves only if all sources have
                    // ended.
                    None if self.shared.floor() < EventTime::MAX => self.failure.halt(),
                    None => {}
                }
            }
        }
    }

    /// Returns whether all workers of this process have ended: because all input is processed and durable,
    /// because the pipeline was stopped or drained, or because it failed. Threads of sinks may still be
    /// closing.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.finish.has_ended()
    }

    /// Returns a future that completes when the pipeline [has ended](Self::has_ended). It works with any
    /// executor, and does nothing until it is polled; dropping it has no effect on the pipeline.
    ///
    /// [`Running::wait`](crate::Running::wait) then waits only for sinks and the checkpoint store to close.
    /// They may block, so in asynchronous code call it on a thread for blocking work, as
    /// `tokio::task::spawn_blocking` provides.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use std::{future::Future, pin::pin, task::{Context, Waker}};
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let mut source = Memory::default();
    /// let readings = source.handle("readings");
    /// let running = Pipeline::<Reading>::new()
    ///     .source(source, SerdeJson::new())
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?;
    /// let stop = running.stop_handle();
    ///
    /// // In a service: `stop.ended().await`, for example in `tokio::select!` with a signal.
    /// let mut ended = pin!(stop.ended());
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(ended.as_mut().poll(&mut context).is_pending());
    /// readings.end();
    /// running.wait()?;
    /// assert!(ended.as_mut().poll(&mut context).is_ready() && stop.has_ended());
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    pub fn ended(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        Ended(Arc::clone(&self.finish))
    }
}

/// The future of [`StopHandle::ended`].
struct Ended(Arc<Finish>);

impl Future for Ended {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut wakers = self.0.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        // The check is repeated under the lock, as the last worker wakes only the tasks that are registered
        // then.
        if self.0.has_ended() {
            return Poll::Ready(());
        }
        if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            wakers.push(context.waker().clone());
        }
        Poll::Pending
    }
}
