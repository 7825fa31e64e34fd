//! The channel source, as a host service sees it.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use telemetra_core::source::{Channel, ChannelHandle, PushError};
use telemetra_core::{
    Arena, Decoder, Event, EventTime, Partition, PartitionId, Polled, RecordBatch, RecordPlace, Retry, Source,
};

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
    assert!(!handle.is_closed());
    handle.close();
    assert!(handle.is_closed());
    let error = handle.push("d").unwrap_err();
    assert!(error.to_string().contains("the channel is closed"), "{error}");
    assert_eq!(error.into_inner(), b"d");
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
                Polled::Idle(pause) | Polled::Pending(pause) => thread::sleep(pause),
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

/// A reading of a sensor: an event that the host has in memory.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    sensor: &'static str,
    celsius: i32,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        EventTime(1)
    }
    fn key(&self) -> &str {
        self.sensor
    }
}

const NOT_HERE: &str = "the record is not of a channel of this type of event, or was decoded before";
const WARM: Reading = Reading { sensor: "s1", celsius: 21 };
const COLD: Reading = Reading { sensor: "s2", celsius: -4 };
const HOT: Reading = Reading { sensor: "s1", celsius: 90 };

/// The results of a decoder for the records of a batch.
fn decode(decoder: &dyn Decoder<Reading>, batch: &RecordBatch) -> Vec<Result<Vec<Reading>, String>> {
    let arena = Arena::default();
    let one = |place: &RecordPlace| {
        let mut events = Vec::new();
        let decoded = decoder.decode(batch.record(place, ""), &arena, &mut events);
        decoded.map(|()| events).map_err(|error| error.to_string())
    };
    batch.records().iter().map(one).collect()
}

#[test]
fn a_typed_channel_gives_the_events_that_were_pushed() {
    let (handle, mut source, decoder) = Channel::<Reading>::typed("host", 2).unwrap();
    let mut partition = open(&mut source, Some(5));
    handle.push(WARM).unwrap();
    handle.try_push(COLD).unwrap();
    assert_eq!(handle.waiting(), 2);
    assert_eq!(handle.try_push(HOT).unwrap_err().into_inner(), HOT, "a full channel gives the event back");
    let mut batch = RecordBatch::default();
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Ready);
    assert_eq!(batch.records().iter().map(|place| place.offset).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(decode(&decoder, &batch), [Ok(vec![WARM]), Ok(vec![COLD])]);
    assert_eq!(partition.offset(), 7);

    batch.clear();
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Idle(Duration::from_millis(1)));
    block_on(handle.push_async(HOT)).unwrap();
    handle.close();
    assert_eq!(handle.push(WARM).unwrap_err().into_inner(), WARM);
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Ready, "what was pushed before closing is read");
    assert_eq!(decode(&decoder, &batch), [Ok(vec![HOT])]);
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Done);
    assert_eq!(decode(&decoder, &batch), [Err(NOT_HERE.to_owned())], "an event is decoded once");
}

/// A poll appends: to records of another kind, and to events of an earlier poll.
#[test]
fn a_typed_channel_appends_to_a_batch_that_holds_something() {
    let (handle, mut source, decoder) = Channel::<Reading>::typed("host", 10).unwrap();
    let mut partition = open(&mut source, None);
    let mut batch = RecordBatch::default();
    batch.push(b"bytes", 100);
    handle.push(WARM).unwrap();
    partition.poll(&mut batch).unwrap();
    batch.push(b"more bytes", 101);
    handle.push(COLD).unwrap();
    handle.push(HOT).unwrap();
    partition.poll(&mut batch).unwrap();
    batch.annotate(Some(b"key"), None, []);
    let not_here = || Err(NOT_HERE.to_owned());
    let expected = [not_here(), Ok(vec![WARM]), not_here(), Ok(vec![COLD]), Ok(vec![HOT])];
    assert_eq!(decode(&decoder, &batch), expected);
}

#[test]
fn a_typed_channel_fills_no_more_than_a_batch() {
    let (handle, mut source, decoder) = Channel::<Reading>::typed("host", 10_000).unwrap();
    let mut partition = open(&mut source, None);
    (0..10_000).for_each(|celsius| handle.push(Reading { sensor: "s", celsius }).unwrap());
    drop(handle);
    let (mut batch, mut all) = (RecordBatch::default(), Vec::new());
    while partition.poll(&mut batch).unwrap() != Polled::Done {
        assert!(batch.is_full() || partition.offset() == 10_000);
        all.extend(decode(&decoder, &batch).into_iter().flat_map(Result::unwrap));
        batch.clear();
    }
    assert!(all.iter().map(|reading| reading.celsius).eq(0..10_000), "each once, in the order of pushing");
}

#[test]
fn a_dead_letter_of_a_typed_event_shows_it() {
    let (handle, mut source, decoder) = Channel::<Reading>::typed("host", 1).unwrap();
    let mut partition = open(&mut source, None);
    handle.push(WARM).unwrap();
    let mut batch = RecordBatch::default();
    partition.poll(&mut batch).unwrap();
    let record = batch.record(&batch.records()[0], "");
    assert_eq!(record.value, b"", "nobody encodes it");
    let letter = Decoder::<Reading>::letter_bytes(&decoder, record, &WARM);
    assert_eq!(String::from_utf8(letter.into()).unwrap(), r#"Reading { sensor: "s1", celsius: 21 }"#);
}

#[test]
fn a_typed_decoder_refuses_records_of_another_source() {
    let (.., decoder) = Channel::<Reading>::typed("host", 1).unwrap();
    let mut batch = RecordBatch::default();
    batch.push(b"bytes", 0);
    assert_eq!(decode(&decoder, &batch), [Err(NOT_HERE.to_owned())]);
    let (handle, mut other, _) = Channel::<Other>::typed("other", 1).unwrap();
    handle.push(Other).unwrap();
    batch.clear();
    open(&mut other, None).poll(&mut batch).unwrap();
    assert!(decode(&decoder, &batch)[0].is_err());
    assert!(Channel::<Reading>::typed("none", 0).is_err());
}

#[derive(Debug)]
struct Other;
impl Event for Other {
    type Key = ();
    fn time(&self) -> EventTime {
        EventTime(1)
    }
    fn key(&self) {}
}

#[test]
fn several_values_are_pushed_together_or_not_at_all() {
    let (handle, mut source) = channel(3);
    let mut partition = open(&mut source, None);
    let all = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    handle.try_push_all(all(&["a", "b"])).unwrap();
    assert_eq!(handle.try_push_all(all(&["c", "d"])), Err(PushError::Full(all(&["c", "d"]))));
    handle.try_push_all(all(&["c"])).unwrap();
    assert_eq!(poll(&mut *partition), (vec!["a".into(), "b".into(), "c".into()], Ok(Polled::Ready)));
    handle.close();
    assert_eq!(handle.try_push_all(all(&["d"])), Err(PushError::Closed(all(&["d"]))));
    assert_eq!(poll(&mut *partition), (vec![], Ok(Polled::Done)));
}

/// Threads push single values, and three at a time, into a channel that is almost always full: no three have another's
/// value between them, and none is there in part.
#[test]
fn values_that_are_pushed_together_stay_together() {
    let (handle, mut source) = channel(4);
    let mut partition = open(&mut source, None);
    let single = |handle: ChannelHandle| move || (0..300).for_each(|_| handle.push("single").unwrap());
    let together = |handle: ChannelHandle, name: &'static str| {
        move || {
            for _ in 0..100 {
                while handle.try_push_all(vec![name.as_bytes().to_vec(); 3]).is_err() {
                    thread::yield_now();
                }
            }
        }
    };
    let mut read = Vec::new();
    thread::scope(|scope| {
        scope.spawn(single(handle.clone()));
        scope.spawn(together(handle.clone(), "x"));
        scope.spawn(together(handle, "y"));
        loop {
            let (mut records, polled) = poll(&mut *partition);
            read.append(&mut records);
            match polled.unwrap() {
                Polled::Done => break,
                _ => thread::yield_now(),
            }
        }
    });
    assert_eq!(read.len(), 300 + 2 * 300);
    let mut at = 0;
    while at < read.len() {
        let length = if read[at] == "single" { 1 } else { 3 };
        assert!(read[at..at + length].iter().all(|value| *value == read[at]), "{:?}", &read[at..at + length]);
        at += length;
    }
}
