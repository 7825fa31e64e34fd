//! Windows: from partials by pane to the collection of summaries.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{
    Accumulator, EventTime, KeyState, KeyWindows, StateSize, StreamId, Summary, WindowRules, key_hash,
};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::census::Counting;
use crate::checkpoint::{CHAIN, Durability, Markers, Restored, is_mine, reached};
use crate::failure::Failure;
use crate::keyed::Keyed;
use crate::partial::Partial;

/// The live collection of summaries.
pub type Summaries<'scope, S> = VecCollection<'scope, EventTime, (StreamId, Summary<S>), isize>;

/// Slides windows over panes.
pub trait Windows<'scope, A: Accumulator>: Sized {
    /// The summaries of all windows, as a collection that is corrected when late partials arrive.
    ///
    /// A partial counts at the time of its message, its effective time, which must be the last instant of a pane. When
    /// the frontier passes it, the window that ends there is closed for each key that has anything in it, and each
    /// earlier window that a late partial changed is taken back, `-1`, and put anew, `+1`. Summaries whose window ended
    /// a horizon ago are taken back too: they are retired.
    ///
    /// State: per key the panes of `size + allowed lateness` and the summaries of the horizon. Work per key and window:
    /// one pane in, one out, one finish, whatever `size / slide`.
    ///
    /// ```
    /// use telemetra_core::{Accumulate, Count, EventTime, StreamId, WindowRules, WindowSpec};
    /// use telemetra_ops::{Partial, Windows};
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract};
    ///
    /// let rules = WindowRules {
    ///     windows: WindowSpec::sliding(20, 10)?,
    ///     allowed_lateness: 50,
    ///     horizon: 1_000,
    /// };
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, partials) = scope.new_input::<Vec<Partial<Count>>>();
    ///         (input, partials.windows(rules).inner.capture())
    ///     });
    ///     let mut accumulator = Count::default();
    ///     accumulator.add(&"an event");
    ///     input.advance_to(EventTime(9));
    ///     input.send(Partial { key: StreamId::new("a"), pane: EventTime(0), accumulator });
    ///     input.close();
    ///     while worker.step() {}
    ///     captured
    /// });
    /// let windows: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    /// assert_eq!(windows.len(), 2, "the pane is in the windows that end at 10 and at 20");
    /// assert_eq!(windows[0].1, EventTime(9));
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    fn windows(self, rules: WindowRules) -> Summaries<'scope, A::Output>;

    /// The same with state that is kept in checkpoints.
    fn windows_with(
        self,
        rules: WindowRules,
        durability: &Durability<'scope>,
    ) -> Summaries<'scope, A::Output>;
}

impl<'scope, A: Accumulator> Windows<'scope, A> for StreamVec<'scope, EventTime, Partial<A>> {
    fn windows(self, rules: WindowRules) -> Summaries<'scope, A::Output> {
        let durability = Durability::none(self.scope());
        self.windows_with(rules, &durability)
    }

    fn windows_with(
        self,
        rules: WindowRules,
        durability: &Durability<'scope>,
    ) -> Summaries<'scope, A::Output> {
        let scope = self.scope();
        let (worker, peers) = (scope.index(), scope.peers());
        let Durability { markers: marks, recorder, restored, failure, census } = durability.clone();
        let by_key = Exchange::new(|partial: &Partial<A>| key_hash(&partial.key));
        let updates = self.binary_frontier(marks, by_key, Pipeline, "Windows", move |capability, _info| {
            let mut state = State::<A>::new(rules);
            let mut held = None;
            let mut markers = Markers::default();
            // What was there before a restart comes out first, timed just before the boundary.
            let mut revived = None;
            if let Some(restored) = &restored {
                state.restore(restored, &failure, worker, peers);
                state.recorded = restored.boundary;
                revived = Some(capability.delayed(&restored.boundary.minus(1)));
            } else {
                drop(capability);
            }
            move |(partials, frontier), (marks, marks_frontier), output| {
                if let Some(cap) = revived.take() {
                    let time = *cap.time();
                    output.session(&cap).give_iterator(state.live(time));
                    held = Some(cap);
                }
                partials.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    let arrivals = messages.flat_map(|message| message.drain(..));
                    state.inbox.entry(cap.time().plus(1)).or_default().extend(arrivals);
                    if held.as_ref().is_none_or(|held: &Capability<_>| cap.time() < held.time()) {
                        held = Some(cap);
                    }
                });
                marks.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    messages.flat_map(|m| m.drain(..)).for_each(|boundary| markers.note(boundary, &cap));
                });
                let limit = reached(frontier).min(reached(marks_frontier));
                loop {
                    let next = state.next(limit == EventTime::MAX).filter(|boundary| *boundary <= limit);
                    // A part is kept when everything before its boundary has taken effect, and nothing after.
                    let until = next.map_or(limit, |boundary| boundary.minus(1));
                    while let Some((boundary, cap)) = markers.due(until) {
                        if let Some(recorder) = &recorder {
                            recorder.part(boundary, "windows", &state.part(boundary));
                        }
                        drop(cap);
                    }
                    let Some((boundary, cap)) = next.zip(held.as_mut()) else { break };
                    let time = boundary.minus(1).max(*cap.time());
                    cap.downgrade(&time);
                    let mut session = output.session(&*cap);
                    state.advance(boundary, |key, summary, diff| {
                        session.give(((key.clone(), summary), time, diff));
                    });
                }
                state.counting.tell(state.keys.len(), &census);
                match (state.next(limit == EventTime::MAX), &mut held) {
                    (Some(boundary), Some(cap)) => cap.downgrade(&boundary.minus(1).max(*cap.time())),
                    _ => held = None,
                }
            }
        });
        updates.as_collection()
    }
}

/// The keys of one worker.
struct State<A: Accumulator> {
    rules: WindowRules,
    keys: Keyed<Entry<A>>,
    /// What has arrived, by the boundary at which it counts.
    inbox: BTreeMap<EventTime, Vec<Partial<A>>>,
    /// Which keys to look at when: to close a window, to retire a summary, to let a pane go.
    calendar: BTreeMap<EventTime, Vec<u32>>,
    /// The last boundary at which some window is open whatever comes.
    last_close: EventTime,
    /// The boundary of the last checkpoint, and how many built on a whole one.
    recorded: EventTime,
    parts: usize,
    counting: Counting,
}

struct Entry<A: Accumulator> {
    windows: KeyWindows<A>,
    pending: Vec<(EventTime, A)>,
    wake: EventTime,
}

/// The wake of a key that is being looked at: the calendar may name it more than once.
const TOUCHED: EventTime = EventTime::MIN;

/// The part of a checkpoint: the keys that changed since the last one.
type Part<A> = Vec<(StreamId, KeyState<A>)>;

impl<A: Accumulator> State<A> {
    fn new(rules: WindowRules) -> Self {
        Self {
            rules,
            keys: Keyed::default(),
            inbox: BTreeMap::new(),
            calendar: BTreeMap::new(),
            last_close: EventTime::MIN,
            recorded: EventTime::MIN,
            parts: 0,
            counting: Counting::default(),
        }
    }

    /// The next boundary with something to do. Once the input has ended, nothing retires any more.
    fn next(&self, ended: bool) -> Option<EventTime> {
        let due = self.calendar.keys().next().copied().filter(|due| !ended || *due <= self.last_close);
        match (self.inbox.keys().next().copied(), due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn advance(&mut self, boundary: EventTime, mut emit: impl FnMut(&StreamId, Summary<A::Output>, isize)) {
        let mut touched = self.calendar.remove(&boundary).unwrap_or_default();
        touched.retain(|&slot| {
            let due = self.keys.get_mut(slot).filter(|(_, entry)| entry.wake == boundary);
            due.map(|(_, entry)| entry.wake = TOUCHED).is_some()
        });
        for partial in self.inbox.remove(&boundary).unwrap_or_default() {
            let slot = self.keys.slot_or_insert(&partial.key, || Entry {
                windows: KeyWindows::default(),
                pending: Vec::new(),
                wake: EventTime::MAX,
            });
            let Some((_, entry)) = self.keys.get_mut(slot) else { continue };
            if entry.wake != TOUCHED {
                entry.wake = TOUCHED;
                touched.push(slot);
            }
            entry.pending.push((partial.pane, partial.accumulator));
        }
        for slot in touched {
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            let Entry { windows, pending, wake } = entry;
            let before = windows.size();
            windows.advance(&self.rules, boundary, pending, |summary, diff| emit(key, summary, diff));
            self.counting.changed(before, windows);
            match windows.wake(&self.rules, boundary) {
                Some(next) => {
                    *wake = next;
                    if windows.is_open(&self.rules, boundary) {
                        self.last_close = self.last_close.max(next);
                    }
                    self.calendar.entry(next).or_default().push(slot);
                }
                None => self.keys.remove(slot),
            }
        }
    }

    /// What changed since the last part; now and then all of it.
    fn part(&mut self, boundary: EventTime) -> Part<A> {
        let since = if self.parts.is_multiple_of(CHAIN) { EventTime::MIN } else { self.recorded };
        self.parts += 1;
        self.recorded = boundary;
        let keys = self.keys.iter_mut();
        keys.filter_map(|(_, key, entry)| Some((key.clone(), entry.windows.state_since(since)?))).collect()
    }

    fn restore(&mut self, restored: &Restored, failure: &Failure, worker: usize, peers: usize) {
        // A last checkpoint may lie between two boundaries; all before it is as of the one before.
        let boundary = self.rules.windows.pane_start(restored.boundary);
        let parts: Vec<Part<A>> = restored.chained("windows", failure);
        for (key, part) in parts.into_iter().flatten().filter(|(key, _)| is_mine(key, worker, peers)) {
            let slot = self.keys.slot_or_insert(&key, || Entry {
                windows: KeyWindows::default(),
                pending: Vec::new(),
                wake: EventTime::MAX,
            });
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.windows.restore(part, boundary);
            }
        }
        let mut gone = Vec::new();
        for (slot, _, entry) in self.keys.iter_mut() {
            entry.windows.trim(&self.rules, boundary);
            self.counting.changed(StateSize::default(), &entry.windows);
            match entry.windows.wake(&self.rules, boundary) {
                Some(next) => {
                    entry.wake = next;
                    if entry.windows.is_open(&self.rules, boundary) {
                        self.last_close = self.last_close.max(next);
                    }
                    self.calendar.entry(next).or_default().push(slot);
                }
                None => gone.push(slot),
            }
        }
        gone.into_iter().for_each(|slot| self.keys.remove(slot));
    }

    /// All summaries, as the collection held them when the checkpoint was taken.
    fn live(
        &mut self,
        time: EventTime,
    ) -> impl Iterator<Item = ((StreamId, Summary<A::Output>), EventTime, isize)> + '_ {
        let spec = self.rules.windows;
        self.keys.iter_mut().flat_map(move |(_, key, entry)| {
            entry.windows.summaries(spec).map(move |summary| ((key.clone(), summary), time, 1))
        })
    }
}
