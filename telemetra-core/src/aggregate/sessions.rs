//! Session windows of one key: runs of events that are separated by gaps.
//!
//! The partial of a pane is a list of [`Segments`]: runs of events with the times of the first and the last
//! event, split where a gap is as long as the session's. [`KeySessions`] merges them, so sessions are exact
//! although only partials are sent to other workers. This is the arithmetic of the *sessions* operator.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Accumulator;
use crate::aggregate::panes::{StateSize, Summary};
use crate::aggregate::two_stacks::TwoStacks;
use crate::aggregate::window_state::WindowState;
use crate::migration::Migration;
use crate::time::event_time::EventTime;
use crate::time::window::{Window, WindowSpec};

/// A run of events in which each gap is shorter than the session's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Segment<A: Accumulator> {
    /// The time of its first event.
    pub first: EventTime,
    /// The time of its last event.
    pub last: EventTime,
    /// The aggregate of its events.
    pub accumulator: A,
}

impl<A: Accumulator> Segment<A> {
    /// Returns whether this run and events from `first` to `last` belong to the same session.
    fn is_near(&self, first: EventTime, last: EventTime, gap: u64) -> bool {
        first < self.last.plus(gap) && self.first < last.plus(gap)
    }

    fn merge(&mut self, other: &Self) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.accumulator.merge(&other.accumulator);
    }
}

impl<A: Accumulator> Segment<A> {
    /// The migration of what an earlier version of the accumulator has left.
    #[must_use]
    pub fn migration(of: &Migration<A>) -> Migration<Self> {
        let of = of.clone().after::<(EventTime, EventTime)>();
        of.then(|((first, last), accumulator)| Self { first, last, accumulator })
    }
}

/// The runs of events of one key in one pane.
///
/// Merging two of them keeps the runs of both, since the gap is not known here. [`KeySessions`] joins the
/// runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Segments<A: Accumulator>(Vec<Segment<A>>);

impl<A: Accumulator> Default for Segments<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Accumulator> Segments<A> {
    /// The migration of what an earlier version of the accumulator has left.
    #[must_use]
    pub fn migration(of: &Migration<A>) -> Migration<Self> {
        Segment::migration(of).of_list().then(Self)
    }

    /// The accumulator to which an event with this time is added.
    pub fn accumulator(&mut self, time: EventTime, gap: u64) -> &mut A {
        let near = |segment: &Segment<A>| segment.is_near(time, time, gap);
        let index = match self.0.iter().rposition(near) {
            Some(index) => index,
            None => {
                self.0.push(Segment { first: time, last: time, accumulator: A::default() });
                self.0.len() - 1
            }
        };
        // The event may join two runs.
        let other = self.0[..index].iter().rposition(near);
        let index = match other {
            Some(other) => {
                let joined = self.0.remove(index);
                self.0[other].merge(&joined);
                other
            }
            None => index,
        };
        let segment = &mut self.0[index];
        segment.first = segment.first.min(time);
        segment.last = segment.last.max(time);
        &mut segment.accumulator
    }
}

impl<A: Accumulator> Accumulator for Segments<A> {
    /// The first time, the last time and the result of each run, sorted.
    type Output = Vec<(EventTime, EventTime, A::Output)>;
    type Sliding = TwoStacks<Self>;

    fn merge(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
    }

    fn finish(&self) -> Self::Output {
        let mut runs: Vec<_> =
            self.0.iter().map(|run| (run.first, run.last, run.accumulator.finish())).collect();
        runs.sort();
        runs
    }
}

/// The settings of sessions.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct SessionRules {
    /// The gap that ends a session, in milliseconds.
    pub gap: u64,
    /// The panes. A session is closed at the first pane boundary that is at least a gap after its last event.
    pub panes: WindowSpec,
    /// The time after its end during which a session stays in the collection, in milliseconds.
    pub horizon: u64,
}

impl SessionRules {
    /// The boundary at which a session with this last event is closed.
    #[must_use]
    pub fn closes(&self, last: EventTime) -> EventTime {
        EventTime(last.plus(self.gap).0.next_multiple_of(self.panes.slide()))
    }

    fn window(&self, first: EventTime, last: EventTime) -> Window {
        Window { start: first.into(), end: last.plus(self.gap) }
    }

    fn is_retired(&self, last: EventTime, boundary: EventTime) -> bool {
        last.plus(self.gap).plus(self.horizon) <= boundary
    }
}

/// The state of one key's sessions: the closed sessions within the horizon, and the open ones.
#[derive(Debug)]
pub struct KeySessions<A: Accumulator> {
    /// The sessions, oldest first.
    sessions: VecDeque<Session<A>>,
}

/// A session, open or closed.
#[derive(Debug)]
struct Session<A: Accumulator> {
    run: Segment<A>,
    /// The result, if the session is closed.
    published: Option<Arc<A::Output>>,
    /// The boundary of the last change, so that a checkpoint writes only what is new.
    changed: EventTime,
}

impl<A: Accumulator> Default for KeySessions<A> {
    fn default() -> Self {
        Self { sessions: VecDeque::new() }
    }
}

impl<A: Accumulator> KeySessions<A> {
    /// Adds a run, joined with all sessions to which it belongs. Their summaries are added to `withdrawn`.
    fn absorb(
        &mut self,
        rules: &SessionRules,
        boundary: EventTime,
        run: Segment<A>,
        withdrawn: &mut Vec<Summary<A::Output>>,
    ) {
        let begin = self.sessions.partition_point(|session| session.run.last.plus(rules.gap) <= run.first);
        let near = |session: &Session<A>| session.run.is_near(run.first, run.last, rules.gap);
        let count = self.sessions.iter().skip(begin).take_while(|session| near(session)).count();
        let mut joined = Session { run, published: None, changed: boundary };
        for session in self.sessions.drain(begin..begin + count) {
            if let Some(value) = session.published {
                withdrawn.push(Summary { window: rules.window(session.run.first, session.run.last), value });
            }
            joined.run.merge(&session.run);
        }
        self.sessions.insert(begin, joined);
    }
}

impl<A: Accumulator> WindowState for KeySessions<A> {
    type Rules = SessionRules;
    type Partial = Segments<A>;
    type Output = A::Output;
    type State = Vec<Segment<A>>;

    fn panes(rules: &SessionRules) -> WindowSpec {
        rules.panes
    }

    fn describe(rules: &SessionRules) -> (String, u64) {
        (format!("sessions with gaps of {} ms", rules.gap), rules.horizon)
    }

    fn advance(
        &mut self,
        rules: &SessionRules,
        boundary: EventTime,
        partials: &mut Vec<(EventTime, Segments<A>)>,
        mut emit: impl FnMut(Summary<A::Output>, isize),
    ) {
        let mut withdrawn = Vec::new();
        for run in partials.drain(..).flat_map(|(_, segments)| segments.0) {
            self.absorb(rules, boundary, run, &mut withdrawn);
        }
        for session in self.sessions.iter_mut().filter(|session| session.published.is_none()) {
            let Segment { first, last, accumulator } = &session.run;
            if rules.closes(*last) <= boundary {
                let value = Arc::new(accumulator.finish());
                session.published = Some(Arc::clone(&value));
                let summary = Summary { window: rules.window(*first, *last), value };
                match withdrawn.iter().position(|old| *old == summary) {
                    // The new run did not change the summary.
                    Some(same) => drop(withdrawn.swap_remove(same)),
                    None => emit(summary, 1),
                }
            }
        }
        withdrawn.into_iter().for_each(|summary| emit(summary, -1));
        while self.sessions.front().is_some_and(|session| rules.is_retired(session.run.last, boundary)) {
            if let Some(Session { run, published: Some(value), .. }) = self.sessions.pop_front() {
                emit(Summary { window: rules.window(run.first, run.last), value }, -1);
            }
        }
    }

    fn wake(&self, rules: &SessionRules, boundary: EventTime) -> Option<EventTime> {
        let open = self.sessions.iter().rev().take_while(|session| session.published.is_none());
        let closes = open.map(|session| rules.closes(session.run.last)).min();
        let retires = self.sessions.front().map(|session| {
            let end = session.run.last.plus(rules.gap + rules.horizon);
            EventTime(end.0.next_multiple_of(rules.panes.slide()))
        });
        let next = closes.into_iter().chain(retires).min()?;
        Some(next.max(rules.panes.pane_end(boundary)))
    }

    fn is_open(&self, _rules: &SessionRules, _boundary: EventTime) -> bool {
        self.sessions.back().is_some_and(|session| session.published.is_none())
    }

    fn open_windows(&self, rules: &SessionRules, _boundary: EventTime) -> Vec<Window> {
        let open = self.sessions.iter().filter(|session| session.published.is_none());
        open.map(|session| rules.window(session.run.first, session.run.last)).collect()
    }

    fn open_summary(&self, window: Window) -> Summary<A::Output> {
        let found = self.sessions.iter().find(|session| window.start == session.run.first);
        let value = found.map_or_else(|| A::default().finish(), |session| session.run.accumulator.finish());
        Summary { window, value: Arc::new(value) }
    }

    fn summaries(&self, rules: &SessionRules) -> impl Iterator<Item = Summary<A::Output>> + '_ {
        let rules = *rules;
        self.sessions.iter().filter_map(move |session| {
            let window = rules.window(session.run.first, session.run.last);
            session.published.clone().map(|value| Summary { window, value })
        })
    }

    fn state_since(&self, _: &SessionRules, since: EventTime) -> Option<Vec<Segment<A>>> {
        let changed = self.sessions.iter().filter(|session| session.changed > since);
        let state: Vec<_> = changed.map(|session| session.run.clone()).collect();
        (!state.is_empty()).then_some(state)
    }

    fn restore(&mut self, _: &SessionRules, state: Vec<Segment<A>>, boundary: EventTime) {
        for run in state {
            // Sessions only grow, so a session of a later part replaces all sessions within its bounds.
            self.sessions.retain(|old| old.run.last < run.first || run.last < old.run.first);
            let index = self.sessions.partition_point(|old| old.run.first < run.first);
            self.sessions.insert(index, Session { run, published: None, changed: boundary });
        }
    }

    fn trim(&mut self, rules: &SessionRules, boundary: EventTime) {
        self.sessions.retain(|session| !rules.is_retired(session.run.last, boundary));
        for session in &mut self.sessions {
            if rules.closes(session.run.last) <= boundary {
                session.published = Some(Arc::new(session.run.accumulator.finish()));
            }
        }
    }

    fn size(&self) -> StateSize {
        let summaries = self.sessions.iter().filter(|session| session.published.is_some()).count();
        StateSize { panes: self.sessions.len(), summaries }
    }

    fn newest_bytes(&self) -> (Option<u64>, Option<u64>) {
        let Some(newest) = self.sessions.back() else { return (None, None) };
        let summary = newest.published.as_ref();
        let summary = summary.and_then(|value| bincode::serialized_size(&**value).ok());
        (bincode::serialized_size(&newest.run).ok(), summary)
    }
}
