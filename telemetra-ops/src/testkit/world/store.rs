//! Checkpoint stores of a world: one in memory, and the faults of the script around any.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use telemetra_core::ExternalError;
use telemetra_core::checkpoint::CheckpointStore;

use crate::testkit::world::life::Life;
use crate::testkit::world::script::{CallFault, Kill, LifeEnd};
use crate::testkit::world::shared::{Calls, lock, stall};

/// A checkpoint store in memory. Clones share the blobs, as clients of one database would; so they survive a pipeline, not a process.
///
/// ```
/// let mut store = telemetra_ops::testkit::world::MemoryStore::default();
/// telemetra_core::testkit::store_compliance(&mut store);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    blobs: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl MemoryStore {
    /// The names of all blobs.
    pub(super) fn names(&self) -> Vec<String> {
        lock(&self.blobs).keys().cloned().collect()
    }

    /// Loses the newest part of a worker that the newest complete checkpoint consists of.
    pub(super) fn lose_newest_part(&self) {
        let mut blobs = lock(&self.blobs);
        let complete =
            blobs.keys().rev().find_map(|name| name.strip_suffix("complete")).map(ToOwned::to_owned);
        if let Some(group) = complete {
            let part = blobs.keys().find(|name| name.starts_with(&format!("{group}worker"))).cloned();
            part.and_then(|part| blobs.remove(&part));
        }
    }
}

impl CheckpointStore for MemoryStore {
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        lock(&self.blobs).insert(name.to_owned(), blob.to_vec());
        Ok(())
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        Ok(lock(&self.blobs).get(name).cloned())
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        Ok(lock(&self.blobs).keys().cloned().collect())
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        lock(&self.blobs).remove(name);
        Ok(())
    }
}

/// A store whose calls fail, stall, and are cut off when the process is killed, by the script of a world. Made by
/// [`Life::faulty_store`].
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    life: Life,
    puts: Calls,
}

impl<S: CheckpointStore> FaultyStore<S> {
    pub(super) fn new(inner: S, life: Life) -> Self {
        Self { inner, life, puts: Calls::default() }
    }
}

impl<S: CheckpointStore> CheckpointStore for FaultyStore<S> {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        self.inner.claim(process, processes)
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        let process = self.life.process.clone();
        process.lives()?;
        let call = self.puts.next();
        let killed = match self.life.plan.end {
            Some(LifeEnd::Killed(Kill::Store { call: at, durable })) if at == call => Some(durable),
            _ => None,
        };
        if killed == Some(false) {
            return Err(process.kill());
        }
        let fault = self.life.plan.store.get(&call).copied();
        match fault {
            Some(CallFault::Refused) => {
                return Err(ExternalError::transient("the store refuses by the script"));
            }
            Some(CallFault::Stalls(millis)) => stall(&self.life.time, &process, millis),
            _ => {}
        }
        process.lives()?;
        if let Some(boundary) = name.strip_suffix("/complete") {
            self.life.check_complete(boundary);
        }
        self.inner.put(name, blob)?;
        if killed == Some(true) {
            return Err(process.kill());
        }
        match fault {
            Some(CallFault::Unacknowledged { .. }) => {
                Err(ExternalError::transient("the store does not answer, by the script"))
            }
            _ => Ok(()),
        }
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.life.process.lives()?;
        self.inner.get(name)
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.life.process.lives()?;
        self.inner.list()
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.life.process.lives()?;
        self.inner.remove(name)
    }
}
