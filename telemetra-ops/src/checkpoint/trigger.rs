//! The trigger of checkpoints: the boundaries at which they are taken, agreed among the workers of a process.

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
    pub(crate) pause: Duration,
    workers: usize,
    /// The length of a pane: between two boundaries nothing takes effect.
    slide: u64,
    /// True if a checkpoint is taken at the end of input, as far as floors have come. In a cluster processes
    /// come to their ends at different floors.
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
    /// The greatest limit that a worker was given: it may have sent everything before.
    given: EventTime,
    /// A boundary was passed within the pause. Input may fall silent before the next one, so its checkpoint is taken late.
    is_overdue: bool,
    /// The last cut: nobody goes on after it. A cut at which workers wait already comes before it.
    closing: Option<EventTime>,
    /// The next cut is the one at the end of input.
    ending: bool,
    /// A worker has gone on to the end of input, so no worker cuts any more.
    ended: bool,
}

/// The next step of a worker that has sent everything before the boundary.
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
            given: EventTime::MIN,
            is_overdue: false,
            closing: None,
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

    /// The time up to which workers may send, given the floor; and the cut that stops them, if one does. `greatest_floor` is the greatest floor that any
    /// partition has had before its end.
    pub(crate) fn limit(
        &self,
        floor: EventTime,
        greatest_floor: EventTime,
    ) -> (EventTime, Option<EventTime>) {
        let mut state = self.lock();
        let (limit, cut) = self.decide(&mut state, floor, greatest_floor);
        state.given = state.given.max(limit);
        (limit, cut)
    }

    fn decide(
        &self,
        state: &mut TriggerState,
        floor: EventTime,
        greatest_floor: EventTime,
    ) -> (EventTime, Option<EventTime>) {
        if state.ended {
            return (floor, None);
        }
        if state.next.is_none()
            && let Some(interval) = self.interval
            && floor > EventTime::MIN
            && floor < EventTime::MAX
        {
            // A partition that had ended before a restart begins behind the others.
            let passed = EventTime(floor.max(state.last).0 / interval * interval);
            // Nothing has been sent, so the boundary that was just passed will do: input that was read at once may fall silent.
            state.next = Some(if passed > state.last { passed } else { passed.plus(interval) });
        }
        if floor == EventTime::MAX && self.defects.trigger_passes_over && state.closing.is_none() {
            return (floor, None);
        }
        if floor == EventTime::MAX {
            // Just after the floor, where workers may have sent everything. What lies beyond is not final, as a later run may have more input.
            let end = greatest_floor.plus(1);
            if self.cuts_at_the_end && state.arrived == 0 && state.closing.is_none() && end > state.last {
                (state.next, state.ending) = (Some(end), true);
            }
            // Where a worker waits, the others join it.
            let is_cut = |next| next <= end || state.arrived > 0 || state.closing.is_some();
            let cut = state.next.filter(|next| is_cut(*next));
            if cut.is_none() {
                // This worker does not come back: nobody may wait for it from now on.
                (state.ended, state.next) = (true, None);
            }
            return (cut.unwrap_or(floor), cut);
        }
        let is_free = state.arrived == 0 && state.closing.is_none();
        if state.is_overdue && is_free && state.given <= floor && !self.is_soon(state) {
            // Where workers may have sent everything, as at the last cut.
            (state.next, state.is_overdue) = (Some(floor.plus(1)), false);
        }
        match state.next {
            // Floors and boundaries are between panes; a cut just after a floor is within the pane that follows.
            Some(next) if next < floor.plus(self.slide) => (next, Some(next)),
            _ => (floor, None),
        }
    }

    /// A worker has sent everything before `cut`, which [`limit`](Self::limit) gave it, and keeps the rest.
    pub(crate) fn arrive(&self, cut: EventTime, floor: EventTime) -> Arrival {
        let mut state = self.lock();
        if state.next != Some(cut) {
            return Arrival::Skip;
        }
        if state.arrived == 0 && self.is_soon(&state) && state.closing.is_none() && !state.ending {
            self.go_on(&mut state, cut, floor);
            state.is_overdue = true;
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
        match state.closing {
            // A last cut stays the next one for ever.
            Some(last) => state.next = Some(last),
            None => self.go_on(&mut state, cut, floor),
        }
    }

    /// Returns whether the last checkpoint was taken less than the pause ago.
    fn is_soon(&self, state: &TriggerState) -> bool {
        state.taken_at.is_some_and(|at| at.elapsed() < self.pause)
    }

    fn go_on(&self, state: &mut TriggerState, cut: EventTime, floor: EventTime) {
        state.is_overdue = false;
        let interval = self.interval.unwrap_or(u64::MAX);
        // A late cut lies between boundaries.
        let next = EventTime(cut.0 / interval * interval).plus(interval);
        // After a gap in the data, do not take one for each boundary in it.
        let gap = if floor < EventTime::MAX { EventTime(floor.0 / interval * interval) } else { next };
        state.next = Some(next.max(gap));
    }

    /// Returns whether a worker that arrived at `cut` may go on.
    pub(crate) fn is_released(&self, cut: EventTime) -> bool {
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
        let under_way = state.next.filter(|_| state.arrived > 0);
        let last = floor.max(under_way.unwrap_or(state.last)).plus(1);
        if state.ended || floor == EventTime::MIN || floor == EventTime::MAX || last >= floor.plus(self.slide)
        {
            return None;
        }
        state.closing = Some(last);
        // Workers that wait at a cut go on to the last one when all have arrived there.
        state.next = under_way.or(Some(last));
        state.closing
    }
}
