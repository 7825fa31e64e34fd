//! Simulation tests of a whole pipeline, with faults and restarts generated from a seed: a source, sinks and
//! a checkpoint store that fail, virtual time, and a process that is killed and started again.
//!
//! You give a [`World`] two closures: one encodes an event that the simulation has drafted, the other builds
//! your pipeline from the source, sinks, store and clock of the simulation ([`ProcessRun::pipeline`]) and
//! starts it. The pipeline and its threads are real; only its surroundings are simulated.
//!
//! # What a seed generates
//!
//! A *script*: partitions with late, duplicate, malformed and future records, which jump in time, are created
//! later and become silent; polls that fail; sinks and a checkpoint store that refuse calls, stall and lose
//! acknowledgements; and several runs of the process ([`ProcessRun`]), each with another number of workers,
//! which are drained or killed at some step, so that everything not durable is lost.
//!
//! # What is checked
//!
//! * `read = on_time + late_applied + too_late + malformed + from_future + duplicate`, and each record that
//!   was not counted is a dead letter, once, with the right fate.
//! * No batch and no row is written twice, no row is withdrawn that is not there, and a checkpoint is
//!   complete only when all sinks have what comes before it.
//! * The final tables equal those of a run without faults on one worker, and pass your own
//!   [check](World::ends_with).
//!
//! # What is repeatable
//!
//! The script of a seed is always the same. Unless partitions are created later or become silent, so are the
//! fates and the sequence of batches in each sink. The interleaving of threads is not, and so neither is the
//! point that a run has reached when it is drained or killed. Where partitions are created later or become
//! silent, it depends on timing which events are late; such simulations allow any lateness, and only their
//! final tables are compared.
//!
//! ```
//! use std::time::Duration;
//! use serde::{Deserialize, Serialize};
//! use telemetra_core::{Event, EventTime, SerdeJson, TimeConfig, WindowSpec};
//! use telemetra_ops::testkit::world::{Draft, World};
//! use telemetra_ops::WindowKind;
//!
//! #[derive(Debug, Deserialize, Serialize)]
//! struct Reading { device: String, time: u64, celsius: u64, id: u64 }
//! impl Event for Reading {
//!     type Key = String;
//!     fn time(&self) -> EventTime { EventTime(self.time) }
//!     fn key(&self) -> &str { &self.device }
//!     fn id(&self) -> Option<telemetra_core::EventId> { Some(telemetra_core::EventId::of(&self.id.to_string())) }
//! }
//!
//! let time = TimeConfig { windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10))?, out_of_orderness: Duration::from_millis(15), allowed_lateness: Duration::from_millis(40), ..TimeConfig::default() };
//! let world = World::new(
//!     time,
//!     |draft: &Draft| {
//!         let Draft { time, key, id, number, .. } = draft;
//!         format!(r#"{{"device":"d{key}","time":{},"celsius":{number},"id":{id}}}"#, time.0).into_bytes()
//!     },
//!     |run| {
//!         let pipeline = run.pipeline::<Reading>(SerdeJson::new());
//!         pipeline.group("readings", WindowKind::default(), |a| a.count("readings")).start()
//!     },
//! );
//! // In your tests: `world.check(&[], 300)`, which runs as many seeds, and names those that break.
//! let outcome = world.run(7).map_err(|violation| violation.to_string())?;
//! assert!(outcome.fates.is_balanced());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod defect;
mod outcome;
mod run;
mod script;
mod seeds;
mod shared;
mod sink;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod variations;
mod violation;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use telemetra_core::TimeConfig;

use crate::pipeline::handle::Running;
use crate::support::failure::{PipelineError, panic_text};
use crate::testkit::world::run::Ended;
use crate::testkit::world::script::{PartitionScript, Planned, RunEnd, RunPlan, Script};
use crate::testkit::world::shared::{Findings, Owners, Process, VirtualTime, lock};
use crate::testkit::world::sink::Durable;
use crate::testkit::world::source::Records;

pub use defect::Defect;
pub use outcome::Outcome;
pub use run::ProcessRun;
pub use script::Draft;
pub use sink::FaultySink;
pub use store::{FaultyStore, MemoryStore};
pub use violation::Violation;

type Encode = Box<dyn Fn(&Draft) -> Vec<u8> + Send + Sync>;
type Start = Arc<dyn Fn(&ProcessRun) -> Result<Running, PipelineError> + Send + Sync>;
type Check = Box<dyn Fn(&Outcome) -> Result<(), String> + Send + Sync>;

/// A simulation of your pipeline, which can be run with any seed. The [module](self) says what it generates
/// and checks, and has an example.
///
/// In a test call [`check`](Self::check). Methods such as [`suspends`](Self::suspends) change the script;
/// make a world of its own for each of them.
pub struct World {
    time: TimeConfig,
    encode: Encode,
    start: Start,
    check: Option<Check>,
    malformed: Vec<u8>,
    defect: Option<Defect>,
    grows: bool,
    suspends: bool,
    replaces: bool,
    overlaps: bool,
    kills_unsettled: bool,
    patience: Duration,
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("time", &self.time)
            .field("defect", &self.defect)
            .finish_non_exhaustive()
    }
}

impl World {
    /// Creates a simulation with these time settings. `encode` makes the bytes of a record from a draft of an
    /// event; `start` builds your pipeline from [`ProcessRun::pipeline`] and starts it, once in each run of
    /// the process.
    ///
    /// Use short windows, such as 30 ms that slide by 10 ms: a partition has some tens of records, which are
    /// mostly less than two slides apart.
    pub fn new(
        time: TimeConfig,
        encode: impl Fn(&Draft) -> Vec<u8> + Send + Sync + 'static,
        start: impl Fn(&ProcessRun) -> Result<Running, PipelineError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            time,
            encode: Box::new(encode),
            start: Arc::new(start),
            check: None,
            malformed: vec![0xff],
            defect: None,
            grows: false,
            suspends: false,
            replaces: false,
            overlaps: false,
            kills_unsettled: false,
            patience: Duration::from_secs(30),
        }
    }

    /// Sets a check of the result, such as a recomputation of the [rows](Outcome::rows) from the events that
    /// were [counted](Outcome::counted). It runs once at the end of each seed; an error or a panic is a
    /// failed check. Default: none.
    #[must_use]
    pub fn ends_with(
        mut self,
        check: impl Fn(&Outcome) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.check = Some(Box::new(check));
        self
    }

    /// Sets the bytes of a malformed record, which your decoder must refuse. Default: one byte that is not
    /// UTF-8.
    #[must_use]
    pub fn malformed(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.malformed = bytes.into();
        self
    }

    /// Injects a fault of a sink, the source, the store or the engine, to test that the simulation finds it:
    /// [`first_violation`](Self::first_violation) must then return failed checks. Default: none.
    #[must_use]
    pub fn with_defect(mut self, defect: Defect) -> Self {
        self.defect = Some(defect);
        self
    }

    /// Makes the input end in the first run, which ends normally or is killed, and grow before the next run.
    #[must_use]
    pub fn grows_after_its_end(mut self) -> Self {
        self.grows = true;
        self
    }

    /// Suspends the process for ten seconds of virtual time, several times, each time while a partition has
    /// nothing to read. No event may be late because of it. In these simulations no partition is created
    /// later or becomes silent.
    #[must_use]
    pub fn suspends(mut self) -> Self {
        self.suspends = true;
        self
    }

    /// Replaces a partition by another one of the same name before the second run, as when a file is
    /// replaced: that run must not start. The next run finds the right partition again. In these simulations
    /// no partition is created later or becomes silent.
    #[must_use]
    pub fn replaces_a_partition(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// Suspends processes where they would otherwise be killed, and resumes them once the next process has
    /// begun to write, as when a supervisor takes a slow process for dead. No write of a resumed process may
    /// have an effect. Sinks of yours must revoke the claim of an earlier process, as databases can, and not
    /// wait for its end. In these simulations no partition is created later or becomes silent.
    #[must_use]
    pub fn overlaps(mut self) -> Self {
        self.overlaps = true;
        self
    }

    /// Kills processes also in simulations where partitions are created later or become silent; by default,
    /// processes are drained in these. A sink may then have rows that depend on when the first process
    /// noticed the silence.
    #[must_use]
    pub fn kills_unsettled(mut self) -> Self {
        self.kills_unsettled = true;
        self
    }

    /// Sets the time, by the system's clock, after which one run of the process counts as hanging, which is a
    /// failed check. Default: 30 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the simulation of one seed to its end, twice: first without faults, then with them. It blocks
    /// until both have ended.
    ///
    /// # Errors
    ///
    /// The checks that failed.
    ///
    /// # Panics
    ///
    /// If a closure of [`new`](Self::new) panics. [`check`](Self::check) reports that as a failed check.
    pub fn run(&self, seed: u64) -> Result<Outcome, Violation> {
        let mut script = Script::new(seed, &self.time);
        if self.grows {
            script.grow();
        }
        if self.suspends {
            script.suspend(seed);
        }
        if self.replaces {
            script.replace(seed);
        }
        if self.overlaps {
            script.settle();
        }
        if !self.kills_unsettled && (script.joins || script.idles) {
            script.drain_instead();
        }
        let still = Findings::default();
        // First, so that what a sink of the user's keeps in the end is that of the disturbed one.
        let undisturbed = self.runs(seed, &script.undisturbed(), &still, &mut drop);
        let findings = Findings::default();
        let mut runs = vec![format!("joins: {}, falls silent: {}", script.joins, script.idles)];
        let disturbed = self.runs(seed, &script, &findings, &mut |run| runs.push(run));
        still.all().into_iter().for_each(|finding| findings.add(format!("undisturbed: {finding}")));
        if let (Some(mut outcome), Some(wanted)) = (disturbed, undisturbed) {
            outcome.is_settled = script.is_settled();
            // What a partition brings that has grown behind the others may be late or too late.
            if script.grows_from.is_empty() {
                outcome::compare(&outcome, &wanted, &findings);
            }
            outcome::check_ids(&outcome, &findings);
            if let Some(check) = &self.check {
                let checked = catch_unwind(AssertUnwindSafe(|| check(&outcome)));
                let checked = checked.unwrap_or_else(|panic| Err(panic_text(&*panic).to_owned()));
                checked.unwrap_or_else(|error| findings.add(error));
            }
            if findings.all().is_empty() {
                return Ok(outcome);
            }
        }
        Err(Violation { seed, findings: findings.all(), runs })
    }

    /// Returns whether a process sleeps where it is killed in other worlds.
    fn sleeps(&self, plan: &RunPlan) -> bool {
        self.overlaps && matches!(plan.end, Some(RunEnd::Killed(_)))
    }

    /// One run, to its end or until it sleeps, with those before it that slept.
    fn live(&self, run: &ProcessRun, sleepers: &mut Vec<Sleeper>) -> Ended {
        if !self.sleeps(&run.plan) {
            let ended = run.run(&*self.start, self.patience);
            Sleeper::join_all(sleepers, run);
            return ended;
        }
        let (start, patience, same) = (Arc::clone(&self.start), self.patience, run.clone());
        let thread = std::thread::spawn(move || same.run(&*start, patience));
        while !run.process.is_asleep() && !thread.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Sleeper::join_all(sleepers, run);
        let sleeper = Sleeper { process: run.process.clone(), thread };
        if run.process.is_asleep() {
            sleepers.push(sleeper);
            return Ended::Early;
        }
        sleeper.join(&run.findings)
    }

    /// Lives until all was read; `None` if something broke that ends it.
    fn runs(
        &self,
        seed: u64,
        script: &Script,
        findings: &Findings,
        tell: &mut dyn FnMut(String),
    ) -> Option<Outcome> {
        let encode = |planned: &Planned| match planned {
            Planned::Event(draft) | Planned::Future(draft) => (self.encode)(draft),
            Planned::Malformed => self.malformed.clone(),
        };
        let of = |one: &PartitionScript| one.planned.iter().map(encode).collect();
        let records: Vec<Vec<Vec<u8>>> = script.partitions.iter().map(of).collect();
        let world = Arc::new(Records::new(script.partitions.clone(), records.clone()));
        for (there, grows) in world.there.iter().zip(&script.grows_from) {
            there.store(*grows, Ordering::SeqCst);
        }
        let sinks: Vec<_> = (0..script.sinks).map(|_| Arc::<Mutex<Durable>>::default()).collect();
        let (store, time) = (MemoryStore::default(), VirtualTime::new(script.greatest()));
        let owners = Owners::default();
        let mut sleepers = Vec::new();
        for (number, plan) in script.runs.iter().enumerate() {
            if number > 0 {
                let whole = world.there.iter().zip(&records);
                whole.for_each(|(there, records)| there.store(records.len(), Ordering::SeqCst));
                if self.defect == Some(Defect::StoreLosesPart) {
                    store.lose_newest_part();
                }
            }
            let run = ProcessRun {
                plan: Arc::new(plan.clone()),
                config: script.time(&self.time),
                seed,
                number,
                process: if self.sleeps(plan) { Process::sleeper() } else { Process::default() },
                asleep: sleepers.iter().map(|sleeper: &Sleeper| sleeper.process.clone()).collect(),
                owners: owners.clone(),
                time: time.clone(),
                findings: findings.clone(),
                defect: self.defect.filter(|defect| number > 0 || *defect != Defect::SinkForgets),
                records: Arc::clone(&world),
                sinks: sinks.clone(),
                store: store.clone(),
                replaced: script.replaces.filter(|_| number == 1),
                refused: Arc::default(),
            };
            let ended = self.live(&run, &mut sleepers);
            let durable = sinks.iter().map(|sink| lock(sink).time.unwrap_or_default().0);
            let durable: Vec<u64> = durable.collect();
            tell(format!("{plan:?}: {ended:?}, durable {durable:?}, blobs {:?}", store.names()));
            match ended {
                Ended::Violated => return None,
                Ended::Early => {}
                Ended::Whole(_) if number == 0 && !script.grows_from.is_empty() => {}
                Ended::Whole(fates) => {
                    let durable: Vec<Durable> = sinks.iter().map(|sink| lock(sink).clone()).collect();
                    durable.iter().for_each(|sink| outcome::check_letters(script, fates, sink, findings));
                    let ends = durable
                        .iter()
                        .map(|sink| Outcome::new((seed, script, number + 1), fates, sink, records.clone()));
                    let ends: Vec<Outcome> = ends.collect();
                    let (first, others) = ends.split_first()?;
                    others.iter().for_each(|other| outcome::compare(other, first, findings));
                    return Some(first.clone());
                }
            }
        }
        findings.add("the last run did not read all");
        None
    }
}

/// A process that was taken for dead.
struct Sleeper {
    process: Process,
    thread: JoinHandle<Ended>,
}

impl Sleeper {
    /// Wakes those that a run has replaced, and waits for their ends.
    fn join_all(sleepers: &mut Vec<Self>, run: &ProcessRun) {
        run.wake_others();
        for sleeper in sleepers.drain(..) {
            sleeper.join(&run.findings);
        }
    }

    fn join(self, findings: &Findings) -> Ended {
        self.thread.join().unwrap_or_else(|panic| {
            findings.add(format!("a panic: {}", panic_text(&*panic)));
            Ended::Violated
        })
    }
}
