//! What becomes of each event of a partition, decided in the partition's order.
//!
//! The fate of an event depends on the floor when it is read, and so on every event before it in its partition. That
//! much has to be done in order. It costs a few nanoseconds an event; decoding before it and folding after it
//! may be done by anyone at any time. So all workers can share one partition and get the same answer.

use std::collections::VecDeque;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::ident::mix;
use crate::read::event::EventId;
use crate::read::fate::{Fate, Fates};
use crate::time::config::TimeConfig;
use crate::time::event_time::EventTime;
use crate::time::watermark::WatermarkStrategy;
use crate::time::window::WindowSpec;

/// Where an event counts.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What became of it. If it is not counted, the rest says nothing.
    pub fate: Fate,
    /// The start of its pane.
    pub pane: EventTime,
    /// The boundary after its effective time: the pane's end, or if late, the end of the pane that starts at the floor.
    pub effective_end: EventTime,
}

/// The watermark, floor, fates and remembered ids of one partition.
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
    max_future_skew: u64,
    strategy: Box<dyn WatermarkStrategy>,
    greatest: EventTime,
    floor: EventTime,
    /// The pane of the last event: the next is most often in it, and dividing is slow.
    pane: (EventTime, EventTime),
    seen: Option<SeenIds>,
    fates: Fates,
}

/// What a checkpoint keeps of a [`Sequencer`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequencerState {
    /// The greatest event time seen.
    pub greatest: EventTime,
    /// The floor.
    pub floor: EventTime,
    /// What became of the events so far.
    pub fates: Fates,
    /// The ids remembered, by the end of their pane.
    pub seen: Vec<(EventTime, Vec<u128>)>,
}

impl Sequencer {
    /// For a partition from its beginning.
    #[must_use]
    pub fn new(time: &TimeConfig, strategy: Box<dyn WatermarkStrategy>) -> Self {
        Self {
            windows: time.windows,
            allowed_lateness: time.allowed_lateness,
            max_future_skew: time.max_future_skew.unwrap_or(u64::MAX),
            strategy,
            greatest: EventTime::MIN,
            floor: EventTime::MIN,
            pane: (EventTime::MIN, EventTime::MIN),
            seen: time.deduplicate.then(SeenIds::default),
            fates: Fates::default(),
        }
    }

    /// Goes on where a checkpoint was taken.
    pub fn restore(&mut self, state: SequencerState) {
        self.greatest = state.greatest;
        self.floor = state.floor;
        self.fates = state.fates;
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

    /// What a checkpoint has to keep.
    #[must_use]
    pub fn state(&self) -> SequencerState {
        SequencerState {
            greatest: self.greatest,
            floor: self.floor,
            fates: self.fates,
            seen: self.seen.as_ref().map_or_else(Vec::new, SeenIds::to_vec),
        }
    }

    /// Decides what becomes of the next event, and moves watermark and floor. `now` is processing time; `id` is asked only where
    /// duplicates are looked for.
    ///
    /// The order of the questions: is it from the future; is it too late; is it a duplicate; is it late.
    #[inline]
    pub fn place(
        &mut self,
        time: EventTime,
        id: impl FnOnce() -> Option<EventId>,
        now: EventTime,
    ) -> Placement {
        let (pane, end) = self.pane_of(time);
        let mut placement = Placement { fate: Fate::OnTime, pane, effective_end: end };
        placement.fate = self.judge(time, id, now, &mut placement.effective_end, end);
        self.fates.count(placement.fate);
        placement
    }

    #[inline]
    fn judge(
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
        self.greatest = self.greatest.max(time);
        self.strategy.observe(time);
        if self.strategy.watermark() >= self.floor.plus(self.windows.slide()) {
            self.raise_floor(self.windows.pane_start(self.strategy.watermark()));
        }
        if end.plus(self.allowed_lateness) < self.floor {
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

    #[inline]
    fn pane_of(&mut self, time: EventTime) -> (EventTime, EventTime) {
        if !(self.pane.0 <= time && time < self.pane.1) {
            self.pane = (self.windows.pane_start(time), self.windows.pane_end(time));
        }
        self.pane
    }

    /// Counts a record that could not be decoded. It moves no watermark.
    pub fn malformed(&mut self) {
        self.fates.count(Fate::Malformed);
    }

    /// Raises the floor to at least `floor`, which must be a pane boundary: for a partition that is idle.
    pub fn raise_floor(&mut self, floor: EventTime) {
        debug_assert_eq!(floor, self.windows.pane_start(floor));
        if floor > self.floor {
            self.floor = floor;
            if let Some(seen) = &mut self.seen {
                seen.forget_before(floor.minus(self.allowed_lateness));
            }
        }
    }

    /// The watermark rounded down to a pane boundary. Never moves back.
    #[must_use]
    pub fn floor(&self) -> EventTime {
        self.floor
    }

    /// How long the partition may have nothing to read before it is idle.
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

    /// What became of the events so far.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.fates
    }
}

/// Ids of events whose pane may still be revised.
#[derive(Debug, Default)]
struct SeenIds {
    ids: HashTable<u128>,
    /// By the end of the pane, oldest first: what to forget when.
    by_end: VecDeque<(EventTime, Vec<u128>)>,
}

impl SeenIds {
    /// Remembers an id; false if it was known.
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

    /// Forgets the ids of panes that ended before `bound`.
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
