//! A checkpoint read back: what a restart finds in the store.

use serde::de::DeserializeOwned;
use telemetra_core::EventTime;
use telemetra_core::checkpoint::{self, CheckpointStore, CodecError};

use crate::checkpoint::definition::{Definition, Takeover};
use crate::checkpoint::parts::StoredParts;
use crate::checkpoint::savepoint::{complete_of, prefix_of, savepoint_manifest};
use crate::checkpoint::state::{LeftParts, Manifest, blob_name, definition_name, left_name, manifest_name};
use crate::support::failure::{Failure, RestoreError};
use crate::support::retry::RetryDeadline;

/// The text between the parts of a fingerprint.
pub(crate) const SEPARATOR: &str = "; ";

/// The parts in which two fingerprints differ.
pub(crate) fn difference(one: &str, other: &str) -> (String, String) {
    let differing = |one: &str, other: &str| {
        let parts = one.split(SEPARATOR).filter(|part| other.split(SEPARATOR).all(|known| known != *part));
        parts.collect::<Vec<_>>().join(SEPARATOR)
    };
    (differing(one, other), differing(other, one))
}

/// A complete checkpoint as its manifest describes it: nothing of its state has been read.
#[derive(Debug)]
pub(crate) struct FoundCheckpoint {
    pub(crate) manifest: Manifest,
    pub(crate) definition: Option<Definition>,
    /// The savepoint that it is, if it is one.
    pub(crate) savepoint: Option<String>,
}

impl FoundCheckpoint {
    /// Finds the newest complete checkpoint; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read or is damaged.
    pub(crate) fn newest(
        store: &mut dyn CheckpointStore,
        deadline: &RetryDeadline,
    ) -> Result<Option<Self>, RestoreError> {
        let names = deadline.wait("listing the checkpoints", || store.list())?;
        let Some(name) = names.iter().rev().find(|name| complete_of(name).is_some()) else {
            return Ok(None);
        };
        let manifest: Manifest = read(store, name, EventTime::MIN, deadline)?;
        let described = definition_name(manifest.boundary);
        let definition = match names.binary_search(&described) {
            Ok(_) => Some(read(store, &described, manifest.boundary, deadline)?),
            Err(_) => None,
        };
        Ok(Some(Self { manifest, definition, savepoint: None }))
    }

    /// Finds a savepoint.
    ///
    /// # Errors
    ///
    /// If there is none of that name, or it cannot be read or is damaged.
    pub(crate) fn savepoint(
        store: &mut dyn CheckpointStore,
        name: &str,
        deadline: &RetryDeadline,
    ) -> Result<Self, RestoreError> {
        let blob = savepoint_manifest(name);
        let names = deadline.wait("listing the checkpoints", || store.list())?;
        if names.binary_search(&blob).is_err() {
            return Err(RestoreError::NoSavepoint { name: name.to_owned() });
        }
        let manifest: Manifest = read(store, &blob, EventTime::MIN, deadline)?;
        let described = format!("{}{}", prefix_of(name), definition_name(manifest.boundary));
        let definition = match names.binary_search(&described) {
            Ok(_) => Some(read(store, &described, manifest.boundary, deadline)?),
            Err(_) => None,
        };
        Ok(Self { manifest, definition, savepoint: Some(name.to_owned()) })
    }

    /// Reads its state.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is damaged or incomplete.
    pub(crate) fn load(
        self,
        store: &mut dyn CheckpointStore,
        deadline: &RetryDeadline,
    ) -> Result<RestoredCheckpoint, RestoreError> {
        let Self { manifest, definition, savepoint } = self;
        let prefix = savepoint.as_deref().map(prefix_of).unwrap_or_default();
        let boundary = manifest.boundary;
        let mut chain = Vec::new();
        for &link in &manifest.chain {
            let name = |worker| format!("{prefix}{}", blob_name(link, worker));
            let parts = (0..manifest.peers).map(|worker| {
                let name = name(worker);
                let blob = read_blob(store, &name, boundary, deadline)?;
                StoredParts::of_blob(blob).map_err(|source| RestoreError::Damaged { name, source })
            });
            chain.push(parts.collect::<Result<Vec<_>, _>>()?);
        }
        let names = deadline.wait("listing the checkpoints", || store.list())?;
        // What a run left is of what its sinks had then, and a savepoint is older than that.
        let left = match savepoint {
            Some(_) => Vec::new(),
            None => read_left(store, &names, boundary, deadline)?,
        };
        Ok(RestoredCheckpoint { boundary, chain, definition, left })
    }
}

/// A complete checkpoint, read back.
#[derive(Debug)]
pub(crate) struct RestoredCheckpoint {
    /// The boundary.
    pub(crate) boundary: EventTime,
    /// The chain, oldest first; within each, the workers' parts.
    chain: Vec<Vec<StoredParts>>,
    /// The definition that it was made with; `None` if it is of a version that compared settings as a whole.
    pub(crate) definition: Option<Definition>,
    /// The parts that the workers of a run that came to its end have left, for each process; empty if none did.
    left: Vec<LeftParts>,
}

impl RestoredCheckpoint {
    /// The parts that the workers left of an operator, and a time after all that sinks were given by then; `None` if no run came to its end.
    pub(crate) fn left_by(&self, operator: &str) -> Option<(EventTime, Vec<Vec<u8>>)> {
        let settles = self.left.iter().map(|left| left.last.plus(1)).max()?.max(self.boundary);
        let parts = self.left.iter().flat_map(|left| &left.parts).filter(|(name, _)| name == operator);
        Some((settles, parts.map(|(_, part)| part.clone()).collect()))
    }

    /// The defect of a restart that does not know the journal.
    pub(crate) fn forget_journal(&mut self) {
        self.left.clear();
    }

    /// The boundary, if a run came to its end after it and left its journals.
    pub(crate) fn ended(&self) -> Option<EventTime> {
        (!self.left.is_empty()).then_some(self.boundary)
    }

    /// Each worker's last part of an operator. If one does not decode, the pipeline fails.
    pub(crate) fn parts<T: DeserializeOwned>(&self, operator: &str, failure: &Failure) -> Vec<T> {
        self.or_fail(decode_parts(self.last(), operator, plain), failure)
    }

    /// The number of workers.
    pub(crate) fn peers(&self) -> usize {
        self.chain.last().map_or(0, Vec::len)
    }

    /// The parts of an operator, as it takes them over: each worker's last one, or all of an operator that writes
    /// only what changed, oldest first. Of one worker alone, if `worker` is given. If one does not decode, the
    /// pipeline fails.
    pub(crate) fn taken_over<T: DeserializeOwned + 'static>(
        &self,
        operator: &str,
        takeover: &Takeover<T>,
        chained: bool,
        worker: Option<usize>,
        failure: &Failure,
    ) -> Vec<T> {
        let links = if chained { &self.chain } else { &self.chain[self.chain.len().saturating_sub(1)..] };
        let parts: Vec<&StoredParts> = match worker {
            Some(worker) => links.iter().filter_map(|link| link.get(worker)).collect(),
            None => links.iter().flatten().collect(),
        };
        let decode = |name: &str, decode: &dyn Fn(&[u8]) -> Result<T, CodecError>| {
            decode_parts(parts.iter().copied(), name, decode)
        };
        let parts = match takeover {
            Takeover::New | Takeover::Refused(_) => Ok(Vec::new()),
            Takeover::Same => decode(operator, &plain),
            Takeover::Migrated { migration, .. } | Takeover::Reduced(migration) => {
                decode(operator, &|part| migration.decode_all(part))
            }
            Takeover::Derived { from, migration } => decode(from, &|part| migration.decode_all(part)),
        };
        self.or_fail(parts, failure)
    }

    /// The workers' parts in the checkpoint itself.
    fn last(&self) -> impl Iterator<Item = &StoredParts> {
        self.chain.last().into_iter().flatten()
    }

    fn or_fail<T>(&self, parts: Result<Vec<T>, CodecError>, failure: &Failure) -> Vec<T> {
        parts.unwrap_or_else(|source| {
            let name = manifest_name(self.boundary);
            failure.set(RestoreError::Damaged { name, source }.into());
            Vec::new()
        })
    }
}

/// Reads what the processes of a run left that came to its end after a checkpoint; nothing, if not all of them did.
fn read_left(
    store: &mut dyn CheckpointStore,
    names: &[String],
    boundary: EventTime,
    deadline: &RetryDeadline,
) -> Result<Vec<LeftParts>, RestoreError> {
    let first = left_name(boundary, 0);
    let group = first.trim_end_matches(|c: char| c.is_ascii_digit());
    let names = names.iter().filter(|name| name.starts_with(group));
    let left =
        names.map(|name| read(store, name, boundary, deadline)).collect::<Result<Vec<LeftParts>, _>>()?;
    let workers = left.iter().map(|left| left.workers).sum::<usize>();
    let is_whole = left.first().is_some_and(|left| left.peers == workers);
    Ok(if is_whole { left } else { Vec::new() })
}

fn decode_parts<'a, T>(
    workers: impl Iterator<Item = &'a StoredParts>,
    operator: &str,
    decode: impl Fn(&[u8]) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    workers.flat_map(|worker| worker.of(operator)).map(|part| decode(&part?)).collect()
}

fn plain<T: DeserializeOwned>(part: &[u8]) -> Result<T, CodecError> {
    bincode::deserialize(part).map_err(CodecError::from)
}

fn read<T: DeserializeOwned>(
    store: &mut dyn CheckpointStore,
    name: &str,
    boundary: EventTime,
    deadline: &RetryDeadline,
) -> Result<T, RestoreError> {
    let blob = read_blob(store, name, boundary, deadline)?;
    checkpoint::decode(&blob).map_err(|source| RestoreError::Damaged { name: name.to_owned(), source })
}

fn read_blob(
    store: &mut dyn CheckpointStore,
    name: &str,
    boundary: EventTime,
    deadline: &RetryDeadline,
) -> Result<Vec<u8>, RestoreError> {
    let blob = deadline.wait("reading a checkpoint", || store.get(name))?;
    blob.ok_or_else(|| RestoreError::Missing { boundary, name: name.to_owned() })
}
