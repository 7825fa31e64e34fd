//! A scripted sink and its thread, for the tests of delivery.

use std::collections::VecDeque;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use telemetra_core::{
    Batch, Change, Column, ColumnKind, DeadLetter, EventTime, ExternalError, Fate, Layout, PartitionId, Sink,
    SinkProgress, Table, Value,
};
use tracing::Span;

use crate::deliver::sink_thread::{Job, SinkGauge, SinkQueue};
use crate::deliver::slow::{Delivery, SlowBatches};
use crate::deliver::standby::Standby;
use crate::observe::traces::TraceLog;
use crate::support::failure::Failure;

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

/// The calls that a scripted sink has had, and its next answers. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    calls: Vec<Call>,
    /// The number of calls of `apply` that have begun: each has its batches then, and waits for its permit.
    pub(super) begun: u32,
    /// The errors of the next calls of `apply`.
    pub(super) failures: VecDeque<ExternalError>,
    pub(super) panics: bool,
    progress: Option<SinkProgress>,
    /// The number of times that it was asked for it.
    pub(super) looks: u32,
    pub(super) durable: Option<EventTime>,
    /// The changes that were applied: their times, tables and rows.
    pub(super) applied: Vec<(u64, String)>,
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

    /// A sink whose calls of `apply` each wait for a permit.
    pub(super) fn gated(&self, gate: Receiver<()>) -> ScriptedSink {
        ScriptedSink { script: self.clone(), gate: Some(gate) }
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
        let mut state = self.script.lock();
        state.looks += 1;
        Ok(state.progress.unwrap_or(SinkProgress::NotShared))
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
        self.script.lock().begun += 1;
        if let Some(gate) = &self.gate {
            gate.recv().map_err(|_| ExternalError::permanent("the test is over"))?;
        }
        let mut state = self.script.lock();
        assert!(!state.panics, "as the script says");
        if let Some(error) = state.failures.pop_front() {
            return Err(error);
        }
        state.calls.push(Call::Apply(batches.iter().map(|batch| batch.time.0).collect()));
        for batch in batches {
            let said = |change: &Change| {
                (batch.time.0, format!("{} {:?} {:?}", change.table(), change.action, change.row))
            };
            state.applied.extend(batch.changes.iter().map(said));
        }
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

pub(super) fn slow() -> SlowBatches {
    SlowBatches::new(Duration::MAX, &Arc::new(TraceLog::default()))
}

/// A table with a key.
pub(super) fn layout(table: &'static str) -> Layout<u64> {
    Layout::new(Table::new(table).key(Column::new("key", ColumnKind::Integer)), |key: &u64, put| {
        put(Value::Unsigned(*key));
    })
}

/// A batch with one row.
pub(super) fn batch(time: u64) -> Job {
    let batch = Batch { time: EventTime(time), changes: vec![layout("rows").upsert(time, 0)] };
    Job::Batch(Delivery::new(batch, Span::none()))
}

pub(super) fn letter(partition: &str, offset: u64) -> DeadLetter {
    DeadLetter {
        partition: PartitionId::new(partition),
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
    Job::Letters(vec![letter("p", offset)], EventTime(found))
}

pub(super) struct Running {
    pub(super) queue: SinkQueue,
    thread: JoinHandle<()>,
    pub(super) gauge: Arc<SinkGauge>,
    pub(super) failure: Failure,
}

impl Running {
    pub(super) fn start(sink: ScriptedSink, durable: Option<u64>) -> Self {
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
