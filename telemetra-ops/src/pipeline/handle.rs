//! The handle of a running pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use telemetra_core::{EventAccumulator, EventTime, Fates, Shard};
use timely::communication::WorkerGuards;

use super::Frontier;
use super::graph::Blueprint;
use crate::failure::{Failure, PipelineError, panic_text};
use crate::ingress::{Ingress, PartitionStatus, Reading};
use crate::outlet::SinkHandle;
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
    ingress: Ingress,
    frontier: Arc<Frontier>,
    sinks: Vec<SinkHandle>,
    checkpoints: Arc<CheckpointGauge>,
    failure: Failure,
    halt: Arc<AtomicBool>,
    workers: Option<WorkerGuards<()>>,
    threads: Vec<JoinHandle<()>>,
    processes: usize,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// How a pipeline stands.
#[derive(Clone, Debug)]
pub struct PipelineStatus {
    /// What became of the events read in this process, those before a restart included.
    pub fates: Fates,
    /// Up to here everything is durable in all sinks; [`EventTime::MAX`] at the end.
    pub durable: EventTime,
    /// How each partition stands.
    pub partitions: Vec<PartitionStatus>,
    /// How each shard of each sink stands that lives in this process.
    pub sinks: Vec<SinkStatus>,
    /// The boundary of the last complete checkpoint.
    pub checkpoint: Option<EventTime>,
    /// How many checkpoints were completed in this life, the bytes written for them, and the time that took.
    pub checkpoints: (u64, u64, Duration),
    /// The first error, in words.
    pub failure: Option<String>,
}

/// How a shard of a sink stands.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// Which shard of it.
    pub shard: Shard,
    /// Batches that wait for it.
    pub queued: usize,
    /// Changes it has applied in this life.
    pub changes: u64,
    /// Tries that had to be repeated.
    pub retries: u64,
}

/// What a pipeline did, told at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What became of all events, those before a restart included.
    pub fates: Fates,
    /// The same by partition.
    pub partitions: Vec<PartitionStatus>,
}

pub(super) fn run<A: EventAccumulator>(
    blueprint: Blueprint<A>,
    config: timely::Config,
    ingress: Ingress,
    sinks: Vec<SinkHandle>,
    checkpoints: Arc<CheckpointGauge>,
    failure: Failure,
    threads: Vec<JoinHandle<()>>,
) -> Result<Running, PipelineError> {
    let (frontier, halt) = (Arc::clone(&blueprint.frontier), Arc::clone(&blueprint.halt));
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
    Ok(Running {
        ingress,
        frontier,
        sinks,
        checkpoints,
        failure,
        halt,
        workers: Some(workers),
        threads,
        processes,
    })
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
        let sink = |SinkHandle { name, shard, gauge }: &SinkHandle| SinkStatus {
            name: name.clone(),
            shard: *shard,
            queued: gauge.queued.load(Ordering::Relaxed),
            changes: gauge.changes.load(Ordering::Relaxed),
            retries: gauge.retries.load(Ordering::Relaxed),
        };
        let checkpoint = EventTime(self.checkpoints.boundary.load(Ordering::Acquire));
        PipelineStatus {
            fates: self.ingress.fates(),
            durable: self.frontier.get(),
            partitions: self.ingress.status(),
            sinks: self.sinks.iter().map(sink).collect(),
            checkpoint: (checkpoint > EventTime::MIN).then_some(checkpoint),
            checkpoints: (
                self.checkpoints.completed.load(Ordering::Relaxed),
                self.checkpoints.bytes.load(Ordering::Relaxed),
                Duration::from_micros(self.checkpoints.micros.load(Ordering::Relaxed)),
            ),
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
                    self.halt.store(true, Ordering::Release);
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
        self.halt.store(true, Ordering::Release);
        self.join()
    }

    fn join(&mut self) -> Result<Report, PipelineError> {
        let mut panicked = None;
        for worker in self.workers.take().map(WorkerGuards::join).into_iter().flatten() {
            panicked = worker.err().or(panicked);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                panicked = panicked.or_else(|| Some("a sink or the checkpoint store panicked".to_owned()));
            }
        }
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        match panicked {
            Some(panic) => Err(PipelineError::Worker(panic)),
            None => Ok(Report { fates: self.ingress.fates(), partitions: self.ingress.status() }),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.halt.store(true, Ordering::Release);
        if self.workers.is_some() {
            // The error is told by `wait`, `drain` and `stop`; who drops the handle does not ask.
            let _ = self.join();
        }
    }
}
