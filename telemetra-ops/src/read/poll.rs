//! Reading a partition: its next batch, or how long there is nothing; and what becomes of the floor of one that is idle.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use telemetra_core::engine::Sequencer;
use telemetra_core::{EventTime, ExternalError, Polled, RecordBatch, Retry};

use crate::cluster::coordinator::Coordinator;
use crate::cluster::progress::SourceProgress;
use crate::read::ingress::{Reading, Shared, lock};
use crate::read::partition::{PartitionReader, PartitionReaderState};
use crate::read::raises::FloorRaises;
use crate::support::failure::PipelineError;
use crate::support::retry::pause_of_try;

/// The shortest pause before a partition that had nothing is asked again.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The longest: 30 years, which every clock can add to its time.
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 365 * 86_400);

/// The result for a worker that wants to read.
pub(crate) enum PollResult {
    /// A batch, and its number in the partition.
    Batch(u64),
    /// Nothing for this long.
    Nothing(Duration),
    /// Nothing ever again.
    Ended,
}

impl Shared {
    /// Reads from a partition, unless it is too far ahead of the others, `floor` being theirs.
    pub(crate) fn poll(
        &self,
        reader: &PartitionReader,
        alone: bool,
        floor: EventTime,
        batch: &mut RecordBatch,
    ) -> PollResult {
        let own = reader.floor();
        if own == EventTime::MAX {
            if !reader.is_end_noted() {
                reader.since_end(self.config.clock.monotonic());
            }
            return PollResult::Ended;
        }
        if own > floor.plus(self.config.drift()) {
            reader.not_asked();
            return PollResult::Nothing(Duration::from_millis(1));
        }
        // Alone, there is no other to turn to.
        let mut state = if alone {
            lock(&reader.state)
        } else {
            match reader.state.try_lock() {
                Ok(state) => state,
                Err(_) => return PollResult::Nothing(Duration::ZERO),
            }
        };
        let reading = self.reading.load(Ordering::Acquire);
        let inner = &mut *state;
        if !inner.floors.is_settled(&mut inner.sequencer) {
            reader.not_asked();
            return PollResult::Nothing(Duration::from_millis(1));
        }
        state.exhausted |= reading == Reading::Ends as u8;
        if state.exhausted || reading == Reading::Rests as u8 {
            reader.publish(&mut state);
            return PollResult::Nothing(Duration::from_millis(1));
        }
        let pause = state.ask_again.map(|at| at.saturating_duration_since(Instant::now()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            self.rest(reader, &mut state);
            return PollResult::Nothing(pause);
        }
        let polled = match state.partition.poll(batch) {
            // It may still fail, as what it waits for is asked for again after a failure.
            Ok(polled @ Polled::Pending(_)) if batch.is_empty() => polled,
            Ok(polled) => {
                state.retry.passed();
                polled
            }
            Err(error) => return self.failed(reader, &mut state, error),
        };
        state.done = polled == Polled::Done;
        state.exhausted = state.done;
        if batch.is_empty() {
            reader.publish(&mut state);
            return match polled {
                Polled::Ready => {
                    reader.not_asked();
                    PollResult::Nothing(Duration::ZERO)
                }
                Polled::Done => PollResult::Ended,
                Polled::Idle(pause) => {
                    let pause = pause.max(SHORTEST_PAUSE);
                    state.ask_again = after(pause);
                    let counts_all = self.trigger.defects().counts_suspensions;
                    let asked_for = if counts_all { Duration::MAX } else { pause };
                    reader.had_nothing(&mut state, self.config.clock.monotonic(), asked_for);
                    self.rest(reader, &mut state);
                    PollResult::Nothing(pause)
                }
                Polled::Pending(pause) => {
                    let pause = pause.max(SHORTEST_PAUSE);
                    state.ask_again = after(pause);
                    reader.not_asked();
                    PollResult::Nothing(pause)
                }
            };
        }
        reader.had_something(&mut state);
        state.taken += 1;
        PollResult::Batch(state.taken - 1)
    }

    /// Sequences a batch when it is its turn.
    pub(crate) fn sequence(
        &self,
        reader: &PartitionReader,
        number: u64,
        work: impl FnOnce(&mut Sequencer, &mut FloorRaises, EventTime),
    ) {
        let sequenced = reader.sequence(number, &self.failure, |sequencer, floors| {
            work(sequencer, floors, self.config.clock.now());
            self.note_floor(sequencer.floor());
        });
        // It fails only with the pipeline, which then sends nothing more.
        debug_assert!(sequenced.is_some() || self.failure.is_set());
    }

    /// Lets a partition that has had nothing for long follow the others of all processes, or the clock if all are so.
    fn rest(&self, reader: &PartitionReader, state: &mut PartitionReaderState) {
        if state.sequenced != state.taken {
            return;
        }
        let offset = state.partition.offset();
        state.floors.replay(offset, &mut state.sequencer);
        if let Some(idle_after) = state.sequencer.idle_after()
            && let Some(silent) = reader.silent().map(Duration::from_millis)
            && silent >= idle_after
            && self.may_rest(reader, state, silent)
        {
            reader.idle.store(true, Ordering::Release);
            let floor = self.progress().and(*lock(&self.others)).idle_target();
            let floor = self.config.time.windows.pane_start(floor);
            state.floors.raise(&reader.id, offset, floor, &mut state.sequencer);
        }
        self.note_floor(state.sequencer.floor());
        reader.publish(state);
    }

    /// Returns whether a partition may be taken for idle. Not while it is behind what sinks had from it in an
    /// earlier run, as what brought it there is still to come; unless that is nowhere to be had any more.
    fn may_rest(&self, reader: &PartitionReader, state: &PartitionReaderState, silent: Duration) -> bool {
        if state.floors.may_raise(state.sequencer.floor()) {
            return true;
        }
        let is_lost = silent >= self.floors.as_ref().map_or(Duration::ZERO, |floors| floors.patience);
        if is_lost && !reader.idle.load(Ordering::Acquire) {
            tracing::warn!(
                partition = %reader.id, ?silent,
                "what sinks were given from this partition does not come again, it is idle: what it brings now counts after them"
            );
        }
        is_lost
    }

    /// The progress of the partitions of this process.
    pub(crate) fn progress(&self) -> SourceProgress {
        let now = self.config.clock.monotonic();
        let readers = self.readers.read();
        readers.iter().map(|reader| reader.progress(now)).fold(SourceProgress::NONE, SourceProgress::and)
    }

    /// Sends the other processes the progress of the partitions of this one, and takes note of theirs.
    pub(crate) fn exchange(&self, coordinator: &mut Coordinator) {
        let windows = self.config.time.windows;
        // Without idle partitions there is nothing to exchange.
        if (self.config.time.idle_after.is_some() || self.config.watermarks.is_some())
            && let Some(others) = coordinator.exchange(|| self.progress().rounded(windows))
        {
            *lock(&self.others) = others;
        }
    }

    fn failed(
        &self,
        reader: &PartitionReader,
        state: &mut PartitionReaderState,
        error: ExternalError,
    ) -> PollResult {
        if error.retry() == Retry::Permanent {
            self.failure.set(PipelineError::Source { partition: reader.id.clone(), source: error });
            return PollResult::Ended;
        }
        let tries = state.retry.failed(&error);
        reader.not_asked();
        let pause = pause_of_try(&error, tries);
        state.ask_again = after(pause);
        PollResult::Nothing(pause)
    }
}

/// The instant at which a pause that begins now is over.
fn after(pause: Duration) -> Option<Instant> {
    Instant::now().checked_add(pause.min(LONGEST_PAUSE))
}
