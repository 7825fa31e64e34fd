//! The state of a checkpoint: what operators hand over, and the names that it is stored under.
//!
//! The idea: a checkpoint at a boundary holds all that took effect before it and nothing after. Ingest decides
//! on one when its floor reaches the boundary, keeps its part, and sends a *marker* timed just before the boundary. Every keyed
//! operator that has seen the frontier pass a marker keeps its own part. There are no barriers: the frontier is the cut.
//!
//! An operator holds a capability from the marker's arrival until its part is handed over, so when the frontier
//! at the end of the graph passes a marker, every part has been handed over.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;

use serde::Serialize;
use serde_bytes::Bytes;
use telemetra_core::checkpoint::CodecError;
use telemetra_core::{ConfigError, EventTime, ExternalError};
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::{Capability, Concatenate};
use timely::dataflow::{Scope, StreamVec};

use crate::checkpoint::definition::{Definition, OperatorDefinition, Takeover};
use crate::checkpoint::restored::RestoredCheckpoint;
use crate::checkpoint::savepoint::Savepoint;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::comparison::MomentsGauge;
use crate::observe::state_size::StateSizeGauge;
use crate::spill::Spill;
use crate::support::failure::Failure;

/// The number of checkpoints that may build on one that is whole, before the next whole one.
pub(crate) const CHAIN: usize = 8;

/// The checkpoints of a dataflow, as its operators with state need them: when to take a snapshot, where to
/// send it, and which state to start with. An operator is built with a context and a name, under which its
/// state is stored; the name must be unique in the dataflow and the same from run to run. Clones are handles
/// on the same context.
///
/// In a [`Pipeline`](crate::Pipeline), [`Graph::context`](crate::Graph::context) returns it. In a dataflow of
/// your own use [`none`](Self::none): only a pipeline takes checkpoints.
///
/// ```
/// # use telemetra_core::EventTime;
/// use telemetra_ops::CheckpointContext;
///
/// timely::execute_directly(|worker| {
///     worker.dataflow::<EventTime, _, _>(|scope| {
///         let context = CheckpointContext::none(scope);
///         // Pass `&context` to `windows`, `moments`, `changes`, `process_by_key` or `checkpointed`.
///         # drop(context);
///     });
/// });
/// ```
///
/// # How a checkpoint is taken
///
/// A marker flows through the dataflow with a timestamp just before the boundary of the checkpoint. An
/// operator takes its snapshot when its frontier has passed the boundary, so the snapshot holds all that took
/// effect before it and nothing after. Unlike with Flink's barriers, no operator waits for the markers of
/// several inputs. Only reading pauses, until all workers of the process have reached the boundary, so that
/// offsets and state agree.
///
/// # Errors
///
/// Two operators of the same name make the pipeline fail with
/// [`PipelineError::Config`](crate::PipelineError::Config).
#[derive(Clone)]
pub struct CheckpointContext<'scope> {
    pub(crate) markers: StreamVec<'scope, EventTime, EventTime>,
    pub(crate) writer: Option<SnapshotWriter>,
    pub(crate) restored: Option<Arc<RestoredCheckpoint>>,
    pub(crate) failure: Failure,
    /// The gauge of the size of the worker's state.
    pub(crate) state_size: Arc<StateSizeGauge>,
    /// The gauge of the worker's comparisons of moments.
    pub(crate) moments: Arc<MomentsGauge>,
    /// The setting for state that does not fit in memory; `None` if all is kept there.
    pub(crate) spill: Option<Arc<Spill>>,
    /// The frontiers behind all operators with state: when they pass a marker, every snapshot has been handed over.
    done: Rc<RefCell<Vec<StreamVec<'scope, EventTime, ()>>>>,
    /// The operators, in the order in which they were built, with what they make of the state that they find.
    operators: Rc<RefCell<Vec<Described>>>,
    /// The definition that the checkpoint was made with, where operators are only described.
    found: Option<Arc<Definition>>,
}

/// An operator with state: its name, what its state is, and what it makes of the state that it finds.
pub(crate) struct Described {
    pub(crate) name: String,
    pub(crate) definition: OperatorDefinition,
    pub(crate) takeover: Takeover<()>,
}

impl<'scope> CheckpointContext<'scope> {
    /// Returns a context without checkpoints, for dataflows of your own: operators start empty, and their
    /// state is lost when the process ends.
    #[must_use]
    pub fn none(scope: Scope<'scope, EventTime>) -> Self {
        Self::new(empty(scope), None, None, Failure::default(), Arc::default(), Arc::default())
    }

    pub(crate) fn new(
        markers: StreamVec<'scope, EventTime, EventTime>,
        writer: Option<SnapshotWriter>,
        restored: Option<Arc<RestoredCheckpoint>>,
        failure: Failure,
        state_size: Arc<StateSizeGauge>,
        moments: Arc<MomentsGauge>,
    ) -> Self {
        Self {
            markers,
            writer,
            restored,
            failure,
            state_size,
            moments,
            spill: None,
            done: Rc::default(),
            operators: Rc::default(),
            found: None,
        }
    }

    /// The context of a graph that is built to be described, not to be run.
    pub(crate) fn describing(
        scope: Scope<'scope, EventTime>,
        found: Option<Arc<Definition>>,
        failure: Failure,
    ) -> Self {
        Self { found, failure, ..Self::none(scope) }
    }

    /// The same, of a pipeline with this setting for state that does not fit in memory.
    pub(crate) fn with_spill(self, spill: Option<Arc<Spill>>) -> Self {
        Self { spill, ..self }
    }

    /// The definition that the checkpoint was made with from which the graph goes on.
    pub(crate) fn found(&self) -> Option<&Definition> {
        let restored = self.restored.as_ref().map(|restored| restored.definition.as_ref());
        restored.unwrap_or(self.found.as_deref())
    }

    /// The operators that were built, with what they make of the state that they find.
    pub(crate) fn take_operators(&self) -> Vec<Described> {
        self.operators.take()
    }

    /// Registers an operator with state: its name, which checkpoints know it by, and a stream behind it.
    pub(crate) fn register(
        &self,
        name: &str,
        definition: OperatorDefinition,
        takeover: Takeover<()>,
        done: StreamVec<'scope, EventTime, ()>,
    ) {
        let mut operators = self.operators.borrow_mut();
        if operators.iter().any(|other| other.name == name) {
            let detail = format!("two operators with state are called `{name}`");
            self.failure.set(ConfigError::new("checkpointed", detail, "give each a name of its own").into());
        }
        operators.push(Described { name: name.to_owned(), definition, takeover });
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

/// The channel on which a savepoint is returned.
pub(crate) type SavepointReply = Sender<Result<Savepoint, ExternalError>>;

/// A message to the thread that writes checkpoints.
#[derive(Debug)]
pub(crate) enum Message {
    /// An operator's part of a checkpoint.
    Part { boundary: EventTime, worker: usize, operator: Arc<str>, part: Part },
    /// An operator's part of all checkpoints from `from` on: it will not change any more.
    Last { from: EventTime, worker: usize, operator: Arc<str>, part: Part },
    /// The part that an operator leaves for a later run, as the input has come to its end, and the last time of it.
    Left { operator: String, last: EventTime, part: Result<Vec<u8>, CodecError> },
    /// A worker has handed over all its parts.
    Flush { boundary: EventTime, worker: usize },
    /// There is something new in the log of floors.
    Floors,
    /// The newest complete checkpoint is to stay under a name.
    Savepoint { name: String, reply: SavepointReply },
    /// Everything is stored and durable everywhere.
    Complete { boundary: EventTime },
}

/// An operator's part of a checkpoint, which the thread that writes checkpoints encodes: rows wait for a worker.
pub(crate) struct Part(Box<dyn FnOnce() -> Result<Vec<u8>, CodecError> + Send>);

impl Part {
    fn of<T: Serialize + Send + 'static>(part: T) -> Self {
        Self(Box::new(move || bincode::serialize(&part).map_err(CodecError::from)))
    }

    /// Encodes the part. The error is why it cannot be.
    pub(crate) fn encode(self) -> Result<Vec<u8>, CodecError> {
        (self.0)()
    }
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Part")
    }
}

impl SnapshotWriter {
    /// Hands a part over. That nobody listens any more means that the pipeline is going down.
    pub(crate) fn snapshot<T: Serialize + Send + 'static>(
        &self,
        boundary: EventTime,
        operator: &str,
        part: T,
    ) {
        let (worker, operator, part) = (self.worker, operator.into(), Part::of(part));
        let _ = self.parts.send(Message::Part { boundary, worker, operator, part });
    }

    /// Hands over a part that is encoded.
    pub(crate) fn encoded(
        &self,
        boundary: EventTime,
        operator: &Arc<str>,
        part: Result<Vec<u8>, CodecError>,
    ) {
        // The reader of a checkpoint decodes a value: here one of bytes.
        let part = move || bincode::serialize(Bytes::new(&part?)).map_err(CodecError::from);
        let part = Part(Box::new(part));
        let operator = Arc::clone(operator);
        let _ = self.parts.send(Message::Part { boundary, worker: self.worker, operator, part });
    }

    /// Hands over a part that will not change any more.
    pub(crate) fn final_snapshot<T: Serialize + Send + 'static>(
        &self,
        from: EventTime,
        operator: &str,
        part: T,
    ) {
        let (worker, operator, part) = (self.worker, operator.into(), Part::of(part));
        let _ = self.parts.send(Message::Last { from, worker, operator, part });
    }

    /// Hands over what an operator leaves for a later run.
    pub(crate) fn leave(&self, operator: &str, last: EventTime, part: Result<Vec<u8>, CodecError>) {
        let operator = operator.to_owned();
        let _ = self.parts.send(Message::Left { operator, last, part });
    }

    /// Orders the log of floors to be written.
    pub(crate) fn floors(&self) {
        let _ = self.parts.send(Message::Floors);
    }

    /// All parts of this worker have been handed over.
    pub(crate) fn flush(&self, boundary: EventTime) {
        let _ = self.parts.send(Message::Flush { boundary, worker: self.worker });
    }
}

/// Writes and reads each part as one piece: serde would go through a list of bytes one by one.
mod as_bytes {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_bytes::{ByteBuf, Bytes};

    pub(super) fn serialize<S: Serializer>(parts: &[(String, Vec<u8>)], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(parts.iter().map(|(operator, part)| (operator, Bytes::new(part))))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(String, Vec<u8>)>, D::Error> {
        let parts = Vec::<(String, ByteBuf)>::deserialize(from)?;
        Ok(parts.into_iter().map(|(operator, part)| (operator, part.into_vec())).collect())
    }
}

/// The blob that makes a checkpoint complete: written last.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Manifest {
    /// The boundary.
    pub(crate) boundary: EventTime,
    /// The checkpoints that it builds on, from a whole one to itself.
    pub(crate) chain: Vec<EventTime>,
    /// The number of workers.
    pub(crate) peers: usize,
    /// The settings that the state was made with: a restart with other ones would mix answers.
    pub(crate) fingerprint: String,
}

/// The parts that the workers of a process leave for a later run that goes on from the checkpoint, as the input has come to its end.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct LeftParts {
    /// The number of workers in the process, and in all.
    pub(crate) workers: usize,
    pub(crate) peers: usize,
    /// The last time of anything that sinks were given.
    pub(crate) last: EventTime,
    #[serde(with = "as_bytes")]
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

/// The name of what a process leaves.
pub(crate) fn left_name(boundary: EventTime, process: usize) -> String {
    format!("{:020}/left-{process:04}", boundary.0)
}

/// The name of the blob with the definition of the pipeline that took a checkpoint.
pub(crate) fn definition_name(boundary: EventTime) -> String {
    format!("{:020}/definition", boundary.0)
}

/// The name of a worker's blob.
pub(crate) fn blob_name(boundary: EventTime, worker: usize) -> String {
    format!("{:020}/worker-{worker:04}", boundary.0)
}

/// The name of a manifest.
pub(crate) fn manifest_name(boundary: EventTime) -> String {
    format!("{:020}/complete", boundary.0)
}
