//! Following a view: in threads, in tasks, and as a stream.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_core::Stream;
use telemetra_sinks::{Closed, Notice};

use super::common::ReadingsRow;
use super::*;

#[test]
fn a_slow_subscriber_is_told_what_it_missed() {
    let mut view = view(HOUR);
    let reader = view.reader();
    let (all, one) = (reader.subscribe(3), reader.subscribe_to("b", 3));
    for nth in 0..10 {
        view.apply(&[batch(nth, vec![readings("a", nth, 1)])]).unwrap();
    }
    view.apply(&[batch(10, vec![readings("b", 10, 1)])]).unwrap();
    assert_eq!(all.recv(), Some(Notice::Missed(8)));
    let mut times = Vec::new();
    while let Ok(Some(Notice::Changed(update))) = all.try_recv() {
        times.push((update.subject.to_string(), update.time));
    }
    assert_eq!(times, [("a".into(), time(8)), ("a".into(), time(9)), ("b".into(), time(10))]);
    assert!(matches!(one.try_recv(), Ok(Some(Notice::Changed(update))) if &*update.subject == "b"));
    assert_eq!(one.try_recv(), Ok(None), "other subjects are none of its business");
    view.close().unwrap();
    assert_eq!(one.try_recv(), Err(Closed));
    assert_eq!(one.recv(), None);
}

#[test]
fn who_subscribes_to_what_has_ended_does_not_wait_for_it() {
    let mut ended = view(Duration::from_secs(100));
    let reader = ended.reader();
    ended.close().unwrap();
    assert_eq!(reader.subscribe(1).try_recv(), Err(Closed));
    ended.open(&all_tables(), None).unwrap();
    let again = reader.subscribe(1);
    assert_eq!(again.try_recv(), Ok(None), "it goes on");
    drop(ended);
    assert_eq!(again.recv(), None);
    assert_eq!(reader.follow("a", 1).1.recv(), None);
}

#[test]
fn follows_from_a_snapshot_on_without_a_gap_or_a_repetition() {
    // All of it is within the horizon: else the snapshot has forgotten the row before it is read.
    let mut view = view(Duration::from_secs(2_000 * 10));
    let reader = view.reader();
    let writer = thread::spawn(move || {
        for nth in 0..2_000 {
            view.apply(&[batch(nth, vec![readings("a", 0, nth)])]).unwrap();
        }
    });
    while !writer.is_finished() {
        let (snapshot, changes) = reader.follow("a", 4_000);
        let held = snapshot.and_then(|view| view.latest().map(|(_, readings)| readings.count));
        if let Some(Notice::Changed(update)) = changes.recv() {
            let next = update.changes[0].row::<ReadingsRow>().unwrap();
            assert_eq!(next.summary.value.count, held.map_or(0, |held| held + 1));
        }
    }
    writer.join().unwrap();
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// The next item of a stream.
async fn next<T: Stream + Unpin>(stream: &mut T) -> Option<T::Item> {
    std::future::poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}

#[test]
fn subscribers_may_wait_in_tasks_and_in_threads() {
    let mut view = view(HOUR);
    let (task, waiting) = (view.reader().subscribe(4), view.reader().subscribe(4));
    let mut stream = view.reader().subscribe(4);
    let in_stream = thread::spawn(move || {
        let mut times = Vec::new();
        while let Some(Notice::Changed(update)) = block_on(next(&mut stream)) {
            times.push(update.time);
        }
        times
    });
    let in_task = thread::spawn(move || {
        let mut count = 0;
        while let Some(Notice::Changed(_)) = block_on(task.recv_async()) {
            count += 1;
        }
        count
    });
    let in_thread = thread::spawn(move || std::iter::from_fn(|| waiting.recv()).count());
    view.apply(&[batch(0, vec![readings("a", 0, 1)]), batch(1, vec![readings("a", 1, 1)])]).unwrap();
    drop(view);
    assert_eq!((in_task.join().unwrap(), in_thread.join().unwrap()), (2, 2));
    assert_eq!(in_stream.join().unwrap(), [time(0), time(1)]);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_stream_is_woken_by_what_comes_and_says_what_it_missed() {
    let mut view = view(HOUR);
    view.apply(&[batch(0, vec![readings("a", 0, 1)])]).unwrap();
    let (snapshot, mut changes) = view.reader().follow("a", 2);
    assert_eq!(snapshot.unwrap().updated(), time(0));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let mut poll = || Pin::new(&mut changes).poll_next(&mut Context::from_waker(&waker));
    assert_eq!(poll(), Poll::Pending);
    view.apply(&[batch(1, vec![readings("b", 1, 1)])]).unwrap();
    assert_eq!(poll(), Poll::Pending, "of another subject");
    for nth in 2..6 {
        view.apply(&[batch(nth, vec![readings("a", nth, 1)])]).unwrap();
    }
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert_eq!(poll(), Poll::Ready(Some(Notice::Missed(2))));
    for nth in 4..6 {
        assert!(matches!(poll(), Poll::Ready(Some(Notice::Changed(update))) if update.time == time(nth)));
    }
    assert_eq!(poll(), Poll::Pending);
    drop(view);
    assert_eq!(woken.0.load(Ordering::Relaxed), 2, "the end wakes it too");
    assert_eq!(poll(), Poll::Ready(None));
}
