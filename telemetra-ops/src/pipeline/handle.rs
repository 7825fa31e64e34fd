//! The handle of a running pipeline.
//!
//! The handle owns the workers' and sinks' threads. Status is read from gauges that these threads update, so
//! nothing is asked of a worker and a stuck worker does not block it.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use telemetra_core::{EventTime, Events, Fates};
use timely::communication::WorkerGuards;

use crate::checkpoint::state::Message;
use crate::deliver::placement::SinkHandle;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::comparison::MomentsStatus;
use crate::observe::exporter::{Exporter, Monitored, Readings};
use crate::observe::metrics::Value;
use crate::observe::status::{PipelineStatus, SinkStatus};
use crate::pipeline::finish::{Drain, StopHandle};
use crate::pipeline::report::Report;
use crate::pipeline::start_workers::start_workers;
use crate::pipeline::worker::Blueprint;
use crate::read::discovery::PartitionDiscovery;
use crate::read::ingress::Shared;
use crate::spill::Spill;
use crate::support::failure::{Failure, PipelineError};
use crate::support::frontier::DurableFrontier;
use crate::support::restore_plan::RestorePlan;
use crate::support::retry::{Failing, RetryState};

/// The handle of a running pipeline: its status, and the ways to end it.
/// [`Pipeline::start`](crate::Pipeline::start) returns it.
///
/// There are three ways to end it: [`wait`](Self::wait) for the end of the input, [`drain`](Self::drain) to
/// finish what was read, and [`stop`](Self::stop) to end at once. All three consume the handle and block
/// until the threads have ended, so in asynchronous code call them on a thread for blocking work. A
/// [`StopHandle`] gives the order to end from any other thread or task.
///
/// Dropping the handle has the effect of [`stop`](Self::stop), with errors ignored. The handle is `Sync`, so
/// a service can share it by `Arc`.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::{SerdeJson, source::Memory};
/// use telemetra_ops::{Pipeline, minutes, tumbling};
///
/// let lines = [r#"{"device": "d1", "time": "2026-01-01T00:00:00Z"}"#];
/// let running = Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///     .start()?;
/// let status = running.status();
/// assert!(status.failure.is_none());
/// let report = running.wait()?;
/// assert_eq!(report.fates.on_time, 1);
/// assert_eq!(report.unfinished, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Running {
    exporter: Option<Exporter>,
    ingress: Arc<Shared>,
    pub(super) frontier: Arc<DurableFrontier>,
    pub(super) sinks: Vec<SinkHandle>,
    checkpoints: Arc<CheckpointGauge>,
    pub(super) failure: Failure,
    /// In a lock that nobody waits for, as threads' results are not `Sync`.
    workers: Mutex<Option<WorkerGuards<()>>>,
    threads: Vec<JoinHandle<()>>,
    /// For each source that is asked for new partitions whether that works. Dropping the sender ends its thread.
    discoveries: Vec<(RetryState, Sender<()>)>,
    pub(super) stop: StopHandle,
    has_checkpoints: bool,
    monitored: Arc<[Monitored]>,
    plan: Option<RestorePlan>,
    spill: Option<Arc<Spill>>,
    /// To the thread that writes checkpoints; `None` if there is none, or it is another process's to take savepoints.
    pub(super) messages: Option<Sender<Message>>,
}

/// The interval of checking whether the threads of sinks and of the checkpoint store have ended.
const LOOK: Duration = Duration::from_millis(1);

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// The parts that run beside the workers or are shared with them.
pub(super) struct RunParts {
    pub(super) name: Value,
    pub(super) monitored: Arc<[Monitored]>,
    pub(super) has_checkpoints: bool,
    pub(super) ingress: Arc<Shared>,
    pub(super) sinks: Vec<SinkHandle>,
    pub(super) checkpoints: Arc<CheckpointGauge>,
    pub(super) failure: Failure,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) discoveries: Vec<PartitionDiscovery>,
    pub(super) plan: Option<RestorePlan>,
    pub(super) spill: Option<Arc<Spill>>,
    pub(super) messages: Option<Sender<Message>>,
}

/// Starts the workers and the threads beside them, and returns their handle.
pub(super) fn run<E: Events>(
    blueprint: Blueprint<E>,
    config: timely::Config,
    parts: RunParts,
) -> Result<Running, PipelineError> {
    let RunParts {
        name,
        monitored,
        has_checkpoints,
        ingress,
        sinks,
        checkpoints,
        failure,
        threads,
        discoveries,
        plan,
        spill,
        messages,
    } = parts;
    let frontier = Arc::clone(&blueprint.frontier);
    let readings = Readings {
        pipeline: name,
        ingress: Arc::clone(&ingress),
        frontier: Arc::clone(&frontier),
        sinks: sinks.clone(),
        checkpoints: has_checkpoints.then(|| Arc::clone(&checkpoints)),
        failure: failure.clone(),
        spill: spill.clone(),
        workers: Arc::clone(&monitored),
        first_worker: blueprint.cluster.0 * blueprint.cluster.1,
    };
    // Before anything is read: everything counted until now was read before a restart.
    let exporter = Exporter::start(readings).map_err(|error| PipelineError::Worker(error.to_string()))?;
    let stop = StopHandle {
        shared: Arc::clone(&ingress),
        failure: failure.clone(),
        finish: Arc::clone(&blueprint.finish),
        processes: blueprint.processes,
    };
    let workers = start_workers(blueprint, config, &failure)?;
    let mut running = Running {
        exporter: Some(exporter),
        ingress,
        frontier,
        sinks,
        checkpoints,
        failure,
        workers: Mutex::new(Some(workers)),
        threads,
        discoveries: Vec::new(),
        stop,
        has_checkpoints,
        monitored,
        plan,
        spill,
        messages,
    };
    for discovery in discoveries {
        let (alive, over) = channel();
        let retry = discovery.retry.clone();
        let started = discovery.start(Arc::clone(&running.ingress), over);
        started.map_err(|error| PipelineError::Worker(error.to_string()))?;
        running.discoveries.push((retry, alive));
    }
    Ok(running)
}

impl Running {
    /// Returns the number of events by fate (on time, late, too late, malformed, from the future, duplicate),
    /// over all partitions that this process reads. Events read before a restart from a checkpoint are
    /// included.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.ingress.fates()
    }

    /// Returns the fates of the events that this process read before it was restarted, as stored in the
    /// checkpoint: the value of [`fates`](Self::fates) when this run began. The difference of the two is what
    /// this run has read.
    #[must_use]
    pub fn fates_before(&self) -> Fates {
        self.ingress.fates_before
    }

    /// Returns what the start did with each part of the checkpoint's state; `None` if it did not start from a
    /// checkpoint. The plan's `Display` is a list with one part a line. An example is at
    /// [`from_savepoint`](crate::Pipeline::from_savepoint).
    #[must_use]
    pub fn restored(&self) -> Option<&RestorePlan> {
        self.plan.as_ref()
    }

    /// Returns the current status: fates, durable time, partitions, sinks and checkpoints. It reads what the
    /// threads have stored and asks no worker, so it returns also while a worker or a sink is blocked. It
    /// takes a few locks and copies, so it can be called many times a second. [`PipelineStatus`] has an example.
    #[must_use]
    pub fn status(&self) -> PipelineStatus {
        let checkpoint = EventTime(self.checkpoints.boundary.load(Ordering::Acquire));
        PipelineStatus {
            fates: self.ingress.fates(),
            durable: self.frontier.get(),
            partitions: self.ingress.status(),
            sinks: self.sinks.iter().map(SinkStatus::of).collect(),
            checkpoint: (checkpoint > EventTime::MIN).then_some(checkpoint),
            checkpoints: (
                self.checkpoints.completed.load(Ordering::Relaxed),
                self.checkpoints.bytes.load(Ordering::Relaxed),
                Duration::from_micros(self.checkpoints.micros.load(Ordering::Relaxed)),
            ),
            store_failing: self.checkpoints.retry.failing(),
            discovery_failing: self.discoveries.iter().filter_map(|(retry, _)| retry.failing()).collect(),
            moments: self.moments(),
            operator_times: self.operator_times(),
            state_bytes: self.monitored.iter().map(|worker| worker.state_size.get()[3]).sum(),
            failure: self.failure.describe(),
        }
    }

    /// Returns whether the pipeline has processed all its input, or has failed. [`wait`](Self::wait) then
    /// returns soon. It is false while a source can still give records, also after an order to stop; whether
    /// the pipeline has ended for any reason is [`StopHandle::has_ended`].
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.failure.is_set() || self.frontier.get() == EventTime::MAX
    }

    /// Returns a cloneable handle that stops or drains the pipeline from another thread or task, and awaits
    /// its end.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Blocks until all sources have ended, all windows are closed and everything is durable, or until the
    /// pipeline is stopped or drained through a [`StopHandle`]. If a source never ends, only such an order or
    /// an error ends it.
    ///
    /// # Errors
    ///
    /// The first error of the pipeline. A restart continues from the last complete checkpoint, if there is
    /// one.
    pub fn wait(mut self) -> Result<Report, PipelineError> {
        match self.join() {
            Err(PipelineError::Peer { why: None, .. }) if self.failure.is_halted() => Ok(self.report()),
            joined => joined,
        }
    }

    /// Stops reading, finishes what was read, flushes the sinks, and blocks until that is done. With
    /// [`Drain::KeepWindows`] it also takes a checkpoint of the open windows, if the pipeline has a
    /// checkpoint store.
    ///
    /// After the [drain timeout](crate::Pipeline::drain_timeout), 8 s by default, draining is given up, for
    /// example because a sink is unreachable: the pipeline stops, and [`Report::unfinished`] says what is not
    /// durable. This is no error. Together with the time for closing, it takes at most an eighth longer. In a
    /// cluster, drain each process. [`Drain`] has an example.
    ///
    /// # Errors
    ///
    /// The first error of the pipeline.
    pub fn drain(mut self, how: Drain) -> Result<Report, PipelineError> {
        self.stop.drain(how);
        match how {
            Drain::CloseWindows => self.join(),
            Drain::KeepWindows => self.join_stopped(),
        }
    }

    /// Stops as soon as possible, without flushing, and blocks until the threads have ended. Input after the
    /// last complete checkpoint is read again after a restart.
    ///
    /// A call of a sink or of the checkpoint store that is under way has the [drain
    /// timeout](crate::Pipeline::drain_timeout) to return. A thread that does not return by then is left
    /// behind, which is logged.
    ///
    /// # Errors
    ///
    /// The first error of the pipeline, if it failed before it was stopped.
    pub fn stop(mut self) -> Result<Report, PipelineError> {
        self.stop.stop();
        self.join_stopped()
    }

    /// Joins the threads after the order to stop, which another process of the cluster may have received
    /// first.
    fn join_stopped(&mut self) -> Result<Report, PipelineError> {
        match self.join() {
            Err(PipelineError::Peer { why: None, .. }) => Ok(self.report()),
            joined => joined,
        }
    }

    /// Returns the report as of now.
    fn report(&self) -> Report {
        let unfinished = self.stop.finish.is_overdue().then(|| self.unfinished());
        Report {
            fates: self.ingress.fates(),
            partitions: self.ingress.status(),
            moments: self.moments(),
            restored: self.plan.clone(),
            unfinished,
            spill: self.spill.as_ref().map(|spill| spill.report()),
        }
    }

    /// The comparisons, which are the same on all workers.
    fn moments(&self) -> Vec<MomentsStatus> {
        self.monitored.first().map(|worker| worker.moments.get()).unwrap_or_default()
    }

    /// The times by operator, of all workers of this process.
    fn operator_times(&self) -> BTreeMap<String, Duration> {
        let mut sums = BTreeMap::new();
        for (operator, time) in self.monitored.iter().flat_map(|worker| worker.operator_times.get()) {
            *sums.entry(operator).or_default() += time;
        }
        sums
    }

    /// Describes why draining was given up, and where the next start continues.
    fn unfinished(&self) -> String {
        let status = self.status();
        let away =
            |what: String, failing: Option<Failing>| Some(format!("{what} is away: {}", failing?.error));
        let sinks = status
            .sinks
            .into_iter()
            .filter_map(|sink| away(format!("the sink `{}`", sink.name), sink.failing));
        let store = away("the checkpoint store".to_owned(), status.store_failing);
        let mut why: Vec<String> = sinks.chain(store).collect();
        if why.is_empty() {
            why.push("the time for draining was over".to_owned());
        }
        let next = match status.checkpoint {
            Some(checkpoint) => format!("from the checkpoint of {checkpoint}"),
            None if self.has_checkpoints => "where this one began".to_owned(),
            None => "from the beginning, as there are no checkpoints".to_owned(),
        };
        format!("stopped before all was durable: {}; the next start goes on {next}", why.join(", "))
    }

    fn workers(&mut self) -> &mut Option<WorkerGuards<()>> {
        self.workers.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for all threads, and returns the first error or the report.
    fn join(&mut self) -> Result<Report, PipelineError> {
        let mut panicked = None;
        let workers = self.workers().take();
        for worker in workers.map(WorkerGuards::join).into_iter().flatten() {
            panicked = worker.err().or(panicked);
        }
        self.discoveries.clear();
        let down = self.failure.is_down().then(|| Instant::now() + self.stop.finish.closing());
        // The thread that writes checkpoints ends when nobody can send to it any more.
        self.messages = None;
        for thread in self.threads.drain(..) {
            // A thread that waits for an external system does not notice the order to stop.
            while down.is_some_and(|down| Instant::now() < down) && !thread.is_finished() {
                std::thread::sleep(LOOK);
            }
            if down.is_some() && !thread.is_finished() {
                let name = thread.thread().name().unwrap_or_default();
                tracing::warn!(thread = name, "it did not return in time and is left alone");
                continue;
            }
            if thread.join().is_err() {
                panicked = panicked.or_else(|| Some("a sink or the checkpoint store panicked".to_owned()));
            }
        }
        // Before the failure is taken, as the last export says whether there was one.
        drop(self.exporter.take());
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        if let Some(panic) = panicked {
            return Err(PipelineError::Worker(panic));
        }
        let report = self.report();
        if let Some(unfinished) = &report.unfinished {
            tracing::warn!("{unfinished}");
        }
        Ok(report)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.failure.halt();
        if self.workers().is_some() {
            // `wait`, `drain` and `stop` return the error; dropping the handle ignores it.
            let _ = self.join();
        }
    }
}
