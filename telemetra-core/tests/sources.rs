//! The sources that live in memory, as a user sees them.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use telemetra_core::source::{Channel, ChannelHandle, Memory, MemoryStep, PushError};
use telemetra_core::testkit::source_compliance;
use telemetra_core::{
    Event, EventTime, ExternalError, Header, Partition, PartitionId, Polled, RecordBatch, Retry, Source,
    ViewerCount,
};

fn open(source: &mut dyn Source, from: Option<u64>) -> Box<dyn Partition> {
    let id = source.partitions().unwrap()[0].clone();
    source.open(&id, from).unwrap()
}

/// What one poll brings: the records, and the verdict or whether the error is transient.
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
        (Fault::GoesOnAfterDone, "honest verdicts"),
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

fn channel(capacity: usize) -> (ChannelHandle, Channel) {
    Channel::bounded("host", capacity).unwrap()
}

#[test]
fn channel_gives_the_record_back_when_full_and_when_closed() {
    let (handle, mut source) = channel(2);
    let mut partition = open(&mut source, None);
    handle.try_push("a").unwrap();
    handle.try_push("b").unwrap();
    assert_eq!(handle.waiting(), 2);
    assert_eq!(handle.try_push("c"), Err(PushError::Full(b"c".to_vec())));
    assert_eq!(poll(&mut *partition), (vec!["a".into(), "b".into()], Ok(Polled::Ready)));
    assert_eq!(poll(&mut *partition).1, Ok(Polled::Idle(Duration::from_millis(1))));
    handle.try_push("c").unwrap();
    handle.close();
    let error = handle.push("d").unwrap_err();
    assert!(error.to_string().contains("the channel is closed"), "{error}");
    assert_eq!(error.into_record(), b"d");
    assert_eq!(poll(&mut *partition).0, ["c"], "what was pushed before closing is read");
    assert_eq!(poll(&mut *partition).1, Ok(Polled::Done));
}

#[test]
fn a_blocking_push_waits_for_room_and_no_longer() {
    let (handle, mut source) = channel(1);
    let mut partition = open(&mut source, None);
    handle.push("first").unwrap();
    let pusher = thread::spawn({
        let handle = handle.clone();
        move || handle.push("second")
    });
    thread::sleep(Duration::from_millis(30));
    assert!(!pusher.is_finished(), "pushed into a full channel");
    assert_eq!(poll(&mut *partition).0[0], "first");
    pusher.join().unwrap().unwrap();
    let read_by = Instant::now() + Duration::from_secs(5);
    while partition.offset() < 2 && Instant::now() < read_by {
        let _ = poll(&mut *partition);
    }
    assert_eq!(partition.offset(), 2);
}

#[test]
fn a_blocked_push_fails_when_the_pipeline_goes() {
    let (handle, mut source) = channel(1);
    let partition = open(&mut source, None);
    handle.push("first").unwrap();
    let pusher = thread::spawn(move || handle.push("second"));
    drop((partition, source));
    assert_eq!(pusher.join().unwrap(), Err(PushError::Closed(b"second".to_vec())));
}

struct Unpark(thread::Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The least of executors.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(Duration::from_secs(5)),
        }
    }
}

#[test]
fn an_async_push_waits_for_room() {
    let (handle, mut source) = channel(1);
    let mut partition = open(&mut source, None);
    block_on(handle.push_async("0")).unwrap();
    let waker = Waker::noop();
    let mut waiting = Box::pin(handle.push_async("1"));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
    drop(waiting);
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        loop {
            let (records, polled) = poll(&mut *partition);
            all.extend(records);
            match polled.unwrap() {
                Polled::Ready => {}
                Polled::Idle(pause) => thread::sleep(pause),
                Polled::Done => return all,
            }
        }
    });
    for number in 2..200 {
        block_on(handle.push_async(number.to_string())).unwrap();
    }
    drop(handle);
    let expected: Vec<String> = [0].into_iter().chain(2..200).map(|n: i32| n.to_string()).collect();
    assert_eq!(reader.join().unwrap(), expected, "a push that was dropped has pushed nothing");
}

#[test]
fn many_threads_push_and_nothing_is_lost() {
    let (handle, mut source) = channel(16);
    let mut partition = open(&mut source, None);
    let pushers: Vec<_> = (0..4)
        .map(|who| {
            let handle = handle.clone();
            thread::spawn(move || (0..2000).for_each(|n| handle.push(format!("{who} {n}")).unwrap()))
        })
        .collect();
    drop(handle);
    let mut all = Vec::new();
    loop {
        let (records, polled) = poll(&mut *partition);
        all.extend(records);
        if polled == Ok(Polled::Done) {
            break;
        }
        thread::yield_now();
    }
    pushers.into_iter().for_each(|pusher| pusher.join().unwrap());
    for who in 0..4 {
        let mine: Vec<&String> = all.iter().filter(|r| r.starts_with(&format!("{who} "))).collect();
        assert_eq!(mine.len(), 2000);
        assert!(mine.iter().enumerate().all(|(n, r)| **r == format!("{who} {n}")), "in the order of pushing");
    }
}

#[test]
fn channel_numbers_on_and_tells_the_host_what_is_safe() {
    let (handle, mut source) = channel(10);
    let mut partition = open(&mut source, Some(100));
    handle.push("a").unwrap();
    handle.push("b").unwrap();
    let mut batch = RecordBatch::default();
    partition.poll(&mut batch).unwrap();
    assert_eq!(batch.records().iter().map(|r| r.offset).collect::<Vec<_>>(), [100, 101]);
    assert_eq!((handle.first_offset(), handle.committed()), (100, 100));
    partition.committed(102);
    partition.committed(101);
    assert_eq!(handle.committed(), 102, "what is safe stays safe");
    let id = source.id().clone();
    assert!(source.open(&id, None).is_err(), "two partitions would take records from each other");
    drop(partition);
    assert!(source.open(&id, Some(102)).is_ok());
    assert!(source.open(&PartitionId::new("other"), None).is_err());
    assert!(Channel::bounded("none", 0).is_err());
}

#[test]
fn channel_takes_events_by_any_encoder() {
    let (handle, mut source) = channel(1);
    let mut partition = open(&mut source, None);
    let header = Header { event_id: "e", time: EventTime(1), stream_id: "s" };
    let event =
        Event::Viewer(ViewerCount { header, viewer_count: 5, unique_viewers: None, peak_viewers: None });
    let encode =
        |event: &Event<'_>, out: &mut Vec<u8>| out.extend_from_slice(event.header().event_id.as_bytes());
    handle.push_event(&event, encode).unwrap();
    assert_eq!(handle.try_push_event(&event, encode), Err(PushError::Full(b"e".to_vec())));
    let _ = poll(&mut *partition);
    block_on(handle.push_event_async(&event, encode)).unwrap();
    assert_eq!(poll(&mut *partition).0, ["e"]);
}
