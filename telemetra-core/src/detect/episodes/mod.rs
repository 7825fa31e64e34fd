//! The moments of one key: the anomalous windows, and the episodes that they form.
//!
//! This is the arithmetic of the *moments* operator. The baseline of a window consists of the windows one,
//! two, … whole sizes before it. So the windows of a key form `size / slide` interleaved series of disjoint
//! windows. Each series of a busy key keeps running sums: evaluating a new window adds one value and removes
//! one, whatever the length of the baseline.
//!
//! The windows of a rule's moments are left out of its baselines. Whether a window is left out follows from the
//! evaluation of that window, so each series is a fold: after a correction, its windows are evaluated again in
//! their order.
//!
//! A pure detector evaluates again the windows whose baselines changed. A detector with state evaluates the
//! windows in their order. It keeps two states: one after all windows, and one after the windows that cannot
//! change any more, from which it starts again after a correction.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::CodecError;
use crate::data::Data;
use crate::detect::moment::{Moment, MomentRule};
use crate::detect::observed::Finding;
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

mod affected;
mod baseline;
mod contents;
mod emit;
mod evaluate;
mod exclude;
mod explain;
mod follow;
mod history;
mod look;
mod pack;
mod starts;
mod state;
mod sums;
mod values;

use affected::Affected;
use contents::Contents;
use exclude::Levels;
use explain::Explanations;
use follow::Following;
use history::History;
pub use look::CountLooks;
use starts::Starts;
pub use state::EpisodesState;

/// The value of a metric in a window that has no value.
const NONE: i64 = i64::MIN;

/// An anomalous window: the part of its finding that moments consist of.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalousWindow {
    value: Micro,
    score: Micro,
    mean: Micro,
    stddev: Micro,
    samples: u32,
    /// True if it is in a moment. Otherwise it departs on a side that is not reported, and is only left out
    /// of baselines.
    reported: bool,
}

/// The anomalous windows of a key under one rule, by the end of the window.
type Hits = BTreeMap<EventTime, AnomalousWindow>;

/// The anomalous windows of a key, by rule and by the end of the window.
pub type AnomalousWindows = Vec<Hits>;

/// The episodes of one key under a list of rules.
#[derive(Debug)]
pub struct KeyEpisodes<K: Key, S> {
    /// The windows.
    history: History,
    /// The findings by rule; empty while there are none, as for most keys.
    found: Vec<Found<K>>,
    rules: u32,
    /// The changes of level, which baselines begin after.
    levels: Levels,
    /// The first windows after silences.
    starts: Starts,
    /// The end of the newest window so far.
    last: EventTime,
    /// The states of detectors that are not pure; `None` before the first window.
    following: Option<Box<Following>>,
    /// The summaries that explanations need; `None` if there are none.
    contents: Option<Box<Contents<S>>>,
    /// The explanations of the moments.
    explained: Explanations,
}

/// The findings of one rule.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
struct Found<K: Key> {
    /// The anomalous windows.
    hits: Hits,
    /// The moments in the collection.
    emitted: Vec<Moment<K>>,
    /// True if the anomalous windows changed since the moments were emitted.
    changed: bool,
}

/// The anomalous windows of one rule.
fn hits_of<K: Key>(found: &[Found<K>], rule: usize) -> &Hits {
    static NONE: Hits = BTreeMap::new();
    found.get(rule).map_or(&NONE, |found| &found.hits)
}

/// A change of one window.
#[derive(Clone, Debug)]
pub struct WindowChange<S> {
    /// The window's end.
    pub end: EventTime,
    /// The summary after the change; `None` if it was withdrawn or retired.
    pub now: Option<Arc<S>>,
}

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// The state of a key before its first window, for this number of rules.
    #[must_use]
    pub fn new(rules: usize) -> Self {
        Self {
            history: History::default(),
            found: Vec::new(),
            rules: u32::try_from(rules).unwrap_or(u32::MAX),
            levels: Levels::default(),
            starts: Starts::default(),
            last: EventTime::MIN,
            following: None,
            contents: None,
            explained: Explanations::new(),
        }
    }

    /// Restores the state from a checkpoint.
    ///
    /// # Errors
    ///
    /// If the states of detectors in it are not those of the detectors of these rules.
    pub fn restore(
        &mut self,
        rules: &[MomentRule<S>],
        key: &K,
        state: EpisodesState,
    ) -> Result<(), CodecError> {
        for (mine, restored) in self.all_found().iter_mut().zip(state.hits) {
            mine.hits.extend(restored);
            mine.changed = true;
        }
        self.levels.extend(state.levels);
        self.explained.extend(state.explained);
        self.last = self.last.max(state.last);
        // Earlier rules may have had detectors with state where these have none.
        let follows = rules.iter().any(|rule| !rule.detector_of(key).is_pure());
        if follows && !state.memories.is_empty() {
            let mut following = Following::new(rules, key);
            following.restore(state.settled, &state.memories)?;
            self.following = Some(Box::new(following));
        }
        Ok(())
    }

    /// The state for a checkpoint; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If the state of a detector cannot be encoded.
    pub fn state(&self) -> Result<Option<EpisodesState>, CodecError> {
        let (settled, memories) = match &self.following {
            Some(following) => following.save()?,
            None => Default::default(),
        };
        if !self.has_state() {
            return Ok(None);
        }
        let hits = (0..self.rules as usize).map(|rule| hits_of(&self.found, rule).clone()).collect();
        let (levels, last, explained) = (self.levels.clone(), self.last, self.explained.clone());
        Ok(Some(EpisodesState { hits, levels, settled, last, memories, explained }))
    }

    /// Returns whether there is a [state](Self::state) for checkpoints.
    #[must_use]
    pub fn has_state(&self) -> bool {
        self.following.is_some() || self.has_hits() || !self.levels.is_empty()
    }

    /// Returns whether any window is anomalous.
    fn has_hits(&self) -> bool {
        self.found.iter().any(|found| !found.hits.is_empty())
    }

    /// The findings of each rule, with room for further ones.
    fn all_found(&mut self) -> &mut [Found<K>] {
        let none = || Found { hits: BTreeMap::new(), emitted: Vec::new(), changed: false };
        self.found.resize_with(self.rules as usize, none);
        &mut self.found
    }

    /// Adds a summary that was evaluated before a restart.
    pub fn recall(&mut self, rules: &[MomentRule<S>], windows: &WindowRules, end: EventTime, value: &Arc<S>) {
        self.history.set(rules, windows.windows, end, Some(&**value));
        self.starts.invalidate();
        self.keep_summary(rules, windows, end, value, end > self.last);
        self.last = self.last.max(end);
    }

    /// Applies the changes of windows as of `boundary`, evaluates all windows that depend on them, and calls
    /// `emit` with the changes of the moments.
    ///
    /// A new window costs one evaluation per rule. A correction costs, for pure detectors, one for each
    /// window in whose baseline the corrected window is; for detectors with state, one for each window that
    /// is not settled.
    ///
    /// A window can be corrected while an event within the allowed lateness may belong to it. Detectors with
    /// state ignore a change of an older window.
    ///
    /// Calls `looks` with the changes of the number of looks at windows that are not settled.
    pub fn advance<F: FnMut(Moment<K>, isize)>(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
        changes: &mut Vec<WindowChange<S>>,
        (mut looks, mut emit): (Option<CountLooks<'_>>, F),
    ) {
        self.settle(rules, windows, key, boundary);
        self.settle_contents(rules, windows, boundary);
        let before = self.last;
        changes.sort_by_key(|change| change.end);
        let kept =
            |change: &&WindowChange<S>| change.now.is_some() || !windows.is_retired(change.end, boundary);
        let mut live = changes.iter().filter(kept);
        let only_newest = match (live.next(), live.next()) {
            (Some(change), None) => (change.end > self.last && change.now.is_some()).then_some(change.end),
            _ => None,
        };
        let recounts = only_newest.is_none() && changes.iter().any(|change| kept(&change));
        if recounts && let Some(count) = &mut looks {
            self.count_open_looks(rules, windows, key, boundary, -1, *count);
        }
        let (mut newest, mut revised) = (None, false);
        let (mut affected, mut first) = (Affected::none(), EventTime::MAX);
        for change in changes.drain(..) {
            if change.now.is_none() && windows.is_retired(change.end, boundary) {
                self.history.retire(rules, windows.windows, change.end);
                continue;
            }
            let is_new = change.end > self.last && change.now.is_some();
            if is_new {
                self.starts.add_newest(rules, windows.windows, &self.history, change.end);
            }
            first = first.min(change.end);
            if let Some(value) = &change.now {
                self.keep_summary(rules, windows, change.end, value, is_new);
            }
            self.last = self.last.max(change.end);
            let came_or_went = self.history.set(rules, windows.windows, change.end, change.now.as_deref());
            affected.windows.push(change.end);
            if is_new {
                revised |= newest.replace(change.end).is_some();
                continue;
            }
            revised = true;
            if came_or_went {
                // Baselines begin at the first window of the key, which may be another one now.
                self.history.invalidate();
                affected.from = affected.from.min(change.end);
                self.starts.invalidate();
            }
            if change.now.is_none() {
                for rule in 0..rules.len() {
                    self.levels.remove(rule, change.end);
                    self.note(rule, change.end, None);
                }
            }
        }
        self.levels.retire(|end| windows.is_retired(end, boundary));
        self.starts.retire(|end| windows.is_retired(end, boundary));
        self.starts.refresh(rules, windows.windows, &self.history);
        if let Some(count) = &mut looks {
            match only_newest {
                Some(end) if windows.settled_at(end) > boundary => {
                    self.count_looks(rules, windows, key, end, 1, *count);
                }
                _ if recounts => self.count_open_looks(rules, windows, key, boundary, 1, *count),
                _ => {}
            }
        }
        for end in affected.ends(&self.history, windows.windows) {
            self.detect_pure(rules, windows, key, end);
        }
        self.follow(rules, windows, key, (newest, before), revised);
        self.explain(rules, windows, key, first);
        self.emit_changes(rules, windows, key, boundary, &mut emit);
    }

    /// Calls `count` with the looks at the recalled windows that are not settled at `boundary`.
    pub fn recall_looks(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
        count: CountLooks<'_>,
    ) {
        self.starts.refresh(rules, windows.windows, &self.history);
        self.count_open_looks(rules, windows, key, boundary, 1, count);
    }

    /// A number that depends on memory that advancing needs: reading it brings that memory into the cache.
    #[must_use]
    pub fn peek(&self) -> u64 {
        self.last.0 ^ self.history.peek() ^ self.contents.as_ref().map_or(0, |contents| contents.peek())
    }

    /// The same for memory behind the pointers that [`peek`](Self::peek) reads.
    #[must_use]
    pub fn peek_deeper(&self) -> u64 {
        let contents = self.contents.as_ref().map_or(0, |contents| contents.peek_deeper());
        self.history.peek_deeper() ^ self.levels.peek() ^ self.starts.peek() ^ contents
    }

    /// The boundary at which the key must be advanced next if no window changes: to close an open moment, or
    /// to free the states of its detectors.
    #[must_use]
    pub fn wake(&self, rules: &[MomentRule<S>], windows: &WindowRules) -> Option<EventTime> {
        let open = self.found.iter().filter_map(|found| found.emitted.last()).filter(|moment| moment.open);
        let closes = open.map(|moment| moment.last_at.plus(windows.windows.slide())).min();
        let forgets = self.history.is_empty() && self.following.is_some();
        let forgets = forgets.then(|| self.forgets_at(rules, windows));
        closes.into_iter().chain(forgets).min()
    }

    /// The moments in the collection.
    pub fn moments(&self) -> impl Iterator<Item = &Moment<K>> {
        self.found.iter().flat_map(|found| &found.emitted)
    }

    /// Returns whether the key has no state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.following.is_none() && !self.has_hits() && self.history.is_empty()
    }
}

impl AnomalousWindow {
    fn new(value: i64, scale: i64, found: &Finding) -> Self {
        Self {
            value: Micro::from_f64(value as f64 / scale as f64),
            score: Micro::from_f64(found.verdict.score),
            mean: Micro::from_f64(found.verdict.mean),
            stddev: Micro::from_f64(found.verdict.stddev),
            samples: found.samples,
            reported: true,
        }
    }

    /// A window that departs on a side that is not reported.
    fn unreported() -> Self {
        let (value, score, mean, stddev) = Default::default();
        Self { value, score, mean, stddev, samples: 0, reported: false }
    }
}
