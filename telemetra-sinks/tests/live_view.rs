//! The live view, as a host service sees it.
#![allow(clippy::unwrap_used)]

mod common;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use common::{batch, moment, row, summary, upsert, window};
use telemetra_core::{Action, Change, EventTime, Row, Sink, StreamSummary};
use telemetra_sinks::{Closed, LiveView, Notice};

fn view(horizon: u64) -> LiveView<StreamSummary> {
    let mut view = LiveView::new(horizon);
    view.open(None).unwrap();
    view
}

#[test]
fn answers_queries() {
    let mut view = view(100_000);
    let reader = view.reader();
    assert!(reader.as_of().is_none() && reader.latest("a").is_none() && reader.streams().is_empty());
    for nth in 0..5 {
        view.apply(&[batch(nth, vec![summary("a", nth, nth), summary("b", nth, 10 - nth)])]).unwrap();
    }
    view.apply(&[batch(5, vec![upsert(Row::Moment(moment("a", 5, true)))])]).unwrap();

    assert_eq!(reader.latest("a").unwrap().0, window(4));
    let history = reader.history("a", window(1).end..window(3).end);
    assert_eq!(history.iter().map(|(_, s)| s.chat_count).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(reader.streams()[0].1.0, window(5).end.0 - 1);
    let busiest = reader.streams_by(|view| view.latest().map(|(_, s)| s.chat_count));
    assert_eq!(busiest.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(reader.open_moments(), reader.moments("a"));
    assert_eq!(reader.open_moments().len(), 1);
    assert_eq!(reader.as_of().unwrap().0, window(5).end.0 - 1);
}

#[test]
fn forgets_beyond_the_horizon_also_what_is_silent() {
    let mut view = view(50_000);
    let reader = view.reader();
    let held = reader.stream("silent");
    assert!(held.is_none());
    view.apply(&[batch(0, vec![summary("silent", 0, 1), upsert(Row::Moment(moment("silent", 0, false)))])])
        .unwrap();
    let held = reader.stream("silent").unwrap();
    for nth in 1..100 {
        view.apply(&[batch(nth, vec![summary("busy", nth, 1)])]).unwrap();
        assert!(reader.stream("busy").unwrap().history().count() <= 6);
    }
    assert!(reader.stream("silent").is_none(), "what is silent is forgotten too");
    assert_eq!(held.history().count(), 1, "who holds a snapshot keeps it");
}

#[test]
fn a_slow_subscriber_is_told_what_it_missed() {
    let mut view = view(3_600_000);
    let reader = view.reader();
    let (all, one) = (reader.subscribe(3), reader.subscribe_to("b", 3));
    for nth in 0..10 {
        view.apply(&[batch(nth, vec![summary("a", nth, 1)])]).unwrap();
    }
    view.apply(&[batch(10, vec![summary("b", 10, 1)])]).unwrap();
    assert_eq!(all.recv(), Some(Notice::Missed(8)));
    let mut times = Vec::new();
    while let Ok(Some(Notice::Changed(update))) = all.try_recv() {
        times.push((update.stream_id.to_string(), update.time.0));
    }
    let time = |nth: u64| window(nth).end.0 - 1;
    assert_eq!(times, [("a".into(), time(8)), ("a".into(), time(9)), ("b".into(), time(10))]);
    assert!(matches!(one.try_recv(), Ok(Some(Notice::Changed(update))) if &*update.stream_id == "b"));
    assert_eq!(one.try_recv(), Ok(None), "other streams are none of its business");
    view.close().unwrap();
    assert_eq!(one.try_recv(), Err(Closed));
    assert_eq!(one.recv(), None);
}

#[test]
fn who_subscribes_to_what_has_ended_does_not_wait_for_it() {
    let mut ended = view(100_000);
    let reader = ended.reader();
    ended.close().unwrap();
    assert_eq!(reader.subscribe(1).try_recv(), Err(Closed));
    ended.open(None).unwrap();
    let again = reader.subscribe(1);
    assert_eq!(again.try_recv(), Ok(None), "it goes on");
    drop(ended);
    assert_eq!(again.recv(), None);
    assert_eq!(reader.follow("a", 1).1.recv(), None);
}

/// What a reader knew before a row was withdrawn must not stay with it.
#[test]
fn goes_on_from_a_time_with_each_row_once_and_what_was_withdrawn() {
    let mut view = view(200_000);
    let reader = view.reader();
    let time = |nth: u64| EventTime(window(nth).end.0 - 1);
    assert_eq!(reader.changes_since("a", time(0)), None, "nothing is known yet");
    view.apply(&[batch(0, vec![summary("a", 0, 1)]), batch(1, vec![summary("a", 1, 2)])]).unwrap();
    view.apply(&[batch(2, vec![upsert(Row::Moment(moment("a", 1, true)))])]).unwrap();
    let corrected = Change { revision: 1, ..summary("a", 0, 7) };
    let untrue = Change { row: Row::Moment(moment("a", 1, true)), revision: 1, action: Action::Withdraw };
    view.apply(&[batch(3, vec![corrected.clone(), summary("a", 2, 3)])]).unwrap();
    view.apply(&[batch(4, vec![untrue.clone()])]).unwrap();

    let changes = |since| reader.changes_since("a", since).unwrap();
    let since = changes(time(1));
    assert_eq!(since.iter().map(|update| update.time).collect::<Vec<_>>(), [time(3), time(4)]);
    assert_eq!(since[0].changes, [corrected, summary("a", 2, 3)], "each row once, with its revision");
    assert_eq!(since[1].changes, [untrue]);
    assert!(changes(time(4)).is_empty(), "who is in step is notified of nothing");
    assert_eq!(reader.changes_since("a", time(0).minus(1)), None, "the view was not there yet");
    assert_eq!(reader.changes_since("a", time(5)), None, "the view has not come that far");
    assert_eq!(reader.changes_since("b", time(2)), Some(Vec::new()));

    // It turned out to be true after all: nobody need be notified that it was not.
    let again = Change { revision: 2, ..upsert(Row::Moment(moment("a", 1, true))) };
    view.apply(&[batch(5, vec![again.clone()])]).unwrap();
    assert_eq!(changes(time(3)).iter().flat_map(|update| &update.changes).collect::<Vec<_>>(), [&again]);
    view.apply(&[batch(40, vec![summary("b", 40, 1)])]).unwrap();
    assert_eq!(reader.known_since(), Some(time(40).minus(200_000)));
    assert_eq!(reader.changes_since("a", time(5)), None, "that is beyond the horizon");
}

#[test]
fn follows_from_a_snapshot_on_without_a_gap_or_a_repetition() {
    // All of it is within the horizon: else the snapshot has forgotten the row before it is read.
    let mut view = LiveView::<u64>::new(2_000 * 10_000);
    view.open(None).unwrap();
    let reader = view.reader();
    let writer = thread::spawn(move || {
        for nth in 0..2_000 {
            view.apply(&[batch(nth, vec![upsert(row("a", 0, nth))])]).unwrap();
        }
    });
    while !writer.is_finished() {
        let (snapshot, changes) = reader.follow("a", 4_000);
        let held = snapshot.and_then(|view| view.latest().map(|(_, value)| **value));
        if let Some(Notice::Changed(update)) = changes.recv() {
            let Row::Summary(_, next) = &update.changes[0].row else { panic!("{update:?}") };
            assert_eq!(*next.value, held.map_or(0, |held| held + 1));
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

#[test]
fn subscribers_may_wait_in_tasks_and_in_threads() {
    let mut view = view(3_600_000);
    let (task, waiting) = (view.reader().subscribe(4), view.reader().subscribe(4));
    let in_task = thread::spawn(move || {
        let mut count = 0;
        while let Some(Notice::Changed(_)) = block_on(task.recv_async()) {
            count += 1;
        }
        count
    });
    let in_thread = thread::spawn(move || std::iter::from_fn(|| waiting.recv()).count());
    view.apply(&[batch(0, vec![summary("a", 0, 1)]), batch(1, vec![summary("a", 1, 1)])]).unwrap();
    drop(view);
    assert_eq!((in_task.join().unwrap(), in_thread.join().unwrap()), (2, 2));
}

/// Each batch sets two windows of each stream to the same number; a reader that saw a batch in part would see two.
#[test]
fn readers_see_each_time_whole() {
    let mut view = LiveView::<u64>::new(3_600_000);
    view.open(None).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let streams: Vec<String> = (0..50).map(|i| format!("s{i}")).collect();
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (reader, stop, streams) = (view.reader(), Arc::clone(&stop), streams.clone());
            thread::spawn(move || {
                let mut seen = 0;
                while !stop.load(Ordering::Relaxed) {
                    let as_of = reader.as_of();
                    for stream in &streams {
                        let Some(view) = reader.stream(stream) else {
                            assert!(as_of.is_none());
                            continue;
                        };
                        let values: Vec<u64> = view.history().map(|(_, value)| **value).collect();
                        assert!(values.windows(2).all(|pair| pair[0] == pair[1]), "{values:?}");
                        assert!(Some(view.updated()) >= as_of, "a stream is behind `as_of`");
                        seen = seen.max(values[0]);
                    }
                }
                seen
            })
        })
        .collect();
    for nth in 0..200 {
        let changes = streams.iter().flat_map(|s| [0, 1].map(|w| upsert(row(s, w, nth)))).collect();
        view.apply(&[batch(nth, changes)]).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        assert!(reader.join().unwrap() < 200);
    }
}
