//! Tests of reading a store with checkpoints, savepoints, and the parts that ended runs have left.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use serde::Serialize;
use telemetra_core::EventTime;
use telemetra_core::checkpoint::{CheckpointStore, Migration, encode};

use crate::Savepoints;
use crate::checkpoint::definition::{Definition, Takeover};
use crate::checkpoint::parts::WorkerParts;
use crate::checkpoint::restored::{FoundCheckpoint, RestoredCheckpoint, difference};
use crate::checkpoint::state::{LeftParts, Manifest, blob_name, definition_name, left_name, manifest_name};
use crate::support::failure::{Failure, RestoreError};
use crate::support::retry::RetryDeadline;
use crate::testkit::world::MemoryStore;

const BOUNDARY: EventTime = EventTime(60_000);

fn deadline() -> RetryDeadline {
    RetryDeadline::new(Duration::ZERO, &Failure::default())
}

fn put<T: Serialize>(store: &mut MemoryStore, name: &str, value: &T) {
    store.put(name, &encode(value).unwrap()).unwrap();
}

/// The state of one worker: a count of operator `a`, and one of `b`.
fn part(a: u64, b: u64) -> WorkerParts {
    let part = |name: &str, count: u64| (name.to_owned(), bincode::serialize(&count).unwrap());
    WorkerParts { parts: vec![part("a", a), part("b", b)] }
}

/// A store with a checkpoint of two workers, which builds on an earlier one.
fn store() -> MemoryStore {
    let mut store = MemoryStore::default();
    let chain = vec![EventTime(30_000), BOUNDARY];
    for (link, worker, parts) in
        [(0, 0, part(1, 10)), (0, 1, part(2, 20)), (1, 0, part(3, 30)), (1, 1, part(4, 40))]
    {
        put(&mut store, &blob_name(chain[link], worker), &parts);
    }
    put(&mut store, &definition_name(BOUNDARY), &described());
    let manifest = Manifest { boundary: BOUNDARY, chain, peers: 2, fingerprint: String::new() };
    put(&mut store, &manifest_name(BOUNDARY), &manifest);
    store
}

fn described() -> Definition {
    Definition { decoders: vec!["json".to_owned()], ..Definition::default() }
}

fn newest(store: &mut MemoryStore) -> FoundCheckpoint {
    FoundCheckpoint::newest(store, &deadline()).unwrap().unwrap()
}

fn restored(store: &mut MemoryStore) -> RestoredCheckpoint {
    newest(store).load(store, &deadline()).unwrap()
}

/// The parts that a process left of operator `a`.
fn left(peers: usize, last: u64, part: u8) -> LeftParts {
    let parts = vec![("a".to_owned(), vec![part]), ("b".to_owned(), vec![99])];
    LeftParts { workers: 1, peers, last: EventTime(last), parts }
}

#[test]
fn two_fingerprints_differ_in_the_parts_that_the_other_has_not() {
    let (one, other) = difference("a 1; b 2; c 3", "a 1; b 4; c 3; d 5");
    assert_eq!((&*one, &*other), ("b 2", "b 4; d 5"));
    assert_eq!(difference("a 1", "a 1"), (String::new(), String::new()));
}

#[test]
fn the_newest_checkpoint_that_is_complete_is_found_with_its_definition() {
    assert!(FoundCheckpoint::newest(&mut MemoryStore::default(), &deadline()).unwrap().is_none());
    let mut store = store();
    put(&mut store, &blob_name(EventTime(90_000), 0), &part(5, 50));
    let found = newest(&mut store);
    assert_eq!((found.manifest.boundary, found.definition), (BOUNDARY, Some(described())));
    store.remove(&definition_name(BOUNDARY)).unwrap();
    assert_eq!(newest(&mut store).definition, None, "of a version that had none");
}

#[test]
fn an_operator_takes_over_the_last_parts_or_those_of_the_chain() {
    let failure = Failure::default();
    let restored = restored(&mut store());
    assert_eq!(restored.parts::<u64>("a", &failure), [3, 4]);
    let taken =
        |takeover: &Takeover<u64>, chained| restored.taken_over("a", takeover, chained, None, &failure);
    let migration = || Migration::new(|count: u64| count * 100);
    assert_eq!(taken(&Takeover::Same, false), [3, 4]);
    assert_eq!(taken(&Takeover::Same, true), [1, 2, 3, 4]);
    assert_eq!(taken(&Takeover::Migrated { from: 0, migration: migration() }, false), [300, 400]);
    assert_eq!(taken(&Takeover::Reduced(migration()), true), [100, 200, 300, 400]);
    let derived = Takeover::Derived { from: "b".to_owned(), migration: migration() };
    assert_eq!(taken(&derived, false), [3_000, 4_000]);
    assert!(taken(&Takeover::New, true).is_empty());
    assert!(taken(&Takeover::Refused(String::new()), true).is_empty());
    assert!(!failure.is_set());
}

#[test]
fn a_part_that_does_not_decode_fails_the_pipeline() {
    let failure = Failure::default();
    assert!(restored(&mut store()).parts::<(u64, u64)>("a", &failure).is_empty());
    assert!(failure.describe().unwrap().contains(&manifest_name(BOUNDARY)));
}

#[test]
fn a_checkpoint_with_a_part_missing_or_damaged_is_not_restored() {
    let mut store = store();
    let name = blob_name(BOUNDARY, 1);
    store.put(&name, b"no part").unwrap();
    let found = newest(&mut store);
    assert!(
        matches!(found.load(&mut store, &deadline()), Err(RestoreError::Damaged { name: of, .. }) if of == name)
    );
    store.remove(&name).unwrap();
    let found = newest(&mut store);
    let missing = found.load(&mut store, &deadline());
    assert!(matches!(missing, Err(RestoreError::Missing { boundary: BOUNDARY, name: of }) if of == name));
}

#[test]
fn what_ended_runs_left_counts_if_every_process_left_it() {
    let mut store = store();
    put(&mut store, &left_name(EventTime(30_000), 0), &left(1, 999_999, 7));
    let none = restored(&mut store);
    assert_eq!((none.left_by("a"), none.ended()), (None, None), "that was beside another checkpoint");
    put(&mut store, &left_name(BOUNDARY, 0), &left(2, 70_000, 1));
    assert_eq!(restored(&mut store).ended(), None, "one of two has left nothing");
    put(&mut store, &left_name(BOUNDARY, 1), &left(2, 80_000, 2));
    let mut both = restored(&mut store);
    assert_eq!(both.left_by("a"), Some((EventTime(80_001), vec![vec![1], vec![2]])));
    assert_eq!(both.ended(), Some(BOUNDARY));
    both.forget_journal();
    assert_eq!((both.left_by("a"), both.ended()), (None, None));
}

#[test]
fn a_run_that_gave_sinks_nothing_after_the_checkpoint_is_settled_at_it() {
    let mut store = store();
    put(&mut store, &left_name(BOUNDARY, 0), &left(1, 10, 1));
    assert_eq!(restored(&mut store).left_by("a"), Some((BOUNDARY, vec![vec![1]])));
}

#[test]
fn a_savepoint_is_restored_after_its_checkpoint_has_gone_without_what_runs_left() {
    let mut store = store();
    put(&mut store, &left_name(BOUNDARY, 0), &left(1, 70_000, 1));
    Savepoints::new(store.clone()).take("before").unwrap().unwrap();
    for name in store.list().unwrap().iter().filter(|name| name.starts_with("000") && !name.contains("left"))
    {
        store.remove(name).unwrap();
    }
    let found = FoundCheckpoint::savepoint(&mut store, "before", &deadline()).unwrap();
    assert_eq!(found.definition, Some(described()));
    let restored = found.load(&mut store, &deadline()).unwrap();
    assert_eq!(restored.parts::<u64>("b", &Failure::default()), [30, 40]);
    assert_eq!((restored.boundary, restored.ended()), (BOUNDARY, None));
    let none = FoundCheckpoint::savepoint(&mut store, "after", &deadline());
    assert!(matches!(none, Err(RestoreError::NoSavepoint { name }) if name == "after"));
}

#[test]
fn savepoints_are_listed_and_removed_by_name() {
    let store = store();
    let mut savepoints = Savepoints::new(store.clone());
    let checkpoint = store.clone().list().unwrap();
    for name in ["a", "a-1.b"] {
        assert_eq!(savepoints.take(name).unwrap().unwrap().name, name);
    }
    let names = |savepoints: &mut Savepoints<MemoryStore>| {
        let all = savepoints.list().unwrap();
        assert!(all.iter().all(|savepoint| savepoint.boundary == BOUNDARY), "{all:?}");
        all.into_iter().map(|savepoint| savepoint.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&mut savepoints), ["a", "a-1.b"]);
    assert!(savepoints.take("a").unwrap_err().to_string().contains("there is a savepoint `a` already"));
    savepoints.remove("a").unwrap();
    assert_eq!(names(&mut savepoints), ["a-1.b"]);
    savepoints.remove("a-1.b").unwrap();
    assert_eq!(store.clone().list().unwrap(), checkpoint, "nothing of them is left");
}

#[test]
fn a_name_that_not_every_store_can_have_is_refused_for_a_savepoint() {
    let mut savepoints = Savepoints::new(store());
    for name in ["", ".hidden", "a/b", "A", "a_b"] {
        let refused = savepoints.take(name).unwrap_err().to_string();
        assert!(refused.contains("cannot be the name of a savepoint"), "{refused}");
    }
}

#[test]
fn a_savepoint_with_a_damaged_manifest_is_named() {
    let mut store = store();
    store.put("savepoints/torn/manifest", b"torn").unwrap();
    let damaged = Savepoints::new(store).list().unwrap_err().to_string();
    assert!(damaged.contains("`savepoints/torn/manifest`"), "{damaged}");
}
