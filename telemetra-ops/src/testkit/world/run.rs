//! One run of the process in a simulation: the parts that its pipeline is built from, and how it ends.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{Clock, Decoder, EventTime, Events, Fates, Sink, Source, TimeConfig};

use crate::pipeline::builder::Pipeline;
use crate::pipeline::finish::Drain;
use crate::pipeline::handle::Running;
use crate::support::defects::EngineDefects;
use crate::support::failure::{PipelineError, chain};
use crate::testkit::world::Defect;
use crate::testkit::world::script::{RunEnd, RunPlan};
use crate::testkit::world::shared::{Findings, Owners, Process, VirtualTime, lock};
use crate::testkit::world::sink::{Durable, FaultySink, ModelSink};
use crate::testkit::world::source::{Records, WorldSource};
use crate::testkit::world::store::{FaultyStore, MemoryStore};

/// One run of the simulated process: from a start to the end of the input, a drain or a kill. Clones are
/// handles on the same run.
///
/// The `start` closure of a [`World`](super::World) receives it in each run, and builds the pipeline from
/// [`pipeline`](Self::pipeline).
#[derive(Clone)]
pub struct ProcessRun {
    pub(super) plan: Arc<RunPlan>,
    pub(super) config: TimeConfig,
    pub(super) process: Process,
    pub(super) time: VirtualTime,
    pub(super) findings: Findings,
    pub(super) defect: Option<Defect>,
    pub(super) records: Arc<Records>,
    pub(super) sinks: Vec<Arc<Mutex<Durable>>>,
    pub(super) store: MemoryStore,
    pub(super) seed: u64,
    /// Its number, from 0.
    pub(super) number: usize,
    /// Processes before it that were taken for dead, and wake once it has begun to write.
    pub(super) asleep: Vec<Process>,
    pub(super) owners: Owners,
    /// The partition in whose place there is another one of the same name.
    pub(super) replaced: Option<usize>,
    /// True if that was noticed.
    pub(super) refused: Arc<AtomicBool>,
}

impl std::fmt::Debug for ProcessRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessRun").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// The end of a run.
#[derive(Debug)]
pub(super) enum Ended {
    /// All was read.
    Whole(Fates),
    /// The next one goes on.
    Early,
    /// It hung or failed; the findings say how.
    Violated,
}

impl ProcessRun {
    /// Returns a pipeline with the source, clock, time settings, sinks, checkpoint store and number of
    /// workers of this run. Add your own groupings, rules, operators and sinks, and leave these settings as
    /// they are. Checkpoints are two panes of event time apart.
    #[must_use]
    pub fn pipeline<E: Events>(&self, decoder: impl Decoder<E> + 'static) -> Pipeline<E> {
        let every = Duration::from_millis(2 * self.config.windows.slide());
        let pipeline = Pipeline::<E>::new().source(self.source(), decoder).clock(self.clock());
        let pipeline = pipeline.time(self.config.clone()).workers(self.plan.workers);
        let mut pipeline = pipeline.checkpoints(self.faulty_store(self.store.clone()), every);
        for (number, durable) in self.sinks.iter().enumerate() {
            let sink = ModelSink {
                name: format!("model {number}"),
                durable: Arc::clone(durable),
                held: Vec::new(),
                owner: 0,
                findings: self.findings.clone(),
                defect: self.defect,
            };
            pipeline = pipeline.sink(FaultySink::new(sink, number, self.clone()));
        }
        pipeline.parts.defects = EngineDefects {
            trigger_passes_over: self.defect == Some(Defect::TriggerPassesOver),
            completes_early: self.defect == Some(Defect::CheckpointCompletesEarly),
            forgets_floors: matches!(
                self.defect,
                Some(Defect::RestartForgetsFloors | Defect::RestartForgetsEnd)
            ),
            forgets_journal: self.defect == Some(Defect::RestartForgetsEnd),
            forgets_identity: self.defect == Some(Defect::RestartForgetsIdentity),
            counts_suspensions: self.defect == Some(Defect::SuspensionIsSilence),
        };
        pipeline
    }

    /// Returns the time settings of this simulation: yours, with an idle time and an allowed lateness chosen
    /// by the script.
    #[must_use]
    pub fn time(&self) -> &TimeConfig {
        &self.config
    }

    /// Returns the seed of the script.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Returns the number of this run within its simulation, from 0. Each seed is simulated twice, the first
    /// time without faults. So in run 0, give your sinks and stores an empty place to write to, for example a
    /// new folder, and in the runs that follow the same place. Seeds run at the same time, so each
    /// [seed](Self::seed) needs a place of its own.
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Returns the virtual clock of this simulation, which [`pipeline`](Self::pipeline) sets.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.time.clock()
    }

    /// Returns the scripted source of this run, for pipelines that are not built by
    /// [`pipeline`](Self::pipeline).
    #[must_use]
    pub fn source(&self) -> impl Source + use<> {
        WorldSource {
            records: Arc::clone(&self.records),
            plan: Arc::clone(&self.plan),
            process: self.process.clone(),
            time: self.time.clone(),
            findings: self.findings.clone(),
            defect: self.defect,
            replaced: self.replaced,
            refused: Arc::clone(&self.refused),
            failures: Arc::new(AtomicUsize::new(self.plan.opens)),
            opened: Arc::new(Mutex::new(BTreeSet::new())),
            failed: Arc::new(Mutex::new(BTreeSet::new())),
        }
    }

    /// Wraps a sink of yours with the faults of the script: it refuses, stalls, loses acknowledgements, and
    /// does nothing once the process is killed. What it made durable must survive, as with a process that is
    /// really killed, but not from one simulation to the next: see [`number`](Self::number).
    ///
    /// The contents of the sink are yours to check, in [`World::ends_with`](super::World::ends_with): compare them
    /// with the rows of the outcome.
    #[must_use]
    pub fn faulty_sink<S: Sink>(&self, sink: S) -> FaultySink<S> {
        FaultySink::new(sink, 0, self.clone())
    }

    /// Wraps a checkpoint store of yours with the faults of the script. It replaces the one in memory:
    /// `run.pipeline(decoder).checkpoints(run.faulty_store(mine), every)`.
    #[must_use]
    pub fn faulty_store<S: CheckpointStore>(&self, store: S) -> FaultyStore<S> {
        FaultyStore::new(store, self.clone())
    }

    /// A checkpoint is complete only if every sink has what comes before it.
    pub(super) fn check_complete(&self, boundary: &str) {
        let Ok(boundary) = boundary.parse::<u64>() else { return };
        for (number, sink) in self.sinks.iter().enumerate() {
            let durable = lock(sink).time.unwrap_or(EventTime::MIN);
            if durable.plus(1) < EventTime(boundary) {
                let what =
                    format!("the checkpoint {boundary} is complete, sink {number} has only {durable:?}");
                self.findings.add(what);
            }
        }
    }

    /// Wakes the processes that it has replaced.
    pub(super) fn wake_others(&self) {
        self.asleep.iter().for_each(Process::wake);
    }

    /// Returns whether its pipeline may fail: it was killed or replaced, or had to refuse a partition.
    fn is_over(&self) -> bool {
        self.process.is_over() || self.refused.load(Ordering::SeqCst)
    }

    /// Runs it to its end, which must come within `patience`.
    pub(super) fn run(
        &self,
        start: &dyn Fn(&Self) -> Result<Running, PipelineError>,
        patience: Duration,
    ) -> Ended {
        let running = match start(self) {
            Ok(running) => running,
            Err(_) if self.is_over() => return Ended::Early,
            Err(error) => {
                self.findings.add(format!("the pipeline does not start: {}", chain(&error)));
                return Ended::Violated;
            }
        };
        let (stop, begun) = (running.stop_handle(), Instant::now());
        let (mut drained, mut hangs) = (false, false);
        while !stop.has_ended() {
            let fates = running.fates();
            if !fates.is_balanced() {
                self.findings.add(format!("the fates are not balanced: {fates:?}"));
            }
            if let Some(RunEnd::Drained(read)) = self.plan.end
                && !drained
                && fates.read >= read
            {
                drained = true;
                stop.drain(Drain::KeepWindows);
            }
            if begun.elapsed() > patience {
                hangs = true;
                self.findings.add(format!("it hangs: {:?}", running.status()));
                break;
            }
            (0..4).for_each(|_| self.time.tick());
        }
        // One that hangs does not end by itself.
        let ended = if hangs { running.stop() } else { running.wait() };
        match ended {
            _ if hangs => Ended::Violated,
            _ if self.is_over() => Ended::Early,
            Ok(_) if drained => Ended::Early,
            Ok(report) => Ended::Whole(report.fates),
            Err(error) => {
                self.findings.add(format!("the pipeline fails: {}", chain(&error)));
                Ended::Violated
            }
        }
    }
}
