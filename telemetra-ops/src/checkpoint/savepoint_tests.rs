//! Savepoints that are taken while newer checkpoints are completed and older ones removed.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use telemetra_core::checkpoint::{CheckpointStore, Directory, decode, encode};
use telemetra_core::{EventTime, ExternalError, Retry};

use crate::checkpoint::savepoint::{boundary_of, complete_of, prefix_of, savepoint_manifest, take};
use crate::checkpoint::state::{Manifest, blob_name, definition_name, manifest_name};

/// A store of a pipeline that completes another checkpoint whenever a part or a definition is read, and removes what
/// that one does not need.
struct Moving {
    store: Directory,
    /// Every how many checkpoints one is whole, and how many are still to come.
    whole_every: u64,
    to_come: u64,
    chain: Vec<EventTime>,
}

impl Moving {
    fn complete(&mut self) -> Result<(), ExternalError> {
        let boundary = EventTime(self.chain.last().map_or(0, |last| last.0) + 1);
        let before = if boundary.0.is_multiple_of(self.whole_every) {
            std::mem::take(&mut self.chain)
        } else {
            Vec::new()
        };
        let last = EventTime(boundary.0 - 1);
        self.chain.push(boundary);
        let (chain, fingerprint) = (self.chain.clone(), String::new());
        self.store.put(&blob_name(boundary, 0), &boundary.0.to_le_bytes())?;
        self.store.put(&definition_name(boundary), &boundary.0.to_le_bytes())?;
        let manifest = Manifest { boundary, chain, peers: 1, fingerprint };
        self.store.put(&manifest_name(boundary), &encode(&manifest).unwrap())?;
        self.store.remove(&manifest_name(last))?;
        self.store.remove(&definition_name(last))?;
        before.iter().try_for_each(|link| self.store.remove(&blob_name(*link, 0)))
    }
}

impl CheckpointStore for Moving {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        self.store.claim(process, processes)
    }
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        self.store.put(name, blob)
    }
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        let found = self.store.get(name)?;
        if complete_of(name).is_none() && boundary_of(name).is_some() && self.to_come > 0 {
            self.to_come -= 1;
            self.complete()?;
        }
        Ok(found)
    }
    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.store.list()
    }
    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.store.remove(name)
    }
}

/// A store in a folder with five checkpoints.
fn moving(folder: &tempfile::TempDir, whole_every: u64, to_come: u64) -> Moving {
    let store = Directory::new(folder.path());
    let mut moving = Moving { store, whole_every, to_come, chain: Vec::new() };
    (0..5).for_each(|_| moving.complete().unwrap());
    moving
}

/// Takes a savepoint while a pipeline goes on, and checks that it has all its parts and nothing else.
fn take_while(whole_every: u64, to_come: u64) -> EventTime {
    let folder = tempfile::tempdir().unwrap();
    let mut store = moving(&folder, whole_every, to_come);
    let taken = take(&mut store, "busy").unwrap().unwrap();
    let prefix = prefix_of("busy");
    let manifest = store.get(&savepoint_manifest("busy")).unwrap().unwrap();
    let Manifest { boundary, chain, .. } = decode(&manifest).unwrap();
    assert_eq!(boundary, taken.boundary);
    let mut expected: Vec<_> = chain.iter().map(|link| format!("{prefix}{}", blob_name(*link, 0))).collect();
    for (link, name) in chain.iter().zip(&expected) {
        assert_eq!(store.get(name).unwrap().unwrap(), link.0.to_le_bytes(), "{name}");
    }
    expected.extend([format!("{prefix}{}", definition_name(boundary)), savepoint_manifest("busy")]);
    expected.sort();
    let found: Vec<_> = store.list().unwrap().into_iter().filter(|name| name.starts_with(&prefix)).collect();
    assert_eq!(found, expected);
    boundary
}

#[test]
fn a_checkpoint_that_newer_ones_build_on_is_copied_at_once() {
    assert_eq!(take_while(1_000, u64::MAX), EventTime(5));
}

#[test]
fn checkpoints_that_are_removed_meanwhile_are_given_up_for_newer_ones() {
    assert!(take_while(2, 40) > EventTime(8));
    assert_eq!(take_while(1, 20), EventTime(25));
}

#[test]
fn a_savepoint_is_given_up_where_checkpoints_are_always_removed_before_they_are_copied() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = moving(&folder, 1, u64::MAX);
    let error = take(&mut store, "busy").unwrap_err();
    assert_eq!(error.retry(), Retry::Transient);
    assert!(error.to_string().contains("removed faster than they could be copied"), "{error}");
    assert!(store.chain[0].0 > 50, "it was tried again and again");
    let names = store.list().unwrap();
    assert!(!names.iter().any(|name| name.contains("savepoints")), "nothing of it is left: {names:?}");
}
