//! Parts that fail for the moment: what the log and the status say, and that neither start nor stop hangs on them.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use support::growing::Growing;
use support::log::Log;
use support::watch::{chain, finish, in_time, until};
use support::*;
use telemetra::core::checkpoint::{CheckpointStore, Directory};
use telemetra::core::source::MemoryStep::{Fail, Records};
use telemetra::core::*;
use telemetra::ops::{Drain, Pipeline, PipelineError};
use telemetra::sinks::MemorySink;

/// Fails so many times, then never again.
#[derive(Clone)]
struct Faults(Arc<AtomicUsize>, &'static str);

impl Faults {
    fn new(left: usize) -> Self {
        Self::of("the server", left)
    }

    fn of(server: &'static str, left: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(left)), server)
    }

    fn fail_from_now_on(&self) {
        self.0.store(usize::MAX, Ordering::SeqCst);
    }

    fn meet(&self) -> Result<(), ExternalError> {
        let left = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => {
                let what = format!("cannot reach {}", self.1);
                Err(ExternalError::transient(what).because("the line is down"))
            }
            Err(_) => Ok(()),
        }
    }
}

/// A sink that meets faults when it is opened and when it is written.
struct Faulty {
    name: String,
    inner: MemorySink,
    opening: Faults,
    writing: Faults,
}

impl Faulty {
    fn new(name: &str, opening: usize, writing: usize) -> Self {
        let (opening, writing) = (Faults::new(opening), Faults::new(writing));
        Self { name: name.to_owned(), inner: MemorySink::new(), opening, writing }
    }
}

impl Sink for Faulty {
    fn name(&self) -> &str {
        &self.name
    }
    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.opening.meet()?;
        self.inner.open(tables, resume)
    }
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        self.writing.meet()?;
        self.inner.apply(batches)
    }
}

/// A store that meets faults when it is read and when it is written.
struct FaultyStore {
    inner: Directory,
    reading: Faults,
    writing: Faults,
}

impl CheckpointStore for FaultyStore {
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        self.writing.meet()?;
        self.inner.put(name, blob)
    }
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        self.inner.get(name)
    }
    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        self.reading.meet()?;
        self.inner.list()
    }
    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        self.inner.remove(name)
    }
}

fn script() -> Script {
    vec![(0..100).map(|n| format!("k{} {} e{n} u m", n % 3, BASE + n * 4)).collect()]
}

fn pipeline() -> Sayings {
    sayings(source(&script(), 10), Words, &small_time()).max_watermark_drift(Duration::from_millis(10_000))
}

#[test]
fn one_warning_when_it_fails_and_one_word_when_it_works_again() {
    let log = Log::of_this_program();
    let folder = tempfile::tempdir().unwrap();
    let mut source = source(&script(), 10);
    source = source.script("p0", [Records(7), Fail(Retry::Transient), Fail(Retry::Transient)]);
    let store = FaultyStore {
        inner: Directory::new(folder.path()),
        reading: Faults::new(0),
        writing: Faults::of("the archive", 4),
    };
    let pipeline = sayings(source, Words, &small_time());
    let pipeline =
        pipeline.max_watermark_drift(Duration::from_millis(10_000)).sink(Faulty::new("noisy", 0, 3));
    finish(pipeline.checkpoints(store, Duration::from_millis(100)).start().unwrap()).unwrap();
    for (what, tries, error) in [
        ("the sink `noisy`", 3, "cannot reach the server: the line is down"),
        ("the checkpoint store", 4, "cannot reach the archive: the line is down"),
        ("reading the partition `p0`", 2, "its script says that it fails here"),
    ] {
        let warned = log.lines(&["WARN", &format!("{what} failed, trying again"), error]);
        assert_eq!(warned.len(), 1, "{what}: {warned:?}");
        let over = log.lines(&["INFO", &format!("{what} works again")]);
        assert_eq!(over.len(), 1, "{what}: {over:?}");
        assert!(over[0].contains(&format!("tries={tries}")), "{}", over[0]);
    }
}

#[test]
fn the_status_says_what_fails_and_what_was_written() {
    let sink = Faulty::new("watched", 0, usize::MAX);
    let faults = sink.writing.clone();
    let running = pipeline().sink(sink).start().unwrap();
    let of_sink = || running.status().sinks.remove(0);
    until("it is seen to fail", || of_sink().failing.is_some_and(|failing| failing.tries > 1));
    let status = of_sink();
    assert_eq!(status.failing.unwrap().error, "cannot reach the server: the line is down");
    assert_eq!((status.durable, status.changes, status.last), (None, 0, None));
    assert_eq!((status.name.as_str(), status.shard), ("watched", Shard::WHOLE));
    faults.0.store(0, Ordering::SeqCst);
    until("all is written", || running.is_finished());
    let status = of_sink();
    assert!(status.failing.is_none() && status.retries > 1 && status.queued == 0, "{status:?}");
    assert!(status.durable.is_some_and(|durable| durable >= EventTime(BASE + 400)), "{status:?}");
    let last = status.last.unwrap();
    assert!(last.batches > 0 && last.changes as u64 <= status.changes && status.changes > 0, "{status:?}");
    let partition = running.status().partitions.remove(0);
    assert_eq!((partition.lag, partition.behind, partition.failing), (Some(0), 0, None));
    finish(running).unwrap();
}

#[test]
fn stopping_does_not_wait_for_a_sink_that_is_tried_again() {
    for drops in [false, true] {
        let running = pipeline().sink(Faulty::new("down", 0, usize::MAX)).workers(2).start().unwrap();
        until("it has failed a few times", || running.status().sinks[0].retries > 4);
        in_time("stopping", move || if drops { drop(running) } else { drop(running.stop().unwrap()) });
    }
}

#[test]
fn an_error_elsewhere_does_not_wait_for_what_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let fatal = Arc::new(AtomicBool::new(false));
    let trigger = Arc::clone(&fatal);
    let store = FaultyStore {
        inner: Directory::new(folder.path()),
        reading: Faults::new(0),
        writing: Faults::new(0),
    };
    let writing = store.writing.clone();
    struct Fatal(Arc<AtomicBool>);
    impl Sink for Fatal {
        fn name(&self) -> &str {
            "fatal"
        }
        fn open(
            &mut self,
            _: &[Arc<Table>],
            _: Option<EventTime>,
        ) -> Result<Option<EventTime>, ExternalError> {
            Ok(None)
        }
        fn apply(&mut self, _: &[Batch]) -> Result<(), ExternalError> {
            until("it may fail", || self.0.load(Ordering::SeqCst));
            Err(ExternalError::permanent("the disk is full"))
        }
    }
    let pipeline = pipeline().sink(Faulty::new("down", 0, usize::MAX)).sink(Fatal(trigger));
    let running = pipeline.checkpoints(store, Duration::from_millis(100)).start().unwrap();
    // Nothing is read before the store has taken what the run begins with.
    until("it reads", || running.fates().read > 0);
    writing.fail_from_now_on();
    until("both are tried again", || {
        let status = running.status();
        status.sinks[0].retries > 4 && status.store_failing.is_some_and(|failing| failing.tries > 2)
    });
    fatal.store(true, Ordering::SeqCst);
    let error = finish(running).unwrap_err();
    assert_eq!(chain(&error), "could not write to the sink `fatal`: the disk is full");
}

#[test]
fn services_may_start_in_any_order() {
    let folder = tempfile::tempdir().unwrap();
    let source = Growing::default();
    source.add("p0", &script()[0]).end();
    let down = || ExternalError::transient("not up yet");
    source.fail_to_list(vec![down(), down()]);
    let store = FaultyStore {
        inner: Directory::new(folder.path()),
        reading: Faults::new(2),
        writing: Faults::new(0),
    };
    let pipeline = sayings(source, Words, &small_time());
    let pipeline =
        pipeline.max_watermark_drift(Duration::from_millis(10_000)).sink(Faulty::new("late", 3, 0));
    let running = pipeline.checkpoints(store, Duration::from_millis(100)).start().unwrap();
    assert_eq!(finish(running).unwrap().fates.read, 100);
}

#[test]
fn a_start_that_waits_for_a_service_hears_the_order_to_stop() {
    let sink = Faulty::new("away", usize::MAX, 0);
    let opening = sink.opening.clone();
    let waiting = pipeline().sink(sink).startup_timeout(Duration::from_secs(3600));
    let stop = waiting.stop_signal();
    let started = std::thread::spawn(move || waiting.start().map(drop));
    until("it was tried twice", || opening.0.load(Ordering::SeqCst) < usize::MAX - 1);
    stop.stop();
    let ended = in_time("stopping the start", move || started.join().unwrap());
    assert!(matches!(ended, Err(PipelineError::Stopped)), "{ended:?}");
}

/// A sink whose server takes what it is given and does not answer.
struct Silent(Arc<AtomicBool>);

impl Sink for Silent {
    fn name(&self) -> &str {
        "silent"
    }
    fn open(&mut self, _: &[Arc<Table>], _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
        Ok(None)
    }
    fn apply(&mut self, _: &[Batch]) -> Result<(), ExternalError> {
        self.0.store(true, Ordering::SeqCst);
        loop {
            std::thread::park();
        }
    }
}

#[test]
fn draining_ends_though_a_sink_is_away_or_does_not_answer() {
    for (answers, how) in
        [true, false].into_iter().flat_map(|a| [Drain::KeepWindows, Drain::CloseWindows].map(|how| (a, how)))
    {
        let log = Log::of_this_program();
        let folder = tempfile::tempdir().unwrap();
        let given = Arc::new(AtomicBool::new(false));
        let mut source = source(&script(), 10);
        let _ = source.handle("p0");
        let pipeline = sayings(source, Words, &small_time())
            .max_watermark_drift(Duration::from_millis(10_000))
            .checkpoints(Directory::new(folder.path()), Duration::from_millis(100))
            .drain_timeout(Duration::from_millis(200));
        let running = if answers {
            let away = Faulty::new("away", 0, usize::MAX);
            let faults = away.writing.clone();
            let running = pipeline.sink(away).start().unwrap();
            until("it fails", || faults.0.load(Ordering::SeqCst) < usize::MAX);
            running
        } else {
            let running = pipeline.sink(Silent(Arc::clone(&given))).start().unwrap();
            until("it was given something", || given.load(Ordering::SeqCst));
            running
        };
        let report = in_time("draining", move || running.drain(how)).unwrap();
        let unfinished = report.unfinished.unwrap();
        let why = if answers {
            "the sink `away` is away: cannot reach the server"
        } else {
            "the time for draining"
        };
        assert!(unfinished.contains(why), "{unfinished}");
        assert!(unfinished.ends_with("the next start goes on where this one began"), "{unfinished}");
        assert!(!log.lines(&["WARN", &unfinished]).is_empty());
    }
}

#[test]
fn a_start_gives_up_after_its_patience_and_at_once_where_trying_does_not_help() {
    let impatient =
        pipeline().sink(Faulty::new("late", usize::MAX, 0)).startup_timeout(Duration::from_millis(30));
    let error = in_time("starting", move || impatient.start().unwrap_err());
    assert!(matches!(&error, PipelineError::Sink { sink, .. } if sink == "late"), "{error:?}");
    assert!(chain(&error).ends_with("cannot reach the server: the line is down"), "{}", chain(&error));
    let source = Growing::default();
    source.fail_to_list(vec![ExternalError::permanent("forbidden")]);
    let hopeless = Pipeline::<Saying>::new().source(source, Words).startup_timeout(Duration::from_secs(3600));
    let error = in_time("starting", move || hopeless.start().unwrap_err());
    assert_eq!(chain(&error), "could not open a source: forbidden");
}
