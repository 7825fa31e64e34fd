//! The windows of one key: its panes, the sliding aggregate, and the summaries that may still change.
//!
//! Arithmetic only. The operator decides when a boundary has been reached and who gets the changes.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::{Accumulator, Sliding};
use crate::time::event_time::EventTime;
use crate::time::window::{Window, WindowRules, WindowSpec};

/// The finished aggregate of one key in one window.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Summary<S> {
    /// The window.
    pub window: Window,
    /// What the accumulator finished to. Shared by all who hold it: the state, the collection, the sinks.
    pub value: Arc<S>,
}

/// How much is kept of a key.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// Panes.
    pub panes: usize,
    /// Summaries.
    pub summaries: usize,
}

/// The windows of one key.
#[derive(Debug)]
pub struct KeyWindows<A: Accumulator> {
    /// By start, oldest first. The boundary is that of the last change, so that a checkpoint can write what is new.
    panes: VecDeque<Pane<A>>,
    /// By the window's end, oldest first.
    summaries: VecDeque<Kept<A::Output>>,
    /// The aggregate of the panes that start in `rolled`.
    rolling: A::Sliding,
    rolled: (EventTime, EventTime),
}

#[derive(Debug)]
struct Pane<A> {
    start: EventTime,
    partial: A,
    changed: EventTime,
}

#[derive(Debug)]
struct Kept<S> {
    end: EventTime,
    value: Arc<S>,
    changed: EventTime,
}

/// What a checkpoint keeps of one key: all of it, or what changed since the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct KeyState<A: Accumulator> {
    /// Start and partial of each pane.
    pub panes: Vec<(EventTime, A)>,
    /// End and value of each window's summary.
    pub summaries: Vec<(EventTime, Arc<A::Output>)>,
}

impl<A: Accumulator> Default for KeyWindows<A> {
    fn default() -> Self {
        Self {
            panes: VecDeque::new(),
            summaries: VecDeque::new(),
            rolling: A::Sliding::default(),
            rolled: (EventTime::MIN, EventTime::MIN),
        }
    }
}

impl<A: Accumulator> KeyWindows<A> {
    /// Takes the key to `boundary`: merges what took effect just before it, and revises the windows that this changed. If
    /// a window ends here, it is closed, and what is beyond the horizon is retired. A boundary lies between the ends of two
    /// windows where the panes of a pipeline's groupings are not of one length.
    ///
    /// `emit` gets each change of the collection. Costs a merge per partial, a push, a pop and a finish, and for each
    /// late pane as much for each of its windows.
    pub fn advance(
        &mut self,
        rules: &WindowRules,
        boundary: EventTime,
        partials: &mut Vec<(EventTime, A)>,
        mut emit: impl FnMut(Summary<A::Output>, isize),
    ) {
        let spec = rules.windows;
        // The end of the last window that is closed.
        let closed = spec.pane_start(boundary.minus(1));
        let mut late = Vec::new();
        for (start, partial) in partials.drain(..) {
            self.merge(start, partial, boundary);
            if start < closed {
                late.push(start);
            }
        }
        if !late.is_empty() {
            late.sort_unstable();
            late.dedup();
            self.revise(rules, boundary, closed, &late, &mut emit);
        }
        if spec.pane_start(boundary) != boundary {
            return;
        }
        while self.summaries.front().is_some_and(|kept| rules.is_retired(kept.end, boundary)) {
            if let Some(Kept { end, value, .. }) = self.summaries.pop_front() {
                emit(Summary { window: spec.window_ending(end), value }, -1);
            }
        }
        self.roll_to(&spec, boundary);
        let start = boundary.minus(spec.size());
        if self.panes.back().is_some_and(|pane| pane.start >= start) {
            let value = Arc::new(self.rolling.finish());
            let window = spec.window_ending(boundary);
            self.summaries.push_back(Kept { end: boundary, value: Arc::clone(&value), changed: boundary });
            emit(Summary { window, value }, 1);
        }
        let oldest = rules.oldest_pane(boundary);
        while self.panes.front().is_some_and(|pane| pane.start < oldest) {
            self.panes.pop_front();
        }
    }

    /// When this key must be looked at next if nothing arrives; `None` if nothing is left of it.
    #[must_use]
    pub fn wake(&self, rules: &WindowRules, boundary: EventTime) -> Option<EventTime> {
        let spec = rules.windows;
        let next = spec.pane_end(boundary);
        if self.is_open(rules, boundary) {
            return Some(next);
        }
        let pane_goes = self.panes.front().map(|pane| {
            pane.start.plus(spec.slide() + rules.allowed_lateness + spec.size()).plus(spec.slide())
        });
        let summary_goes = self.summaries.front().map(|kept| kept.end.plus(rules.horizon));
        let goes = match (pane_goes, summary_goes) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(EventTime(goes.0.next_multiple_of(spec.slide())).max(next))
    }

    /// Whether the window after the one that ended at `boundary` has something in it already.
    #[must_use]
    pub fn is_open(&self, rules: &WindowRules, boundary: EventTime) -> bool {
        let next = rules.windows.pane_end(boundary);
        self.panes.back().is_some_and(|pane| pane.start.plus(rules.windows.size()) >= next)
    }

    /// Whether nothing is left of this key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.panes.is_empty() && self.summaries.is_empty()
    }

    /// How much is kept of this key.
    #[must_use]
    pub fn size(&self) -> StateSize {
        StateSize { panes: self.panes.len(), summaries: self.summaries.len() }
    }

    /// What its newest pane and its newest summary take encoded, for estimates; `None` of what it has none of, or what cannot be
    /// encoded. Costs a walk through both.
    #[must_use]
    pub fn newest_bytes(&self) -> (Option<u64>, Option<u64>) {
        let pane = self.panes.back().and_then(|pane| bincode::serialized_size(&pane.partial).ok());
        (pane, self.summaries.back().and_then(|kept| bincode::serialized_size(&*kept.value).ok()))
    }

    /// The summaries that are live, oldest first.
    pub fn summaries(&self, spec: WindowSpec) -> impl Iterator<Item = Summary<A::Output>> + '_ {
        self.summaries
            .iter()
            .map(move |kept| Summary { window: spec.window_ending(kept.end), value: Arc::clone(&kept.value) })
    }

    /// What changed after `since` was reached; all of it from [`EventTime::MIN`]. `None` if nothing.
    #[must_use]
    pub fn state_since(&self, since: EventTime) -> Option<KeyState<A>> {
        let state = KeyState {
            panes: self
                .panes
                .iter()
                .filter(|pane| pane.changed > since)
                .map(|pane| (pane.start, pane.partial.clone()))
                .collect(),
            summaries: self
                .summaries
                .iter()
                .filter(|kept| kept.changed > since)
                .map(|kept| (kept.end, Arc::clone(&kept.value)))
                .collect(),
        };
        (!state.panes.is_empty() || !state.summaries.is_empty()).then_some(state)
    }

    /// Takes in a part of a checkpoint taken at `boundary`; parts come oldest first, and what is in a later one replaces.
    pub fn restore(&mut self, state: KeyState<A>, boundary: EventTime) {
        for (start, partial) in state.panes {
            let pane = Pane { start, partial, changed: boundary };
            match self.panes.binary_search_by_key(&start, |pane| pane.start) {
                Ok(index) => self.panes[index] = pane,
                Err(index) => self.panes.insert(index, pane),
            }
        }
        for (end, value) in state.summaries {
            self.keep(end, value, boundary);
        }
    }

    /// Drops what had gone by the time `boundary` was reached, which a checkpoint made of several parts still holds.
    pub fn trim(&mut self, rules: &WindowRules, boundary: EventTime) {
        let oldest = rules.oldest_pane(boundary);
        self.panes.retain(|pane| pane.start >= oldest);
        self.summaries.retain(|kept| !rules.is_retired(kept.end, boundary));
    }

    /// The index of the first pane that starts at or after `start`.
    fn first_from(&self, start: EventTime) -> usize {
        // Most often asked for the newest pane, or the one after it.
        let newer = self.panes.iter().rev().take(2).take_while(|pane| pane.start >= start).count();
        if newer < 2 {
            return self.panes.len() - newer;
        }
        self.panes.partition_point(|pane| pane.start < start)
    }

    fn merge(&mut self, start: EventTime, partial: A, boundary: EventTime) {
        let index = self.first_from(start);
        match self.panes.get_mut(index) {
            Some(pane) if pane.start == start => {
                pane.partial.merge(&partial);
                pane.changed = boundary;
            }
            _ => self.panes.insert(index, Pane { start, partial, changed: boundary }),
        }
    }

    /// Sets the summary of a window, and returns the one it had.
    fn keep(&mut self, end: EventTime, value: Arc<A::Output>, changed: EventTime) -> Option<Arc<A::Output>> {
        let kept = Kept { end, value, changed };
        match self.summaries.binary_search_by_key(&end, |kept| kept.end) {
            Ok(index) => Some(std::mem::replace(&mut self.summaries[index], kept).value),
            Err(index) => {
                self.summaries.insert(index, kept);
                None
            }
        }
    }

    /// Computes again the windows before `boundary` that hold one of the `late` panes.
    fn revise(
        &mut self,
        rules: &WindowRules,
        boundary: EventTime,
        closed: EventTime,
        late: &[EventTime],
        emit: &mut impl FnMut(Summary<A::Output>, isize),
    ) {
        let spec = rules.windows;
        // A sliding aggregate must let panes go as they were when they entered; so begin it anew.
        self.rolling = A::Sliding::default();
        self.rolled = (EventTime::MIN, EventTime::MIN);
        let mut next = EventTime::MIN;
        for &start in late {
            let last = start.plus(spec.size()).min(closed);
            let mut end = start.plus(spec.slide()).max(next);
            while end <= last {
                self.roll_to(&spec, end);
                let value = Arc::new(self.rolling.finish());
                let window = spec.window_ending(end);
                match self.keep(end, Arc::clone(&value), boundary) {
                    Some(old) if old == value => {}
                    old => {
                        if let Some(old) = old {
                            emit(Summary { window, value: old }, -1);
                        }
                        emit(Summary { window, value }, 1);
                    }
                }
                end = end.plus(spec.slide());
            }
            next = next.max(end);
        }
    }

    /// Slides the aggregate to the window that ends at `end`.
    fn roll_to(&mut self, spec: &WindowSpec, end: EventTime) {
        let start = end.minus(spec.size());
        let (rolled_start, rolled_end) = self.rolled;
        if rolled_end <= start && rolled_start < rolled_end {
            self.rolling = A::Sliding::default();
        } else {
            let mut index = self.first_from(rolled_start);
            while let Some(pane) = self.panes.get(index).filter(|p| p.start < start && p.start < rolled_end) {
                self.rolling.pop(&pane.partial);
                index += 1;
            }
        }
        let mut index = self.first_from(start.max(rolled_end));
        while let Some(pane) = self.panes.get(index).filter(|pane| pane.start < end) {
            self.rolling.push(&pane.partial);
            index += 1;
        }
        self.rolled = (start, end);
    }
}
