//! Tests of the batches that a worker reads: which it takes, and what becomes of their records.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::Placement;
use telemetra_core::{
    Clock, DeadLetter, EventTime, Fate, PartitionId, Polled, RecordBatch, TRACEPARENT, TraceParent,
};
use timely::dataflow::operators::{Capability, Input, Probe};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{Raise, RestoredFloors};
use crate::read::fold::{PAUSE, Reader};
use crate::read::ingress::{Floors, IngressConfig, Shared};
use crate::read::plan::Fold;
use crate::read::scripted::{Script, Step, Word, Words, config, records, resumed, shared};
use crate::support::failure::PipelineError;
use crate::support::logged::logged;

/// Keeps what it is given: the key of each event that counts.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<String>>>);

impl Kept {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Fold<Word> for Kept {
    fn add(&mut self, events: &[Word], placements: &[Placement]) {
        assert_eq!(events.len(), placements.len());
        let counted = events.iter().zip(placements).filter(|(_, placement)| placement.fate.is_counted());
        self.0.lock().unwrap().extend(counted.map(|(event, _)| event.key.clone()));
    }

    fn send(&mut self, _: EventTime, _: &Capability<EventTime>) {}

    fn snapshot(&self) -> Result<Vec<u8>, CodecError> {
        Ok(Vec::new())
    }

    fn restore(&mut self, _: &[u8], _: Option<u32>) -> Result<(), CodecError> {
        Ok(())
    }
}

/// A worker of a process, with two plans.
fn reader(shared: &Arc<Shared>, worker: usize) -> (Reader<Word>, [Kept; 2]) {
    let kept = [Kept::default(), Kept::default()];
    let groups = vec!["one".into(), "two".into()];
    let folds = kept.clone().map(|kept| Box::new(kept) as Box<dyn Fold<Word>>).into();
    (Reader::new(Arc::clone(shared), Arc::new([Arc::new(Words) as _]), worker, (groups, folds)), kept)
}

fn read_all(
    config: IngressConfig,
    steps: impl IntoIterator<Item = Step>,
) -> (Vec<DeadLetter>, Vec<String>, Arc<Shared>) {
    let shared = shared(config, vec![Script::new(steps).open("a")]);
    let (mut reader, kept) = reader(&shared, 0);
    while shared.floor() < EventTime::MAX {
        reader.read(shared.floor(), None);
    }
    let [one, two] = kept.map(|kept| kept.take());
    assert_eq!(one, two, "each plan gets all");
    assert_eq!(shared.fates().read, one.len() as u64 + reader.letters.len() as u64);
    (reader.letters, one, shared)
}

fn parent(trace: u128) -> TraceParent {
    TraceParent::new(trace, 1, 0).unwrap()
}

/// Records with traces of these numbers, if they are not 0.
fn traced(values: Vec<(&'static str, u128)>) -> Step {
    let fill = move |batch: &mut RecordBatch| {
        for (offset, (value, trace)) in (0..).zip(values) {
            batch.push(value.as_bytes(), offset);
            if let Some(parent) = TraceParent::new(trace, 1, 0) {
                batch.annotate(None, None, [(TRACEPARENT, Some(parent.to_string().as_bytes()))]);
            }
        }
    };
    Step::Batch(1, Box::new(fill))
}

#[test]
fn a_record_that_is_no_event_is_a_dead_letter_with_its_reason_and_bytes() {
    let batch = |batch: &mut RecordBatch| {
        batch.push(b"noon", 4);
        batch.annotate(None, None, [(TRACEPARENT, Some(parent(7).to_string().as_bytes()))]);
        batch.push_tombstone(5);
        batch.push_oversize(b"begins so", 2_000_000, 6);
        batch.push(b"a 35", 7);
        batch.push(b"", 8);
    };
    let (letters, kept, _) = read_all(config(), [Step::Batch(5, Box::new(batch))]);
    assert_eq!(kept, ["a"]);
    let of = |offset, reason: &str, bytes: &[u8], traceparent| DeadLetter {
        partition: PartitionId::new("a"),
        offset,
        index: 0,
        time: None,
        fate: Fate::Malformed,
        reason: reason.into(),
        bytes: bytes.into(),
        traceparent,
    };
    let expected = [
        of(4, "there is no time", b"noon", Some(parent(7))),
        of(5, "the record has no value (a tombstone)", b"", None),
        of(6, "the record is longer than a record may be: 2000000 bytes", b"begins so", None),
    ];
    assert_eq!(letters, expected);
}

#[test]
fn an_event_that_is_not_counted_is_a_dead_letter_with_its_place_in_the_record() {
    let mut config = IngressConfig { clock: Clock::fixed(EventTime(500)), ..config() };
    (config.time.deduplicate, config.time.max_future_skew) = (true, Some(Duration::from_millis(100)));
    let values = vec![("a 95 x, b 20 y", 0), ("b 601 z, a 96 x, c 97", 7), ("c 98, d 85", 0)];
    let (letters, kept, _) = read_all(config, [traced(values)]);
    assert_eq!(kept, ["a", "c", "c", "d"]);
    let plain = |letter: &DeadLetter| (letter.offset, letter.index, letter.time.unwrap().0, letter.fate);
    let expected = [(0, 1, 20, Fate::TooLate), (1, 0, 601, Fate::FromFuture), (1, 1, 96, Fate::Duplicate)];
    assert_eq!(letters.iter().map(plain).collect::<Vec<_>>(), expected);
    let reasons =
        ["ended longer ago than the allowed lateness", "too far ahead of processing time", "with the id x"];
    for ((letter, reason), trace) in letters.iter().zip(reasons).zip([None, Some(parent(7)), Some(parent(7))])
    {
        assert!(letter.reason.contains(reason), "{}", letter.reason);
        assert_eq!(letter.traceparent, trace);
    }
    assert_eq!(&*letters[1].bytes, b"b 601 z, a 96 x, c 97");
}

#[test]
fn traces_of_records_that_count_are_kept_by_the_time_at_which_they_take_effect() {
    let values =
        vec![("a 95", 1), ("a 20", 2), ("a 94, b 93", 3), ("noon", 4), ("a 20, a 103", 5), ("a 104", 0)];
    let (_, _, shared) = read_all(config(), [traced(values)]);
    assert_eq!(shared.traces.between(EventTime(98), EventTime(99)), [parent(1), parent(3)]);
    assert_eq!(shared.traces.between(EventTime::MIN, EventTime::MAX), [parent(1), parent(3), parent(5)]);
    assert_eq!(shared.traces.between(EventTime(108), EventTime(109)), [parent(5)]);
}

#[test]
fn a_worker_reads_a_few_batches_of_each_partition_in_turn() {
    let batches = |value: &'static str| Script::new((0..9).map(|_| records(&[value])));
    let scripts = [batches("a 35"), batches("b 35"), batches("c 35")];
    let open = scripts.iter().zip(["a", "b", "c"]).map(|(script, name)| script.open(name));
    let shared = shared(config(), open.collect());
    for (worker, first) in [(0, "bcab"), (1, "cabc"), (2, "abca"), (3, "bcab")] {
        let (mut reader, [kept, _]) = reader(&shared, worker);
        assert_eq!(reader.read(EventTime::MIN, None), Duration::ZERO, "there may be more");
        assert_eq!(kept.take().concat(), first, "worker {worker}");
    }
}

#[test]
fn a_worker_that_finds_nothing_waits_as_long_as_the_most_impatient_partition_asks() {
    let pause = |pauses: &[Polled]| {
        let scripts = pauses.iter().map(|polled| Script::new([Step::Nothing(*polled)]).open("a"));
        reader(&shared(config(), scripts.collect()), 0).0.read(EventTime::MIN, None)
    };
    let idle = |millis| Polled::Idle(Duration::from_millis(millis));
    assert_eq!(pause(&[idle(7), idle(3), idle(5)]), Duration::from_millis(3));
    assert_eq!(pause(&[idle(70), idle(50)]), Duration::from_millis(10), "sources do not call");
    assert_eq!(pause(&[idle(7), Polled::Done]), PAUSE);
}

#[test]
fn nothing_is_read_any_more_when_all_have_ended() {
    let script = Script::new([records(&["a 35"])]);
    let shared = shared(config(), vec![script.open("a")]);
    assert_eq!(reader(&shared, 0).0.read(EventTime::MAX, None), PAUSE);
    assert_eq!(script.lock().polls, 0);
}

#[test]
fn nothing_is_read_that_is_too_far_ahead_of_the_sinks() {
    timely::execute_directly(|worker| {
        let drift = Some(Duration::from_millis(30));
        let idle = Step::Nothing(Polled::Idle(Duration::ZERO));
        let script = Script::new([records(&["a 35"]), idle, records(&["b 35"])]);
        let shared = shared(IngressConfig { max_watermark_drift: drift, ..config() }, vec![script.open("a")]);
        let (mut reader, [kept, _]) = reader(&shared, 0);
        let (mut input, durable) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Vec<()>>();
            (input, stream.probe().0)
        });
        input.advance_to(EventTime(40));
        worker.step_while(|| durable.less_than(&EventTime(40)));
        reader.read(EventTime(70), Some(&durable));
        assert_eq!(kept.take(), ["a"]);
        assert_eq!(shared.status()[0].silent, Some(Duration::ZERO));
        assert_eq!(reader.read(EventTime(71), Some(&durable)), PAUSE);
        assert_eq!((kept.take().len(), shared.status()[0].silent), (0, None));
        input.advance_to(EventTime(41));
        worker.step_while(|| durable.less_than(&EventTime(41)));
        while script.lock().polls < 3 {
            reader.read(EventTime(71), Some(&durable));
        }
        assert_eq!(kept.take(), ["b"]);
    });
}

#[test]
fn a_pipeline_that_has_failed_folds_nothing() {
    let script = Script::new([records(&["a 35"]), traced(vec![("b 35", 7), ("noon", 0)])]);
    let shared = shared(config(), vec![script.open("a")]);
    let (mut other, [kept, _]) = reader(&shared, 0);
    let first = Arc::clone(&shared.readers.read()[0]);
    shared.poll(&first, true, EventTime::MIN, &mut RecordBatch::default());
    shared.failure.set(PipelineError::Stopped);
    other.read(EventTime::MIN, None);
    assert_eq!((kept.take().len(), shared.fates().read), (0, 0), "the batch before was not sequenced");
    assert_eq!(shared.traces.between(EventTime::MIN, EventTime::MAX), []);
}

#[test]
fn it_is_logged_if_all_records_are_malformed() {
    let lines_of = |values: &[&'static str]| logged(|| drop(read_all(config(), [records(values)])));
    let all = lines_of(&["noon", "night"]);
    assert_eq!(all.iter().filter(|line| line.starts_with("WARN")).count(), 1, "{all:?}");
    assert!(all[0].contains("all records so far are malformed") && all[0].contains("noon"), "{all:?}");
    assert!(lines_of(&["noon", "a 35"]).is_empty());
    assert!(lines_of(&["", ""]).is_empty(), "a record without events is none that could not be decoded");
}

#[test]
fn raises_of_earlier_runs_are_replayed_between_the_records() {
    let log = Arc::new(FloorLog::new(String::new()));
    let raise = |offset, floor| Raise { offset, floor: EventTime(floor) };
    let raises = [(PartitionId::new("a"), vec![raise(0, 0), raise(1, 80)])].into();
    let restored = RestoredFloors { is_known: true, raises, exact_after: Some(EventTime::MIN) };
    let floors = Floors { log: Arc::clone(&log), restored, patience: Duration::ZERO };
    let script = Script::new([records(&["a 35", "b 36", "c 37"])]);
    let shared = resumed(config(), vec![script.open("a")], None, Some(floors));
    shared.begin_after(EventTime(99));
    log.written(log.unwritten().unwrap().0);
    let (mut reader, [kept, _]) = reader(&shared, 0);
    reader.read(EventTime::MIN, None);
    assert_eq!((kept.take(), reader.letters.len()), (vec!["a".to_owned()], 2), "others are too late by then");
}
