//! The operator that reads: what it takes in of a checkpoint, what it sends by when, and what it hands over for a checkpoint.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::Placement;
use telemetra_core::{DeadLetter, EventTime, ExternalError, Fate, Polled};
use timely::dataflow::StreamVec;
use timely::dataflow::operators::capture::{Capture, Extract};
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::{Capability, Probe};

use crate::checkpoint::definition::{Definition, OperatorDefinition};
use crate::checkpoint::state::{Message, SnapshotWriter};
use crate::checkpoint::trigger::CheckpointTrigger;
use crate::cluster::progress::SourceProgress;
use crate::read::group_fold::CollectFold;
use crate::read::ingest::{IngestLinks, ingest_with};
use crate::read::ingress::{Ingress, Shared};
use crate::read::partition::{OpenPartition, PartitionCheckpoint};
use crate::read::plan::{Fold, FoldPlan};
use crate::read::scripted::{Script, Step, Word, Words, config, no_checkpoints, records};
use crate::read::sources_tests::checkpoint;
use crate::support::failure::Failure;
use crate::support::wait::wait_until;

/// A plan that sends the keys of events, or only keeps what it was given of a checkpoint. Its version is 4.
struct Plan<'scope> {
    restored: Option<Restored>,
    keys: Option<StreamVec<'scope, EventTime, String>>,
}

/// The parts of a checkpoint that a fold was given, and of what earlier version they were.
#[derive(Clone, Default)]
struct Restored(Arc<Mutex<Vec<(Vec<u8>, Option<u32>)>>>);

impl Fold<Word> for Restored {
    fn add(&mut self, _: &[Word], _: &[Placement]) {}

    fn send(&mut self, _: EventTime, _: &Capability<EventTime>) {}

    fn snapshot(&self) -> Result<Vec<u8>, CodecError> {
        Ok(Vec::new())
    }

    fn restore(&mut self, snapshot: &[u8], from: Option<u32>) -> Result<(), CodecError> {
        self.0.lock().unwrap().push((snapshot.to_vec(), from));
        if snapshot == b"damaged" {
            Err(bincode::deserialize::<u64>(b"").unwrap_err().into())
        } else {
            Ok(())
        }
    }
}

impl<'scope> FoldPlan<'scope, Word> for Plan<'scope> {
    fn name(&self) -> &str {
        "keys"
    }

    fn definition(&self) -> OperatorDefinition {
        OperatorDefinition { version: 4, ..OperatorDefinition::default() }
    }

    fn migrates(&self, from: u32) -> bool {
        from == 3
    }

    fn attach(&mut self, builder: &mut OperatorBuilder<'scope, EventTime>) -> Box<dyn Fold<Word>> {
        let (output, stream) = builder.new_output();
        self.keys = Some(stream);
        match self.restored.take() {
            Some(restored) => Box::new(restored),
            None => Box::new(CollectFold::new(output, |word: &Word| Some(word.key.clone()))),
        }
    }
}

fn process(trigger: CheckpointTrigger, partitions: Vec<OpenPartition>) -> Ingress<Word> {
    let bounds = (None, EventTime::MIN);
    let shared =
        Shared::new(config(), partitions, trigger, Failure::default(), bounds, SourceProgress::NONE, None);
    Ingress { shared, decoders: Arc::new([Arc::new(Words) as _]) }
}

/// The parts of a checkpoint that workers of a process are given, so many of them, if its plan had this version.
fn taken_in(
    workers: usize,
    parts: &[&[u8]],
    version: Option<u32>,
) -> (Vec<Vec<(Vec<u8>, Option<u32>)>>, Ingress<Word>) {
    let operator =
        OperatorDefinition { version: version.unwrap_or_default(), ..OperatorDefinition::default() };
    let definition =
        Definition { operators: [("ingest keys".to_owned(), operator)].into(), ..Definition::default() };
    let parts = parts.iter().map(|part| bincode::serialize(&part.to_vec()).unwrap()).collect();
    let restored = Arc::new(checkpoint("ingest keys", parts, version.map(|_| definition)));
    let ingress = process(no_checkpoints(), vec![Script::default().open("a")]);
    let used = ingress.clone();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let given = Restored::default();
        let links = IngestLinks { restored: Some(Arc::clone(&restored)), ..IngestLinks::default() };
        let index = worker.next_dataflow_index();
        worker.dataflow::<EventTime, _, _>(|scope| {
            let mut plan = Plan { restored: Some(given.clone()), keys: None };
            ingest_with(scope, &ingress, &mut [&mut plan], links);
        });
        worker.drop_dataflow(index);
        std::mem::take(&mut *given.0.lock().unwrap())
    });
    (guards.unwrap().join().into_iter().map(Result::unwrap).collect(), used)
}

#[test]
fn each_part_of_a_checkpoint_is_taken_in_by_one_worker() {
    let part = |part: &str| (part.as_bytes().to_vec(), None);
    let (given, ingress) = taken_in(2, &[b"one", b"two", b"three"], Some(4));
    assert_eq!(given, [vec![part("one"), part("three")], vec![part("two")]]);
    assert!(!ingress.has_failed());
    assert_eq!(taken_in(1, &[b"one", b"two"], None).0, [vec![part("one"), part("two")]], "of no definition");
}

#[test]
fn a_part_of_an_earlier_version_is_taken_in_as_such_or_not_at_all() {
    assert_eq!(taken_in(1, &[b"one"], Some(3)).0, [vec![(b"one".to_vec(), Some(3))]]);
    assert_eq!(taken_in(1, &[b"one"], Some(2)).0, [vec![]], "there is no migration");
}

#[test]
fn a_part_that_cannot_be_taken_in_fails_the_pipeline() {
    let (_, ingress) = taken_in(1, &[b"damaged"], Some(4));
    let error = ingress.take_error().unwrap().to_string();
    assert!(error.contains("restore"), "{error}");
}

/// The outputs of a run.
struct Ran {
    keys: Vec<(EventTime, Vec<String>)>,
    letters: Vec<(EventTime, Vec<(DeadLetter, EventTime)>)>,
    markers: Vec<(EventTime, Vec<EventTime>)>,
    messages: Receiver<Message>,
}

/// Reads these partitions to their ends, by so many workers.
fn run(workers: usize, trigger: CheckpointTrigger, scripts: Vec<Script>) -> Ran {
    let names = ["a", "b", "c", "d"];
    let open = scripts.iter().zip(names).map(|(script, name)| script.open(name)).collect();
    let ingress = process(trigger, open);
    let (parts, messages) = channel();
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let writer = SnapshotWriter { worker: worker.index(), parts: parts.clone(), gauge: Arc::default() };
        let links = IngestLinks { writer: Some(writer), ..IngestLinks::default() };
        worker.dataflow::<EventTime, _, _>(|scope| {
            let mut plan = Plan { restored: None, keys: None };
            let streams = ingest_with(scope, &ingress, &mut [&mut plan], links);
            (plan.keys.unwrap().capture(), streams.dead_letters.capture(), streams.markers.capture())
        })
    });
    let mut ran = Ran { keys: Vec::new(), letters: Vec::new(), markers: Vec::new(), messages };
    for captured in guards.unwrap().join() {
        let (keys, letters, markers) = captured.unwrap();
        ran.keys.extend(keys.extract());
        ran.letters.extend(letters.extract());
        ran.markers.extend(markers.extract());
    }
    ran
}

fn interval(pause: Duration, workers: usize) -> CheckpointTrigger {
    CheckpointTrigger::new(Some(50), pause, workers, 10, None)
}

/// The parts of a checkpoint: the cut, the operator, and the part.
fn part(message: Message) -> (char, u64, String, Vec<u8>) {
    match message {
        Message::Part { boundary, operator, part, .. } => {
            ('p', boundary.0, operator.to_string(), part.encode().unwrap())
        }
        Message::Last { from, operator, part, .. } => {
            ('l', from.0, operator.to_string(), part.encode().unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn keys(words: &[&str]) -> Vec<String> {
    words.iter().map(ToString::to_string).collect()
}

#[test]
fn events_are_sent_at_their_effective_times_and_dead_letters_with_what_was_known_then() {
    let script =
        Script::new([records(&["a 35", "noon", "b 36"]), records(&["c 85, d 12"]), records(&["e 86"])]);
    let ran = run(1, no_checkpoints(), vec![script]);
    let expected = [(39, keys(&["a", "b"])), (89, keys(&["c", "e"]))];
    assert_eq!(ran.keys, expected.map(|(time, keys)| (EventTime(time), keys)));
    let letters = ran.letters.into_iter().flat_map(|(_, letters)| letters);
    let plain = |(letter, found): (DeadLetter, EventTime)| (letter.offset, letter.fate, found.0);
    let found: BTreeMap<_, _> =
        letters.map(plain).map(|(offset, fate, found)| (offset, (fate, found))).collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [1, 3]);
    assert_eq!((found[&1].0, found[&3]), (Fate::Malformed, (Fate::TooLate, 80)));
    assert_eq!(ran.markers, []);
    let last: Vec<_> =
        ran.messages.into_iter().map(part).map(|(kind, from, operator, _)| (kind, from, operator)).collect();
    assert_eq!(last, [('l', 90, "partitions".to_owned())], "nothing of it takes effect after that");
}

#[test]
fn a_checkpoint_has_what_was_read_and_not_sent_before_it() {
    // What stands between two steps like this is read in another turn.
    let turn = || Step::Nothing(Polled::Ready);
    let batches = [records(&["a 35"]), turn(), records(&["b 45, c 67"]), turn(), records(&["d 117"]), turn()];
    let script = Script::new(batches);
    let ran = run(1, interval(Duration::MAX, 1), vec![script]);
    assert_eq!(ran.markers, [(EventTime(49), vec![EventTime(50)])], "the next is within the pause");
    let times: Vec<_> = ran.keys.iter().map(|(time, keys)| (time.0, keys.concat())).collect();
    assert_eq!(
        times,
        [(39, "a".to_owned()), (49, "b".to_owned()), (69, "c".to_owned()), (119, "d".to_owned())]
    );
    let parts: Vec<_> = ran.messages.into_iter().map(part).collect();
    let said: Vec<_> = parts.iter().map(|(kind, cut, operator, _)| (*kind, *cut, &**operator)).collect();
    assert_eq!(said, [('p', 50, "ingest keys"), ('p', 50, "partitions"), ('l', 120, "partitions")]);
    let kept: Vec<u8> = bincode::deserialize(&parts[0].3).unwrap();
    let kept: BTreeMap<EventTime, Vec<String>> = bincode::deserialize(&kept).unwrap();
    let partitions: Vec<PartitionCheckpoint> = bincode::deserialize(&parts[1].3).unwrap();
    let kept: Vec<String> = kept.into_values().flatten().collect();
    assert_eq!(kept.len() as u64 + 2, partitions[0].sequencer.fates.read, "{kept:?}");
    assert_eq!(kept[0], "c");
}

#[test]
fn parts_of_workers_agree_with_the_offsets_of_partitions() {
    let script = |keys: [&'static str; 6]| Script::new(keys.map(|key| records(&[key])));
    let scripts = vec![
        script(["a 5", "a 25", "a 45", "a 65", "a 85", "a 105"]),
        script(["b 15", "b 35", "b 55", "b 75", "b 95", "b 115"]),
        script(["c 1", "c 31", "c 41", "c 61", "c 91", "c 121"]),
    ];
    let ran = run(2, interval(Duration::ZERO, 2), scripts);
    assert!(!ran.markers.is_empty());
    let parts: Vec<_> = ran.messages.into_iter().map(part).filter(|(kind, ..)| *kind == 'p').collect();
    let sent_before = |cut: u64| {
        ran.keys.iter().filter(|(time, _)| time.0 < cut).map(|(_, keys)| keys.len()).sum::<usize>()
    };
    let cuts: Vec<u64> = parts.iter().filter(|part| part.2 == "partitions").map(|part| part.1).collect();
    assert_eq!(cuts.first(), Some(&50));
    for cut in cuts {
        let of_plan: Vec<_> = parts.iter().filter(|part| part.1 == cut && part.2 == "ingest keys").collect();
        assert_eq!(of_plan.len(), 2, "one of each worker");
        let partitions = parts.iter().find(|part| part.1 == cut && part.2 == "partitions").unwrap();
        let partitions: Vec<PartitionCheckpoint> = bincode::deserialize(&partitions.3).unwrap();
        let read: u64 = partitions.iter().map(|partition| partition.offset).sum();
        let kept = |bytes: &[u8]| {
            let kept: Vec<u8> = bincode::deserialize(bytes).unwrap();
            let kept: BTreeMap<EventTime, Vec<String>> = bincode::deserialize(&kept).unwrap();
            kept.values().map(Vec::len).sum::<usize>()
        };
        let kept: usize = of_plan.iter().map(|part| kept(&part.3)).sum();
        assert_eq!((kept + sent_before(cut)) as u64, read, "at {cut}");
    }
}

#[test]
fn the_frontier_follows_the_floor_and_stays_where_it_is_when_reading_fails() {
    timely::execute_directly(|worker| {
        let idle = (0..99).map(|_| Step::Nothing(Polled::Idle(Duration::ZERO)));
        let fails = Step::Fails(ExternalError::permanent("no such topic"));
        let script = Script::new([records(&["a 35"])].into_iter().chain(idle).chain([fails]));
        let ingress = process(no_checkpoints(), vec![script.open("a")]);
        let index = worker.next_dataflow_index();
        let probe = worker.dataflow::<EventTime, _, _>(|scope| {
            let mut plan = Plan { restored: None, keys: None };
            ingest_with(scope, &ingress, &mut [&mut plan], IngestLinks::default());
            plan.keys.unwrap().probe().0
        });
        let worker = std::cell::RefCell::new(worker);
        wait_until("reading fails", || {
            worker.borrow_mut().step();
            ingress.has_failed()
        });
        for _ in 0..3 {
            worker.borrow_mut().step();
        }
        assert!(!probe.less_than(&EventTime(30)), "what took effect before is complete");
        assert!(probe.less_than(&EventTime(31)), "and nothing that is not");
        worker.borrow_mut().drop_dataflow(index);
    });
}
