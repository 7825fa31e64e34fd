//! The thread that writes checkpoints: parts as workers hand them over, the manifest when everything is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use serde::Serialize;
use telemetra_core::checkpoint::{CheckpointStore, encode};
use telemetra_core::{EventTime, ExternalError};
use timely::scheduling::SyncActivator;

use crate::checkpoint::definition::Definition;
use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{floors_name, floors_of};
use crate::checkpoint::parts::WorkerParts;
use crate::checkpoint::savepoint::{self, complete_of};
use crate::checkpoint::state::{
    CHAIN, LeftParts, Manifest, Message, SavepointReply, blob_name, definition_name, left_name, manifest_name,
};
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::metrics::{self as metric, Value};
use crate::observe::spans;
use crate::support::failure::{Failure, PipelineError, panic_text};
use crate::support::retry::{RetryError, retry_until};

/// The time up to which a worker's parts are stored, and whom to wake when it moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored(Arc<(AtomicU64, Mutex<Option<SyncActivator>>)>);

impl Stored {
    pub(crate) fn boundary(&self) -> EventTime {
        EventTime(self.0.0.load(Ordering::Acquire))
    }

    pub(crate) fn wake_by(&self, activator: SyncActivator) {
        *self.0.1.lock().unwrap_or_else(PoisonError::into_inner) = Some(activator);
    }

    pub(super) fn advance(&self, boundary: EventTime) {
        self.0.0.store(boundary.0, Ordering::Release);
        if let Some(activator) = &*self.0.1.lock().unwrap_or_else(PoisonError::into_inner) {
            // It fails only when the worker has gone, who then does not need to know.
            let _ = activator.activate();
        }
    }
}

/// The state of the thread that writes checkpoints.
pub(crate) struct Writer {
    pub(crate) store: Box<dyn CheckpointStore>,
    /// The index of the first worker of this process, and the workers' gauges.
    pub(crate) first_worker: usize,
    pub(crate) stored: Vec<Stored>,
    pub(crate) process: usize,
    pub(crate) processes: usize,
    pub(crate) peers: usize,
    pub(crate) fingerprint: String,
    pub(crate) definition: Definition,
    /// The pipeline, as metrics have it.
    pub(crate) pipeline: Value,
    /// The newest complete checkpoint: at first the one that the run goes on from; [`EventTime::MIN`] for none.
    pub(crate) newest: EventTime,
    /// The cost of each checkpoint under way, until now.
    pub(crate) efforts: BTreeMap<EventTime, Effort>,
    /// Notifies the partitions that a checkpoint is complete.
    pub(crate) commit: Box<dyn FnMut(EventTime) + Send>,
    pub(crate) floors: Arc<FloorLog>,
    pub(crate) gauge: Arc<CheckpointGauge>,
    pub(crate) failure: Failure,
}

/// The time and bytes that a checkpoint has taken.
pub(crate) struct Effort {
    begun: Instant,
    bytes: u64,
}

/// The part of each operator of a worker, by name.
type Parts = BTreeMap<Arc<str>, Vec<u8>>;

impl Writer {
    /// Starts the thread; it ends when nobody can send to it any more.
    pub(crate) fn start(self, messages: Receiver<Message>) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("checkpoints".to_owned()).spawn(move || {
            let failure = self.failure.clone();
            // Without a word from this thread a last checkpoint would be waited for for ever.
            let ended = catch_unwind(AssertUnwindSafe(|| self.run(&messages))).unwrap_or_else(|panic| {
                let what = format!("the store panicked: {}", panic_text(&*panic));
                Err(PipelineError::Checkpoint(ExternalError::permanent(what)).into())
            });
            if let Err(Ended::Failed(error)) = ended {
                failure.set(error);
            }
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) -> Result<(), Ended> {
        self.forget_sources()?;
        let mut parts: BTreeMap<(EventTime, usize), Parts> = BTreeMap::new();
        let mut last: BTreeMap<usize, (EventTime, Parts)> = BTreeMap::new();
        let mut chain: Vec<EventTime> = Vec::new();
        let mut began: BTreeSet<EventTime> = BTreeSet::new();
        let mut savepoints = Vec::new();
        let mut left = LeftParts {
            workers: self.stored.len(),
            peers: self.peers,
            last: EventTime::MIN,
            parts: Vec::new(),
        };
        while let Ok(message) = messages.recv() {
            if self.failure.is_down() {
                return Err(Ended::Down);
            }
            // First: partitions wait for it.
            self.write_floors()?;
            match message {
                Message::Floors => {}
                Message::Savepoint { name, reply } => {
                    savepoints.push((name, reply));
                    self.take_savepoints(&mut savepoints);
                }
                Message::Part { boundary, worker, operator, part } => {
                    let part = part.encode().map_err(|source| PipelineError::encode(&operator, source))?;
                    self.effort(boundary);
                    parts.entry((boundary, worker)).or_default().insert(operator, part);
                }
                Message::Last { from, worker, operator, part } => {
                    let part = part.encode().map_err(|source| PipelineError::encode(&operator, source))?;
                    last.entry(worker).or_insert_with(|| (from, Parts::new())).1.insert(operator, part);
                }
                Message::Left { operator, last, part } => {
                    let part = part.map_err(|source| PipelineError::encode(&operator, source))?;
                    left.last = left.last.max(last);
                    left.parts.push((operator, part));
                }
                Message::Flush { boundary, worker } => {
                    let mut these = parts.remove(&(boundary, worker)).unwrap_or_default();
                    // A worker may have read to the end long before all that it sent for this checkpoint has taken effect.
                    let last = last.get(&worker).filter(|(from, _)| boundary >= *from);
                    for (operator, part) in last.into_iter().flat_map(|(_, parts)| parts) {
                        these.entry(Arc::clone(operator)).or_insert_with(|| part.clone());
                    }
                    let span = self.gauge.spans.write(boundary, worker).entered();
                    let before = self.effort(boundary).bytes;
                    // A checkpoint is only whole if each process's partitions are in it.
                    if these.contains_key("partitions") {
                        self.put(boundary, &source_name(boundary, self.process), &())?;
                    }
                    let these = these.into_iter().map(|(name, part)| (name.to_string(), part)).collect();
                    self.put(boundary, &blob_name(boundary, worker), &WorkerParts { parts: these })?;
                    span.record("bytes", spans::int(self.effort(boundary).bytes - before));
                    drop(span);
                    if began.insert(boundary) {
                        if chain.len() == CHAIN {
                            chain.clear();
                        }
                        chain.push(boundary);
                    }
                    self.stored[worker - self.first_worker].advance(boundary);
                }
                Message::Complete { boundary } => {
                    let end = chain.iter().position(|link| *link == boundary).map_or(0, |index| index + 1);
                    let links = chain[..end].to_vec();
                    let checkpoint = self.gauge.spans.take(boundary);
                    let is_complete =
                        spans::complete(&checkpoint).in_scope(|| self.complete(boundary, links))?;
                    if is_complete {
                        checkpoint.record("bytes", spans::int(self.effort(boundary).bytes));
                        spans::commit(&checkpoint).in_scope(|| (self.commit)(boundary));
                        self.measure(boundary);
                        self.gauge.completed.fetch_add(1, Ordering::Relaxed);
                        self.gauge.boundary.store(boundary.0, Ordering::Release);
                        self.newest = boundary;
                        self.prune_floors(boundary)?;
                        self.take_savepoints(&mut savepoints);
                    }
                }
            }
        }
        self.leave(&left)
    }

    /// Writes what the workers leave beside the newest checkpoint, from which a later run will go on.
    fn leave(&mut self, left: &LeftParts) -> Result<(), Ended> {
        // Without a checkpoint a later run begins anew.
        if left.parts.is_empty() || self.newest == EventTime::MIN {
            return Ok(());
        }
        // First: what happened at the end is settled by the journal if there is one.
        let ending = self.floors.ending(self.newest);
        self.put(self.newest, &floors_name(self.process), &ending)?;
        self.put(self.newest, &left_name(self.newest, self.process), left)
    }

    /// Takes the savepoints that were asked for, if there is a complete checkpoint; else they wait for one.
    fn take_savepoints(&mut self, asked: &mut Vec<(String, SavepointReply)>) {
        for (name, reply) in std::mem::take(asked) {
            match savepoint::take(&mut *self.store, &name) {
                Ok(None) => asked.push((name, reply)),
                // Whoever asked may have stopped waiting.
                Ok(Some(savepoint)) => drop(reply.send(Ok(savepoint))),
                Err(error) => drop(reply.send(Err(error))),
            }
        }
    }

    /// Makes durable how floors were raised.
    fn write_floors(&mut self) -> Result<(), Ended> {
        if let Some((version, blob)) = self.floors.unwritten() {
            self.store_value(&floors_name(self.process), &blob)?;
            self.floors.written(version);
        }
        Ok(())
    }

    /// Forgets how floors were raised before the checkpoint from which a restart would go on.
    fn prune_floors(&mut self, mut complete: EventTime) -> Result<(), Ended> {
        if self.process > 0 {
            // Process 0 may not have come to write the last one.
            let names = self.retry_until(|store| store.list())?;
            let Some(newest) = names.iter().rev().find_map(|name| complete_of(name)) else { return Ok(()) };
            complete = newest;
        }
        self.floors.prune(complete);
        Ok(())
    }

    /// Removes what earlier runs said of this process's partitions. A checkpoint that one of them began and this one
    /// completes would be taken for whole without them, where this process has no part in it.
    fn forget_sources(&mut self) -> Result<(), Ended> {
        let own = source_name(EventTime::MIN, self.process).split_off(GROUP);
        for name in self.retry_until(|store| store.list())? {
            if name.ends_with(&own) {
                self.retry_until(|store| store.remove(&name))?;
            }
        }
        Ok(())
    }

    /// Writes the manifest, if this is the process that does, and removes what no checkpoint needs any more.
    fn complete(&mut self, boundary: EventTime, chain: Vec<EventTime>) -> Result<bool, Ended> {
        if chain.is_empty() {
            return Ok(false);
        }
        if self.process > 0 {
            return Ok(true);
        }
        let names = self.retry_until(|store| store.list())?;
        let is_there = |process| names.contains(&source_name(boundary, process));
        if !(0..self.processes).all(is_there) {
            tracing::info!(%boundary, "a process had no part in this checkpoint, it is passed over");
            return Ok(false);
        }
        let manifest = Manifest {
            boundary,
            chain: chain.clone(),
            peers: self.peers,
            fingerprint: self.fingerprint.clone(),
        };
        let definition = self.definition.clone();
        self.put(boundary, &definition_name(boundary), &definition)?;
        self.put(boundary, &manifest_name(boundary), &manifest)?;
        let group = |boundary: EventTime| format!("{:020}/", boundary.0);
        let keep: Vec<String> = chain.iter().map(|link| group(*link)).collect();
        let newest = group(boundary);
        let is_of_none = |name: &str| floors_of(name).is_some_and(|process| process >= self.processes);
        let is_of_none: Vec<&String> = names.iter().filter(|name| is_of_none(name)).collect();
        for name in names.iter().filter(|name| **name < newest).chain(is_of_none) {
            let is_of_one = name.ends_with("/complete") || name.ends_with("/definition");
            let needed = keep.iter().any(|group| name.starts_with(group)) && !is_of_one;
            if !needed {
                self.retry_until(|store| store.remove(name))?;
            }
        }
        Ok(true)
    }

    fn retry_until<T>(
        &mut self,
        mut attempt: impl FnMut(&mut dyn CheckpointStore) -> Result<T, ExternalError>,
    ) -> Result<T, Ended> {
        let store = &mut *self.store;
        retry_until(&self.gauge.retry, &self.failure, None, || attempt(store)).map_err(|ended| match ended {
            RetryError::Failed(error) => PipelineError::Checkpoint(error).into(),
            RetryError::Down => Ended::Down,
        })
    }

    /// The cost of a checkpoint so far; from now on, if it was not under way before.
    fn effort(&mut self, boundary: EventTime) -> &mut Effort {
        self.efforts.entry(boundary).or_insert_with(|| Effort { begun: Instant::now(), bytes: 0 })
    }

    /// Notes what a checkpoint took that is complete; those before it will not be any more.
    fn measure(&mut self, boundary: EventTime) {
        if let Some(Effort { begun, bytes }) = self.efforts.remove(&boundary) {
            metric::CHECKPOINT_SECONDS.record(&[&self.pipeline], begun.elapsed().as_secs_f64());
            metric::CHECKPOINT_BYTES.record(&[&self.pipeline], bytes as f64);
        }
        self.efforts.retain(|other, _| *other > boundary);
    }

    fn put<T: Serialize>(&mut self, boundary: EventTime, name: &str, value: &T) -> Result<(), Ended> {
        let bytes = self.store_value(name, value)?;
        self.effort(boundary).bytes += bytes;
        Ok(())
    }

    /// Stores a value. Returns its bytes.
    fn store_value<T: Serialize>(&mut self, name: &str, value: &T) -> Result<u64, Ended> {
        let begun = Instant::now();
        let encoded = |source| PipelineError::Encode { operator: "checkpoint".to_owned(), source };
        let blob = encode(value).map_err(encoded)?;
        self.retry_until(|store| store.put(name, &blob))?;
        self.gauge.bytes.fetch_add(blob.len() as u64, Ordering::Relaxed);
        let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.gauge.micros.fetch_add(micros, Ordering::Relaxed);
        Ok(blob.len() as u64)
    }
}

/// The reason why it writes no more.
#[derive(Debug)]
pub(super) enum Ended {
    Failed(PipelineError),
    /// The pipeline goes down.
    Down,
}

impl From<PipelineError> for Ended {
    fn from(error: PipelineError) -> Self {
        Self::Failed(error)
    }
}

/// The digits of the boundary that the names of a checkpoint begin with.
const GROUP: usize = 20;

/// The name of the blob that says that a process's partitions are in a checkpoint.
fn source_name(boundary: EventTime, process: usize) -> String {
    format!("{:020}/source-{process:04}", boundary.0)
}
