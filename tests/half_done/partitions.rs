//! Partitions that come into being while a checkpoint is under way.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::MemoryHandle;
use telemetra::core::*;
use telemetra::ops::{Pipeline, Running};
use telemetra::sinks::Memory;
use timely::dataflow::operators::Inspect;

use crate::Gate;
use crate::support::growing::Growing;
use crate::support::hand::at;
use crate::support::watch::{finish, until};
use crate::support::*;

/// The time of the checkpoint.
const CUT: u64 = 200;

/// The greatest event time of what was encoded, by test: a part of a checkpoint that holds such events is being kept.
static KEPT: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];

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
    type Rolling = Refold<Self>;
    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
        self.1 = self.1.max(other.1);
    }
    fn finish(&self) -> Out {
        self.0.finish()
    }
}

impl<'e, 'a, const TEST: usize> Accumulate<&'e Event<'a>> for Told<TEST> {
    fn add(&mut self, event: &'e Event<'a>) {
        self.0.add(event);
        self.1 = self.1.max(event.header().time.0);
    }
}

/// Words, but for a user who is not read as long as the gate is shut.
struct Held(Gate);

impl Decoder for Held {
    fn decode<'a>(
        &self,
        record: &'a [u8],
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError> {
        Words.decode(record, arena, events)?;
        if matches!(events.last(), Some(Event::Chat(chat)) if chat.user_id == "held") {
            self.0.pass();
        }
        Ok(())
    }
}

/// A sink that does not return from a batch of the checkpoint's marker as long as the gate is shut.
struct Stuck(Memory<Out>, Gate);

impl Sink<Out> for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }
    fn open(&mut self, resume: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        self.0.open(resume)
    }
    fn apply(&mut self, batches: &[Batch<Out>]) -> Result<(), ExternalError> {
        if batches.iter().any(|batch| batch.time.0 == BASE + CUT - 1) {
            self.1.pass();
        }
        self.0.apply(batches)
    }
}

/// Where what is under way is held.
#[derive(Clone, Default)]
struct Gates {
    decoder: Gate,
    /// A worker, outside of ingest.
    worker: Gate,
    sink: Gate,
}

/// Partitions, what was written to each, and what came of it.
struct World<const TEST: usize> {
    source: Growing,
    sink: Memory<Out>,
    folder: tempfile::TempDir,
    gates: Gates,
    script: Script,
    handles: Vec<MemoryHandle>,
    /// Up to where it was written.
    written: u64,
}

impl<const TEST: usize> World<TEST> {
    fn new() -> Self {
        Self {
            source: Growing::default(),
            sink: Memory::new(),
            folder: tempfile::tempdir().unwrap(),
            gates: Gates::default(),
            script: Script::new(),
            handles: Vec::new(),
            written: 260,
        }
    }

    fn continues_from(self, written: u64) -> Self {
        Self { written, ..self }
    }

    /// Adds a partition with an event every four milliseconds.
    fn add(&mut self, from: u64, to: u64) {
        let name = format!("p{}", self.script.len());
        self.script.push(Vec::new());
        self.handles.push(self.source.add(&name, &[]));
        self.write(self.script.len() - 1, from, to);
    }

    fn write(&mut self, partition: usize, from: u64, to: u64) {
        for millis in (from..to).step_by(4) {
            let id = format!("{partition}-{millis}");
            self.append(partition, at(&format!("k{}", millis % 3), millis, &id));
        }
    }

    fn append(&mut self, partition: usize, record: String) {
        self.handles[partition].append(record.as_str());
        self.script[partition].push(record);
    }

    fn start(&self, workers: usize) -> Running {
        let Gates { decoder, worker, sink } = self.gates.clone();
        let pipeline = Pipeline::<Told<TEST>>::new().source(self.source.clone(), Held(decoder));
        let pipeline = pipeline.time(patient()).clock(clock()).lead(200_000).rules(small_rules());
        let pipeline = pipeline.sink(Stuck(self.sink.clone(), sink)).workers(workers);
        let pipeline = pipeline.extend(move |graph| {
            let (held, gate) = (graph.scope.index() == 1, worker.clone());
            graph.facts.clone().inspect_core(move |event| {
                if held && event.is_err() {
                    gate.pass();
                }
            });
        });
        pipeline.checkpoints(Directory::new(self.folder.path()), CUT, Duration::ZERO).start().unwrap()
    }

    /// A life that has read its partitions up to before the checkpoint.
    fn begun(&mut self, partitions: usize) -> Running {
        (0..partitions).for_each(|_| self.add(40, 120));
        let running = self.start(2);
        let read = self.len();
        until("the first part is read", || running.fates().read == read);
        running
    }

    fn len(&self) -> u64 {
        self.script.iter().map(|records| records.len() as u64).sum()
    }

    /// Waits until a worker has kept its part of the checkpoint: it has read beyond it, and encodes that.
    fn half_done(&self) {
        until("a worker keeps its part", || KEPT[TEST].load(Ordering::SeqCst) >= BASE + CUT);
    }

    /// Adds a partition with events before and after the checkpoint, and waits until it is found.
    fn grow(&mut self, running: &Running) {
        self.add(100, 260);
        until("it is found", || running.status().partitions.len() == self.script.len());
    }

    /// Stops when the checkpoint is complete.
    fn stop(&self, running: Running) {
        until("the checkpoint is complete", || {
            running.status().checkpoint == Some(EventTime(BASE + CUT)) || running.is_finished()
        });
        running.stop().unwrap();
    }

    /// Starts again from there, and compares what comes of it with what an undisturbed run makes of all.
    fn goes_on(mut self, opened: (usize, usize)) {
        let new = self.script.len() - 1;
        (0..=new).for_each(|partition| self.write(partition, self.written, 500));
        self.handles.iter().for_each(MemoryHandle::end);
        let fates = finish(self.start(3)).unwrap().fates;
        assert_eq!((fates.read, fates.on_time + fates.late_applied), (self.len(), self.len()), "{fates:?}");
        assert_eq!(self.source.opened(&format!("p{new}")), opened);
        let undisturbed = run(&self.script, &patient(), 1, 7).unwrap().0;
        let rows = |sink: &Memory<Out>| sink.rows().into_iter().map(|change| change.row).collect::<Vec<_>>();
        assert_eq!(rows(&self.sink), rows(&undisturbed));
    }
}

/// Late is never too late: whenever a partition is found, the answer in the end is the same.
fn patient() -> TimeConfig {
    TimeConfig { allowed_lateness: 100_000, ..small_time() }
}

#[test]
fn one_that_is_found_when_a_worker_has_kept_its_part_is_in_the_checkpoint() {
    let mut world = World::<0>::new();
    let running = world.begun(2);
    // One partition is past the checkpoint, and a batch of it is held by one of the two workers.
    world.write(1, 120, 240);
    let read = world.len();
    until("it is read", || running.fates().read == read);
    world.gates.decoder.shut();
    world.append(1, format!("k0 {} held held m", BASE + 240));
    until("a worker is held", || world.gates.decoder.holds());
    world.write(0, 120, 240);
    world.half_done();
    world.grow(&running);
    world.gates.decoder.open();
    world.stop(running);
    assert_eq!(world.handles[2].committed(), 0, "nothing of it was read");
    world.goes_on((2, 1));
}

#[test]
fn one_that_is_read_when_a_worker_has_kept_its_part_goes_on_from_there() {
    let mut world = World::<1>::new();
    let running = world.begun(1);
    world.gates.worker.shut();
    world.write(0, 120, 140);
    until("a worker is held", || world.gates.worker.holds());
    world.write(0, 140, 240);
    world.half_done();
    world.grow(&running);
    world.gates.worker.open();
    world.stop(running);
    assert!(world.handles[1].committed() > 0, "some of it was read before the second worker kept its part");
    world.goes_on((2, 1));
}

/// A life whose sink is further than the checkpoint, by what was given up to `millis`.
fn ahead<const TEST: usize>(world: &World<TEST>, running: Running, millis: u64) {
    until("the sink is ahead", || world.sink.durable() >= Some(EventTime(BASE + millis)));
    world.stop(running);
}

#[test]
fn one_that_is_found_before_a_checkpoint_is_complete_is_new_after_it() {
    let mut world = World::<2>::new();
    let running = world.begun(1);
    world.gates.sink.shut();
    world.write(0, 120, 240);
    until("the sink does not return", || world.gates.sink.holds());
    world.half_done();
    world.grow(&running);
    let read = world.len();
    until("it is read", || running.fates().read == read);
    world.gates.sink.open();
    // Nothing of it is in what the sink has.
    ahead(&world, running, 219);
    assert_eq!(world.handles[1].committed(), 0);
    world.goes_on((2, 2));
}

#[test]
fn one_of_which_the_sink_has_something_is_new_after_a_checkpoint_without_it() {
    let mut world = World::<3>::new();
    let running = world.begun(1);
    world.gates.sink.shut();
    world.write(0, 120, 240);
    until("the sink does not return", || world.gates.sink.holds());
    world.grow(&running);
    world.gates.sink.open();
    (0..2).for_each(|partition| world.write(partition, 260, 320));
    ahead(&world, running, 299);
    assert_eq!(world.handles[1].committed(), 0);
    world.continues_from(320).goes_on((2, 2));
}

#[test]
fn one_that_comes_into_being_between_two_lives_begins_after_what_the_sink_has() {
    let mut world = World::<4>::new();
    let running = world.begun(1);
    world.write(0, 120, 320);
    ahead(&world, running, 299);
    world.add(100, 320);
    world.continues_from(320).goes_on((1, 1));
}
