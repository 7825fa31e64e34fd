//! Dead letters that are on their way while a checkpoint is under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra::core::checkpoint::{CheckpointStore, Directory};
use telemetra::core::source::MemoryHandle;
use telemetra::core::*;
use telemetra::ops::{PipelineError, Running};
use telemetra::sinks::MemorySink;

use crate::Gate;
use crate::support::growing::Growing;
use crate::support::hand::at;
use crate::support::watch::{finish, until};
use crate::support::*;

/// The distance between checkpoints.
const EVERY: u64 = 200;

/// A sink that keeps letters in its process until the next `apply`, as the contract allows.
#[derive(Clone, Default)]
struct Lazy {
    inner: MemorySink,
    held: Arc<Mutex<Vec<DeadLetter>>>,
    /// Where it stays with letters, or with what it is to make durable.
    given: Gate,
    applied: Gate,
    /// Whether the process is killed there.
    dies: Arc<AtomicBool>,
}

impl Lazy {
    fn pass(&self, gate: &Gate) -> Result<(), ExternalError> {
        gate.pass();
        let dies = self.dies.load(Ordering::SeqCst);
        if dies { Err(ExternalError::permanent("killed")) } else { Ok(()) }
    }
}

impl Sink for Lazy {
    fn name(&self) -> &str {
        "lazy"
    }
    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.held.lock().unwrap().clear();
        self.inner.open(tables, resume)
    }
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        // A batch from before the letters may come late.
        if !self.held.lock().unwrap().is_empty() {
            self.pass(&self.applied)?;
        }
        Sink::dead_letters(&mut self.inner, &std::mem::take(&mut *self.held.lock().unwrap()))?;
        self.inner.apply(batches)
    }
    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        self.pass(&self.given)?;
        self.held.lock().unwrap().extend_from_slice(letters);
        Ok(())
    }
}

/// A store that stays with the parts of one checkpoint, and has none of them in the end.
struct Stuck(Directory, u64, Gate);

impl CheckpointStore for Stuck {
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        if name.starts_with(&format!("{:020}/", self.1)) {
            self.2.pass();
            return Err(ExternalError::permanent("killed"));
        }
        self.0.put(name, blob)
    }
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.0.get(name)
    }
    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.0.list()
    }
    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.0.remove(name)
    }
}

/// An event every four milliseconds.
fn records(partition: usize, from: u64, to: u64) -> Vec<String> {
    (from..to).step_by(4).map(|millis| at("k", millis, &format!("{partition}-{millis}"))).collect()
}

fn write(handle: &MemoryHandle, records: &[String]) {
    records.iter().for_each(|record| handle.append(record.as_str()));
}

fn start(source: &Growing, sink: &Lazy, store: impl CheckpointStore + 'static) -> Running {
    let pipeline = sayings(source.clone(), Words, &small_time());
    let pipeline =
        pipeline.max_watermark_drift(Duration::from_millis(10_000)).rules(small_rules()).sink(sink.clone());
    pipeline.checkpoints(store, Duration::from_millis(EVERY)).start().unwrap()
}

fn assert_equals_undisturbed(script: &Script, sink: &Lazy) {
    let (undisturbed, _) = run(script, &small_time(), 1, 7).unwrap();
    assert_eq!(sink.inner.dead_letters(), undisturbed.dead_letters());
    assert_eq!(sink.inner.rows(), undisturbed.rows());
}

fn is_killed(error: &PipelineError) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.to_string() == "killed")
}

/// Killed when the letters were given and not answered for, or were answered for and are not durable, while all else that the
/// checkpoint waits for is there.
#[test]
fn a_checkpoint_waits_for_letters_that_are_not_durable() {
    for answered in [false, true] {
        let (source, sink, folder) = (Growing::default(), Lazy::default(), tempfile::tempdir().unwrap());
        let store = || Directory::new(folder.path());
        let broken = vec!["broken".to_owned(), "worse".to_owned()];
        let script = [records(0, 40, 100), broken, records(0, 100, 500)].concat();
        let (before, rest) = script.split_at(records(0, 40, 100).len());
        let p0 = source.add("p0", before);
        let gate = if answered { &sink.applied } else { &sink.given };
        let running = start(&source, &sink, store());
        let first = Some(EventTime(BASE));
        until("the first checkpoint is complete", || running.status().checkpoint == first);
        gate.shut();
        write(&p0, rest);
        until("the sink does not return", || gate.holds());
        let part = format!("{:020}/worker-0000", BASE + EVERY);
        until("the part of the worker is stored", || store().list().unwrap().contains(&part));
        assert_eq!(sink.held.lock().unwrap().len(), if answered { 2 } else { 0 });
        assert_eq!(running.status().checkpoint, first);
        sink.dies.store(true, Ordering::SeqCst);
        gate.open();
        assert!(is_killed(&finish(running).unwrap_err()));
        let complete = format!("{:020}/complete", BASE + EVERY);
        assert!(!store().list().unwrap().contains(&complete));
        assert_eq!(sink.inner.dead_letters(), []);

        sink.dies.store(false, Ordering::SeqCst);
        p0.end();
        finish(start(&source, &sink, store())).unwrap();
        assert_equals_undisturbed(&vec![script], &sink);
    }
}

/// A sink that is ahead of the checkpoint is given no batch again; but letters may be found that it was not given before.
#[test]
fn a_letter_found_before_what_the_sink_has_is_durable_before_a_checkpoint_is_complete() {
    let (sink, folder) = (Lazy::default(), tempfile::tempdir().unwrap());
    let store = || Directory::new(folder.path());
    let [first, second] = [1, 2].map(|number| EventTime(BASE + number * EVERY));
    let early = || [records(0, 40, 240), records(1, 40, 240)];
    let late = || [records(0, 240, 440), records(1, 240, 440)];
    let add = |source: &Growing, records: &[Vec<String>; 2]| {
        [source.add("p0", &records[0]), source.add("p1", &records[1])]
    };

    // The sink has what comes before the second checkpoint, the store only the first.
    let source = Growing::default();
    let handles = add(&source, &early());
    let gate = Gate::default();
    gate.shut();
    let running = start(&source, &sink, Stuck(store(), second.0, gate.clone()));
    until("the first checkpoint is complete", || running.status().checkpoint == Some(first));
    handles.iter().zip(&late()).for_each(|(handle, records)| write(handle, records));
    until("the sink is ahead", || sink.inner.durable() >= Some(second) && gate.holds());
    gate.open();
    assert!(is_killed(&finish(running).unwrap_err()));
    let durable = sink.inner.durable();

    // One partition gets a bad record, which is read before the other is as far as the second checkpoint.
    let source = Growing::default();
    let [p0, p1] = add(&source, &early());
    write(&p1, &late()[1]);
    write(&p1, &["broken".to_owned()]);
    let running = start(&source, &sink, store());
    until("the letter is found", || running.fates().malformed == 1);
    write(&p0, &late()[0]);
    until("the second checkpoint is complete", || running.status().checkpoint == Some(second));
    // As if killed: what the sink holds in its process is gone.
    running.stop().unwrap();
    assert_eq!(sink.inner.durable(), durable, "it was given nothing again");

    let [rest0, rest1] = [records(0, 440, 500), records(1, 440, 500)];
    write(&p0, &rest0);
    write(&p1, &rest1);
    [p0, p1].iter().for_each(MemoryHandle::end);
    let running = start(&source, &sink, store());
    assert_eq!(finish(running).unwrap().fates.malformed, 1);
    let [early, late] = [early(), late()].map(|records| records.map(|records| records.to_vec()));
    let script = vec![
        [early[0].clone(), late[0].clone(), rest0].concat(),
        [early[1].clone(), late[1].clone(), vec!["broken".to_owned()], rest1].concat(),
    ];
    assert_equals_undisturbed(&script, &sink);
}
