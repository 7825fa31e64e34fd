//! The handle of a running pipeline.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use telemetra_core::{EventTime, Events, Fates};
use timely::communication::WorkerGuards;

use crate::deliver::placement::SinkHandle;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::exporter::{Exporter, Monitored, Readings};
use crate::observe::metrics::Value;
use crate::observe::status::{PipelineStatus, SinkStatus};
use crate::pipeline::finish::{Drain, StopHandle};
use crate::pipeline::worker::Blueprint;
use crate::read::discovery::PartitionDiscovery;
use crate::read::ingress::{PartitionStatus, Shared};
use crate::support::failure::{Failure, PipelineError, panic_text};
use crate::support::frontier::DurableFrontier;
use crate::support::retry::Failing;

/// A pipeline at work. Dropping it stops the pipeline without draining.
pub struct Running {
    exporter: Option<Exporter>,
    ingress: Arc<Shared>,
    frontier: Arc<DurableFrontier>,
    sinks: Vec<SinkHandle>,
    checkpoints: Arc<CheckpointGauge>,
    failure: Failure,
    workers: Option<WorkerGuards<()>>,
    threads: Vec<JoinHandle<()>>,
    /// Each ends a thread that looks for new partitions when it is dropped.
    discoveries: Vec<Sender<()>>,
    stop: StopHandle,
    has_checkpoints: bool,
}

/// How often it is looked whether the threads of sinks and of the checkpoint store have ended.
const LOOK: Duration = Duration::from_millis(1);

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// What a pipeline did, as its handle reports at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The fates of all events, those before a restart included.
    pub fates: Fates,
    /// The same by partition.
    pub partitions: Vec<PartitionStatus>,
    /// What was not durable when [draining](Running::drain) took longer than it may, and where the next start goes on; `None` if
    /// all was.
    pub unfinished: Option<String>,
}

/// What runs beside the workers, or is shared with them.
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
}

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
    } = parts;
    let frontier = Arc::clone(&blueprint.frontier);
    let readings = Readings {
        pipeline: name,
        ingress: Arc::clone(&ingress),
        frontier: Arc::clone(&frontier),
        sinks: sinks.clone(),
        checkpoints: has_checkpoints.then(|| Arc::clone(&checkpoints)),
        failure: failure.clone(),
        workers: monitored,
        first_worker: blueprint.cluster.0 * blueprint.cluster.1,
    };
    // Before anything is read: what has been counted until then was read before a restart.
    let exporter = Exporter::start(readings).map_err(|error| PipelineError::Worker(error.to_string()))?;
    let stop = StopHandle {
        shared: Arc::clone(&ingress),
        failure: failure.clone(),
        finish: Arc::clone(&blueprint.finish),
        processes: blueprint.processes,
    };
    let finish = Arc::clone(&blueprint.finish);
    let panicked = failure.clone();
    let started = timely::execute(config, move |worker| {
        let work = std::panic::AssertUnwindSafe(|| blueprint.work(worker));
        let worked = std::panic::catch_unwind(work);
        finish.worker_ended();
        if let Err(panic) = worked {
            // Let the others know before the panic goes on: they would wait for this worker for ever.
            panicked.set(PipelineError::Worker(format!("it panicked: {}", panic_text(&*panic))));
            std::panic::resume_unwind(panic);
        }
    });
    let workers = started.map_err(PipelineError::Worker)?;
    let mut running = Running {
        exporter: Some(exporter),
        ingress,
        frontier,
        sinks,
        checkpoints,
        failure,
        workers: Some(workers),
        threads,
        discoveries: Vec::new(),
        stop,
        has_checkpoints,
    };
    for discovery in discoveries {
        let (alive, over) = channel();
        let started = discovery.start(Arc::clone(&running.ingress), over);
        started.map_err(|error| PipelineError::Worker(error.to_string()))?;
        running.discoveries.push(alive);
    }
    Ok(running)
}

impl Running {
    /// The fates of the events read so far in this process, those before a restart included.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.ingress.fates()
    }

    /// The fates of the events that this process read before it was restarted, as the checkpoint knows them: what
    /// [`fates`](Self::fates) was when this run began. The difference is what this run has read.
    #[must_use]
    pub fn fates_before(&self) -> Fates {
        self.ingress.fates_before
    }

    /// Its status. Cheap enough to be asked many times a second.
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
            failure: self.failure.enrich(),
        }
    }

    /// Whether it has come to its end, or failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.failure.is_set() || self.frontier.get() == EventTime::MAX
    }

    /// A handle to stop or drain it from another thread or task, and to await its end.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits until all sources have ended, all windows are closed and everything is durable. A source that never ends
    /// makes it wait for ever; then use [`drain`](Self::drain).
    ///
    /// # Errors
    ///
    /// The first error of the pipeline.
    pub fn wait(mut self) -> Result<Report, PipelineError> {
        match self.join() {
            Err(PipelineError::Peer { why: None, .. }) if self.failure.is_halted() => Ok(self.report()),
            joined => joined,
        }
    }

    /// Stops reading, finishes what was read, flushes the sinks, and keeps a checkpoint if windows stay open. It returns within
    /// the [drain timeout](crate::Pipeline::drain_timeout) also if a sink is away: [`Report::unfinished`] then says so.
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

    /// Stops as soon as can be. What is not in a checkpoint is read again after a restart.
    ///
    /// # Errors
    ///
    /// The first error of the pipeline.
    pub fn stop(mut self) -> Result<Report, PipelineError> {
        self.stop.stop();
        self.join_stopped()
    }

    /// The same after the order to stop, which another process of the cluster may have had before this one.
    fn join_stopped(&mut self) -> Result<Report, PipelineError> {
        match self.join() {
            Err(PipelineError::Peer { why: None, .. }) => Ok(self.report()),
            joined => joined,
        }
    }

    fn report(&self) -> Report {
        let unfinished = self.stop.finish.is_overdue().then(|| self.unfinished());
        Report { fates: self.ingress.fates(), partitions: self.ingress.status(), unfinished }
    }

    /// Why draining was given up, and where the next start goes on.
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

    fn join(&mut self) -> Result<Report, PipelineError> {
        let mut panicked = None;
        for worker in self.workers.take().map(WorkerGuards::join).into_iter().flatten() {
            panicked = worker.err().or(panicked);
        }
        self.discoveries.clear();
        let down = self.failure.is_down().then(|| Instant::now() + self.stop.finish.closing());
        for thread in self.threads.drain(..) {
            // One that waits for something outside does not hear that all stop.
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
        // Before the failure is taken: it is exported whether there was one.
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
        if self.workers.is_some() {
            // The error is exported by `wait`, `drain` and `stop`; who drops the handle does not ask.
            let _ = self.join();
        }
    }
}
