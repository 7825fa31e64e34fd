//! Opening sources: which process reads what, and where it goes on.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::checkpoint::{CheckpointStore, encode};
use telemetra_core::engine::SequencerState;
use telemetra_core::{EventTime, ExternalError, Fates, PartitionId, WindowSpec};

use crate::checkpoint::definition::Definition;
use crate::checkpoint::parts::WorkerParts;
use crate::checkpoint::restored::{FoundCheckpoint, RestoredCheckpoint};
use crate::checkpoint::state::{Manifest, blob_name, definition_name, manifest_name};
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::{Ingress, IngressConfig, lock};
use crate::read::partition::PartitionCheckpoint;
use crate::read::scripted::{Script, ScriptedSource, Word, Words, config, no_checkpoints};
use crate::read::sources::{Opened, Opening, open};
use crate::support::defects::EngineDefects;
use crate::support::failure::{Failure, PipelineError, RestoreError};
use crate::support::retry::RetryDeadline;
use crate::testkit::world::MemoryStore;

const BOUNDARY: EventTime = EventTime(60);

/// A checkpoint at 60 in which each worker has such a part of an operator.
pub(super) fn checkpoint(
    operator: &str,
    parts: Vec<Vec<u8>>,
    definition: Option<Definition>,
) -> RestoredCheckpoint {
    let (mut store, deadline) =
        (MemoryStore::default(), RetryDeadline::new(Duration::ZERO, &Failure::default()));
    let manifest = Manifest {
        boundary: BOUNDARY,
        chain: vec![BOUNDARY],
        peers: parts.len(),
        fingerprint: String::new(),
    };
    for (worker, part) in parts.into_iter().enumerate() {
        let parts = WorkerParts { parts: vec![(operator.to_owned(), part)] };
        store.put(&blob_name(BOUNDARY, worker), &encode(&parts).unwrap()).unwrap();
    }
    if let Some(definition) = definition {
        store.put(&definition_name(BOUNDARY), &encode(&definition).unwrap()).unwrap();
    }
    store.put(&manifest_name(BOUNDARY), &encode(&manifest).unwrap()).unwrap();
    FoundCheckpoint::newest(&mut store, &deadline).unwrap().unwrap().load(&mut store, &deadline).unwrap()
}

/// A partition at offset 7 of the input 99, of which two events were counted.
fn kept(name: &str, ended: bool) -> PartitionCheckpoint {
    let fates = Fates { read: 2, on_time: 2, ..Fates::default() };
    let sequencer =
        SequencerState { floor: BOUNDARY, greatest: EventTime(65), fates, ..SequencerState::default() };
    PartitionCheckpoint { id: PartitionId::new(name), offset: 7, identity: Some(99), sequencer, ended }
}

fn of_partitions(kept: &[PartitionCheckpoint]) -> RestoredCheckpoint {
    checkpoint("partitions", vec![bincode::serialize(kept).unwrap()], None)
}

fn source(names: &[&'static str]) -> ScriptedSource {
    let source = ScriptedSource::default();
    source.lock().partitions = names.iter().map(|name| (*name, Script::default())).collect();
    source
}

fn opening(place: (usize, usize), restored: Option<&RestoredCheckpoint>) -> Opening<'_> {
    let failure = Failure::default();
    Opening {
        process: place.0,
        processes: place.1,
        restored,
        revisable_from: EventTime::MIN,
        trigger: no_checkpoints(),
        floors: None,
        deadline: RetryDeadline::new(Duration::ZERO, &failure),
        failure,
    }
}

fn opened(
    sources: &[&ScriptedSource],
    place: (usize, usize),
    restored: Option<&RestoredCheckpoint>,
) -> Result<Opened, PipelineError> {
    let sources = sources.iter().map(|source| Box::new((*source).clone()) as _).collect();
    open(config(), sources, opening(place, restored))
}

fn names(opened: &Opened) -> Vec<String> {
    opened.ingress.status().iter().map(|status| status.id.to_string()).collect()
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let panes = WindowSpec::tumbling(Duration::from_secs(1)).unwrap();
    let refused = |config: IngressConfig, sources, workers| {
        config.check(0, sources, workers, panes).err().map(|error| error.setting().to_owned())
    };
    let with = |drift| IngressConfig { max_watermark_drift: drift, ..config() };
    assert_eq!(refused(with(None), 1, 1), None);
    assert_eq!(refused(with(None), 0, 1).as_deref(), Some("source"));
    assert_eq!(refused(with(None), 1, 0).as_deref(), Some("workers"));
    assert_eq!(refused(with(Some(Duration::from_secs(2))), 1, 1), None);
    let drift = refused(with(Some(Duration::from_millis(1_999))), 1, 1);
    assert_eq!(drift.as_deref(), Some("max_watermark_drift"));
    let mut config = config();
    config.time.max_jump = Some(Duration::ZERO);
    assert_eq!(refused(config, 1, 1).as_deref(), Some("max_jump"));
    let hours = WindowSpec::tumbling(Duration::from_secs(3_600)).unwrap();
    assert!(
        with(None).check(0, 1, 1, hours).is_ok(),
        "two minutes are less than two hours, and nobody set them"
    );
}

#[test]
fn processes_take_partitions_in_turn_and_know_all_of_them() {
    let sources = [source(&["a", "b"]), source(&["c", "d", "e"])];
    for (place, mine) in
        [((0, 2), vec!["a", "c", "e"]), ((1, 2), vec!["b", "d"]), ((0, 1), vec!["a", "b", "c", "d", "e"])]
    {
        let opened = opened(&[&sources[0], &sources[1]], place, None).unwrap();
        assert_eq!(
            (names(&opened), &*opened.partitions),
            (
                mine.iter().map(ToString::to_string).collect(),
                &["a", "b", "c", "d", "e"].map(str::to_owned)[..]
            )
        );
        let others = if place.1 == 2 { SourceProgress::UNKNOWN } else { SourceProgress::NONE };
        assert_eq!(*lock(&opened.ingress.others), others);
        let decoders = opened.ingress.readers.read().iter().map(|reader| reader.decoder).collect::<Vec<_>>();
        assert_eq!(decoders, mine.iter().map(|name| usize::from(*name > "b")).collect::<Vec<_>>());
    }
    assert_eq!(sources[0].opened(), ["a from None", "b from None", "a from None", "b from None"]);
}

#[test]
fn two_partitions_of_one_name_are_refused() {
    let twice = opened(&[&source(&["a"]), &source(&["b", "a"])], (0, 1), None).err().unwrap().to_string();
    assert!(twice.contains("two partitions are called `a`"), "{twice}");
}

#[test]
fn a_source_that_cannot_be_read_is_an_error_of_opening() {
    let source = source(&["a"]);
    source.lock().failures.push_back(ExternalError::permanent("no rights"));
    let refused = opened(&[&source], (0, 1), None).err().unwrap();
    assert!(matches!(&refused, PipelineError::Open(error) if error.to_string() == "no rights"), "{refused}");
}

#[test]
fn a_restart_goes_on_at_its_offsets_and_reads_new_partitions_from_their_beginning() {
    let source = source(&["a", "b", "new"]);
    let restored = of_partitions(&[kept("b", false), kept("a", false)]);
    let opened = opened(&[&source], (0, 1), Some(&restored)).unwrap();
    assert_eq!(source.opened(), ["a at 7 of Some(99)", "b at 7 of Some(99)", "new new"]);
    assert_eq!((opened.ingress.fates_before.read, opened.ingress.fates().on_time), (4, 4));
    assert!(opened.ingress.status().iter().all(|status| status.floor == BOUNDARY));
    let defects = EngineDefects { forgets_identity: true, ..EngineDefects::default() };
    let forgets =
        Opening { trigger: no_checkpoints().with_defects(defects), ..opening((0, 1), Some(&restored)) };
    open(config(), vec![Box::new(source.clone())], forgets).unwrap();
    assert_eq!(source.opened()[3], "a at 7 of None");
}

#[test]
fn a_partition_that_has_gone_was_read_to_its_end_or_is_missed() {
    let source = source(&["a"]);
    let unread = of_partitions(&[kept("a", false), kept("b", false)]);
    let missed = opened(&[&source], (0, 1), Some(&unread)).err().unwrap();
    let PipelineError::Restore(RestoreError::Gone { boundary, partition }) = missed else {
        panic!("{missed}")
    };
    assert_eq!((boundary, partition.as_str()), (BOUNDARY, "b"));
    let read = of_partitions(&[kept("a", false), kept("b", true)]);
    let gone = opened(&[&source], (0, 1), Some(&read)).unwrap();
    assert_eq!(
        (names(&gone), &*gone.partitions),
        (vec!["a".to_owned(), "b".to_owned()], &["a".to_owned()][..])
    );
    assert_eq!((gone.ingress.fates().read, gone.ingress.status()[1].floor), (4, EventTime::MAX));
    let again = gone.ingress.keep(BOUNDARY).pop().unwrap();
    assert_eq!((again.id.as_str(), again.offset, again.identity, again.ended), ("b", 7, Some(99), true));
    let second = opened(&[&source], (1, 2), Some(&read)).unwrap();
    assert_eq!(names(&second), Vec::<String>::new(), "the first process counts it");
    source.lock().may_be_gone = true;
    let removed = opened(&[&source], (0, 1), Some(&unread)).unwrap();
    assert_eq!((names(&removed).len(), removed.ingress.status()[1].floor), (2, EventTime::MAX));
}

#[test]
fn a_checkpoint_whose_partitions_do_not_decode_is_not_restored() {
    let damaged = checkpoint("partitions", vec![b"none".to_vec()], None);
    let refused = opened(&[&source(&["a"])], (0, 1), Some(&damaged)).err().unwrap();
    assert!(matches!(refused, PipelineError::Restore(RestoreError::Damaged { .. })), "{refused}");
}

#[test]
fn sources_that_say_how_often_are_asked_for_new_partitions() {
    let sources = [source(&["a"]), source(&["b"])];
    sources[1].lock().refresh_every = Some(Duration::from_secs(5));
    for (place, readers) in [((1, 3), 2), ((0, 1), 1)] {
        let opened = opened(&[&sources[0], &sources[1]], place, None).unwrap();
        let [discovery] = &opened.discoveries[..] else { panic!("one of them says so") };
        assert_eq!((discovery.decoder, discovery.every), (1, Duration::from_secs(5)));
        assert_eq!(discovery.place, (place.0, readers), "a process that reads nothing opens nothing");
        assert_eq!(discovery.known.lock().unwrap().len(), 2);
    }
}

#[test]
fn an_ingress_of_your_own_says_whether_reading_failed() {
    let sources = vec![(Box::new(source(&["a"])) as _, Arc::new(Words) as _)];
    let ingress = Ingress::<Word>::open(config(), sources, 1).unwrap();
    assert!(!ingress.has_failed() && ingress.take_error().is_none());
    assert_eq!((ingress.status().len(), ingress.decoders.len()), (1, 1));
    ingress.shared.failure.set(PipelineError::Stopped);
    assert!(ingress.has_failed());
    assert!(matches!(ingress.take_error(), Some(PipelineError::Stopped)));
    assert!(ingress.has_failed() && ingress.take_error().is_none(), "it is taken once");
}
