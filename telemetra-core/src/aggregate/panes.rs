//! The windows of one key: its panes, the sliding aggregate, and the summaries that may still change.
//!
//! This is the arithmetic of the *windows* operator, which calls it when a boundary has been reached, and
//! sends the changes on.

use std::collections::VecDeque;
use std::sync::Arc;

use bincode::Options;
use serde::{Deserialize, Serialize};

use crate::aggregate::kept::KeptSummaries;
use crate::aggregate::key_state::KeyState;
use crate::aggregate::window_state::WindowState;
use crate::aggregate::{Accumulator, Sliding};
use crate::codec::CodecError;
use crate::lazy::Lazy;
use crate::room::{grow, shrink};
use crate::time::event_time::EventTime;
use crate::time::window::{Window, WindowRules, WindowSpec};

/// The finished aggregate of one key in one window or session. A late event replaces it in its collection, and it
/// is removed when the window is older than the [horizon](crate::TimeConfig::horizon).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Summary<S> {
    /// The window.
    pub window: Window,
    /// The output of the accumulator. It is shared by the state, the collection and the sinks.
    pub value: Arc<S>,
}

/// The size of a key's state.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct StateSize {
    /// The number of panes.
    pub panes: usize,
    /// The number of summaries.
    pub summaries: usize,
}

/// The state of one key's windows.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct KeyWindows<A: Accumulator> {
    /// The panes by start, oldest first.
    panes: VecDeque<Pane<A>>,
    summaries: KeptSummaries<A::Output>,
    /// The sliding aggregate; `None` while windows have few panes.
    #[serde(skip)]
    rolling: Option<Box<Rolling<A>>>,
}

/// So many panes are merged anew for each window: that costs no more than sliding, and needs no memory between. In
/// a window of only so many, all of a busy key's panes would be merged each time, so that it is one less there.
const FEW: usize = 3;

/// The aggregate of the panes that start in an interval.
#[derive(Debug)]
struct Rolling<A: Accumulator> {
    sliding: A::Sliding,
    from: EventTime,
    to: EventTime,
}

impl<A: Accumulator> Default for Rolling<A> {
    fn default() -> Self {
        Self { sliding: A::Sliding::default(), from: EventTime::MIN, to: EventTime::MIN }
    }
}

/// A pane. `changed` is the boundary of the last change, so that a checkpoint writes only what is new.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "A: Accumulator")]
struct Pane<A> {
    start: EventTime,
    partial: Lazy<A>,
    changed: EventTime,
}

impl<A: Accumulator> Default for KeyWindows<A> {
    fn default() -> Self {
        Self { panes: VecDeque::new(), summaries: KeptSummaries::default(), rolling: None }
    }
}

impl<A: Accumulator> WindowState for KeyWindows<A> {
    type Rules = WindowRules;
    type Partial = A;
    type Output = A::Output;
    type State = KeyState<A>;

    const PACKS: bool = true;

    fn panes(rules: &WindowRules) -> WindowSpec {
        rules.windows
    }

    fn describe(rules: &WindowRules) -> (String, u64) {
        let (size, slide) = (rules.windows.size(), rules.windows.slide());
        (format!("windows of {size} ms every {slide} ms"), rules.horizon)
    }

    /// Advances the key to `boundary`: merges the partials that took effect just before it, and corrects the
    /// closed windows that they change. If a window ends at `boundary`, it is closed, and summaries beyond
    /// the horizon are retired. Not every boundary is the end of a window, if the groupings of a pipeline
    /// have panes of different lengths.
    ///
    /// `emit` is called with each change of the collection. Costs one merge per partial, one push, pop and
    /// finish, and the same again for each window that contains a late pane.
    fn advance(
        &mut self,
        rules: &WindowRules,
        boundary: EventTime,
        partials: &mut Vec<(EventTime, A)>,
        mut emit: impl FnMut(Summary<A::Output>, isize),
    ) {
        let spec = rules.windows;
        // The end of the last closed window.
        let closed = spec.pane_start(boundary.minus(1));
        let mut late = Vec::new();
        for (start, partial) in partials.drain(..) {
            self.merge(&spec, start, partial, boundary);
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
        let is_retired = |end| rules.is_retired(end, boundary);
        self.summaries.retire(spec, is_retired, |end, value| {
            emit(Summary { window: spec.window_ending(end), value }, -1);
        });
        let start = boundary.minus(spec.size());
        if self.panes.back().is_some_and(|pane| pane.start >= start) {
            // A quiet key mostly has the same panes in its next window: one value for both.
            let differs = self.differs(&spec, boundary);
            let same = if differs { None } else { self.summaries.repeat(spec, boundary) };
            let value = same.unwrap_or_else(|| {
                let value = Arc::new(self.finish(&spec, boundary));
                self.summaries.push(spec, boundary, &value);
                value
            });
            emit(Summary { window: spec.window_ending(boundary), value }, 1);
        }
        let oldest = rules.oldest_pane(boundary);
        if self.panes.front().is_some_and(|pane| pane.start < oldest) {
            let gone = self.panes.iter().take_while(|pane| pane.start < oldest).count();
            self.panes.drain(..gone);
            shrink(&mut self.panes);
            self.settle(rules, boundary);
        }
    }

    fn peek(&self) -> u64 {
        let newest = self.panes.iter().rev().take(2).fold(0, |all, pane| all ^ pane.start.0);
        newest ^ self.panes.front().map_or(0, |pane| pane.start.0) ^ self.summaries.peek()
    }

    fn peek_deeper(&self) -> u64 {
        self.summaries.peek_deeper()
    }

    /// The boundary at which the key must be advanced next if no partial arrives; `None` if it has no state.
    fn wake(&self, rules: &WindowRules, boundary: EventTime) -> Option<EventTime> {
        let spec = rules.windows;
        let next = spec.pane_end(boundary);
        if self.is_open(rules, boundary) {
            return Some(next);
        }
        let pane_goes = self.panes.front().map(|pane| {
            pane.start.plus(spec.slide() + rules.allowed_lateness + spec.size()).plus(spec.slide())
        });
        let summary_goes = self.summaries.oldest(spec).map(|end| end.plus(rules.horizon));
        let goes = match (pane_goes, summary_goes) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(EventTime(goes.0.next_multiple_of(spec.slide())).max(next))
    }

    /// Returns whether the first window that ends after `boundary` contains a pane already.
    fn is_open(&self, rules: &WindowRules, boundary: EventTime) -> bool {
        let next = rules.windows.pane_end(boundary);
        self.panes.back().is_some_and(|pane| pane.start.plus(rules.windows.size()) >= next)
    }

    fn open_windows(&self, rules: &WindowRules, boundary: EventTime) -> Vec<Window> {
        let spec = rules.windows;
        let Some(newest) = self.panes.back().map(|pane| pane.start) else { return Vec::new() };
        let ends = (0..spec.panes_per_window()).map(|n| spec.pane_end(boundary).plus(n * spec.slide()));
        // The newest pane is in a window or before it: nothing has taken effect that is not yet.
        let with_events = ends.take_while(|end| newest >= end.minus(spec.size()));
        with_events.map(|end| spec.window_ending(end)).collect()
    }

    fn open_summary(&self, window: Window) -> Summary<A::Output> {
        let mut aggregate = A::default();
        let panes = self.panes.iter().filter(|pane| window.contains(pane.start));
        panes.filter_map(|pane| pane.partial.get()).for_each(|partial| aggregate.merge(&partial));
        Summary { window, value: Arc::new(aggregate.finish()) }
    }

    /// The size of the key's state.
    fn size(&self) -> StateSize {
        StateSize { panes: self.panes.len(), summaries: self.summaries.len() }
    }

    /// The encoded sizes of the newest pane and the newest summary, for estimates; `None` if there is none,
    /// or it cannot be encoded. Costs as much as encoding both.
    fn newest_bytes(&self) -> (Option<u64>, Option<u64>) {
        let pane = self.panes.back().and_then(|pane| pane.partial.get());
        let pane = pane.and_then(|partial| bincode::serialized_size(&*partial).ok());
        (pane, self.summaries.newest().and_then(|value| bincode::serialized_size(&*value).ok()))
    }

    fn encode(&mut self) -> bool {
        self.summaries.encode() && self.panes.iter_mut().all(|pane| pane.partial.encode(|_, _| true))
    }

    fn pack(&self, into: &mut Vec<u8>) -> Result<(), CodecError> {
        Ok(bincode::DefaultOptions::new().serialize_into(into, self)?)
    }

    fn unpack(bytes: &[u8]) -> Result<Self, CodecError> {
        Ok(bincode::DefaultOptions::new().deserialize(bytes)?)
    }

    fn memory(&self) -> usize {
        self.panes.capacity() * size_of::<Pane<A>>() + self.summaries.memory()
    }

    /// The summaries in the collection, oldest first.
    fn summaries(&self, rules: &WindowRules) -> impl Iterator<Item = Summary<A::Output>> + '_ {
        let spec = rules.windows;
        let all = self.summaries.changed_after(spec, EventTime::MIN);
        all.map(move |(end, value)| Summary { window: spec.window_ending(end), value })
    }

    /// The part of the state that changed after `since`; all of it for [`EventTime::MIN`]. `None` if nothing
    /// changed.
    fn state_since(&self, rules: &WindowRules, since: EventTime) -> Option<KeyState<A>> {
        let state = KeyState {
            panes: self
                .panes
                .iter()
                .filter(|pane| pane.changed > since)
                .filter_map(|pane| Some((pane.start, pane.partial.get()?.into_owned())))
                .collect(),
            summaries: self.summaries.changed_after(rules.windows, since).collect(),
        };
        (!state.panes.is_empty() || !state.summaries.is_empty()).then_some(state)
    }

    /// Restores a part of a checkpoint that was taken at `boundary`. Parts are restored oldest first; a later
    /// part replaces.
    fn restore(&mut self, rules: &WindowRules, state: KeyState<A>, boundary: EventTime) {
        for (start, partial) in state.panes {
            let pane = Pane { start, partial: Lazy::Decoded(partial), changed: boundary };
            match self.panes.binary_search_by_key(&start, |pane| pane.start) {
                Ok(index) => self.panes[index] = pane,
                Err(index) => {
                    grow(&mut self.panes, 1);
                    self.panes.insert(index, pane);
                }
            }
        }
        self.summaries.make_room(state.summaries.len());
        for (end, value) in state.summaries {
            self.summaries.set(rules.windows, end, value, boundary);
        }
    }

    /// Removes the panes and summaries that were removed before `boundary`. A checkpoint of several parts
    /// still contains them.
    fn trim(&mut self, rules: &WindowRules, boundary: EventTime) {
        let oldest = rules.oldest_pane(boundary);
        self.panes.retain(|pane| pane.start >= oldest);
        let spec = rules.windows;
        self.summaries.retire(spec, |end| rules.is_retired(end, boundary), |_, _| ());
        self.summaries.share(spec);
        self.settle(rules, boundary);
    }
}

impl<A: Accumulator> KeyWindows<A> {
    /// Returns whether the key has no state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.panes.is_empty() && self.summaries.is_empty()
    }

    /// Settles the summaries of a quiet key, of windows that are not corrected any more. A key with events in
    /// most panes is one of few, and would have to encode each of its summaries.
    fn settle(&mut self, rules: &WindowRules, boundary: EventTime) {
        let oldest = rules.oldest_pane(boundary);
        if self.panes.len() as u64 <= (boundary - oldest) / rules.windows.slide() / 2 {
            self.summaries.settle(rules.windows, oldest.plus(rules.windows.size()));
        }
    }

    /// The index of the first pane that starts at or after `start`.
    fn first_from(&self, spec: &WindowSpec, start: EventTime) -> usize {
        // Mostly the result is the newest pane, or the place after it.
        let newer = self.panes.iter().rev().take(2).take_while(|pane| pane.start >= start).count();
        if newer < 2 {
            return self.panes.len() - newer;
        }
        // A busy key has a pane for each slide.
        let is_before = |index: usize| self.panes.get(index).is_some_and(|pane| pane.start < start);
        let ahead = self.panes.back().map_or(0, |newest| (newest.start - start) / spec.slide()) as usize;
        let dense = self.panes.len().checked_sub(1 + ahead);
        let is_first = |index: usize| !is_before(index) && index.checked_sub(1).is_none_or(is_before);
        if let Some(index) = dense.filter(|index| is_first(*index)) {
            return index;
        }
        self.panes.partition_point(|pane| pane.start < start)
    }

    fn merge(&mut self, spec: &WindowSpec, start: EventTime, partial: A, boundary: EventTime) {
        let index = self.first_from(spec, start);
        match self.panes.get_mut(index) {
            Some(pane) if pane.start == start => {
                match pane.partial.load() {
                    Some(known) => known.merge(&partial),
                    None => pane.partial = Lazy::Decoded(partial),
                }
                pane.changed = boundary;
            }
            _ => {
                grow(&mut self.panes, 1);
                let partial = Lazy::Decoded(partial);
                self.panes.insert(index, Pane { start, partial, changed: boundary });
            }
        }
    }

    /// Recomputes the closed windows that contain one of the `late` panes.
    fn revise(
        &mut self,
        rules: &WindowRules,
        boundary: EventTime,
        closed: EventTime,
        late: &[EventTime],
        emit: &mut impl FnMut(Summary<A::Output>, isize),
    ) {
        let spec = rules.windows;
        // A pane must be popped as it was when it was pushed, so the sliding aggregate starts anew.
        self.rolling = None;
        let mut next = EventTime::MIN;
        for &start in late {
            let last = start.plus(spec.size()).min(closed);
            let mut end = start.plus(spec.slide()).max(next);
            while end <= last {
                let value = Arc::new(self.finish(&spec, end));
                let window = spec.window_ending(end);
                match self.summaries.set(spec, end, Arc::clone(&value), boundary) {
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

    /// Returns whether other panes are in the newest window, which ends at `end`, than in the one before.
    fn differs(&self, spec: &WindowSpec, end: EventTime) -> bool {
        let (start, newest) = (end.minus(spec.size()), end.minus(spec.slide()));
        let left = || self.first_from(spec, start).checked_sub(1).and_then(|index| self.panes.get(index));
        self.panes.back().is_some_and(|pane| pane.start >= newest)
            || left().is_some_and(|pane| pane.start.plus(spec.slide()) >= start)
    }

    /// The aggregate of the window that ends at `end`.
    fn finish(&mut self, spec: &WindowSpec, end: EventTime) -> A::Output {
        let start = end.minus(spec.size());
        let first = self.first_from(spec, start);
        let panes = self.panes.range(first..).take_while(|pane| pane.start < end);
        let few = if spec.panes_per_window() > FEW as u64 { FEW } else { FEW - 1 };
        if panes.clone().nth(few).is_none() {
            self.rolling = None;
            let mut partials = panes.filter_map(|pane| pane.partial.get());
            let Some(oldest) = partials.next() else { return A::default().finish() };
            let Some(second) = partials.next() else { return oldest.finish() };
            let mut merged = oldest.into_owned();
            [second].into_iter().chain(partials).for_each(|partial| merged.merge(&partial));
            return merged.finish();
        }
        let mut rolling = self.rolling.take().unwrap_or_default();
        if rolling.to <= start {
            *rolling = Rolling::default();
        } else {
            let earlier = self.panes.range(..first).rev();
            let left = earlier.take_while(|pane| pane.start >= rolling.from).count();
            let left = self.panes.range(first - left..first).take_while(|pane| pane.start < rolling.to);
            left.filter_map(|pane| pane.partial.get()).for_each(|partial| rolling.sliding.pop(&partial));
        }
        let new = self.panes.range(self.first_from(spec, start.max(rolling.to))..);
        let new = new.take_while(|pane| pane.start < end).filter_map(|pane| pane.partial.get());
        new.for_each(|partial| rolling.sliding.push(&partial));
        (rolling.from, rolling.to) = (start, end);
        self.rolling.insert(rolling).sliding.finish()
    }
}
