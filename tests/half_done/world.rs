//! Partitions that grow in number, read in lives with a checkpoint that can be held half done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::MemoryHandle;
use telemetra::core::*;
use telemetra::ops::{Pipeline, Running, WindowKind};
use telemetra::sinks::MemorySink;
use telemetra::timely::dataflow::operators::Inspect;

use crate::Gate;
use crate::support::cluster::wait;
use crate::support::growing::Growing;
use crate::support::hand::at;
use crate::support::watch::until;
use crate::support::*;

/// The time of the checkpoint.
const CUT: u64 = 200;

/// The greatest event time of what was encoded, by test: a part of a checkpoint that holds such events is being kept.
static KEPT: [AtomicU64; 6] = [const { AtomicU64::new(0) }; 6];

/// The accumulator under test, which tells when it is encoded.
#[derive(Clone, Debug, Default, Deserialize)]
struct Told<const TEST: usize>(Acc, u64);

impl<const TEST: usize> Serialize for Told<TEST> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        KEPT[TEST].fetch_max(self.1, Ordering::SeqCst);
        (&self.0, self.1).serialize(serializer)
    }
}

impl<const TEST: usize> Accumulator for Told<TEST> {
    type Output = Out;
    type Sliding = TwoStacks<Self>;
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.1 = self.1.max(other.1);
    }
    fn finish(&self) -> Out {
        self.0.finish()
    }
}

impl<'e, const TEST: usize> Accumulate<&'e Saying> for Told<TEST> {
    fn add(&mut self, event: &'e Saying) {
        self.0.add(event);
        self.1 = self.1.max(event.time.0);
    }
}

/// A sink that does not return from a batch of the checkpoint's marker as long as the gate is shut.
struct Stuck(MemorySink, Gate);

impl Sink for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }
    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.0.open(tables, resume)
    }
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        if batches.iter().any(|batch| batch.time.0 == BASE + CUT - 1) {
            self.1.pass();
        }
        self.0.apply(batches)
    }
}

/// Where what is under way is held.
#[derive(Clone, Default)]
pub(super) struct Gates {
    pub(super) decoder: Gate,
    /// A worker, outside of ingest.
    pub(super) worker: Gate,
    pub(super) sink: Gate,
}

/// Partitions, what was written to each, and what came of it.
pub(super) struct World<const TEST: usize> {
    source: Growing,
    sink: MemorySink,
    folder: tempfile::TempDir,
    pub(super) gates: Gates,
    script: Script,
    pub(super) handles: Vec<MemoryHandle>,
    /// Up to where it was written.
    written: u64,
}

impl<const TEST: usize> World<TEST> {
    pub(super) fn new() -> Self {
        Self {
            source: Growing::default(),
            sink: MemorySink::new(),
            folder: tempfile::tempdir().unwrap(),
            gates: Gates::default(),
            script: Script::new(),
            handles: Vec::new(),
            written: 260,
        }
    }

    pub(super) fn continues_from(self, written: u64) -> Self {
        Self { written, ..self }
    }

    /// Adds a partition with an event every four milliseconds.
    pub(super) fn add(&mut self, from: u64, to: u64) {
        let name = format!("p{}", self.script.len());
        self.script.push(Vec::new());
        self.handles.push(self.source.add(&name, &[]));
        self.write(self.script.len() - 1, from, to);
    }

    pub(super) fn write(&mut self, partition: usize, from: u64, to: u64) {
        for millis in (from..to).step_by(4) {
            let id = format!("{partition}-{millis}");
            self.append(partition, at(&format!("k{}", millis % 3), millis, &id));
        }
    }

    pub(super) fn append(&mut self, partition: usize, record: String) {
        self.handles[partition].append(record.as_str());
        self.script[partition].push(record);
    }

    fn pipeline(&self, workers: usize) -> Pipeline<Saying> {
        let Gates { decoder, worker, sink } = self.gates.clone();
        // One user is not read as long as the gate is shut.
        let held = Shown(move |event: &Saying| {
            if event.user == "held" {
                decoder.pass();
            }
        });
        let pipeline = Pipeline::<Saying>::new().source(self.source.clone(), held);
        let pipeline =
            pipeline.time(patient()).clock(clock()).max_watermark_drift(Duration::from_millis(200_000));
        let pipeline = pipeline.sink(Stuck(self.sink.clone(), sink)).workers(workers);
        let pipeline = pipeline.checkpoints(Directory::new(self.folder.path()), Duration::from_millis(CUT));
        let pipeline = pipeline.group("sayings", WindowKind::default(), |a| {
            let columns = Aggregate::<Saying>::columns(&aggregate());
            a.accumulator::<Told<TEST>>(columns, |out, window, put| {
                Aggregate::<Saying>::values(&aggregate(), out, window, put)
            })
        });
        let pipeline = pipeline.rules(small_rules());
        pipeline.collect(
            "nothing",
            |_| None::<u64>,
            move |graph, events| {
                let (held, gate) = (graph.scope().index() == 1, worker.clone());
                events.inspect_core(move |event| {
                    if held && event.is_err() {
                        gate.pass();
                    }
                });
            },
        )
    }

    /// A life that has read its partitions up to before the checkpoint.
    pub(super) fn begun(&mut self, partitions: usize) -> Running {
        (0..partitions).for_each(|_| self.add(40, 120));
        let running = self.pipeline(2).start().unwrap();
        let read = self.len();
        until("the first part is read", || running.fates().read == read);
        running
    }

    pub(super) fn len(&self) -> u64 {
        self.script.iter().map(|records| records.len() as u64).sum()
    }

    /// Waits until a worker has kept its part of the checkpoint: it has read beyond it, and encodes that.
    pub(super) fn half_done(&self) {
        until("a worker keeps its part", || KEPT[TEST].load(Ordering::SeqCst) >= BASE + CUT);
    }

    /// Adds a partition with events before and after the checkpoint, and waits until it is found.
    pub(super) fn grow(&mut self, running: &Running) {
        self.add(100, 260);
        until("it is found", || running.status().partitions.len() == self.script.len());
    }

    /// Stops when the checkpoint is complete.
    pub(super) fn stop(&self, running: Running) {
        until("the checkpoint is complete", || {
            running.status().checkpoint == Some(EventTime(BASE + CUT)) || running.is_finished()
        });
        running.stop().unwrap();
    }

    /// Starts again from there, and compares what comes of it with what an undisturbed run makes of all.
    pub(super) fn goes_on(self, opened: (usize, usize)) {
        self.goes_on_in(1, opened);
    }

    /// The same in so many processes, of which the first has the sink.
    pub(super) fn goes_on_in(mut self, processes: usize, opened: (usize, usize)) {
        let new = self.script.len() - 1;
        (0..=new).for_each(|partition| self.write(partition, self.written, 500));
        self.handles.iter().for_each(MemoryHandle::end);
        let ended = wait((0..processes).map(|_| self.pipeline(3)).collect());
        let fates = ended.into_iter().fold(Fates::default(), |sum, ended| sum + ended.unwrap().fates);
        assert!(fates.is_balanced(), "{fates:?}");
        assert_eq!((fates.read, fates.on_time + fates.late_applied), (self.len(), self.len()), "{fates:?}");
        assert_eq!(self.source.opened(&format!("p{new}")), opened);
        let undisturbed = run(&self.script, &patient(), 1, 7).unwrap().0;
        let rows = |sink: &MemorySink| sink.rows().iter().map(Published::of).collect::<Vec<_>>();
        assert_eq!(rows(&self.sink), rows(&undisturbed));
    }

    /// Stops when its sink is further than the checkpoint, by what was given up to `millis`.
    pub(super) fn stop_ahead(&self, running: Running, millis: u64) {
        until("the sink is ahead", || self.sink.durable() >= Some(EventTime(BASE + millis)));
        self.stop(running);
    }
}

/// Late is never too late: whenever a partition is found, the answer in the end is the same.
fn patient() -> TimeConfig {
    TimeConfig { allowed_lateness: Duration::from_secs(100), ..small_time() }
}
