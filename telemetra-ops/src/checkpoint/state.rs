//! The state of a checkpoint: what operators hand over, and what a restart reads back.
//!
//! The idea: a checkpoint at a boundary holds all that took effect before it and nothing after. Ingest decides
//! on one when its floor reaches the boundary, keeps its part, and sends a *marker* timed just before the boundary. Every keyed
//! operator that has seen the frontier pass a marker keeps its own part. There are no barriers: the frontier is the cut.
//!
//! An operator holds a capability from the marker's arrival until its part is handed over, so when the frontier
//! at the end of the graph passes a marker, every part has been handed over.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::checkpoint::{self, CheckpointStore, CodecError};
use telemetra_core::{ConfigError, EventTime};
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::{Capability, Concatenate};
use timely::dataflow::{Scope, StreamVec};

use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::state_size::StateSizeGauge;
use crate::support::failure::{Failure, RestoreError};
use crate::support::retry::RetryDeadline;

/// How many checkpoints may build on one that is whole, before the next whole one.
pub(crate) const CHAIN: usize = 16;

/// What stands between the parts of a fingerprint.
pub(crate) const SEPARATOR: &str = "; ";

/// The parts in which two fingerprints differ.
pub(crate) fn difference(one: &str, other: &str) -> (String, String) {
    let differing = |one: &str, other: &str| {
        let parts = one.split(SEPARATOR).filter(|part| other.split(SEPARATOR).all(|known| known != *part));
        parts.collect::<Vec<_>>().join(SEPARATOR)
    };
    (differing(one, other), differing(other, one))
}

/// What ties the state of operators to checkpoints: when to snapshot it, where to, and what to begin with. Of a
/// [graph](crate::Graph::context) that a pipeline builds, or [none](Self::none).
#[derive(Clone)]
pub struct CheckpointContext<'scope> {
    pub(crate) markers: StreamVec<'scope, EventTime, EventTime>,
    pub(crate) writer: Option<SnapshotWriter>,
    pub(crate) restored: Option<Arc<RestoredCheckpoint>>,
    pub(crate) failure: Failure,
    /// The gauge of the size of the worker's state.
    pub(crate) state_size: Arc<StateSizeGauge>,
    /// The frontiers behind all operators with state: when they pass a marker, every snapshot has been handed over.
    done: Rc<RefCell<Vec<StreamVec<'scope, EventTime, ()>>>>,
    names: Rc<RefCell<BTreeSet<String>>>,
}

impl<'scope> CheckpointContext<'scope> {
    /// State that lives and dies with the process: for dataflows of your own.
    #[must_use]
    pub fn none(scope: Scope<'scope, EventTime>) -> Self {
        Self::new(empty(scope), None, None, Failure::default(), Arc::default())
    }

    pub(crate) fn new(
        markers: StreamVec<'scope, EventTime, EventTime>,
        writer: Option<SnapshotWriter>,
        restored: Option<Arc<RestoredCheckpoint>>,
        failure: Failure,
        state_size: Arc<StateSizeGauge>,
    ) -> Self {
        Self { markers, writer, restored, failure, state_size, done: Rc::default(), names: Rc::default() }
    }

    /// Registers an operator with state: its name, which checkpoints know it by, and a stream behind it.
    pub(crate) fn register(&self, name: &str, done: StreamVec<'scope, EventTime, ()>) {
        if !self.names.borrow_mut().insert(name.to_owned()) {
            let detail = format!("two operators with state are called `{name}`");
            self.failure.set(ConfigError::new("checkpointed", detail, "give each a name of its own").into());
        }
        self.done.borrow_mut().push(done);
    }

    /// A stream whose frontier is behind all operators with state.
    pub(crate) fn all_done(&self) -> StreamVec<'scope, EventTime, ()> {
        self.markers.scope().concatenate(self.done.take())
    }
}

impl std::fmt::Debug for CheckpointContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CheckpointContext")
            .field("writer", &self.writer.is_some())
            .field("restored", &self.restored.as_ref().map(|restored| restored.boundary))
            .finish_non_exhaustive()
    }
}

/// The markers that have arrived at one operator and are not yet due.
#[derive(Debug, Default)]
pub(crate) struct Markers(BTreeMap<EventTime, Capability<EventTime>>);

impl Markers {
    /// Takes note of a marker; `cap` is of the message that brought it.
    pub(crate) fn note(&mut self, boundary: EventTime, cap: &Capability<EventTime>) {
        self.0.entry(boundary).or_insert_with(|| cap.delayed(&boundary.minus(1).max(*cap.time())));
    }

    /// The first marker at or before `limit`: everything before it has taken effect. Keep the capability until
    /// the part is handed over.
    pub(crate) fn due(&mut self, limit: EventTime) -> Option<(EventTime, Capability<EventTime>)> {
        let entry = self.0.first_entry()?;
        (*entry.key() <= limit).then(|| entry.remove_entry())
    }
}

/// Hands the parts of one worker to the thread that writes them.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotWriter {
    pub(crate) worker: usize,
    pub(crate) parts: Sender<Message>,
    pub(crate) gauge: Arc<CheckpointGauge>,
}

/// A message to the thread that writes checkpoints.
#[derive(Debug)]
pub(crate) enum Message {
    /// An operator's part of a checkpoint, or how the part could not be encoded.
    Part { boundary: EventTime, worker: usize, operator: Arc<str>, part: Result<Vec<u8>, CodecError> },
    /// An operator's part of all checkpoints from `from` on: it will not change any more.
    Last { from: EventTime, worker: usize, operator: Arc<str>, part: Result<Vec<u8>, CodecError> },
    /// What an operator leaves for a later run, as the input has come to its end, and the last time of it.
    Left { operator: String, last: EventTime, part: Result<Vec<u8>, CodecError> },
    /// A worker has handed over all its parts.
    Flush { boundary: EventTime, worker: usize },
    /// There is something new in the log of floors.
    Floors,
    /// Everything is stored and durable everywhere.
    Complete { boundary: EventTime },
}

impl SnapshotWriter {
    /// Encodes a part and hands it over. That nobody listens any more means that the pipeline is going down.
    pub(crate) fn snapshot<T: Serialize>(&self, boundary: EventTime, operator: &str, part: &T) {
        let part = bincode::serialize(part).map_err(CodecError::from);
        let _ =
            self.parts.send(Message::Part { boundary, worker: self.worker, operator: operator.into(), part });
    }

    /// Hands over a part that is encoded.
    pub(crate) fn encoded(
        &self,
        boundary: EventTime,
        operator: &Arc<str>,
        part: Result<Vec<u8>, CodecError>,
    ) {
        // The reader of a checkpoint decodes a value: here one of bytes.
        let part = part.and_then(|part| bincode::serialize(&part).map_err(CodecError::from));
        let operator = Arc::clone(operator);
        let _ = self.parts.send(Message::Part { boundary, worker: self.worker, operator, part });
    }

    /// Hands over a part that will not change any more.
    pub(crate) fn final_snapshot<T: Serialize>(&self, from: EventTime, operator: &str, part: &T) {
        let part = bincode::serialize(part).map_err(CodecError::from);
        let _ = self.parts.send(Message::Last { from, worker: self.worker, operator: operator.into(), part });
    }

    /// Hands over what an operator leaves for a later run.
    pub(crate) fn leave(&self, operator: &str, last: EventTime, part: Result<Vec<u8>, CodecError>) {
        let operator = operator.to_owned();
        let _ = self.parts.send(Message::Left { operator, last, part });
    }

    /// Has the log of floors be written.
    pub(crate) fn floors(&self) {
        let _ = self.parts.send(Message::Floors);
    }

    /// All parts of this worker have been handed over.
    pub(crate) fn flush(&self, boundary: EventTime) {
        let _ = self.parts.send(Message::Flush { boundary, worker: self.worker });
    }
}

/// The parts of one worker in one checkpoint.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct WorkerParts {
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

/// What makes a checkpoint complete: written last.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Manifest {
    /// The boundary.
    pub(crate) boundary: EventTime,
    /// The checkpoints that it builds on, from a whole one to itself.
    pub(crate) chain: Vec<EventTime>,
    /// How many workers there were.
    pub(crate) peers: usize,
    /// What the state was made with: a restart with other settings would mix answers.
    pub(crate) fingerprint: String,
}

/// What the workers of a process leave for a later run that goes on from the checkpoint, as the input has come to its end.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct LeftParts {
    /// How many workers there were in the process, and in all.
    pub(crate) workers: usize,
    pub(crate) peers: usize,
    /// The last time of anything that sinks were given.
    pub(crate) last: EventTime,
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

/// The name of what a process leaves.
pub(crate) fn left_name(boundary: EventTime, process: usize) -> String {
    format!("{:020}/left-{process:04}", boundary.0)
}

/// The name of a worker's blob.
pub(crate) fn blob_name(boundary: EventTime, worker: usize) -> String {
    format!("{:020}/worker-{worker:04}", boundary.0)
}

/// The name of a manifest.
pub(crate) fn manifest_name(boundary: EventTime) -> String {
    format!("{:020}/complete", boundary.0)
}

/// A complete checkpoint, read back.
#[derive(Debug)]
pub(crate) struct RestoredCheckpoint {
    /// The boundary.
    pub(crate) boundary: EventTime,
    /// The chain, oldest first; within each, the workers' parts.
    chain: Vec<Vec<WorkerParts>>,
    /// What was left by the workers of a run that came to its end, each process's; empty if none did.
    left: Vec<LeftParts>,
}

impl RestoredCheckpoint {
    /// Reads the newest complete checkpoint; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is damaged or incomplete, or was made with other settings.
    pub(crate) fn read(
        store: &mut dyn CheckpointStore,
        fingerprint: &str,
        deadline: &RetryDeadline,
    ) -> Result<Option<Self>, RestoreError> {
        let names = deadline.wait("listing the checkpoints", || store.list())?;
        let Some(name) = names.iter().rev().find(|name| name.ends_with("/complete")) else {
            return Ok(None);
        };
        let manifest: Manifest = read(store, name, EventTime::MIN, deadline)?;
        let boundary = manifest.boundary;
        if manifest.fingerprint != fingerprint {
            let (found, expected) = difference(&manifest.fingerprint, fingerprint);
            return Err(RestoreError::Settings { boundary, found, expected });
        }
        let mut chain = Vec::new();
        for &link in &manifest.chain {
            let parts =
                (0..manifest.peers).map(|worker| read(store, &blob_name(link, worker), boundary, deadline));
            chain.push(parts.collect::<Result<Vec<WorkerParts>, _>>()?);
        }
        let left = read_left(store, &names, boundary, deadline)?;
        Ok(Some(Self { boundary, chain, left }))
    }

    /// What the workers left of an operator, and a time after all that sinks were given by then; `None` if no run came to its end.
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
        self.or_fail(decode_parts(self.chain.last().into_iter().flatten(), operator), failure)
    }

    /// All parts of an operator that writes only what changed, oldest first. If one does not decode, the pipeline fails.
    pub(crate) fn chained<T: DeserializeOwned>(&self, operator: &str, failure: &Failure) -> Vec<T> {
        self.or_fail(decode_parts(self.chain.iter().flatten(), operator), failure)
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

fn decode_parts<'a, T: DeserializeOwned>(
    workers: impl Iterator<Item = &'a WorkerParts>,
    operator: &str,
) -> Result<Vec<T>, CodecError> {
    let parts = workers.flat_map(|worker| &worker.parts).filter(|(name, _)| name == operator);
    parts.map(|(_, part)| bincode::deserialize(part).map_err(CodecError::from)).collect()
}

fn read<T: DeserializeOwned>(
    store: &mut dyn CheckpointStore,
    name: &str,
    boundary: EventTime,
    deadline: &RetryDeadline,
) -> Result<T, RestoreError> {
    let blob = deadline
        .wait("reading a checkpoint", || store.get(name))?
        .ok_or_else(|| RestoreError::Missing { boundary, name: name.to_owned() })?;
    checkpoint::decode(&blob).map_err(|source| RestoreError::Damaged { name: name.to_owned(), source })
}
