//! Partitions whose batches wait until their decoder has what it needs.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::{
    Arena, DecodeError, Decoder, ExternalError, Partition, PartitionId, Polled, Preparation, Prepared,
    Record, RecordBatch, Source,
};

use crate::read::prepare::prepared;
use crate::read::scripted::{Script, ScriptedSource, Step, Word, Words, records};

const PAUSE: Duration = Duration::from_millis(7);

/// A decoder that has what it needs, unless the test says otherwise.
#[derive(Default)]
struct Schemas {
    answers: Mutex<VecDeque<Result<Prepared, ExternalError>>>,
    /// The topics and numbers of records that it was asked for.
    asked: Mutex<Vec<(String, usize)>>,
}

impl Preparation for Schemas {
    fn prepare(&self, batch: &RecordBatch, topic: &str) -> Result<Prepared, ExternalError> {
        self.asked.lock().unwrap().push((topic.to_owned(), batch.records().len()));
        self.answers.lock().unwrap().pop_front().unwrap_or(Ok(Prepared::Ready))
    }
}

struct NeedsSchemas(Arc<Schemas>);

impl Decoder<Word> for NeedsSchemas {
    fn decode(&self, _: Record<'_>, _: &Arena, _: &mut Vec<Word>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn preparation(&self) -> Option<Arc<dyn Preparation>> {
        Some(Arc::clone(&self.0) as _)
    }
}

/// The source as it is read, whose decoder gives these answers.
fn source(
    source: &ScriptedSource,
    answers: impl IntoIterator<Item = Result<Prepared, ExternalError>>,
) -> (Box<dyn Source>, Arc<Schemas>) {
    let schemas = Arc::<Schemas>::default();
    schemas.answers.lock().unwrap().extend(answers);
    let decoder = Arc::new(NeedsSchemas(Arc::clone(&schemas)));
    let (mut sources, decoders) = prepared::<Word>(vec![(Box::new(source.clone()), decoder)]);
    assert_eq!((sources.len(), decoders.len()), (1, 1));
    (sources.pop().unwrap(), schemas)
}

/// The one partition, opened.
fn partition(
    script: &Script,
    answers: impl IntoIterator<Item = Result<Prepared, ExternalError>>,
) -> (Box<dyn Partition>, Arc<Schemas>) {
    let (mut source, schemas) = source(&ScriptedSource::new([("a", script.clone())]), answers);
    (source.open(&PartitionId::new("a"), None).unwrap(), schemas)
}

fn offsets(batch: &RecordBatch) -> Vec<u64> {
    batch.records().iter().map(|place| place.offset).collect()
}

#[test]
fn a_batch_is_held_until_its_decoder_is_ready_and_not_counted_as_read_before() {
    let script = Script::new([records(&["a 1", "a 2", "a 3"]), records(&["a 4"])]);
    script.lock().lag = Some(40);
    let pending = || Ok(Prepared::Pending(PAUSE));
    let (mut partition, schemas) = partition(&script, [pending(), pending()]);
    let mut batch = RecordBatch::default();
    for _ in 0..2 {
        assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Pending(PAUSE));
        assert!(batch.is_empty());
        assert_eq!((partition.offset(), partition.lag()), (0, Some(43)), "it has not been given away");
    }
    assert_eq!(script.lock().polls, 1);
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Ready);
    assert_eq!(offsets(&batch), [0, 1, 2]);
    assert_eq!((partition.offset(), partition.lag()), (3, Some(40)));
    assert_eq!(*schemas.asked.lock().unwrap(), vec![("topic".to_owned(), 3); 3]);
    batch.clear();
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Ready);
    assert_eq!((offsets(&batch), partition.offset()), (vec![3], 4));
    batch.clear();
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Done);
    assert!(batch.is_empty());
}

#[test]
fn what_the_partition_said_with_a_batch_is_said_when_that_is_given_away() {
    let idle = Polled::Idle(Duration::from_millis(3));
    let script = Script::new([Step::Records(vec!["a 1"], idle), Step::Nothing(idle)]);
    let (mut partition, schemas) = partition(&script, []);
    let mut batch = RecordBatch::default();
    assert_eq!(partition.poll(&mut batch).unwrap(), idle);
    assert_eq!(offsets(&batch), [0]);
    batch.clear();
    assert_eq!(partition.poll(&mut batch).unwrap(), idle);
    assert!(batch.is_empty());
    assert_eq!(schemas.asked.lock().unwrap().len(), 1, "nothing needs no preparation");
}

#[test]
fn a_batch_is_still_there_after_the_decoder_could_not_get_what_it_needs() {
    let script = Script::new([records(&["a 1"]), Step::Fails(ExternalError::transient("away"))]);
    let (mut partition, _) = partition(&script, [Err(ExternalError::transient("no registry"))]);
    let mut batch = RecordBatch::default();
    assert_eq!(partition.poll(&mut batch).unwrap_err().to_string(), "no registry");
    assert!(partition.poll(&mut batch).is_ok());
    assert_eq!(offsets(&batch), [0]);
    batch.clear();
    assert_eq!(partition.poll(&mut batch).unwrap_err().to_string(), "away", "an error of the source");
}

#[test]
fn all_else_is_the_sources_own() {
    let script = Script::default();
    let scripted = ScriptedSource::new([("a", script.clone()), ("b", Script::default())]);
    let (mut source, _) = source(&scripted, []);
    let id = PartitionId::new("a");
    assert_eq!(source.partitions().unwrap(), [id.clone(), PartitionId::new("b")]);
    assert!(source.open(&id, Some(3)).is_ok() && source.open_new(&id).is_ok());
    let mut partition = source.resume(&id, 5, Some(7)).unwrap();
    assert_eq!(scripted.opened(), ["a from Some(3)", "a new", "a at 5 of Some(7)"]);
    assert_eq!((source.refresh_every(), source.may_be_gone(&id, 0)), (None, false));
    (scripted.lock().refresh_every, scripted.lock().may_be_gone) = (Some(PAUSE), true);
    assert_eq!((source.refresh_every(), source.may_be_gone(&id, 0)), (Some(PAUSE), true));
    scripted.lock().failures.push_back(ExternalError::transient("away"));
    assert!(source.open(&id, None).is_err());
    assert_eq!((partition.topic(), partition.lag(), partition.lost()), ("topic", None, 0));
    assert_eq!((partition.offset(), partition.identity(0)), (0, None));
    let mut state = script.lock();
    (state.offset, state.identity, state.lag, state.lost) = (3, Some(7), Some(4), 5);
    drop(state);
    assert_eq!((partition.offset(), partition.identity(0)), (3, Some(7)));
    assert_eq!((partition.lag(), partition.lost()), (Some(4), 5));
    partition.committed(2);
    assert_eq!(script.lock().committed, [2]);
}

#[test]
fn a_decoder_that_needs_nothing_holds_nothing_back() {
    let script = Script::new([records(&["a 1"])]);
    let scripted = ScriptedSource::new([("a", script.clone())]);
    let (mut sources, decoders) = prepared::<Word>(vec![(Box::new(scripted), Arc::new(Words))]);
    assert_eq!((sources.len(), decoders.len()), (1, 1));
    let mut partition = sources[0].open(&PartitionId::new("a"), None).unwrap();
    let mut batch = RecordBatch::default();
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Ready);
    assert_eq!(offsets(&batch), [0]);
}
