//! Tests of the threads and the placement of sinks, with a sink that does as it is told.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use telemetra_core::{
    Batch, Column, ColumnKind, DeadLetter, EventTime, ExternalError, Fate, Layout, PartitionId, Shard, Sink,
    SinkProgress, Table, Value,
};
use tracing::Span;

use crate::deliver::placement::{OpenSinks, SinkPlan, SinkStart, open};
use crate::deliver::sink_thread::{Job, SinkGauge, SinkQueue};
use crate::deliver::slow::{Delivery, SlowBatches};
use crate::deliver::standby::Standby;
use crate::observe::traces::TraceLog;
use crate::support::failure::{Failure, PipelineError};
use crate::support::retry::RetryDeadline;

/// A call that succeeded: batches by time, dead letters by offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Part(String),
    Hold(bool),
    Open(Option<EventTime>),
    Apply(Vec<u64>),
    Letters(Vec<u64>),
    Close,
}

/// What a scripted sink has been called with, and does next. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    calls: Vec<Call>,
    /// What the next calls of `apply` fail with.
    failures: VecDeque<ExternalError>,
    panics: bool,
    progress: Option<SinkProgress>,
    pub(super) durable: Option<EventTime>,
}

impl Script {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    pub(super) fn progresses(&self, progress: SinkProgress) {
        self.lock().progress = Some(progress);
    }

    pub(super) fn sink(&self) -> ScriptedSink {
        ScriptedSink { script: self.clone(), gate: None }
    }
}

pub(super) struct ScriptedSink {
    script: Script,
    /// Each `apply` waits for a permit, if there is a gate.
    gate: Option<Receiver<()>>,
}

impl ScriptedSink {
    fn called(&self, call: Call) {
        self.script.lock().calls.push(call);
    }
}

impl Sink for ScriptedSink {
    fn name(&self) -> &str {
        "scripted"
    }

    fn part_of(&mut self, pipeline: &str) {
        self.called(Call::Part(pipeline.to_owned()));
    }

    fn progress(&mut self) -> Result<SinkProgress, ExternalError> {
        Ok(self.script.lock().progress.unwrap_or(SinkProgress::NotShared))
    }

    fn hold(&mut self, holds: bool) {
        self.called(Call::Hold(holds));
    }

    fn open(
        &mut self,
        _: &[Arc<Table>],
        resume: Option<EventTime>,
    ) -> Result<Option<EventTime>, ExternalError> {
        self.called(Call::Open(resume));
        Ok(self.script.lock().durable)
    }

    fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
        if let Some(gate) = &self.gate {
            gate.recv().map_err(|_| ExternalError::permanent("the test is over"))?;
        }
        let mut state = self.script.lock();
        assert!(!state.panics, "as the script says");
        if let Some(error) = state.failures.pop_front() {
            return Err(error);
        }
        state.calls.push(Call::Apply(batches.iter().map(|batch| batch.time.0).collect()));
        Ok(())
    }

    fn dead_letters(&mut self, letters: &[DeadLetter]) -> Result<(), ExternalError> {
        self.called(Call::Letters(letters.iter().map(|letter| letter.offset).collect()));
        Ok(())
    }

    fn close(&mut self) -> Result<(), ExternalError> {
        self.called(Call::Close);
        Ok(())
    }
}

/// Waits for a fact.
pub(super) fn wait_until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < Duration::from_secs(20), "waited in vain: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn slow() -> SlowBatches {
    SlowBatches::new(Duration::MAX, &Arc::new(TraceLog::default()))
}

fn layout() -> Layout<u64> {
    Layout::new(Table::new("rows").key(Column::new("key", ColumnKind::Integer)), |key: &u64, put| {
        put(Value::Unsigned(*key));
    })
}

/// A batch with one row.
pub(super) fn batch(time: u64) -> Job {
    let batch = Batch { time: EventTime(time), changes: vec![layout().upsert(time, 0)] };
    Job::Batch(Delivery::new(batch, Span::none()))
}

fn letter(offset: u64) -> DeadLetter {
    DeadLetter {
        partition: PartitionId::new("p"),
        offset,
        index: 0,
        time: None,
        fate: Fate::Malformed,
        reason: "no JSON".into(),
        bytes: Box::default(),
        traceparent: None,
    }
}

pub(super) fn letters(offset: u64, found: u64) -> Job {
    Job::Letters(vec![letter(offset)], EventTime(found))
}

pub(super) struct Running {
    pub(super) queue: SinkQueue,
    thread: JoinHandle<()>,
    pub(super) gauge: Arc<SinkGauge>,
    pub(super) failure: Failure,
}

impl Running {
    fn start(sink: ScriptedSink, durable: Option<u64>) -> Self {
        let labels = ["pipeline".into(), "scripted".into(), "0".into()];
        let gauge = Arc::new(SinkGauge::new("scripted", labels, durable.map(EventTime)));
        Self::start_with(sink, gauge, None)
    }

    pub(super) fn start_with(sink: ScriptedSink, gauge: Arc<SinkGauge>, standby: Option<Standby>) -> Self {
        let failure = Failure::default();
        let (label, shared) = ("scripted".to_owned(), Arc::clone(&gauge));
        let (queue, thread) =
            SinkQueue::start(Box::new(sink), label, shared, failure.clone(), standby, slow())
                .expect("a thread can be started");
        Self { queue, thread, gauge, failure }
    }

    pub(super) fn send(&self, job: Job) {
        self.queue.try_send(job).expect("there is room");
    }

    /// Closes the queue, and waits for the thread.
    pub(super) fn end(self) -> Failure {
        drop(self.queue);
        self.thread.join().expect("panics of sinks are caught");
        self.failure
    }
}

#[test]
fn batches_that_wait_are_written_together_up_to_sixteen() {
    let (script, (permits, gate)) = (Script::default(), std::sync::mpsc::channel());
    let run = Running::start(ScriptedSink { gate: Some(gate), ..script.sink() }, Some(5));
    assert_eq!((run.queue.durable(), run.gauge.last()), (EventTime(5), None));
    assert_eq!(run.queue.labels(), ["pipeline", "scripted", "0"]);
    let queued =
        |count| move |run: &Running| run.gauge.queued.load(std::sync::atomic::Ordering::Relaxed) == count;
    run.send(batch(10));
    wait_until("the first is taken", || queued(0)(&run));
    (11..31).for_each(|time| run.send(batch(time)));
    assert!(queued(20)(&run));
    assert_eq!(run.queue.durable(), EventTime(5));
    (0..3).for_each(|_| permits.send(()).expect("the sink is there"));
    wait_until("all is durable", || run.queue.durable() == EventTime(30));
    assert!(queued(0)(&run));
    let last = run.gauge.last().expect("it was called");
    assert_eq!((last.batches, last.changes), (4, 4));
    assert_eq!(run.gauge.changes.load(std::sync::atomic::Ordering::Relaxed), 21);
    assert!(!run.end().is_set());
    let of = |times: std::ops::Range<u64>| Call::Apply(times.collect());
    assert_eq!(script.calls(), [of(10..11), of(11..27), of(27..31), Call::Close]);
}

#[test]
fn a_full_queue_gives_the_job_back() {
    let (script, (permits, gate)) = (Script::default(), std::sync::mpsc::channel());
    let run = Running::start(ScriptedSink { gate: Some(gate), ..script.sink() }, None);
    let queued = || run.gauge.queued.load(std::sync::atomic::Ordering::Relaxed);
    run.send(batch(1));
    wait_until("the first is taken", || queued() == 0);
    // The thread has this one and waits for a permit, so nothing more is taken.
    let refused = (2..1_000).find_map(|time| run.queue.try_send(batch(time)).err());
    let Some(TrySendError::Full(Job::Batch(refused))) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.batch.time.0, 2 + queued() as u64);
    drop(permits);
    assert!(run.end().is_set());
}

#[test]
fn dead_letters_are_durable_with_the_next_batch_or_flush() {
    let script = Script::default();
    let run = Running::start(script.sink(), None);
    for job in [letters(1, 0), letters(2, 0), Job::FlushLetters] {
        run.send(job);
    }
    wait_until("they are flushed", || run.queue.settled() == 2);
    run.send(letters(3, 0));
    run.send(batch(10));
    wait_until("the third is durable", || run.queue.settled() == 3);
    run.send(letters(4, 0));
    run.end();
    let expected = [
        Call::Letters(vec![1]),
        Call::Letters(vec![2]),
        Call::Apply(vec![]),
        Call::Letters(vec![3]),
        Call::Apply(vec![10]),
        Call::Letters(vec![4]),
        Call::Close,
    ];
    assert_eq!(script.calls(), expected);
}

#[test]
fn what_fails_for_the_moment_is_repeated_and_what_fails_for_good_ends_the_pipeline() {
    let script = Script::default();
    script.lock().failures.push_back(ExternalError::transient("busy"));
    let run = Running::start(script.sink(), None);
    run.send(batch(10));
    wait_until("it is durable", || run.queue.durable() == EventTime(10));
    assert_eq!(run.gauge.retry.retries(), 1);
    script.lock().failures.push_back(ExternalError::permanent("no such table"));
    run.send(batch(20));
    wait_until("the pipeline has failed", || run.failure.is_set());
    assert_eq!(run.queue.durable(), EventTime(10));
    let error = run.end().take();
    assert!(matches!(&error, Some(PipelineError::Sink { sink, .. }) if sink == "scripted"), "{error:?}");
    assert_eq!(script.calls(), [Call::Apply(vec![10])], "it is not closed");
}

#[test]
fn a_sink_that_panics_ends_the_pipeline() {
    let script = Script::default();
    script.lock().panics = true;
    let run = Running::start(script.sink(), None);
    run.send(batch(10));
    wait_until("the pipeline has failed", || run.failure.is_set());
    let Some(PipelineError::Sink { source, .. }) = run.end().take() else { panic!("it is the sink's error") };
    assert!(source.to_string().contains("it panicked: as the script says"), "{source}");
}

/// Opens sinks in a process of two, of two workers each.
fn opened(plans: Vec<SinkPlan>, process: usize, stands_by: bool) -> OpenSinks {
    let (failure, changed, slow) = (Failure::default(), Arc::default(), slow());
    let deadline = RetryDeadline::new(Duration::ZERO, &failure);
    let resume = Some(EventTime(7));
    let start = SinkStart { tables: &[], resume, changed: &changed, stands_by, slow: &slow };
    open(plans, &"pipeline".into(), (process, 2, 2), &start, &deadline, &failure).expect("they can be opened")
}

#[test]
fn each_process_opens_its_shards_and_numbers_sinks_of_one_name() {
    let script = Script::default();
    let plans = |script: &Script| {
        let (one, other, parts) = (script.sink(), script.sink(), script.clone());
        vec![
            SinkPlan::whole(Box::new(one)),
            SinkPlan::whole(Box::new(other)),
            SinkPlan::sharded(4, move |_| parts.sink()),
        ]
    };
    script.lock().durable = Some(EventTime(9));
    let first = opened(plans(&script), 0, false);
    let labels =
        first.handles.iter().map(|handle| handle.gauge.labels.each_ref().map(|label| label.to_string()));
    let expected =
        [["pipeline", "scripted", "0"], ["pipeline", "scripted 2", "0"], ["pipeline", "scripted 3", "2"]];
    assert_eq!(labels.collect::<Vec<_>>(), expected);
    assert_eq!(first.handles[2].shard, Shard { index: 2, of: 4 });
    let retried = format!("{:?}", first.handles[2].gauge.retry);
    assert!(retried.contains("the sink `scripted, shard 2 of 4`"), "{retried}");
    assert!(format!("{:?}", first.handles[0].gauge.retry).contains("the sink `scripted`"));
    assert_eq!(first.handles[0].gauge.durable(), EventTime(9));
    let part = || Call::Part("pipeline".to_owned());
    let calls = script.calls();
    assert_eq!(calls[..2], [part(), Call::Open(Some(EventTime(7)))]);
    assert_eq!(calls.len(), 6);
    let second = opened(plans(&script), 1, false);
    let homes = |open: &OpenSinks| -> Vec<Vec<(usize, usize)>> {
        let of = |shards: &[crate::deliver::to_sinks::OpenShard]| {
            shards.iter().map(|shard| (shard.index, shard.home)).collect()
        };
        open.placements.iter().map(|placement| of(&placement.shards)).collect()
    };
    assert_eq!(homes(&first), [vec![(0, 0)], vec![(0, 1)], vec![(2, 0)]]);
    assert_eq!(homes(&second), [vec![], vec![], vec![(0, 2), (1, 3), (3, 2)]]);
    assert_eq!((first.threads.len(), second.threads.len()), (3, 3));
}

#[test]
fn a_sink_that_another_pipeline_writes_to_is_not_opened_or_holds_what_it_gets() {
    let (watched, held) = (Script::default(), Script::default());
    watched.progresses(SinkProgress::Until(Some(EventTime(10))));
    held.progresses(SinkProgress::Rewritten(Some(EventTime(12))));
    let plans = vec![SinkPlan::whole(Box::new(watched.sink())), SinkPlan::whole(Box::new(held.sink()))];
    let open = opened(plans, 0, true);
    let gauges: Vec<_> = open.handles.iter().map(|handle| &handle.gauge.standby).collect();
    let state =
        |gauge: &crate::deliver::standby::StandbyGauge| (gauge.stands_by(), gauge.holds(), gauge.other().0);
    assert_eq!((state(gauges[0]), state(gauges[1])), ((true, false, 10), (true, true, 12)));
    let part = Call::Part("pipeline".to_owned());
    assert_eq!(watched.calls(), std::slice::from_ref(&part));
    assert_eq!(held.calls(), [part, Call::Hold(true), Call::Open(Some(EventTime(7)))]);
}
