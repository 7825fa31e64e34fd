//! The memory source, and the compliance suite for sources, as a user sees them.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::source::{Memory, MemoryStep};
use telemetra_core::testkit::source_compliance;
use telemetra_core::{ExternalError, Partition, PartitionId, Polled, RecordBatch, Retry, Source};

fn open(source: &mut dyn Source, from: Option<u64>) -> Box<dyn Partition> {
    let id = source.partitions().unwrap()[0].clone();
    source.open(&id, from).unwrap()
}

/// The result of one poll: the records, and the verdict or whether the error is transient.
fn poll(partition: &mut dyn Partition) -> (Vec<String>, Result<Polled, Retry>) {
    let mut batch = RecordBatch::default();
    let polled = partition.poll(&mut batch).map_err(|error| error.retry());
    let text = |r| String::from_utf8(batch.bytes_of(r).to_vec()).unwrap();
    (batch.records().iter().map(text).collect(), polled)
}

#[test]
fn memory_follows_its_script() {
    let pause = Duration::from_secs(3);
    let steps = [
        MemoryStep::Idle(pause),
        MemoryStep::Records(2),
        MemoryStep::Fail(Retry::Transient),
        MemoryStep::Fail(Retry::Permanent),
        MemoryStep::Records(1),
        MemoryStep::Done,
    ];
    let mut memory = Memory::default().partition("p", ["a", "b", "c", "never"]).script("p", steps);
    let mut partition = open(&mut memory, None);
    let nothing = Vec::<String>::new();
    assert_eq!(poll(&mut *partition), (nothing.clone(), Ok(Polled::Idle(pause))));
    assert_eq!(poll(&mut *partition), (vec!["a".into(), "b".into()], Ok(Polled::Ready)));
    assert_eq!(poll(&mut *partition), (nothing.clone(), Err(Retry::Transient)));
    assert_eq!(poll(&mut *partition), (nothing.clone(), Err(Retry::Permanent)));
    assert_eq!(poll(&mut *partition), (vec!["c".into()], Ok(Polled::Ready)));
    assert_eq!(poll(&mut *partition), (nothing, Ok(Polled::Done)));
    assert_eq!(partition.offset(), 3);
}

#[test]
fn memory_gives_what_a_step_says_in_as_many_polls_as_it_takes() {
    let source = Memory::default().partition("p", ["a", "b", "c", "d"]).records_per_poll(2);
    let mut source = source.script("p", [MemoryStep::Records(3), MemoryStep::Done]);
    let mut partition = open(&mut source, None);
    let of = |records: &[&str]| records.iter().map(|record| record.to_string()).collect::<Vec<_>>();
    assert_eq!(poll(&mut *partition), (of(&["a", "b"]), Ok(Polled::Ready)));
    assert_eq!(poll(&mut *partition), (of(&["c"]), Ok(Polled::Ready)));
    assert_eq!(poll(&mut *partition), (of(&[]), Ok(Polled::Done)));
}

#[test]
fn memory_waits_for_the_records_of_a_step_and_says_how_many_are_left() {
    let mut source = Memory::default().script("p", [MemoryStep::Records(0), MemoryStep::Records(1)]);
    let handle = source.handle("p");
    let mut partition = open(&mut source, None);
    assert!(matches!(poll(&mut *partition), (_, Ok(Polled::Idle(_)))));
    assert!(matches!(poll(&mut *partition), (_, Ok(Polled::Idle(_)))));
    ["a", "b", "c"].into_iter().for_each(|record| handle.append(record));
    assert_eq!(partition.lag(), Some(3));
    assert_eq!(poll(&mut *partition), (vec!["a".to_owned()], Ok(Polled::Ready)));
    assert_eq!((partition.lag(), partition.offset()), (Some(2), 1));
    assert_eq!((partition.identity(0), partition.lost()), (None, 0), "a list loses nothing");
    let id = source.partitions().unwrap()[0].clone();
    assert!(!source.may_be_gone(&id, 1));
}

#[test]
fn memory_takes_each_pause_of_its_script_once() {
    let [short, long] = [1, 2].map(Duration::from_millis);
    let script = [MemoryStep::Idle(short), MemoryStep::Pending(long), MemoryStep::Done];
    let mut source = Memory::default().script("p", script);
    let mut partition = open(&mut source, None);
    let polled = [(); 4].map(|()| poll(&mut *partition).1);
    assert_eq!(
        polled,
        [Ok(Polled::Idle(short)), Ok(Polled::Pending(long)), Ok(Polled::Done), Ok(Polled::Done)]
    );
}

#[test]
fn memory_opened_at_an_offset_skips_the_steps_before() {
    let steps =
        [MemoryStep::Fail(Retry::Transient), MemoryStep::Records(2), MemoryStep::Idle(Duration::ZERO)];
    let mut memory = Memory::default().partition("p", ["a", "b", "c"]).script("p", steps);
    let mut partition = open(&mut memory, Some(1));
    assert_eq!(poll(&mut *partition).0, ["b"]);
    assert_eq!(poll(&mut *partition).1, Ok(Polled::Idle(Duration::ZERO)));
    assert_eq!(poll(&mut *partition).0, ["c"]);
    assert_eq!(poll(&mut *partition).1, Ok(Polled::Done));
}

#[test]
fn memory_goes_on_until_its_handle_ends_it() {
    let mut memory = Memory::default();
    let handle = memory.handle("p");
    let mut partition = open(&mut memory, None);
    assert!(matches!(poll(&mut *partition).1, Ok(Polled::Idle(_))));
    handle.append("late");
    assert_eq!(poll(&mut *partition).0, ["late"]);
    assert!(matches!(poll(&mut *partition).1, Ok(Polled::Idle(_))));
    handle.end();
    assert_eq!(poll(&mut *partition).1, Ok(Polled::Done));
    partition.committed(1);
    assert_eq!(handle.committed(), 1);
}

#[test]
fn memory_says_what_it_does_not_hold() {
    let mut memory = Memory::default().partition("p", ["a"]);
    let error = memory.open(&PartitionId::new("q"), None).err().unwrap();
    assert!(error.to_string().contains("cannot open the partition `q`"), "{error}");
    let error = memory.open(&PartitionId::new("p"), Some(2)).err().unwrap();
    assert!(error.to_string().contains("it holds 1 records"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn memory_keeps_the_contract_whatever_its_script(
        records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 0..60),
        steps in proptest::collection::vec(0..8_usize, 0..12),
        per_poll in 1..10_usize,
    ) {
        let steps = steps.into_iter().map(|n| match n {
            6 => MemoryStep::Idle(Duration::ZERO),
            7 => MemoryStep::Fail(Retry::Transient),
            n => MemoryStep::Records(n),
        });
        let memory = Memory::default().partition("p", records).script("p", steps).records_per_poll(per_poll);
        source_compliance(|| Box::new(memory.clone()));
    }
}

#[test]
fn compliance_holds_for_batches_of_large_records() {
    let sizes = [0, 10, 70_000, 30_000, 30_000, 30_000, RecordBatch::MAX_RECORD_BYTES + 1];
    let memory = Memory::default().partition("p", sizes.map(|size| vec![b'x'; size]));
    source_compliance(|| Box::new(memory.clone()));
}

/// A way to break the contract.
#[derive(Copy, Clone, Debug)]
enum Fault {
    RepeatsOnResume,
    SkipsOnResume,
    ForgetsTheBatch,
    SameOffsets,
    OffsetAhead,
    GoesOnAfterDone,
    NeverStops,
    NeverEnds,
}

struct Faulty(Memory, Fault);
impl Source for Faulty {
    fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
        self.0.partitions()
    }
    fn open(&mut self, id: &PartitionId, from: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> {
        let from = match self.1 {
            Fault::RepeatsOnResume => from.map(|from| from.saturating_sub(1)),
            Fault::SkipsOnResume => from.map(|from| (from + 1).min(5)),
            _ => from,
        };
        Ok(Box::new(FaultyPartition(self.0.open(id, from)?, self.1)))
    }
}

struct FaultyPartition(Box<dyn Partition>, Fault);
impl Partition for FaultyPartition {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        match self.1 {
            Fault::ForgetsTheBatch => batch.clear(),
            Fault::SameOffsets if self.0.offset() > 0 => batch.push(b"x", 0),
            Fault::NeverStops => {
                let mut own = RecordBatch::default();
                while self.0.poll(&mut own)? != Polled::Done {
                    own.records().iter().for_each(|r| batch.push(&[b'x'; 40_000], r.offset));
                    own.clear();
                }
            }
            _ => {}
        }
        let polled = self.0.poll(batch)?;
        match (self.1, polled) {
            (Fault::GoesOnAfterDone, Polled::Done) => {
                self.1 = Fault::NeverEnds;
                Ok(Polled::Done)
            }
            (Fault::NeverEnds, Polled::Done) => Ok(Polled::Ready),
            _ => Ok(polled),
        }
    }
    fn offset(&self) -> u64 {
        self.0.offset() + u64::from(matches!(self.1, Fault::OffsetAhead))
    }
}

#[test]
fn compliance_names_the_clause_that_does_not_hold() {
    let memory = Memory::default().partition("p", ["a", "b", "c", "d", "e"]).records_per_poll(2);
    let cases = [
        (Fault::RepeatsOnResume, "replayable: reading from offset 1"),
        (Fault::SkipsOnResume, "replayable: reading from offset 0"),
        (Fault::ForgetsTheBatch, "a poll changed what was in the batch"),
        (Fault::SameOffsets, "offsets grow"),
        (Fault::OffsetAhead, "resume is exact"),
        (Fault::GoesOnAfterDone, "the end is final"),
        (Fault::NeverStops, "never blocks"),
        (Fault::NeverEnds, "is the source finite?"),
    ];
    for (fault, expected) in cases {
        let check = || source_compliance(|| Box::new(Faulty(memory.clone(), fault)));
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).unwrap_err();
        let message = panic.downcast_ref::<String>().map_or("", String::as_str);
        assert!(message.contains(expected), "{fault:?}: {message}");
    }
}
