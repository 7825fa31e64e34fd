//! The reader of one partition: its state, and the order in which its batches are sequenced.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use telemetra_core::engine::{Sequencer, SequencerState, format_of, millis};
use telemetra_core::{DecodeError, EventTime, Fates, Partition, PartitionId};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{Raise, RestoredFloors};
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::{IngressConfig, PartitionStatus, lock};
use crate::read::raises::FloorRaises;
use crate::read::silence::Silence;
use crate::support::failure::Failure;
use crate::support::retry::RetryState;

/// No silence at all.
const SOMETHING: u64 = u64::MAX;
/// A time that was not noted.
const UNSET: u64 = u64::MAX;
/// The number of bytes of a record that a log shows.
const SHOWN: usize = 60;

/// One partition.
pub(crate) struct PartitionReader {
    pub(crate) id: PartitionId,
    /// The topic of its records.
    pub(crate) topic: Arc<str>,
    /// The number of the source's decoder.
    pub(crate) decoder: usize,
    /// The floor as of the last batch sequenced; [`EventTime::MAX`] once all are.
    floor: AtomicU64,
    /// The watermark at that time.
    watermark: AtomicU64,
    /// The milliseconds for which it was polled and had nothing; [`SOMETHING`] if it has had something since.
    silent: AtomicU64,
    /// The time at which it was first seen to have ended, in milliseconds of the monotonic clock; [`UNSET`] until then.
    ended: AtomicU64,
    pub(super) idle: AtomicBool,
    /// True if it has not been asked since it last had nothing, though it was time.
    unasked: AtomicBool,
    /// True if it was logged that all its records are malformed.
    warned_malformed: AtomicBool,
    pub(super) state: Mutex<PartitionReaderState>,
    turn: Condvar,
    /// True if the checkpoint knows it that this run goes on from.
    is_kept: bool,
}

pub(super) struct PartitionReaderState {
    pub(super) partition: Box<dyn Partition>,
    pub(super) sequencer: Sequencer,
    /// Batches handed out, and sequenced.
    pub(super) taken: u64,
    pub(super) sequenced: u64,
    pub(super) exhausted: bool,
    /// True if it said so itself.
    pub(super) done: bool,
    /// The instant of the next poll. Not in processing time: by a clock that stands still or is set back it would not be polled any more.
    pub(super) ask_again: Option<Instant>,
    silence: Silence,
    pub(super) floors: FloorRaises,
    pub(super) retry: RetryState,
}

/// A partition that was opened, with what reads it and where its sequencer goes on.
pub(crate) struct OpenPartition {
    pub(crate) id: PartitionId,
    pub(crate) decoder: usize,
    pub(crate) partition: Box<dyn Partition>,
    pub(crate) sequencer: Option<SequencerState>,
    /// True if its end has been read: it is not polled any more.
    pub(crate) ended: bool,
}

/// The beginnings of the partitions of a run.
#[derive(Copy, Clone)]
pub(super) struct Beginning<'a> {
    pub(super) log: &'a Arc<FloorLog>,
    pub(super) restored: &'a RestoredFloors,
    /// True if a partition that is in no checkpoint and no log joins others.
    pub(super) joins: bool,
    /// The first floor behind all that sinks have; the least, if no sink has anything.
    pub(super) after_sinks: EventTime,
    /// The floor up to which floors are raised as the log says and in no other way.
    pub(super) exact_until: EventTime,
}

/// The state of a partition in a checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PartitionCheckpoint {
    pub(crate) id: PartitionId,
    pub(crate) offset: u64,
    /// The identity of the log that the offset is in, where the partition can say.
    pub(crate) identity: Option<u64>,
    pub(crate) sequencer: SequencerState,
    /// True if all of it had been read, and it had said that no more would come.
    pub(crate) ended: bool,
}

impl PartitionReader {
    /// A partition none of whose events takes effect before `least`, a boundary of panes: what others have sent before it is no longer
    /// kept for all it could change, if it joins them or had come to its end and has grown since.
    pub(super) fn new(
        open: OpenPartition,
        config: &IngressConfig,
        least: EventTime,
        revisable_from: EventTime,
    ) -> Self {
        let OpenPartition { id, decoder, partition, sequencer: state, ended } = open;
        let sequencer = Sequencer::new(&config.time, config.strategy(&id));
        let mut sequencer = sequencer.revisable_from(revisable_from);
        let is_kept = state.is_some();
        if let Some(state) = state {
            sequencer.restore(state);
        }
        sequencer.raise_floor(least);
        let topic = partition.topic().into();
        let retry = RetryState::new(format!("reading the partition `{id}`"));
        Self {
            id,
            topic,
            decoder,
            floor: AtomicU64::new(if ended { EventTime::MAX.0 } else { sequencer.floor().0 }),
            watermark: AtomicU64::new(sequencer.watermark().0),
            silent: AtomicU64::new(SOMETHING),
            ended: AtomicU64::new(UNSET),
            idle: AtomicBool::new(false),
            unasked: AtomicBool::new(false),
            warned_malformed: AtomicBool::new(false),
            state: Mutex::new(PartitionReaderState {
                partition,
                sequencer,
                taken: 0,
                sequenced: 0,
                exhausted: ended,
                done: ended,
                ask_again: None,
                silence: Silence::default(),
                floors: FloorRaises::default(),
                retry,
            }),
            turn: Condvar::new(),
            is_kept,
        }
    }

    /// Begins it with the raises of its floor that earlier runs have logged. Returns its floor, and those that this run has to log.
    pub(super) fn begin(&self, beginning: &Beginning<'_>) -> (EventTime, Option<Vec<Raise>>) {
        let Beginning { log, restored, joins, after_sinks, exact_until } = *beginning;
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let offset = state.partition.offset();
        let logged = restored.of(&self.id, self.is_kept.then_some(offset), after_sinks);
        if logged.is_none() && !self.is_kept && joins {
            state.sequencer.raise_floor(after_sinks);
        }
        let floor = state.sequencer.floor();
        let unknown = || (!self.is_kept).then(|| vec![Raise { offset, floor }]);
        let raises = logged.filter(|raises| self.is_kept || !raises.is_empty()).or_else(unknown);
        state.floors =
            FloorRaises::new(log, raises.clone().unwrap_or_default(), exact_until, state.exhausted);
        state.floors.replay(offset, &mut state.sequencer);
        self.publish(state);
        (state.sequencer.floor(), raises)
    }

    /// Begins one that joins while it runs: it is read once its floor is logged.
    pub(super) fn join(&self, log: &Arc<FloorLog>) {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        let raise = Raise { offset: state.partition.offset(), floor: state.sequencer.floor() };
        state.floors = FloorRaises::new(log, Vec::new(), EventTime::MIN, false);
        state.floors.wait_for(log.raise(&self.id, raise));
    }

    pub(super) fn floor(&self) -> EventTime {
        EventTime(self.floor.load(Ordering::Acquire))
    }

    pub(super) fn publish(&self, state: &mut PartitionReaderState) {
        let ended = state.exhausted
            && state.sequenced == state.taken
            && state.floors.is_end_logged(&self.id, state.partition.offset());
        let floor = if ended { EventTime::MAX } else { state.sequencer.floor() };
        self.watermark.store(state.sequencer.watermark().0, Ordering::Release);
        self.floor.store(floor.0, Ordering::Release);
    }

    /// Notes that it has something, and that it is not idle.
    pub(super) fn had_something(&self, state: &mut PartitionReaderState) {
        state.silence.broken();
        self.unasked.store(false, Ordering::Release);
        self.silent.store(SOMETHING, Ordering::Release);
        self.idle.store(false, Ordering::Release);
    }

    /// Notes that it was asked and had nothing.
    pub(super) fn had_nothing(&self, state: &mut PartitionReaderState, now: Duration, pause: Duration) {
        if self.unasked.swap(false, Ordering::AcqRel) {
            state.silence.unknown();
        }
        let silent = u64::try_from(state.silence.nothing(now, pause).as_millis()).unwrap_or(SOMETHING - 1);
        if self.silent.swap(silent, Ordering::AcqRel) > silent {
            // Nobody knows what it had during a stall.
            self.idle.store(false, Ordering::Release);
        }
    }

    /// Notes that it is not polled now, or does not know: the time until the next poll is no silence.
    pub(super) fn not_asked(&self) {
        if !self.unasked.load(Ordering::Relaxed) {
            self.unasked.store(true, Ordering::Release);
        }
    }

    /// Returns the milliseconds for which it was polled and had nothing; `None` if the last poll found something.
    pub(super) fn silent(&self) -> Option<u64> {
        Some(self.silent.load(Ordering::Acquire)).filter(|silent| *silent != SOMETHING)
    }

    /// Returns whether it is known since when it has been over.
    pub(super) fn is_end_noted(&self) -> bool {
        self.ended.load(Ordering::Relaxed) != UNSET
    }

    /// Returns the milliseconds since its end was seen. Nothing of it can be late any more.
    pub(super) fn since_end(&self, now: Duration) -> u64 {
        let now = millis::of(now);
        let ended = self.ended.compare_exchange(UNSET, now, Ordering::AcqRel, Ordering::Acquire);
        now.saturating_sub(ended.err().unwrap_or(now))
    }

    /// The progress that others see.
    pub(super) fn progress(&self, now: Duration) -> SourceProgress {
        let floor = self.floor();
        if floor != EventTime::MAX && !self.idle.load(Ordering::Acquire) {
            return SourceProgress::Active(floor);
        }
        let since =
            if floor == EventTime::MAX { self.since_end(now) } else { self.silent().unwrap_or_default() };
        match EventTime(self.watermark.load(Ordering::Acquire)) {
            EventTime::MIN => SourceProgress::NONE,
            watermark => SourceProgress::Idle { watermark, reached: watermark.plus(since) },
        }
    }

    /// Waits for the turn of a batch and has it sequenced by `work`, whose answer is given back. The batch before it is being
    /// decoded by a worker that waits for nobody, so the wait is no longer than that takes. `None` if the pipeline fails.
    pub(super) fn sequence<T>(
        &self,
        number: u64,
        failure: &Failure,
        work: impl FnOnce(&mut Sequencer, &mut FloorRaises) -> T,
    ) -> Option<T> {
        let mut state = lock(&self.state);
        while state.sequenced != number {
            if failure.is_set() {
                return None;
            }
            let wait = self.turn.wait_timeout(state, Duration::from_millis(20));
            state = wait.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
        let reading = &mut *state;
        let answer = work(&mut reading.sequencer, &mut reading.floors);
        reading.sequenced += 1;
        self.publish(reading);
        drop(state);
        self.turn.notify_all();
        Some(answer)
    }

    /// Logs once what its records look like, if all that were read of it are malformed.
    pub(super) fn log_malformed(&self, record: &[u8], error: &DecodeError) {
        let fates = self.fates();
        if fates.malformed < fates.read || self.warned_malformed.swap(true, Ordering::Relaxed) {
            return;
        }
        let looks = format_of(record).unwrap_or("compare it with the format that the decoder reads");
        let start = String::from_utf8_lossy(&record[..record.len().min(SHOWN)]);
        tracing::warn!(
            partition = %self.id, records = fates.malformed, reason = %error, start = ?start,
            "all records so far are malformed; {looks}"
        );
    }

    /// The state of the partition for a checkpoint. Call it while no batch is between being taken and being sequenced.
    pub(super) fn keep(&self) -> PartitionCheckpoint {
        let mut state = lock(&self.state);
        let offset = state.partition.offset();
        PartitionCheckpoint {
            id: self.id.clone(),
            offset,
            identity: state.partition.identity(offset),
            sequencer: state.sequencer.state(),
            ended: state.done,
        }
    }

    pub(super) fn fates(&self) -> Fates {
        lock(&self.state).sequencer.fates()
    }

    pub(super) fn status(&self) -> PartitionStatus {
        let state = lock(&self.state);
        let asked = !self.unasked.load(Ordering::Acquire);
        PartitionStatus {
            id: self.id.clone(),
            offset: state.partition.offset(),
            watermark: state.sequencer.watermark(),
            behind: 0,
            lag: state.partition.lag(),
            lost: state.partition.lost(),
            retries: state.retry.retries(),
            failing: state.retry.failing(),
            floor: self.floor(),
            idle: self.idle.load(Ordering::Relaxed),
            silent: self.silent().filter(|_| asked).map(Duration::from_millis),
            fates: state.sequencer.fates(),
        }
    }
}
