//! Moments: the episodes of anomalous windows, found in the collection of summaries.

use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::checkpoint::{CodecError, Migration};
use telemetra_core::engine::{CountLooks, EpisodesState, KeyEpisodes, Level, WindowChange};
use telemetra_core::{Data, EventTime, Key, Moment, MomentRule, Summary, WindowRules, key_hash};

use crate::checkpoint::definition::{OperatorDefinition, RuleDefinition};
use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
pub use crate::operators::found_moments::FoundMoments;
use crate::operators::found_moments::{Found, rule_number};
use crate::operators::keyed::{BATCH, Keyed};
use crate::operators::open_looks::OpenLooks;
use crate::operators::restored_rules::RestoredRules;
use crate::operators::spilled_keys::SpilledKeys;
use crate::operators::windows::Summaries;
use crate::support::failure::PipelineError;
use timely::dataflow::operators::vec::Map;

/// Extends [`Summaries`] by anomaly detection. A moment is a run of adjacent windows of one key that a rule's
/// detector judges anomalous. In a pipeline use [`rules`](crate::Pipeline::rules) instead.
///
/// # Contract
///
/// Of the caller:
///
/// * **The same windows.** `windows` are the rules of the summaries, of tumbling or sliding windows, with a
///   [horizon](telemetra_core::TimeConfig::least_horizon) long enough for the longest baseline.
/// * **Different types.** Each rule has a moment type of its own.
/// * **A stable name.** `name` is unique in the graph and the same from run to run, for checkpoints.
pub trait Moments<'scope, K: Key, S: Data>: Sized {
    /// Finds the moments of all keys under all rules and returns them as a collection. The state is part of
    /// the checkpoints of `context` under `name`.
    ///
    /// Each rule's detector judges every new window by its baseline: the key's earlier windows that do not
    /// overlap it or each other. When a window is revised, it and the windows that have it in their baseline
    /// are judged again, and moments are corrected. Adjacent anomalous windows form one moment, which is open
    /// until a window that is not anomalous follows. A moment is removed when its last window is as old as the
    /// horizon; that changes no judgement. For [`chance`](Moment::chance) use [`find_moments`](Self::find_moments).
    ///
    /// Work for each key, window and rule: one judgement, whatever the length of the baseline. A detector with
    /// [state](telemetra_core::Tracker) needs two, and after a revision one for each revisable window.
    ///
    /// ```
    /// use std::time::Duration;
    /// use differential_dataflow::input::Input;
    /// use std::sync::Arc;
    /// use telemetra_core::{EventTime, MomentRule, Summary, TimeConfig, WindowSpec, ZScore};
    /// use telemetra_ops::{CheckpointContext, Moments};
    /// use timely::dataflow::operators::{Capture, capture::Extract};
    ///
    /// let detector = ZScore::new(3.0)?.samples(3..=4)?;
    /// let rules = [MomentRule::count("spike", detector, |count: &u64| *count)];
    /// let time = TimeConfig { windows: WindowSpec::tumbling(Duration::from_millis(10))?, ..TimeConfig::default() };
    /// let windows = time.window_rules(4);
    /// let captured = timely::execute_directly(move |worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, summaries) = scope.new_collection::<(String, Summary<u64>), isize>();
    ///         let context = CheckpointContext::none(scope);
    ///         (input, summaries.moments(windows, rules.into(), "moments", &context).inner.capture())
    ///     });
    ///     for (n, count) in (1..).zip([9, 11, 10, 10, 90, 10]) {
    ///         let window = windows.windows.window_ending(EventTime(10 * n));
    ///         let summary = Summary { window, value: Arc::new(count) };
    ///         input.update_at(("a".to_owned(), summary), window.end.minus(1), 1);
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
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> VecCollection<'scope, EventTime, Moment<K>, isize>;

    /// Finds moments like [`moments`](Self::moments), and counts the judged windows, from which
    /// [`with_chance`](FoundMoments::with_chance) estimates how many moments are false alarms.
    fn find_moments(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> FoundMoments<'scope, K>;
}

impl<'scope, K: Key, S: Data> Moments<'scope, K, S> for Summaries<'scope, K, S> {
    fn moments(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> VecCollection<'scope, EventTime, Moment<K>, isize> {
        let tactic = MomentsTactic::<K, S>::new(windows, rules, None).with_spill(context.spill.clone());
        let found = self.inner.checkpointed(name, context, tactic);
        found.flat_map(Found::moment).as_collection()
    }

    fn find_moments(
        self,
        windows: WindowRules,
        rules: Arc<[MomentRule<S>]>,
        name: &str,
        context: &CheckpointContext<'scope>,
    ) -> FoundMoments<'scope, K> {
        let types = rules.iter().map(|rule| Arc::clone(&rule.moment_type)).collect();
        let tactic = MomentsTactic::<K, S>::new(windows, rules, Some(OpenLooks::default()));
        let tactic = tactic.with_spill(context.spill.clone());
        let found = self.inner.checkpointed(name, context, tactic);
        FoundMoments {
            moments: found.clone().flat_map(Found::moment).as_collection(),
            looks: found.flat_map(Found::looks),
            windows,
            types,
        }
    }
}

/// A change of the collection of summaries.
pub(super) type Arrival<K, S> = ((K, Summary<S>), isize);

/// The keys of one worker.
pub(super) struct MomentsTactic<K: Key, S> {
    pub(super) windows: WindowRules,
    pub(super) rules: Arc<[MomentRule<S>]>,
    pub(super) keys: Keyed<K, KeyEpisodes<K, S>>,
    inbox: Inbox<Arrival<K, S>>,
    /// The time at which each slot had arrivals last.
    pub(super) seen: Vec<EventTime>,
    /// The keys with a moment that closes at a time unless their next window is anomalous.
    pub(super) calendar: BTreeMap<EventTime, Vec<u32>>,
    /// Windows before this time were judged by an earlier run.
    pub(super) restored: EventTime,
    revived: Vec<u32>,
    /// The rules of the restored state; `None` if they are these.
    places: Option<RestoredRules>,
    /// `None` if looks are not counted.
    looks: Option<OpenLooks>,
    /// Changes of the windows of one key.
    changes: Vec<WindowChange<S>>,
    /// Changes of the moments of one key.
    changed: Vec<(Moment<K>, isize)>,
    /// The keys that are on disk; `None` if all are here.
    pub(super) spill: Option<Box<SpilledKeys<Arrival<K, S>>>>,
}

impl<K: Key, S: Data> MomentsTactic<K, S> {
    fn new(windows: WindowRules, rules: Arc<[MomentRule<S>]>, looks: Option<OpenLooks>) -> Self {
        Self {
            windows,
            rules,
            keys: Keyed::default(),
            inbox: Inbox::default(),
            seen: Vec::new(),
            calendar: BTreeMap::new(),
            restored: EventTime::MIN,
            revived: Vec::new(),
            places: None,
            looks,
            changes: Vec::new(),
            changed: Vec::new(),
            spill: None,
        }
    }

    /// Returns the slot of a key, which is created if there is none.
    pub(super) fn slot(&mut self, key: &K) -> u32 {
        let rules = self.rules.len();
        let slot = self.keys.slot_or_insert(key.as_ref(), || KeyEpisodes::new(rules));
        if let Some(spill) = &mut self.spill {
            spill.add(slot);
        }
        self.seen.resize(self.seen.len().max(slot as usize + 1), EventTime::MIN);
        slot
    }

    /// Advances the keys that are due at a time, and those with arrivals.
    fn advance_keys(
        &mut self,
        time: EventTime,
        (mut touched, arrivals): (Vec<u32>, &mut Vec<Arrival<K, S>>),
        emit: &mut dyn FnMut(Found<K>),
    ) {
        let boundary = time.plus(1);
        let arrived = self.by_slot(time, arrivals, &mut touched);
        let mut slots: Vec<u32> = arrived.iter().map(|(slot, ..)| *slot).collect();
        slots.dedup();
        touched.sort_unstable();
        touched.dedup();
        touched.retain(|slot| time < self.restored || self.seen[*slot as usize] != time);
        slots.append(&mut touched);
        let mut arrived = arrived.into_iter().peekable();
        for (number, &slot) in slots.iter().enumerate() {
            if number.is_multiple_of(BATCH) {
                let batch = &slots[number..slots.len().min(number + BATCH)];
                self.keys.fetch(batch, KeyEpisodes::peek);
                self.keys.fetch(batch, KeyEpisodes::peek_deeper);
            }
            while let Some((_, Summary { window, value }, diff)) = arrived.next_if(|(of, ..)| *of == slot) {
                // A window that is removed and added again at one time is one change.
                match self.changes.iter_mut().find(|change| change.end == window.end) {
                    Some(change) if diff > 0 => change.now = Some(value),
                    Some(_) => {}
                    None => {
                        self.changes.push(WindowChange { end: window.end, now: (diff > 0).then_some(value) });
                    }
                }
            }
            let Some((key, episodes)) = self.keys.get_mut(slot) else { continue };
            let changes = &mut self.changes;
            let (rules, windows, changed) = (&self.rules, &self.windows, &mut self.changed);
            let mut looks = self.looks.as_mut();
            let mut count =
                looks.as_mut().map(|looks| |pane, counted: &[(u16, Level, i64)]| looks.look(pane, counted));
            if time < self.restored
                && let Some(count) = &mut count
            {
                episodes.recall_looks(rules, windows, key, boundary, count);
            }
            let count = count.as_mut().map(|count| count as CountLooks<'_>);
            let emit_change = |moment, diff| changed.push((moment, diff));
            episodes.advance(rules, windows, key, boundary, changes, (count, emit_change));
            for (moment, diff) in changed.drain(..) {
                if let Some((looks, level)) = self.looks.as_mut().zip(moment.level())
                    && windows.settled_at(moment.last_at) > boundary
                {
                    let rule = rule_number(rules, &moment);
                    looks.panes.entry(moment.last_at).or_default().moment(rule, level, diff as i64);
                }
                emit(Found::Moment((moment, time, diff)));
            }
            if let Some(boundary) = episodes.wake(&self.rules, &self.windows) {
                // Always later than `time`, as a key is looked at once for each time.
                self.calendar.entry(boundary.minus(1).max(time.plus(1))).or_default().push(slot);
            } else if episodes.is_empty() {
                self.keys.remove(slot);
                self.spill.iter_mut().for_each(|spill| spill.remove(slot));
                continue;
            }
            if let Some(boundary) = episodes.releases(&self.windows) {
                self.calendar.entry(boundary.minus(1).max(time.plus(1))).or_default().push(slot);
            }
        }
    }
}

impl<K: Key, S: Data> Tactic for MomentsTactic<K, S> {
    type In = ((K, Summary<S>), EventTime, isize);
    type Out = Found<K>;
    type Snapshot = Vec<(K, EpisodesState)>;

    const BY_ROUTE: bool = true;

    fn version(&self) -> u32 {
        EpisodesState::VERSION
    }

    fn migrate(&self, version: u32) -> Option<Migration<Self::Snapshot>> {
        Some(EpisodesState::migration(version)?.after::<K>().of_list())
    }

    fn describe(&self) -> OperatorDefinition {
        OperatorDefinition { rules: RuleDefinition::all(&self.rules), ..OperatorDefinition::default() }
    }

    fn was(&mut self, found: &OperatorDefinition) {
        self.places = Some(RestoredRules::new(&found.rules, &RuleDefinition::all(&self.rules)));
    }

    fn route(((key, _), ..): &Self::In) -> u64 {
        key_hash(&key.as_ref())
    }

    fn time_of((_, time, _): &Self::In, _: EventTime) -> EventTime {
        *time
    }

    fn take_in(&mut self, time: EventTime, (data, _, diff): Self::In) {
        self.inbox.push(time, (data, diff));
    }

    fn next(&self, _: bool) -> Option<EventTime> {
        let open = self.looks.as_ref().and_then(|looks| looks.panes.keys().next());
        let settles = open.map(|pane| self.windows.settled_at(*pane).minus(1));
        let calendar = self.calendar.keys().next().copied();
        let spilled = self.spill.as_ref().and_then(|spill| spill.cold.next());
        self.inbox.next().into_iter().chain(calendar).chain(settles).chain(spilled).min()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let mut touched = self.calendar.remove(&time).unwrap_or_default();
        if time < self.restored {
            touched.append(&mut self.revived);
        }
        let mut list = self.inbox.take(time);
        let used = list.len();
        if self.spill.is_some() {
            self.put_off(time, &mut list);
        }
        self.advance_keys(time, (touched, &mut list), emit);
        self.inbox.recycle(list, used);
        while let Some((touched, mut arrivals)) = self.spilled(time) {
            self.advance_keys(time, (touched, &mut arrivals), emit);
        }
        let boundary = time.plus(1);
        if let Some(looks) = &mut self.looks {
            looks.flush();
        }
        while let Some(oldest) = self.looks.as_mut().and_then(|looks| looks.panes.first_entry())
            && self.windows.settled_at(*oldest.key()) <= boundary
        {
            let (pane, looks) = oldest.remove_entry();
            if !looks.is_empty() {
                emit(Found::Looks(pane, looks));
            }
        }
    }

    fn take_error(&mut self) -> Option<PipelineError> {
        self.spill.as_mut()?.cold.take_error()
    }

    fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> {
        let states = self.keys.iter_mut().map(|(_, key, episodes)| Ok((key.clone(), episodes.state()?)));
        let states = states.filter_map(|state| state.map(|(key, state)| Some((key, state?))).transpose());
        let mut states: Self::Snapshot = states.collect::<Result<_, CodecError>>()?;
        self.kept_on_disk(&mut states);
        Ok(states)
    }

    fn restore(
        &mut self,
        restored: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        self.restored = restored;
        for (key, state) in
            snapshots.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(&key.as_ref())))
        {
            let slot = self.slot(&key);
            if let Some((_, episodes)) = self.keys.get_mut(slot) {
                let state = match &self.places {
                    Some(places) => places.arrange(state),
                    None => state,
                };
                episodes.restore(&self.rules, &key, state)?;
            }
            self.revived.push(slot);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telemetra_core::{TimeConfig, ZScore};

    fn tactic() -> MomentsTactic<String, u64> {
        let detector = ZScore::new(3.0).and_then(|detector| detector.samples(3..=4)).expect("it can work");
        let rule = MomentRule::count("spike", detector, |count: &u64| *count);
        let windows = TimeConfig::default().window_rules(4);
        MomentsTactic::new(windows, [rule].into(), None)
    }

    /// A checkpoint of version 0, which knew no explanations, is restored with its moments.
    #[test]
    fn state_of_version_0_is_restored() {
        let mut before = tactic();
        let end = |n: usize| EventTime(60_000 * n as u64);
        for (n, count) in [9, 11, 10, 9, 90].into_iter().enumerate() {
            let window = before.windows.windows.window_ending(end(n + 1));
            let summary = Summary { window, value: Arc::new(count) };
            before.take_in(window.end.minus(1), (("a".to_owned(), summary), window.end.minus(1), 1));
            before.advance(window.end.minus(1), &mut |_| ());
        }
        let state = before.snapshot(end(5), true).expect("it can be encoded");
        let encoded = bincode::serialize(&state).expect("it can be encoded");
        // The last field is new, and of one key it is empty.
        let old = &encoded[..encoded.len() - 8];
        let mut after = tactic();
        assert_eq!((after.version(), after.migrate(1).is_none()), (1, true));
        let migrated = after.migrate(0).and_then(|migration| migration.decode(&mut &*old).ok());
        after.restore(end(5), vec![migrated.expect("it is of version 0")], &|_| true).expect("it fits");
        let mut moments = Vec::new();
        after.advance(end(5).minus(1), &mut |found| moments.extend(found.moment()));
        let [(moment, _, 1)] = &moments[..] else { panic!("{moments:?}") };
        assert_eq!((moment.peak_at, moment.open, moment.carried.len()), (end(5), true, 0));
    }
}
