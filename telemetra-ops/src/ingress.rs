//! The partitions of one process, shared by all its workers.
//!
//! Any worker may read any partition of its process, a batch at a time. Decoding and folding a batch can be done by
//! anyone at any time; only the *sequencing* between them, which decides each event's fate, has to go in the
//! partition's order. So one file, or one Kafka partition, is decoded by all workers, and what counts as late is the
//! same as with one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use telemetra_core::{
    Clock, Decoder, EventTime, ExternalError, Fates, Partition, PartitionId, Polled, RecordBatch, Retry,
    Sentiment, Sequencer, SequencerState, TimeConfig,
};

use crate::cut::Cuts;
use crate::failure::Failure;

/// How reading goes, beyond the settings of time.
#[derive(Clone)]
pub struct IngressConfig {
    /// The settings of time.
    pub time: TimeConfig,
    /// Where processing time comes from.
    pub clock: Clock,
    /// How messages are scored; `None`: not at all.
    pub sentiment: Option<Arc<dyn Sentiment>>,
    /// How far, in milliseconds of event time, reading may be ahead of the slowest partition and of the sinks.
    pub lead: u64,
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self { time: TimeConfig::default(), clock: Clock::system(), sentiment: None, lead: 120_000 }
    }
}

impl std::fmt::Debug for IngressConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngressConfig")
            .field("time", &self.time)
            .field("lead", &self.lead)
            .field("sentiment", &self.sentiment.is_some())
            .finish_non_exhaustive()
    }
}

/// The partitions of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Ingress(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: IngressConfig,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) cuts: Cuts,
    pub(crate) failure: Failure,
    /// How reading goes on: one of the constants of [`Reading`].
    reading: AtomicU8,
    /// The greatest boundary at which anything takes effect.
    greatest_effective: AtomicU64,
    /// The offsets of each checkpoint that is under way.
    offsets: Mutex<BTreeMap<EventTime, Vec<u64>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// One partition.
pub(crate) struct Lane {
    pub(crate) id: PartitionId,
    pub(crate) decoder: Arc<dyn Decoder>,
    /// The floor as of the last batch sequenced; [`EventTime::MAX`] once all are.
    floor: AtomicU64,
    idle: AtomicBool,
    state: Mutex<LaneState>,
    turn: Condvar,
}

struct LaneState {
    partition: Box<dyn Partition>,
    sequencer: Sequencer,
    /// Batches handed out, and sequenced.
    taken: u64,
    sequenced: u64,
    exhausted: bool,
    /// When it was last found to have something, in processing time.
    fed: Option<EventTime>,
    /// When to ask again. Not in processing time: whose clock stands still or is set back would not be asked any more.
    ask_again: Option<Instant>,
    failures: u32,
}

/// A partition that was opened, with what reads it and where its sequencer goes on.
pub(crate) struct OpenLane {
    pub(crate) id: PartitionId,
    pub(crate) decoder: Arc<dyn Decoder>,
    pub(crate) partition: Box<dyn Partition>,
    pub(crate) sequencer: Option<SequencerState>,
}

/// What a checkpoint keeps of a partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LaneCheckpoint {
    pub(crate) id: PartitionId,
    pub(crate) offset: u64,
    pub(crate) sequencer: SequencerState,
}

/// How a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Its name.
    pub id: PartitionId,
    /// The offset of the next record.
    pub offset: u64,
    /// The watermark.
    pub watermark: EventTime,
    /// The floor; [`EventTime::MAX`] once it has ended.
    pub floor: EventTime,
    /// Whether it has nothing to read and does not hold back the others.
    pub idle: bool,
    /// What became of its events.
    pub fates: Fates,
}

/// Whether more is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reading {
    /// As long as there is something.
    Goes,
    /// No more, as if all partitions had ended.
    Ends,
    /// No more in this life.
    Rests,
}

/// What a worker gets when it wants to read.
pub(crate) enum Take {
    /// A batch, and its number in the partition.
    Batch(u64),
    /// Nothing for this long.
    Nothing(Duration),
    /// Nothing ever again.
    Ended,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A worker that panicked has failed the pipeline; what it left is only read for reports.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ingress {
    /// Shares these partitions, each with its decoder and the sequencer to go on with, among `workers` workers.
    pub(crate) fn new(
        config: IngressConfig,
        partitions: Vec<OpenLane>,
        cuts: Cuts,
        failure: Failure,
    ) -> Self {
        let lane = |OpenLane { id, decoder, partition, sequencer: state }| {
            let mut sequencer = Sequencer::new(&config.time, config.time.strategy());
            if let Some(state) = state {
                sequencer.restore(state);
            }
            Lane {
                id,
                decoder,
                floor: AtomicU64::new(sequencer.floor().0),
                idle: AtomicBool::new(false),
                state: Mutex::new(LaneState {
                    partition,
                    sequencer,
                    taken: 0,
                    sequenced: 0,
                    exhausted: false,
                    fed: None,
                    ask_again: None,
                    failures: 0,
                }),
                turn: Condvar::new(),
            }
        };
        let lanes = partitions.into_iter().map(lane).collect();
        Self(Arc::new(Shared {
            config,
            lanes,
            cuts,
            failure,
            reading: AtomicU8::new(Reading::Goes as u8),
            greatest_effective: AtomicU64::new(0),
            offsets: Mutex::new(BTreeMap::new()),
        }))
    }

    /// What became of all events read in this process, those before a restart included.
    #[must_use]
    pub fn fates(&self) -> Fates {
        let lanes = self.0.lanes.iter();
        lanes.fold(Fates::default(), |sum, lane| sum + lock(&lane.state).sequencer.fates())
    }

    /// How each partition stands.
    #[must_use]
    pub fn status(&self) -> Vec<PartitionStatus> {
        let status = |lane: &Lane| {
            let state = lock(&lane.state);
            PartitionStatus {
                id: lane.id.clone(),
                offset: state.partition.offset(),
                watermark: state.sequencer.watermark(),
                floor: lane.floor(),
                idle: lane.idle.load(Ordering::Relaxed),
                fates: state.sequencer.fates(),
            }
        };
        self.0.lanes.iter().map(status).collect()
    }
}

impl Lane {
    fn floor(&self) -> EventTime {
        EventTime(self.floor.load(Ordering::Acquire))
    }

    fn publish(&self, state: &LaneState) {
        let ended = state.exhausted && state.sequenced == state.taken;
        let floor = if ended { EventTime::MAX } else { state.sequencer.floor() };
        self.floor.store(floor.0, Ordering::Release);
    }
}

impl Shared {
    /// The least floor of all partitions; [`EventTime::MAX`] once all have ended.
    pub(crate) fn floor(&self) -> EventTime {
        self.lanes.iter().map(Lane::floor).min().unwrap_or(EventTime::MAX)
    }

    /// The greatest boundary at which anything takes effect. Final once the floor is [`EventTime::MAX`].
    pub(crate) fn greatest_effective(&self) -> EventTime {
        EventTime(self.greatest_effective.load(Ordering::Acquire))
    }

    /// Counts what was restored in what takes effect.
    pub(crate) fn note_effective(&self, end: EventTime) {
        self.greatest_effective.fetch_max(end.0, Ordering::AcqRel);
    }

    /// Has reading go on or stop.
    pub(crate) fn set_reading(&self, reading: Reading) {
        self.reading.store(reading as u8, Ordering::Release);
    }

    /// Reads from a partition, unless it is too far ahead of the others, `floor` being theirs.
    pub(crate) fn take(&self, lane: usize, floor: EventTime, batch: &mut RecordBatch) -> Take {
        let lane = &self.lanes[lane];
        let own = lane.floor();
        if own == EventTime::MAX {
            return Take::Ended;
        }
        if own > floor.plus(self.config.lead) {
            return Take::Nothing(Duration::from_millis(1));
        }
        // With one partition there is no other to turn to.
        let mut state = if self.lanes.len() == 1 {
            lock(&lane.state)
        } else {
            match lane.state.try_lock() {
                Ok(state) => state,
                Err(_) => return Take::Nothing(Duration::ZERO),
            }
        };
        let reading = self.reading.load(Ordering::Acquire);
        state.exhausted |= reading == Reading::Ends as u8;
        if state.exhausted || reading == Reading::Rests as u8 {
            lane.publish(&state);
            return Take::Nothing(Duration::from_millis(1));
        }
        let now = self.config.clock.now();
        let pause = state.ask_again.map(|at| at.saturating_duration_since(Instant::now()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            self.rest(lane, &mut state, now);
            return Take::Nothing(pause);
        }
        let polled = match state.partition.poll(batch) {
            Ok(polled) => {
                state.failures = 0;
                polled
            }
            Err(error) => return self.failed(lane, &mut state, error),
        };
        state.exhausted = polled == Polled::Done;
        if batch.is_empty() {
            lane.publish(&state);
            return match polled {
                Polled::Ready => Take::Nothing(Duration::ZERO),
                Polled::Done => Take::Ended,
                Polled::Idle(pause) => {
                    let pause = pause.max(Duration::from_millis(1));
                    state.ask_again = Instant::now().checked_add(pause);
                    self.rest(lane, &mut state, now);
                    Take::Nothing(pause)
                }
            };
        }
        state.fed = Some(now);
        lane.idle.store(false, Ordering::Relaxed);
        state.taken += 1;
        Take::Batch(state.taken - 1)
    }

    /// Waits for the turn of a batch and has it sequenced. The batch before it is being decoded by a worker that waits for
    /// nobody, so the wait is no longer than that takes.
    pub(crate) fn sequence(
        &self,
        lane: usize,
        number: u64,
        work: impl FnOnce(&mut Sequencer, EventTime) -> EventTime,
    ) {
        let lane = &self.lanes[lane];
        let mut state = lock(&lane.state);
        while state.sequenced != number {
            if self.failure.is_set() {
                return;
            }
            let wait = lane.turn.wait_timeout(state, Duration::from_millis(20));
            state = wait.map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state);
        }
        let now = self.config.clock.now();
        let greatest = work(&mut state.sequencer, now);
        self.note_effective(greatest);
        state.sequenced += 1;
        lane.publish(&state);
        drop(state);
        lane.turn.notify_all();
    }

    /// Lets a partition that has had nothing for long follow the others, or the clock if all are so.
    fn rest(&self, lane: &Lane, state: &mut LaneState, now: EventTime) {
        let fed = *state.fed.get_or_insert(now);
        let Some(idle_after) = self.config.time.idle_after else { return };
        let silence = now - fed;
        if u128::from(silence) < idle_after.as_millis() || state.sequenced != state.taken {
            return;
        }
        lane.idle.store(true, Ordering::Relaxed);
        let others = self.lanes.iter().filter(|lane| !lane.idle.load(Ordering::Relaxed));
        let floor = match others.map(Lane::floor).filter(|floor| *floor != EventTime::MAX).min() {
            Some(floor) => floor,
            None if state.sequencer.greatest() == EventTime::MIN => {
                // Never had anything: it follows the others that rest.
                let floors = self.lanes.iter().map(Lane::floor).filter(|floor| *floor != EventTime::MAX);
                floors.max().unwrap_or(EventTime::MIN)
            }
            None => state.sequencer.watermark().plus(silence),
        };
        state.sequencer.raise_floor(self.config.time.windows.pane_start(floor));
        lane.publish(state);
    }

    fn failed(&self, lane: &Lane, state: &mut LaneState, error: ExternalError) -> Take {
        if error.retry() == Retry::Permanent {
            self.failure.set(crate::PipelineError::Source { partition: lane.id.clone(), source: error });
            return Take::Ended;
        }
        state.failures += 1;
        let pause = Duration::from_millis(10 << state.failures.min(9));
        if state.failures == 1 {
            tracing::warn!(partition = %lane.id, %error, "could not read, trying again");
        }
        state.ask_again = Instant::now().checked_add(pause);
        Take::Nothing(pause)
    }

    /// What a checkpoint keeps of the partitions. Call it while no batch is between take and sequence.
    pub(crate) fn keep(&self, cut: EventTime) -> Vec<LaneCheckpoint> {
        let keep = |lane: &Lane| {
            let state = lock(&lane.state);
            LaneCheckpoint {
                id: lane.id.clone(),
                offset: state.partition.offset(),
                sequencer: state.sequencer.state(),
            }
        };
        let kept: Vec<_> = self.lanes.iter().map(keep).collect();
        lock(&self.offsets).insert(cut, kept.iter().map(|lane| lane.offset).collect());
        kept
    }

    /// Tells each partition that a checkpoint is complete.
    pub(crate) fn commit(&self, cut: EventTime) {
        let mut offsets = lock(&self.offsets);
        if let Some(committed) = offsets.remove(&cut) {
            for (lane, offset) in self.lanes.iter().zip(committed) {
                lock(&lane.state).partition.committed(offset);
            }
        }
        offsets.retain(|other, _| *other > cut);
    }
}
