//! Moments: from the collection of summaries to the collection of episodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::checkpoint::CodecError;
use telemetra_core::{
    Data, EpisodesState, EventTime, KeyEpisodes, Moment, MomentRule, StreamId, Summary, WindowChange,
    WindowRules, key_hash,
};
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::operator::Operator;

use crate::checkpoint::{Durability, Markers, Restored, is_mine, manifest_name, reached};
use crate::failure::{Failure, PipelineError, RestoreError};
use crate::keyed::Keyed;
use crate::windows::Summaries;

/// Finds episodes in summaries.
pub trait Moments<'scope, S: Data>: Sized {
    /// The moments of all keys under all rules, as a collection: corrected when summaries are, and retired when the
    /// last of their windows is.
    ///
    /// Every window that appears is judged by each rule's detector against the disjoint windows before it. A window that
    /// is revised is judged again, and so are those that it is a sample of. A window that is taken back beyond the
    /// horizon is only forgotten. Adjacent anomalous windows are one moment, open until the next window has
    /// come without being anomalous.
    ///
    /// Work per key and window: one judgement per rule, whatever the length of the baseline. A rule whose judge
    /// [remembers](telemetra_core::Tracker) takes two, and after a revision one for each window that may still be revised.
    ///
    /// ```
    /// use differential_dataflow::input::Input;
    /// use std::sync::Arc;
    /// use telemetra_core::{EventTime, MomentRule, StreamId, Summary, TimeConfig, WindowSpec, ZScore};
    /// use telemetra_ops::Moments;
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let detector = ZScore::new(3.0)?.samples(3..=4)?;
    /// let rules = [MomentRule::count("spike", detector, |count: &u64| *count)];
    /// let time = TimeConfig { windows: WindowSpec::tumbling(10)?, ..TimeConfig::default() };
    /// let windows = time.window_rules(4);
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, summaries) = scope.new_collection::<(StreamId, Summary<u64>), isize>();
    ///         (input, summaries.moments(windows, rules.into()).inner.capture())
    ///     });
    ///     for (n, count) in (1..).zip([9, 11, 10, 10, 90, 10]) {
    ///         let window = windows.windows.window_ending(EventTime(10 * n));
    ///         let summary = Summary { window, value: Arc::new(count) };
    ///         input.update_at((StreamId::new("a"), summary), window.end.minus(1), 1);
    ///     }
    ///     captured
    /// });
    /// let updates = captured.extract().into_iter().flat_map(|(_, updates)| updates);
    /// let spike: Vec<_> = updates.map(|(moment, at, diff)| (at.0, moment.peak_at.0, moment.open, diff)).collect();
    /// // Open when it is found, then replaced by one that the next window closed.
    /// assert_eq!(spike, [(49, 50, true, 1), (59, 50, false, 1), (59, 50, true, -1)]);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    fn moments(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
    ) -> VecCollection<'scope, EventTime, Moment, isize>;

    /// The same with state that is kept in checkpoints.
    fn moments_with(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
        durability: &Durability<'scope>,
    ) -> VecCollection<'scope, EventTime, Moment, isize>;
}

impl<'scope, S: Data> Moments<'scope, S> for Summaries<'scope, S> {
    fn moments(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
    ) -> VecCollection<'scope, EventTime, Moment, isize> {
        let durability = Durability::none(self.inner.scope());
        self.moments_with(windows, rules, &durability)
    }

    fn moments_with(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
        durability: &Durability<'scope>,
    ) -> VecCollection<'scope, EventTime, Moment, isize> {
        let scope = self.inner.scope();
        let (worker, peers) = (scope.index(), scope.peers());
        let Durability { markers: marks, recorder, restored, failure, .. } = durability.clone();
        let by_key = Exchange::new(|update: &Update<S>| key_hash(&update.0.0));
        let updates = self.inner.binary_frontier(marks, by_key, Pipeline, "Moments", move |capability, _| {
            drop(capability);
            let mut state = State::new(windows, rules);
            if let Some(restored) = &restored {
                state.restore(restored, &failure, worker, peers);
            }
            let mut held: Option<Capability<EventTime>> = None;
            let mut markers = Markers::default();
            move |(summaries, frontier), (marks, marks_frontier), output| {
                summaries.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    for (data, time, diff) in messages.flat_map(|message| message.drain(..)) {
                        state.inbox.entry(time).or_default().push((data, diff));
                    }
                    if held.as_ref().is_none_or(|held| cap.time() < held.time()) {
                        held = Some(cap);
                    }
                });
                marks.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(output.output_index()) else { return };
                    messages.flat_map(|m| m.drain(..)).for_each(|boundary| markers.note(boundary, &cap));
                });
                let limit = reached(frontier).min(reached(marks_frontier));
                loop {
                    let next = state.next().filter(|time| *time < limit);
                    let until = next.unwrap_or(limit);
                    while let Some((boundary, cap)) = markers.due(until) {
                        if let Some(recorder) = &recorder {
                            match state.part() {
                                Ok(part) => recorder.part(boundary, "moments", &part),
                                Err(source) => {
                                    failure.set(PipelineError::Encode { operator: "moments", source });
                                }
                            }
                        }
                        drop(cap);
                    }
                    let Some((time, cap)) = next.zip(held.as_mut()) else { break };
                    cap.downgrade(&time);
                    let mut session = output.session(&*cap);
                    state.advance(time, |moment, diff| session.give((moment, time, diff)));
                }
                match (state.next(), &mut held) {
                    (Some(time), Some(cap)) => cap.downgrade(&time.max(*cap.time())),
                    _ => held = None,
                }
            }
        });
        updates.as_collection()
    }
}

type Update<S> = ((StreamId, Summary<S>), EventTime, isize);

/// The keys of one worker.
struct State<S> {
    windows: WindowRules,
    rules: Arc<[MomentRule<S>]>,
    keys: Keyed<Entry<S>>,
    inbox: BTreeMap<EventTime, Vec<((StreamId, Summary<S>), isize)>>,
    /// Which keys have a moment that closes at a time unless its next window is anomalous.
    calendar: BTreeMap<EventTime, Vec<u32>>,
    /// Before this time windows were judged before a restart.
    restored: EventTime,
    revived: Vec<u32>,
}

struct Entry<S> {
    episodes: KeyEpisodes,
    changes: Vec<WindowChange<S>>,
    touched: bool,
}

impl<S: Data> State<S> {
    fn new(windows: WindowRules, rules: Arc<[MomentRule<S>]>) -> Self {
        Self {
            windows,
            rules,
            keys: Keyed::default(),
            inbox: BTreeMap::new(),
            calendar: BTreeMap::new(),
            restored: EventTime::MIN,
            revived: Vec::new(),
        }
    }

    /// The next time with something to do.
    fn next(&self) -> Option<EventTime> {
        match (self.inbox.keys().next().copied(), self.calendar.keys().next().copied()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    fn slot(&mut self, key: &str) -> u32 {
        let rules = self.rules.len();
        self.keys.slot_or_insert(key, || Entry {
            episodes: KeyEpisodes::new(rules),
            changes: Vec::new(),
            touched: false,
        })
    }

    fn advance(&mut self, time: EventTime, mut emit: impl FnMut(Moment, isize)) {
        let boundary = time.plus(1);
        let mut touched = self.calendar.remove(&time).unwrap_or_default();
        if time < self.restored {
            touched.append(&mut self.revived);
        }
        touched.retain(|&slot| {
            let fresh = self.keys.get_mut(slot).filter(|(_, entry)| !entry.touched);
            fresh.map(|(_, entry)| entry.touched = true).is_some()
        });
        for ((key, summary), diff) in self.inbox.remove(&time).unwrap_or_default() {
            let slot = self.slot(&key);
            let recalled = time < self.restored;
            let Some((_, entry)) = self.keys.get_mut(slot) else { continue };
            let end = summary.window.end;
            if recalled {
                entry.episodes.recall(&self.rules, &self.windows, end, &*summary.value);
            } else {
                // What is taken back and put anew at one time is one change.
                match entry.changes.iter_mut().find(|change| change.end == end) {
                    Some(change) if diff > 0 => change.now = Some(summary.value),
                    Some(_) => {}
                    None => {
                        entry.changes.push(WindowChange { end, now: (diff > 0).then_some(summary.value) })
                    }
                }
            }
            if !entry.touched {
                entry.touched = true;
                touched.push(slot);
            }
        }
        for slot in touched {
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            entry.touched = false;
            let Entry { episodes, changes, .. } = entry;
            episodes.advance(&self.rules, &self.windows, key, boundary, changes, &mut emit);
            if let Some(boundary) = episodes.wake(&self.rules, &self.windows) {
                // Always later than now: a key is looked at once at a time.
                self.calendar.entry(boundary.minus(1).max(time.plus(1))).or_default().push(slot);
            } else if episodes.is_empty() {
                self.keys.remove(slot);
            }
        }
    }

    fn part(&mut self) -> Result<Vec<(StreamId, EpisodesState)>, CodecError> {
        let states = self.keys.iter_mut().map(|(_, key, entry)| Ok((key.clone(), entry.episodes.state()?)));
        states.filter_map(|state| state.map(|(key, state)| Some((key, state?))).transpose()).collect()
    }

    fn restore(&mut self, restored: &Restored, failure: &Failure, worker: usize, peers: usize) {
        self.restored = restored.boundary;
        let parts: Vec<Vec<(StreamId, EpisodesState)>> = restored.parts("moments", failure);
        for (key, state) in parts.into_iter().flatten().filter(|(key, _)| is_mine(key, worker, peers)) {
            let slot = self.slot(&key);
            if let Some((_, entry)) = self.keys.get_mut(slot)
                && let Err(source) = entry.episodes.restore(&self.rules, &key, state)
            {
                let name = manifest_name(restored.boundary);
                failure.set(RestoreError::Damaged { name, source }.into());
            }
            self.revived.push(slot);
        }
    }
}
