//! Sinks that are slow or fail: reading waits, nothing is lost or doubled, and errors come out with a name.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use support::watch::{chain, finish, until};
use support::*;
use telemetra::core::checkpoint::{CheckpointStore, Directory};
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::ops::{LastPlan, Pipeline, PipelineError, WindowKind};
use telemetra::sinks::MemorySink;

/// What a sink does before it passes a call on.
type Before = Arc<dyn Fn(usize) -> Result<(), ExternalError> + Send + Sync>;

/// A sink in front of another, for trouble. Counts its calls.
#[derive(Clone)]
struct Trouble {
    inner: MemorySink,
    calls: Arc<AtomicUsize>,
    before: Before,
    /// Whether the error comes after the write: its answer was lost.
    after: bool,
    /// How many batches each call was given.
    batches: Arc<Mutex<Vec<usize>>>,
}

impl Trouble {
    fn new(
        inner: &MemorySink,
        before: impl Fn(usize) -> Result<(), ExternalError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: inner.clone(),
            calls: Arc::default(),
            before: Arc::new(before),
            after: false,
            batches: Arc::default(),
        }
    }
}

impl Sink for Trouble {
    fn name(&self) -> &str {
        "troubled"
    }
    fn open(
        &mut self,
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.inner.open(tables, resume)
    }
    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        self.batches.lock().unwrap().push(batches.len());
        if self.after {
            self.inner.apply(batches)?;
        }
        (self.before)(self.calls.fetch_add(1, Ordering::SeqCst))?;
        self.inner.apply(batches)
    }
    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        (self.before)(self.calls.fetch_add(1, Ordering::SeqCst))?;
        Sink::dead_letters(&mut self.inner, letters)
    }
}

/// An event a millisecond, and a broken record a hundred.
fn steady(events: u64) -> Script {
    let record = |n: u64| match n % 100 {
        99 => "broken".to_owned(),
        _ => format!("k{} {} e{n} u{} {}", n % 3, BASE + n, n % 7, "m".repeat((n % 11) as usize)),
    };
    vec![(0..events).map(record).collect()]
}

fn pipeline(script: &Script, sink: impl Sink + 'static) -> Sayings {
    let pipeline = sayings(source(script, 10), Words, &small_time());
    pipeline.max_watermark_drift(Duration::from_millis(200)).rules(small_rules()).sink(sink)
}

fn assert_equals_undisturbed(script: &Script, found: &MemorySink) {
    let (undisturbed, _) = run(script, &small_time(), 1, 10).unwrap();
    assert_eq!(found.rows(), undisturbed.rows());
    assert_eq!(found.dead_letters(), undisturbed.dead_letters());
    assert_eq!(published(&found.batches()), published(&undisturbed.batches()));
}

#[test]
fn a_slow_sink_makes_reading_wait_and_gets_everything_in_the_end() {
    let script = steady(4_000);
    let memory = MemorySink::new().with_log();
    let gate = Arc::new(AtomicBool::new(false));
    let open = Arc::clone(&gate);
    let slow = Trouble::new(&memory, move |_| {
        // Shut until the test has looked; then it takes its time.
        until("the gate opens", || open.load(Ordering::SeqCst));
        std::thread::sleep(Duration::from_millis(5));
        Ok(())
    });
    let running = pipeline(&script, slow).workers(2).start().unwrap();
    let offset = || running.status().partitions[0].offset;
    until("reading is ahead by the lead", || offset() >= 200);
    std::thread::sleep(Duration::from_millis(100));
    let waiting = offset();
    // The lead, the disorder, a pane, and the batches that two workers read in one turn.
    assert!(waiting <= 200 + 15 + 10 + 2 * 4 * 10, "{waiting}");
    assert!(running.status().durable < EventTime(BASE + 10), "nothing is durable");
    gate.store(true, Ordering::SeqCst);
    let mut furthest = 0;
    while !running.is_finished() {
        let status = running.status();
        // What the sink itself says, which comes after the offset: what the pipeline says of all sinks may be a while old.
        let durable = status.sinks[0].durable.map_or(BASE, |durable| durable.0);
        let ahead = (BASE + status.partitions[0].offset).saturating_sub(durable);
        furthest = furthest.max(ahead);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(furthest <= 400, "{furthest} ms ahead of the sink");
    finish(running).unwrap();
    assert_equals_undisturbed(&script, &memory);
}

#[test]
fn what_waits_is_applied_sixteen_times_at_once() {
    let script = steady(4_000);
    let memory = MemorySink::new();
    let (gate, many) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
    let (open, counted) = (Arc::clone(&gate), Arc::clone(&many));
    let mut slow = Trouble::new(&memory, move |_| {
        until("the gate opens", || open.load(Ordering::SeqCst));
        Ok(())
    });
    slow.batches = counted;
    let pipeline = pipeline(&script, slow).max_watermark_drift(Duration::from_secs(1));
    let running = pipeline.workers(2).start().unwrap();
    until("more than sixteen wait", || running.status().sinks[0].queued > 17);
    gate.store(true, Ordering::SeqCst);
    finish(running).unwrap();
    assert_eq!(many.lock().unwrap().iter().max(), Some(&16), "batches at once");
}

#[test]
fn a_sink_that_fails_now_and_then_loses_and_doubles_nothing() {
    for after in [false, true] {
        let script = steady(800);
        let memory = MemorySink::new().with_log();
        let mut flaky = Trouble::new(&memory, |call| match call % 3 {
            0 => Err(ExternalError::transient("the line is down")),
            _ => Ok(()),
        });
        flaky.after = after;
        let calls = Arc::clone(&flaky.calls);
        let running = pipeline(&script, flaky).workers(2).start().unwrap();
        until("it has ended", || running.is_finished());
        assert_eq!(running.status().sinks[0].retries as usize, calls.load(Ordering::SeqCst).div_ceil(3));
        assert!(running.status().sinks[0].retries > 1);
        finish(running).unwrap();
        assert_equals_undisturbed(&script, &memory);
    }
}

#[test]
fn a_permanent_error_stops_the_pipeline_with_the_sinks_name_and_a_restart_completes() {
    let script = steady(1_500);
    let (memory, healthy) = (MemorySink::new().with_log(), MemorySink::new().with_log());
    let folder = tempfile::tempdir().unwrap();
    let store = Directory::new(folder.path());
    for fails_at in [0, 4, 1] {
        let failing = Trouble::new(&memory, move |call| match call {
            call if call == fails_at => Err(ExternalError::permanent("the disk is full")),
            _ => Ok(()),
        });
        let pipeline = pipeline(&script, failing).sink(healthy.clone()).workers(2);
        let running = pipeline.checkpoints(store.clone(), Duration::from_millis(20)).start().unwrap();
        until("it has failed", || running.status().failure.is_some());
        let error = finish(running).unwrap_err();
        assert!(matches!(&error, PipelineError::Sink { sink, .. } if sink == "troubled"), "{error:?}");
        assert_eq!(chain(&error), "could not write to the sink `troubled`: the disk is full");
    }
    let pipeline = pipeline(&script, memory.clone()).sink(healthy.clone()).workers(3);
    finish(pipeline.checkpoints(store, Duration::from_millis(20)).start().unwrap()).unwrap();
    assert_equals_undisturbed(&script, &memory);
    assert_equals_undisturbed(&script, &healthy);
}

/// A count that panics when it is given one event too many.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Bomb(u64);

impl Accumulator for Bomb {
    type Output = u64;
    type Sliding = TwoStacks<Self>;
    fn merge(&mut self, other: &Self) {
        self.0 += other.0;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
impl<'e> Accumulate<&'e Saying> for Bomb {
    fn add(&mut self, event: &'e Saying) {
        assert!(event.id != "e500", "an accumulator panics");
        self.0 += 1;
    }
}

fn assert_panicked<L: LastPlan<Saying>>(pipeline: Pipeline<Saying, L>, with: &str) {
    let error = finish(pipeline.start().unwrap()).unwrap_err();
    assert!(matches!(error, PipelineError::Worker(_) | PipelineError::Sink { .. }), "{error:?}");
    assert!(chain(&error).contains(with), "{}", chain(&error));
}

#[test]
fn a_panic_of_a_users_part_comes_out_of_wait() {
    let script = steady(1_500);
    for workers in [1, 3] {
        let bomb =
            Pipeline::<Saying>::new().source(source(&script, 10), Words).time(small_time()).clock(clock());
        let bomb = bomb.group("bombs", WindowKind::default(), |a| {
            a.accumulator::<Bomb>(vec![Column::new("count", ColumnKind::Integer)], |count, _, put| {
                put(Value::Unsigned(*count))
            })
        });
        assert_panicked(bomb.workers(workers), "an accumulator panics");
        let fuse = Shown(|event: &Saying| assert!(event.id != "e500", "a decoder panics"));
        let fuse = sayings(source(&script, 10), fuse, &small_time());
        assert_panicked(fuse.workers(workers), "a decoder panics");
        let sink = Trouble::new(&MemorySink::new(), |call| match call {
            2 => panic!("a sink panics"),
            _ => Ok(()),
        });
        assert_panicked(pipeline(&script, sink).workers(workers), "`troubled`: it panicked: a sink panics");
    }
}

/// A store that panics when it is given something.
struct NoStore;

impl CheckpointStore for NoStore {
    fn put(&mut self, _: &str, _: &[u8]) -> Result<(), ExternalError> {
        panic!("a store panics")
    }
    fn get(&mut self, _: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        Ok(None)
    }
    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        Ok(Vec::new())
    }
    fn remove(&mut self, _: &str) -> Result<(), ExternalError> {
        Ok(())
    }
}

#[test]
fn a_panic_of_a_checkpoint_store_comes_out_of_wait() {
    let pipeline = pipeline(&steady(500), MemorySink::new()).checkpoints(NoStore, Duration::from_millis(20));
    let error = finish(pipeline.workers(2).start().unwrap()).unwrap_err();
    assert_eq!(chain(&error), "could not store a checkpoint: the store panicked: a store panics");
}

#[test]
fn a_source_that_never_ends_does_not_hide_a_failed_sink() {
    let mut source = MemorySource::default().partition("p", steady(300).remove(0));
    let _open = source.handle("p");
    let sink = Trouble::new(&MemorySink::new(), |_| Err(ExternalError::permanent("gone")));
    let pipeline = sayings(source, Words, &small_time()).sink(sink);
    assert!(chain(&finish(pipeline.start().unwrap()).unwrap_err()).contains("`troubled`: gone"));
}
