//! When to take a checkpoint, agreed among the workers of a process.

use std::time::{Duration, Instant};

use telemetra_core::EventTime;

use crate::support::defects::EngineDefects;
use crate::support::sync::{Mutex, MutexGuard, PoisonError};

/// The checkpoint trigger of a process: the next boundary at which ingest takes a checkpoint, and how many workers have arrived there.
///
/// Each worker sees another floor, so what it decides must hold for all: each decision is made under the lock and kept there. The interleavings
/// of workers are checked by a model, `tests/model.rs`.
///
/// Each worker sends what takes effect before the boundary and nothing after, keeps the rest, *arrives*, and reads nothing until
/// all have arrived. Then no batch is between being read and being folded, and offsets and partials agree.
#[derive(Debug)]
pub(crate) struct CheckpointTrigger {
    /// The distance between boundaries in milliseconds of event time; `None`: no checkpoints.
    interval: Option<u64>,
    /// The least processing time between two checkpoints.
    pause: Duration,
    workers: usize,
    /// The length of a pane: between two boundaries nothing takes effect.
    slide: u64,
    /// Whether a checkpoint is taken at the end of input, as far as floors have come. In a cluster processes come to their ends at
    /// different floors.
    cuts_at_the_end: bool,
    defects: EngineDefects,
    state: Mutex<TriggerState>,
}

#[derive(Debug)]
struct TriggerState {
    /// The next boundary; `None` until the first floor is known.
    next: Option<EventTime>,
    last: EventTime,
    arrived: usize,
    taken_at: Option<Instant>,
    /// The next cut is the last: nobody goes on after it.
    closing: bool,
    /// The next cut is the one at the end of input.
    ending: bool,
    /// A worker has gone on to the end of input, so no worker cuts any more.
    ended: bool,
}

/// What a worker that has sent everything before the boundary does there.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Keep your part, then wait.
    Keep,
    /// Keep your part and that of the partitions: you are the last, nobody is reading.
    KeepAll,
    /// No checkpoint here; go on.
    Skip,
}

impl CheckpointTrigger {
    pub(crate) fn new(
        interval: Option<u64>,
        pause: Duration,
        workers: usize,
        slide: u64,
        restored: Option<EventTime>,
    ) -> Self {
        let state = TriggerState {
            next: None,
            last: restored.unwrap_or(EventTime::MIN),
            arrived: 0,
            taken_at: None,
            closing: false,
            ending: false,
            ended: false,
        };
        let defects = EngineDefects::default();
        Self { interval, pause, workers, slide, cuts_at_the_end: false, defects, state: Mutex::new(state) }
    }

    /// Takes a checkpoint at the end of input too, if there are checkpoints.
    pub(crate) fn with_cut_at_the_end(mut self, cuts: bool) -> Self {
        self.cuts_at_the_end = cuts && self.interval.is_some() && self.slide > 1;
        self
    }

    pub(crate) fn with_defects(mut self, defects: EngineDefects) -> Self {
        self.defects = defects;
        self
    }

    pub(crate) fn defects(&self) -> EngineDefects {
        self.defects
    }

    fn lock(&self) -> MutexGuard<'_, TriggerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far workers may send, given the floor; and the cut that stops them, if one does. `greatest_floor` is the greatest floor that any
    /// partition has had before its end.
    pub(crate) fn limit(
        &self,
        floor: EventTime,
        greatest_floor: EventTime,
    ) -> (EventTime, Option<EventTime>) {
        let mut state = self.lock();
        if state.ended {
            return (floor, None);
        }
        if state.next.is_none()
            && let Some(interval) = self.interval
            && floor > EventTime::MIN
            && floor < EventTime::MAX
        {
            // A partition that had ended before a restart begins behind the others.
            state.next = Some(EventTime((floor.max(state.last).0 / interval + 1) * interval));
        }
        if floor == EventTime::MAX && self.defects.trigger_passes_over && !state.closing {
            return (floor, None);
        }
        if floor == EventTime::MAX {
            // Just after the floor, where workers may have sent everything. What lies beyond is not final, as a later run may have more input.
            let end = greatest_floor.plus(1);
            if self.cuts_at_the_end && state.arrived == 0 && !state.closing && end > state.last {
                (state.next, state.ending) = (Some(end), true);
            }
            // Where a worker waits, the others join it.
            let is_cut = |next| next <= end || state.arrived > 0 || state.closing;
            let cut = state.next.filter(|next| is_cut(*next));
            if cut.is_none() {
                // This worker does not come back: nobody may wait for it from now on.
                (state.ended, state.next) = (true, None);
            }
            return (cut.unwrap_or(floor), cut);
        }
        match state.next {
            Some(next) if next <= floor || (state.closing && next < floor.plus(self.slide)) => {
                (next, Some(next))
            }
            _ => (floor, None),
        }
    }

    /// A worker has sent everything before `cut`, which [`limit`](Self::limit) gave it, and keeps the rest.
    pub(crate) fn arrive(&self, cut: EventTime, floor: EventTime) -> Arrival {
        let mut state = self.lock();
        if state.next != Some(cut) {
            return Arrival::Skip;
        }
        let soon = state.taken_at.is_some_and(|at| at.elapsed() < self.pause);
        if state.arrived == 0 && soon && !state.closing && !state.ending {
            self.go_on(&mut state, cut, floor);
            return Arrival::Skip;
        }
        state.arrived += 1;
        if state.arrived < self.workers { Arrival::Keep } else { Arrival::KeepAll }
    }

    /// The last to arrive has kept its part: all go on.
    pub(crate) fn release(&self, cut: EventTime, floor: EventTime) {
        let mut state = self.lock();
        state.arrived = 0;
        state.last = cut;
        state.taken_at = Some(Instant::now());
        if !state.closing {
            self.go_on(&mut state, cut, floor);
        }
    }

    fn go_on(&self, state: &mut TriggerState, cut: EventTime, floor: EventTime) {
        let interval = self.interval.unwrap_or(u64::MAX);
        let next = cut.plus(interval);
        // After a gap in the data, do not take one for each boundary in it.
        let gap = if floor < EventTime::MAX { EventTime(floor.0 / interval * interval) } else { next };
        state.next = Some(next.max(gap));
    }

    /// Whether a worker that arrived at `cut` may go on.
    pub(crate) fn is_released(&self, cut: EventTime) -> bool {
        // A last cut stays the next one for ever.
        self.lock().next != Some(cut)
    }

    /// Takes a last checkpoint as soon as can be, just after the floor. Returns its boundary; `None` if there is nothing to
    /// keep or no store to keep it in.
    pub(crate) fn close(&self, floor: impl FnOnce() -> EventTime) -> Option<EventTime> {
        let mut state = self.lock();
        self.interval?;
        // Read under the lock: no worker has been let go further than this.
        let floor = floor();
        // After the floor, where workers may have sent everything, and after the last cut, whose parts must not mix with these.
        let next = floor.max(state.last).plus(1);
        if state.ended || floor == EventTime::MIN || floor == EventTime::MAX || next >= floor.plus(self.slide)
        {
            return None;
        }
        state.closing = true;
        if state.arrived == 0 || state.next.is_none() {
            state.next = Some(next);
        }
        state.next
    }
}
