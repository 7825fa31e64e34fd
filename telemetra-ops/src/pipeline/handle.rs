//! The handle of a running pipeline.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use telemetra_core::{EventAccumulator, EventTime, Fates};
use timely::communication::WorkerGuards;

use super::Frontier;
use super::graph::Blueprint;
use super::meter::{Meter, Monitored, Readings};
use super::status::{PipelineStatus, SinkStatus};
use crate::failure::{Failure, PipelineError, panic_text};
use crate::ingress::{Ingress, PartitionStatus, Reading};
use crate::metric::Value;
use crate::outlet::SinkHandle;
use crate::scout::Scout;
use crate::writer::CheckpointGauge;

/// What happens to windows that are still open when a pipeline is drained.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Drain {
    /// They close as if all partitions had ended. What comes after a restart starts new windows.
    CloseWindows,
    /// They stay open: the state is kept in a checkpoint, and a restart goes on as if nothing had been. Without
    /// checkpoints, and for a cluster of processes, it is as if the process had been killed.
    KeepWindows,
}

/// A pipeline at work. Dropping it stops the pipeline without draining.
pub struct Running {
    meter: Option<Meter>,
    ingress: Ingress,
    frontier: Arc<Frontier>,
    sinks: Vec<SinkHandle>,
    checkpoints: Arc<CheckpointGauge>,
    failure: Failure,
    workers: Option<WorkerGuards<()>>,
    threads: Vec<JoinHandle<()>>,
    /// Each ends a thread that looks for new partitions when it is dropped.
    scouts: Vec<Sender<()>>,
    processes: usize,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// What a pipeline did, told at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What became of all events, those before a restart included.
    pub fates: Fates,
    /// The same by partition.
    pub partitions: Vec<PartitionStatus>,
}

/// What runs beside the workers, or is shared with them.
pub(super) struct Parts {
    pub(super) name: Value,
    pub(super) monitored: Arc<[Monitored]>,
    pub(super) has_checkpoints: bool,
    pub(super) ingress: Ingress,
    pub(super) sinks: Vec<SinkHandle>,
    pub(super) checkpoints: Arc<CheckpointGauge>,
    pub(super) failure: Failure,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) scouts: Vec<Scout>,
}

pub(super) fn run<A: EventAccumulator>(
    blueprint: Blueprint<A>,
    config: timely::Config,
    parts: Parts,
) -> Result<Running, PipelineError> {
    let Parts { name, monitored, has_checkpoints, ingress, sinks, checkpoints, failure, threads, scouts } =
        parts;
    let frontier = Arc::clone(&blueprint.frontier);
    let readings = Readings {
        pipeline: name,
        ingress: ingress.clone(),
        frontier: Arc::clone(&frontier),
        sinks: sinks.clone(),
        checkpoints: has_checkpoints.then(|| Arc::clone(&checkpoints)),
        failure: failure.clone(),
        workers: monitored,
        first_worker: blueprint.cluster.0 * blueprint.cluster.1,
    };
    // Before anything is read: what has been counted until then was read before a restart.
    let meter = Meter::start(readings).map_err(|error| PipelineError::Worker(error.to_string()))?;
    let processes = blueprint.processes;
    let panicked = failure.clone();
    let started = timely::execute(config, move |worker| {
        let work = std::panic::AssertUnwindSafe(|| blueprint.work(worker));
        if let Err(panic) = std::panic::catch_unwind(work) {
            // Let the others know before the panic goes on: they would wait for this worker for ever.
            panicked.set(PipelineError::Worker(format!("it panicked: {}", panic_text(&*panic))));
            std::panic::resume_unwind(panic);
        }
    });
    let workers = started.map_err(PipelineError::Worker)?;
    let mut running = Running {
        meter: Some(meter),
        ingress,
        frontier,
        sinks,
        checkpoints,
        failure,
        workers: Some(workers),
        threads,
        scouts: Vec::new(),
        processes,
    };
    for scout in scouts {
        let (alive, over) = channel();
        let started = scout.start(running.ingress.clone(), over);
        started.map_err(|error| PipelineError::Worker(error.to_string()))?;
        running.scouts.push(alive);
    }
    Ok(running)
}

impl Running {
    /// What became of the events read so far in this process, those before a restart included.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.ingress.fates()
    }

    /// How it stands. Cheap enough to be asked many times a second.
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
            store_failing: self.checkpoints.trouble.failing(),
            failure: self.failure.describe(),
        }
    }

    /// Whether it has come to its end, or failed.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.failure.is_set() || self.frontier.get() == EventTime::MAX
    }

    /// Waits until all sources have ended, all windows are closed and everything is durable. A source that never ends
    /// makes it wait for ever; then use [`drain`](Self::drain).
    ///
    /// # Errors
    ///
    /// The first error of the pipeline.
    pub fn wait(mut self) -> Result<Report, PipelineError> {
        self.join()
    }

    /// Stops reading, finishes what was read, flushes the sinks, and keeps a checkpoint if windows stay open.
    ///
    /// # Errors
    ///
    /// The first error of the pipeline.
    pub fn drain(mut self, how: Drain) -> Result<Report, PipelineError> {
        match how {
            Drain::CloseWindows => self.ingress.0.set_reading(Reading::Ends),
            Drain::KeepWindows => {
                self.ingress.0.set_reading(Reading::Rests);
                let shared = &self.ingress.0;
                let cut = if self.processes == 1 { shared.cuts.close(|| shared.floor()) } else { None };
                while let Some(cut) = cut
                    && self.checkpoints.boundary.load(Ordering::Acquire) < cut.0
                    && !self.is_finished()
                {
                    std::thread::sleep(Duration::from_millis(2));
                }
                // With a last cut the workers wait there; without one they come to an end only if the sources did.
                if cut.is_some() || shared.floor() < EventTime::MAX {
                    self.failure.halt();
                    return self.join_told();
                }
            }
        }
        self.join()
    }

    /// Stops as soon as can be. What is not in a checkpoint is read again after a restart.
    ///
    /// # Errors
    ///
    /// The first error of the pipeline.
    pub fn stop(mut self) -> Result<Report, PipelineError> {
        self.failure.halt();
        self.join_told()
    }

    /// The same after the order to stop, which another process of the cluster may have had before this one.
    fn join_told(&mut self) -> Result<Report, PipelineError> {
        match self.join() {
            Err(PipelineError::Peer { why: None, .. }) => Ok(self.report()),
            joined => joined,
        }
    }

    fn report(&self) -> Report {
        Report { fates: self.ingress.fates(), partitions: self.ingress.status() }
    }

    fn join(&mut self) -> Result<Report, PipelineError> {
        let mut panicked = None;
        for worker in self.workers.take().map(WorkerGuards::join).into_iter().flatten() {
            panicked = worker.err().or(panicked);
        }
        self.scouts.clear();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                panicked = panicked.or_else(|| Some("a sink or the checkpoint store panicked".to_owned()));
            }
        }
        // Before the failure is taken: it is told whether there was one.
        drop(self.meter.take());
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match panicked {
            Some(panic) => Err(PipelineError::Worker(panic)),
            None => Ok(self.report()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.failure.halt();
        if self.workers.is_some() {
            // The error is told by `wait`, `drain` and `stop`; who drops the handle does not ask.
            let _ = self.join();
        }
    }
}
