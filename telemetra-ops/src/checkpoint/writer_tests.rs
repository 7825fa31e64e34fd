//! Tests of the blobs that the thread that writes checkpoints leaves in the store, one message after the other.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use telemetra_core::checkpoint::{CheckpointStore, decode};
use telemetra_core::{EventTime, PartitionId};

use crate::checkpoint::definition::Definition;
use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{FloorBlob, Raise, floors_name};
use crate::checkpoint::parts::StoredParts;
use crate::checkpoint::state::{
    CHAIN, LeftParts, Manifest, Message, SnapshotWriter, blob_name, definition_name, left_name, manifest_name,
};
use crate::checkpoint::writer::{Stored, Writer};
use crate::support::failure::Failure;
use crate::testkit::world::MemoryStore;

/// A writer for one worker, and its results.
struct Run {
    store: MemoryStore,
    worker: SnapshotWriter,
    stored: Stored,
    floors: Arc<FloorLog>,
    committed: Arc<Mutex<Vec<EventTime>>>,
    failure: Failure,
    thread: JoinHandle<()>,
}

/// The writer of a process of one worker.
pub(super) fn writer(store: impl CheckpointStore + 'static, process: usize, processes: usize) -> Writer {
    Writer {
        store: Box::new(store),
        first_worker: process,
        stored: vec![Stored::default()],
        process,
        processes,
        peers: processes,
        fingerprint: "settings".to_owned(),
        definition: Definition::default(),
        pipeline: "test".into(),
        newest: EventTime::MIN,
        efforts: BTreeMap::new(),
        commit: Box::new(|_| ()),
        floors: Arc::new(FloorLog::new(String::new())),
        gauge: Arc::default(),
        failure: Failure::default(),
    }
}

impl Run {
    fn start(store: &MemoryStore, process: usize, processes: usize) -> Self {
        let (parts, messages): (Sender<Message>, _) = channel();
        let committed = Arc::<Mutex<Vec<EventTime>>>::default();
        let commits = Arc::clone(&committed);
        let mut writer = writer(store.clone(), process, processes);
        writer.commit = Box::new(move |boundary| commits.lock().unwrap().push(boundary));
        let (floors, gauge) = (Arc::clone(&writer.floors), Arc::clone(&writer.gauge));
        let (stored, failure) = (writer.stored[0].clone(), writer.failure.clone());
        let thread = writer.start(messages).unwrap();
        let worker = SnapshotWriter { worker: process, parts, gauge };
        Self { store: store.clone(), worker, stored, floors, committed, failure, thread }
    }

    /// Hands over all parts of a checkpoint.
    fn write(&self, boundary: u64) {
        self.worker.snapshot(EventTime(boundary), "partitions", boundary);
        self.worker.flush(EventTime(boundary));
    }

    fn complete(&self, boundary: u64) {
        let _ = self.worker.parts.send(Message::Complete { boundary: EventTime(boundary) });
    }

    /// Ends the run. Returns the failure, if there is one, and what is in the store.
    fn end(self) -> (Option<String>, Vec<String>) {
        drop(self.worker);
        self.thread.join().unwrap();
        (self.failure.describe(), self.store.clone().list().unwrap())
    }
}

fn get<T: serde::de::DeserializeOwned>(store: &MemoryStore, name: &str) -> T {
    decode(&store.clone().get(name).unwrap().unwrap()).unwrap()
}

/// The parts of the first worker.
fn worker_parts(store: &MemoryStore, boundary: u64) -> Vec<(String, Vec<u8>)> {
    let blob = store.clone().get(&blob_name(EventTime(boundary), 0)).unwrap().unwrap();
    StoredParts::of_blob(blob).unwrap().all()
}

fn source(boundary: u64, process: usize) -> String {
    format!("{boundary:020}/source-{process:04}")
}

#[test]
fn parts_are_encoded_by_the_thread_that_writes_and_not_by_workers() {
    /// A part that notes the thread that encodes it.
    struct Noted(Arc<Mutex<Vec<std::thread::ThreadId>>>);
    impl serde::Serialize for Noted {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.lock().unwrap().push(std::thread::current().id());
            serializer.serialize_u64(7)
        }
    }
    let (store, by) = (MemoryStore::default(), Arc::<Mutex<_>>::default());
    let run = Run::start(&store, 0, 1);
    run.worker.snapshot(EventTime(10), "a", Noted(Arc::clone(&by)));
    run.worker.final_snapshot(EventTime(10), "b", Noted(Arc::clone(&by)));
    run.write(10);
    let writer = run.thread.thread().id();
    assert_eq!(run.end().0, None);
    let by = by.lock().unwrap();
    assert!(by.len() >= 2 && by.iter().all(|thread| *thread == writer), "{by:?}, not {writer:?}");
    let parts = worker_parts(&store, 10);
    let encoded = |operator: &str| parts.iter().find(|(name, _)| name == operator).map(|(_, part)| &part[..]);
    assert_eq!([encoded("a"), encoded("b")], [Some(&7_u64.to_le_bytes()[..]); 2]);
}

#[test]
fn a_checkpoint_is_complete_with_its_parts_and_reported_to_all() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    run.worker.encoded(EventTime(10), &"b".into(), Ok(vec![7]));
    run.write(10);
    run.complete(10);
    let (gauge, stored) = (Arc::clone(&run.worker.gauge), run.stored.clone());
    let committed = Arc::clone(&run.committed);
    assert_eq!(run.end().0, None);
    let manifest: Manifest = get(&store, &manifest_name(EventTime(10)));
    assert_eq!((manifest.boundary, manifest.peers, &*manifest.fingerprint), (EventTime(10), 1, "settings"));
    assert_eq!(manifest.chain, [EventTime(10)]);
    let parts = worker_parts(&store, 10);
    let bytes = bincode::serialize(&vec![7_u8]).unwrap();
    let partitions = bincode::serialize(&10_u64).unwrap();
    assert_eq!(parts, [("b".to_owned(), bytes), ("partitions".to_owned(), partitions)]);
    assert_eq!(stored.boundary(), EventTime(10));
    assert_eq!(*committed.lock().unwrap(), [EventTime(10)]);
    assert_eq!((gauge.completed.load(Ordering::Relaxed), gauge.boundary.load(Ordering::Relaxed)), (1, 10));
    let names = store.clone().list().unwrap();
    let sizes = names.iter().map(|name| store.clone().get(name).unwrap().unwrap().len() as u64);
    assert_eq!(gauge.bytes.load(Ordering::Relaxed), sizes.sum::<u64>());
}

#[test]
fn an_older_checkpoint_is_removed_but_for_what_the_new_one_builds_on() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    for boundary in [10, 20] {
        run.write(boundary);
        run.complete(boundary);
    }
    let names = run.end().1;
    for gone in [manifest_name(EventTime(10)), definition_name(EventTime(10))] {
        assert!(!names.contains(&gone), "{gone}");
    }
    for kept in [blob_name(EventTime(10), 0), blob_name(EventTime(20), 0), definition_name(EventTime(20))] {
        assert!(names.contains(&kept), "{kept}");
    }
    let manifest: Manifest = get(&store, &manifest_name(EventTime(20)));
    assert_eq!(manifest.chain, [EventTime(10), EventTime(20)]);
}

#[test]
fn a_chain_begins_anew_when_it_is_long_enough() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    let last = CHAIN as u64 + 1;
    (1..=last).for_each(|boundary| {
        run.write(boundary);
        run.complete(boundary);
    });
    let names = run.end().1;
    let manifest: Manifest = get(&store, &manifest_name(EventTime(last)));
    assert_eq!(manifest.chain, [EventTime(last)]);
    assert!(names.iter().all(|name| name.starts_with(&format!("{last:020}/"))), "{names:?}");
}

#[test]
fn a_checkpoint_without_a_process_is_passed_over() {
    let store = MemoryStore::default();
    let (run, other) = (Run::start(&store, 0, 2), Run::start(&store, 1, 2));
    run.write(10);
    run.complete(10);
    let committed = Arc::clone(&run.committed);
    assert!(!run.end().1.contains(&manifest_name(EventTime(10))));
    assert!(committed.lock().unwrap().is_empty());
    other.write(10);
    other.complete(10);
    let committed = Arc::clone(&other.committed);
    let names = other.end().1;
    assert!(names.contains(&source(10, 1)) && !names.contains(&manifest_name(EventTime(10))), "{names:?}");
    assert_eq!(*committed.lock().unwrap(), [EventTime(10)], "process 0 writes the manifest");
}

#[test]
fn a_checkpoint_of_which_nothing_was_written_is_not_complete() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    run.complete(10);
    assert_eq!(run.end(), (None, vec![]));
}

#[test]
fn what_earlier_runs_said_of_its_own_partitions_is_forgotten() {
    let mut store = MemoryStore::default();
    for process in [0, 1] {
        store.put(&source(5, process), b"").unwrap();
    }
    assert_eq!(Run::start(&store, 0, 2).end().1, [source(5, 1)]);
}

#[test]
fn a_part_that_does_not_change_any_more_is_in_all_checkpoints_from_then_on() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    run.worker.final_snapshot(EventTime(20), "partitions", 1_u64);
    run.worker.final_snapshot(EventTime(20), "b", 2_u64);
    run.worker.flush(EventTime(10));
    run.worker.snapshot(EventTime(20), "b", 3_u64);
    run.worker.flush(EventTime(20));
    assert_eq!(run.end().0, None);
    let parts = |boundary| worker_parts(&store, boundary);
    assert_eq!(parts(10), []);
    let part = |name: &str, count: u64| (name.to_owned(), bincode::serialize(&count).unwrap());
    assert_eq!(parts(20), [part("b", 3), part("partitions", 1)], "a part of that checkpoint goes first");
}

#[test]
fn what_operators_leave_is_beside_the_newest_checkpoint() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    run.worker.leave("a", EventTime(30), Ok(vec![1]));
    assert_eq!(run.end().1.len(), 0, "without a checkpoint a later run begins anew");
    let run = Run::start(&store, 0, 1);
    run.write(10);
    run.complete(10);
    run.worker.leave("a", EventTime(30), Ok(vec![1]));
    run.worker.leave("b", EventTime(20), Ok(vec![2]));
    assert_eq!(run.end().0, None);
    let left: LeftParts = get(&store, &left_name(EventTime(10), 0));
    assert_eq!((left.workers, left.peers, left.last), (1, 1, EventTime(30)));
    assert_eq!(left.parts, [("a".to_owned(), vec![1]), ("b".to_owned(), vec![2])]);
    let floors: FloorBlob = get(&store, &floors_name(0));
    assert_eq!(floors.ends_after, Some(EventTime(10)));
}

#[test]
fn a_raise_is_durable_when_the_writer_has_stored_it() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    let id = PartitionId::new("a");
    let version = run.floors.raise(&id, Raise { offset: 3, floor: EventTime(5) });
    run.worker.floors();
    let floors = Arc::clone(&run.floors);
    assert_eq!(run.end().1, [floors_name(0)]);
    assert!(floors.is_durable(version) && floors.unwritten().is_none());
    let blob: FloorBlob = get(&store, &floors_name(0));
    assert_eq!(blob.raises[&id], [Raise { offset: 3, floor: EventTime(5) }]);
}

#[test]
fn raises_before_a_complete_checkpoint_and_logs_of_no_process_are_forgotten() {
    let mut store = MemoryStore::default();
    for process in [1, 2] {
        store.put(&floors_name(process), b"").unwrap();
    }
    let run = Run::start(&store, 0, 2);
    store.put(&source(10, 1), b"").unwrap();
    let id = PartitionId::new("a");
    for offset in [3, 8] {
        run.floors.raise(&id, Raise { offset, floor: EventTime(5) });
    }
    run.floors.cut(EventTime(10), [(id.clone(), 8)].into_iter());
    run.write(10);
    run.complete(10);
    let floors = Arc::clone(&run.floors);
    let names = run.end().1;
    assert!(names.contains(&floors_name(1)) && !names.contains(&floors_name(2)), "{names:?}");
    assert_eq!(floors.ending(EventTime(10)).raises[&id], [Raise { offset: 8, floor: EventTime(5) }]);
}

#[test]
fn a_process_forgets_raises_when_the_first_one_has_written_the_manifest() {
    let mut store = MemoryStore::default();
    let run = Run::start(&store, 1, 2);
    let id = PartitionId::new("a");
    for offset in [3, 8, 9] {
        run.floors.raise(&id, Raise { offset, floor: EventTime(5) });
    }
    for (cut, offset) in [(10, 8), (20, 9)] {
        run.floors.cut(EventTime(cut), [(id.clone(), offset)].into_iter());
    }
    store.put(&manifest_name(EventTime(10)), b"").unwrap();
    run.write(20);
    run.complete(20);
    let floors = Arc::clone(&run.floors);
    assert_eq!(run.end().0, None);
    let offsets: Vec<_> = floors.ending(EventTime(10)).raises[&id].iter().map(|raise| raise.offset).collect();
    assert_eq!(offsets, [8, 9], "there is no manifest of 20 yet");
}

#[test]
fn a_savepoint_that_is_asked_for_waits_for_the_first_checkpoint() {
    let store = MemoryStore::default();
    let run = Run::start(&store, 0, 1);
    let (reply, replies) = channel();
    for name in ["before", "not valid"] {
        let _ = run.worker.parts.send(Message::Savepoint { name: name.to_owned(), reply: reply.clone() });
    }
    let replied = || replies.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(replied().is_err(), "its name cannot be");
    run.write(10);
    run.complete(10);
    let savepoint = replied().unwrap();
    assert_eq!((&*savepoint.name, savepoint.boundary), ("before", EventTime(10)));
    assert_eq!(run.end().0, None);
}
