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
    Event, EventTime, Header, Partition, PartitionId, Polled, RecordBatch, Retry, Source, ViewerCount,
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
