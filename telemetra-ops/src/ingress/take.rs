//! Reading a partition: its next batch, or how long there is nothing; and what becomes of the floor of one that is idle.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use telemetra_core::{EventTime, ExternalError, Polled, RecordBatch, Retry, Sequencer, TimeConfig};

use super::lane::LaneState;
use super::{Lane, Reading, Shared, lock};
use crate::council::Council;
use crate::standing::Standing;

/// What a worker gets when it wants to read.
pub(crate) enum Take {
    /// A batch, and its number in the partition.
    Batch(u64),
    /// Nothing for this long.
    Nothing(Duration),
    /// Nothing ever again.
    Ended,
}

impl Shared {
    /// Reads from a partition, unless it is too far ahead of the others, `floor` being theirs.
    pub(crate) fn take(&self, lane: &Lane, alone: bool, floor: EventTime, batch: &mut RecordBatch) -> Take {
        let own = lane.floor();
        if own == EventTime::MAX {
            return Take::Ended;
        }
        if own > floor.plus(self.config.lead) {
            return Take::Nothing(Duration::from_millis(1));
        }
        // Alone, there is no other to turn to.
        let mut state = if alone {
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
                state.trouble.passed();
                polled
            }
            Err(error) => return self.failed(lane, &mut state, error),
        };
        state.done = polled == Polled::Done;
        state.exhausted = state.done;
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
        lane.feed(now);
        state.taken += 1;
        Take::Batch(state.taken - 1)
    }

    /// Has a batch sequenced when it is its turn.
    pub(crate) fn sequence(
        &self,
        lane: &Lane,
        number: u64,
        work: impl FnOnce(&mut Sequencer, EventTime) -> EventTime,
    ) {
        let sequenced = lane.sequence(number, &self.failure, |sequencer| {
            let greatest = work(sequencer, self.config.clock.now());
            self.note_effective(greatest);
        });
        // It fails only with the pipeline, which then sends nothing more.
        debug_assert!(sequenced.is_some() || self.failure.is_set());
    }

    /// Lets a partition that has had nothing for long follow the others of all processes, or the clock if all are so.
    fn rest(&self, lane: &Lane, state: &mut LaneState, now: EventTime) {
        let Some(idle_after) = self.config.time.idle_after else { return };
        if u128::from(lane.silence(now)) < idle_after.as_millis() || state.sequenced != state.taken {
            return;
        }
        lane.idle.store(true, Ordering::Release);
        let floor = self.standing(now).and(*lock(&self.others)).leads_to();
        state.sequencer.raise_floor(self.config.time.windows.pane_start(floor));
        lane.publish(state);
    }

    /// How the partitions of this process stand.
    pub(crate) fn standing(&self, now: EventTime) -> Standing {
        let lanes = self.read_lanes();
        lanes.iter().map(|lane| lane.standing(now)).fold(Standing::NONE, Standing::and)
    }

    /// Tells the other processes how the partitions of this one stand, and takes note of how theirs do.
    pub(crate) fn exchange(&self, council: &mut Council) {
        let TimeConfig { idle_after, windows, .. } = self.config.time;
        // Where nothing is ever idle, nobody asks.
        if idle_after.is_some()
            && let Some(others) = council.exchange(|| self.standing(self.config.clock.now()).rounded(windows))
        {
            *lock(&self.others) = others;
        }
    }

    fn failed(&self, lane: &Lane, state: &mut LaneState, error: ExternalError) -> Take {
        if error.retry() == Retry::Permanent {
            self.failure.set(crate::PipelineError::Source { partition: lane.id.clone(), source: error });
            return Take::Ended;
        }
        let failures = state.trouble.failed(&error);
        let pause = Duration::from_millis(10 << failures.min(9));
        state.ask_again = Instant::now().checked_add(pause);
        Take::Nothing(pause)
    }
}
