//! Checkpoint stores of a world: one in memory, and the faults of the script around any.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use telemetra_core::ExternalError;
use telemetra_core::checkpoint::CheckpointStore;

use crate::testkit::world::Defect;
use crate::testkit::world::run::ProcessRun;
use crate::testkit::world::script::{CallFault, Kill, RunEnd};
use crate::testkit::world::shared::{Calls, lock, stall};

/// The name by which the store is known among what runs own.
const STORE: &str = "the checkpoint store";

/// A checkpoint store in memory, for tests. Clones share the blobs, as clients of one database do, so the
/// blobs outlast a pipeline, but not the process.
///
/// ```
/// let mut store = telemetra_ops::testkit::world::MemoryStore::default();
/// telemetra_core::testkit::store_compliance(&mut store);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    blobs: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// By the number of a process, which claim on its place is the last one.
    claims: Arc<Mutex<BTreeMap<usize, u64>>>,
    /// The number of the process, and its claim.
    claimed: Option<(usize, u64)>,
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

impl MemoryStore {
    /// Fails if another process has claimed the same place since.
    fn check_claim(&self) -> Result<(), ExternalError> {
        match self.claimed {
            Some((process, claim)) if lock(&self.claims).get(&process) != Some(&claim) => {
                Err(ExternalError::permanent("another process has taken over the place in the store"))
            }
            _ => Ok(()),
        }
    }
}

impl CheckpointStore for MemoryStore {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        let mut claims = lock(&self.claims);
        if process == 0 {
            // A place that there is not any more is of nobody.
            claims.iter_mut().filter(|(place, _)| **place >= processes).for_each(|(_, claim)| *claim += 1);
        }
        let claim = claims.entry(process).or_default();
        *claim += 1;
        self.claimed = Some((process, *claim));
        Ok(())
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        self.check_claim()?;
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
        self.check_claim()?;
        lock(&self.blobs).remove(name);
        Ok(())
    }
}

/// A wrapper of a checkpoint store whose calls fail, stall, and have no effect once the simulated process is
/// killed, as the script of a simulation plans. It is made by [`ProcessRun::faulty_store`].
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    run: ProcessRun,
    puts: Calls,
}

impl<S: CheckpointStore> FaultyStore<S> {
    pub(super) fn new(inner: S, run: ProcessRun) -> Self {
        Self { inner, run, puts: Calls::default() }
    }
}

impl<S: CheckpointStore> CheckpointStore for FaultyStore<S> {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        self.run.process.runs()?;
        if self.run.defect != Some(Defect::StoreIgnoresClaim) {
            self.inner.claim(process, processes)?;
        }
        self.run.owners.take(STORE, self.run.number);
        Ok(())
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        let process = self.run.process.clone();
        process.runs()?;
        let call = self.puts.next();
        let killed = match self.run.plan.end {
            Some(RunEnd::Killed(Kill::Store { call: at, durable })) if at == call => Some(durable),
            _ => None,
        };
        if killed == Some(false) {
            process.dies()?;
        }
        let fault = self.run.plan.store.get(&call).copied();
        match fault {
            Some(CallFault::Refused) => {
                return Err(ExternalError::transient("the store refuses by the script"));
            }
            Some(CallFault::Stalls(millis)) => stall(&self.run.time, &process, millis),
            _ => {}
        }
        process.runs()?;
        let replaced = self.run.owners.is_of_another(STORE, self.run.number);
        if let Some(boundary) = name.strip_suffix("/complete") {
            self.run.check_complete(boundary);
        }
        self.inner.put(name, blob)?;
        if replaced {
            self.run.findings.add(format!("a process that was replaced could still store `{name}`"));
        }
        if killed == Some(true) {
            process.dies()?;
        }
        match fault {
            Some(CallFault::Unacknowledged { .. }) => {
                Err(ExternalError::transient("the store does not answer, by the script"))
            }
            _ => Ok(()),
        }
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.run.process.runs()?;
        self.inner.get(name)
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.run.process.runs()?;
        self.inner.list()
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.run.process.runs()?;
        self.inner.remove(name)
    }
}
