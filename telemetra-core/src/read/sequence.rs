//! The sequential part of reading a partition: the watermark, the floor, and the fate of each event.
//!
//! The fate of an event depends on the floor at the time of reading, and thus on all events before it in its
//! partition. So this part is done in the order of the partition. It costs a few nanoseconds per event.
//! Decoding comes before it and aggregation after it; any worker may do these at any time, so several workers
//! can share one partition and get the same results.

use std::collections::VecDeque;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::ident::mix;
use crate::read::event::EventId;
use crate::read::fate::{Fate, Fates};
use crate::time::config::TimeConfig;
use crate::time::event_time::EventTime;
use crate::time::millis;
use crate::time::watermark::WatermarkStrategy;
use crate::time::window::WindowSpec;

/// The result of placing an event: its fate, its pane, and when it takes effect.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The fate. The other fields have a meaning only if the event is counted.
    pub fate: Fate,
    /// The start of the event's pane.
    pub pane: EventTime,
    /// The pane boundary after the effective time: the end of the event's pane, or, if the event is late, of
    /// the pane that starts at the floor.
    pub effective_end: EventTime,
}

/// The state of one partition: its watermark, floor, fates, and the ids of recent events.
///
/// ```
/// use telemetra_core::engine::Sequencer;
/// use telemetra_core::{EventId, EventTime, Fate, TimeConfig};
/// let mut sequencer = Sequencer::new(&TimeConfig::default(), TimeConfig::default().strategy());
/// let now = EventTime::LATEST;
/// let first = sequencer.place(EventTime(1_000_000), || Some(EventId::of("a")), now);
/// assert_eq!((first.fate, first.effective_end), (Fate::OnTime, EventTime(1_010_000)));
/// assert_eq!(sequencer.floor(), EventTime(990_000));
/// let late = sequencer.place(EventTime(985_000), || Some(EventId::of("b")), now);
/// assert_eq!((late.fate, late.pane), (Fate::LateApplied, EventTime(980_000)));
/// assert_eq!(late.effective_end, EventTime(1_000_000), "it counts when the pane at the floor does");
/// assert_eq!(sequencer.place(EventTime(600_000), || None, now).fate, Fate::TooLate);
/// assert!(sequencer.fates().is_balanced());
/// ```
#[derive(Debug)]
pub struct Sequencer {
    windows: WindowSpec,
    allowed_lateness: u64,
    /// A pane that ended before this time cannot be revised, whatever the allowed lateness.
    revisable_from: EventTime,
    max_future_skew: u64,
    max_jump: u64,
    jump: Option<Jump>,
    strategy: Box<dyn WatermarkStrategy>,
    greatest: EventTime,
    floor: EventTime,
    /// The start and end of the last event's pane. The next event is mostly in the same pane, which saves a
    /// division.
    pane: (EventTime, EventTime),
    seen: Option<SeenIds>,
    fates: Fates,
}

/// A jump of event time that is not believed yet.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jump {
    /// The time of the event that jumped.
    to: EventTime,
    /// The number of events in a row that jumped.
    events: u32,
}

/// The number of events in a row, each this far ahead of all others, after which a jump is believed.
const BELIEVED: u32 = 3;

/// The state of a [`Sequencer`] in a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequencerState {
    /// The greatest event time seen.
    pub greatest: EventTime,
    /// The floor.
    pub floor: EventTime,
    /// The fates of the events so far.
    pub fates: Fates,
    /// The ids of recent events, by the end of their pane.
    pub seen: Vec<(EventTime, Vec<u128>)>,
    /// A jump that is not believed yet.
    pub jump: Option<Jump>,
}

impl Sequencer {
    /// The state of a partition before its first event.
    #[must_use]
    pub fn new(time: &TimeConfig, strategy: Box<dyn WatermarkStrategy>) -> Self {
        Self {
            windows: time.windows,
            allowed_lateness: millis::of(time.allowed_lateness),
            revisable_from: EventTime::MIN,
            max_future_skew: time.max_future_skew.map_or(u64::MAX, millis::of),
            max_jump: time.max_jump.map_or(u64::MAX, millis::of),
            jump: None,
            strategy,
            greatest: EventTime::MIN,
            floor: EventTime::MIN,
            pane: (EventTime::MIN, EventTime::MIN),
            seen: time.deduplicate.then(SeenIds::default),
            fates: Fates::default(),
        }
    }

    /// Makes every event too late whose pane ended before `from`, as the state for its revision is not kept.
    #[must_use]
    pub fn revisable_from(mut self, from: EventTime) -> Self {
        self.revisable_from = from;
        self
    }

    /// Continues from the state in a checkpoint.
    pub fn restore(&mut self, state: SequencerState) {
        self.greatest = state.greatest;
        self.floor = state.floor;
        self.fates = state.fates;
        self.jump = state.jump;
        if state.greatest > EventTime::MIN {
            self.strategy.observe(state.greatest);
        }
        if let Some(seen) = &mut self.seen {
            for (end, ids) in state.seen {
                for id in ids {
                    seen.insert(id, end);
                }
            }
        }
    }

    /// The state for a checkpoint.
    #[must_use]
    pub fn state(&self) -> SequencerState {
        SequencerState {
            greatest: self.greatest,
            floor: self.floor,
            fates: self.fates,
            seen: self.seen.as_ref().map_or_else(Vec::new, SeenIds::to_vec),
            jump: self.jump,
        }
    }

    /// Places the next event, and updates watermark and floor. `now` is processing time; `id` is called only
    /// if duplicates are dropped.
    ///
    /// The checks come in this order: from the future, by processing time and by the events before it; too late;
    /// duplicate; late.
    #[inline]
    pub fn place(
        &mut self,
        time: EventTime,
        id: impl FnOnce() -> Option<EventId>,
        now: EventTime,
    ) -> Placement {
        let (pane, end) = self.pane_of(time);
        let mut placement = Placement { fate: Fate::OnTime, pane, effective_end: end };
        placement.fate = self.fate_of(time, id, now, &mut placement.effective_end, end);
        self.fates.count(placement.fate);
        placement
    }

    #[inline]
    fn fate_of(
        &mut self,
        time: EventTime,
        id: impl FnOnce() -> Option<EventId>,
        now: EventTime,
        effective_end: &mut EventTime,
        end: EventTime,
    ) -> Fate {
        if time > now.plus(self.max_future_skew) {
            return Fate::FromFuture;
        }
        if time > self.greatest.plus(self.max_jump) {
            if self.greatest > EventTime::MIN && !self.believes(time) {
                return Fate::FromFuture;
            }
        } else if self.jump.is_some() {
            self.jump = None;
        }
        self.greatest = self.greatest.max(time);
        self.strategy.observe(time);
        if self.strategy.watermark() >= self.floor.plus(self.windows.slide()) {
            self.raise_floor(self.windows.pane_start(self.strategy.watermark()));
        }
        if end.plus(self.allowed_lateness) < self.floor || end < self.revisable_from {
            return Fate::TooLate;
        }
        if let Some(seen) = &mut self.seen
            && let Some(EventId(id)) = id()
            && !seen.insert(id, end)
        {
            return Fate::Duplicate;
        }
        if end > self.floor {
            Fate::OnTime
        } else {
            *effective_end = self.floor.plus(self.windows.slide());
            Fate::LateApplied
        }
    }

    /// Returns whether enough events in a row have jumped to about the same time for the jump to be believed.
    #[cold]
    fn believes(&mut self, time: EventTime) -> bool {
        let distance = |jump: &Jump| jump.to.max(time) - jump.to.min(time);
        let jump = match self.jump.filter(|jump| distance(jump) <= self.max_jump) {
            Some(Jump { to, events }) => Jump { to, events: events + 1 },
            None => Jump { to: time, events: 1 },
        };
        let believed = jump.events >= BELIEVED;
        self.jump = (!believed).then_some(jump);
        believed
    }

    #[inline]
    fn pane_of(&mut self, time: EventTime) -> (EventTime, EventTime) {
        if !(self.pane.0 <= time && time < self.pane.1) {
            self.pane = (self.windows.pane_start(time), self.windows.pane_end(time));
        }
        self.pane
    }

    /// Counts a record that could not be decoded. The watermark does not change.
    pub fn malformed(&mut self) {
        self.fates.count(Fate::Malformed);
    }

    /// Raises the floor to at least `floor`, which must be a pane boundary. Used for a partition that is
    /// idle.
    pub fn raise_floor(&mut self, floor: EventTime) {
        debug_assert_eq!(floor, self.windows.pane_start(floor));
        if floor > self.floor {
            self.floor = floor;
            if let Some(seen) = &mut self.seen {
                seen.forget_before(floor.minus(self.allowed_lateness));
            }
        }
    }

    /// The floor: the watermark rounded down to a pane boundary. It never moves back.
    #[must_use]
    pub fn floor(&self) -> EventTime {
        self.floor
    }

    /// The time without records after which the partition is idle.
    #[must_use]
    pub fn idle_after(&self) -> Option<std::time::Duration> {
        self.strategy.idle_after()
    }

    /// The watermark.
    #[must_use]
    pub fn watermark(&self) -> EventTime {
        self.strategy.watermark()
    }

    /// The greatest event time seen.
    #[must_use]
    pub fn greatest(&self) -> EventTime {
        self.greatest
    }

    /// The fates of the events so far.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.fates
    }
}

/// The ids of events whose pane may still be corrected.
#[derive(Debug, Default)]
struct SeenIds {
    ids: HashTable<u128>,
    /// The ids by the end of their pane, oldest first, so that old ones can be removed.
    by_end: VecDeque<(EventTime, Vec<u128>)>,
}

impl SeenIds {
    /// Adds an id. Returns whether it is new.
    fn insert(&mut self, id: u128, end: EventTime) -> bool {
        let entry = self.ids.entry(mix(id), |&known| known == id, |&known| mix(known));
        let hashbrown::hash_table::Entry::Vacant(vacant) = entry else { return false };
        vacant.insert(id);
        let index = self.by_end.partition_point(|(other, _)| *other < end);
        match self.by_end.get_mut(index) {
            Some((other, ids)) if *other == end => ids.push(id),
            _ => self.by_end.insert(index, (end, vec![id])),
        }
        true
    }

    /// Removes the ids of panes that ended before `bound`.
    fn forget_before(&mut self, bound: EventTime) {
        while self.by_end.front().is_some_and(|(end, _)| *end < bound) {
            for id in self.by_end.pop_front().into_iter().flat_map(|(_, ids)| ids) {
                if let Ok(entry) = self.ids.find_entry(mix(id), |&known| known == id) {
                    entry.remove();
                }
            }
        }
    }

    fn to_vec(&self) -> Vec<(EventTime, Vec<u128>)> {
        self.by_end.iter().cloned().collect()
    }
}
