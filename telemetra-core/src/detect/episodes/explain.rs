//! The explanations of one key's moments, and the summaries that they are made of.
//!
//! A window that may still be corrected has its summary here, shared with the state of the windows. Of the
//! settled windows, only the usual ones of explanations to come are kept, as bytes.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bincode::Options;

use super::{Hits, KeyEpisodes, hits_of};
use crate::data::Data;
use crate::detect::explain::{Carried, USUAL_WINDOWS, Usual, bounded};
use crate::detect::moment::MomentRule;
use crate::detect::observed::MissingWindow;
use crate::key::Key;
use crate::room::{grow, shrink};
use crate::time::event_time::EventTime;
use crate::time::window::{WindowRules, WindowSpec};

/// What carried the moments of a key at each window that may be a peak, by rule and the window's end.
pub(super) type Explanations = BTreeMap<(u32, EventTime), Arc<[Carried]>>;

/// The summaries of one key that explanations may need.
#[derive(Debug)]
pub(super) struct Contents<S> {
    /// The summaries of windows that are not settled: each from a window's end on, up to the next.
    open: VecDeque<(EventTime, Arc<S>)>,
    /// The settled windows that ended at a multiple of their size, oldest first: of each the number of bytes
    /// that follow, the end, and the summary.
    settled: VecDeque<u8>,
    /// The end of the first settled window.
    first: EventTime,
    /// All windows up to this end are settled.
    until: EventTime,
    /// The boundary at which the key must be advanced to give up summaries, if that is planned.
    pub(super) releases_at: Option<EventTime>,
}

impl<S> Default for Contents<S> {
    fn default() -> Self {
        let (open, settled) = Default::default();
        Self { open, settled, first: EventTime::MIN, until: EventTime::MIN, releases_at: None }
    }
}

/// The bytes of the length of a settled window.
const LENGTH: usize = size_of::<u32>();

fn encoding() -> impl Options {
    bincode::DefaultOptions::new()
}

/// Some bytes of a queue; `None` if it has fewer.
fn slice(queue: &VecDeque<u8>, range: Range<usize>) -> Option<Cow<'_, [u8]>> {
    let (older, newer) = queue.as_slices();
    match range.start.checked_sub(older.len()) {
        Some(start) => newer.get(start..range.end - older.len()).map(Cow::Borrowed),
        None if range.end <= older.len() => Some(Cow::Borrowed(&older[range])),
        None => {
            let rest = newer.get(..range.end - older.len())?;
            Some(Cow::Owned([&older[range.start..], rest].concat()))
        }
    }
}

/// The greatest number of usual windows of a rule.
fn most_usual<S>(rule: &MomentRule<S>, samples: u32) -> u32 {
    if rule.explanation.is_some() { samples.min(USUAL_WINDOWS) } else { 0 }
}

/// The end of the last window before one that ended at a multiple of its size and shares no data with it.
fn last_usual(spec: WindowSpec, end: EventTime) -> EventTime {
    let before = end.minus(spec.size());
    before.minus(before.0 % spec.size())
}

impl<S: Data> Contents<S> {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.settled.is_empty()
    }

    /// Sets the summary of a window; `is_newest` if there is none after it.
    pub(super) fn set(&mut self, spec: WindowSpec, end: EventTime, value: &Arc<S>, is_newest: bool) {
        if end <= self.until {
            return;
        }
        let next = self.open.partition_point(|(first, _)| *first <= end);
        let covering = next.checked_sub(1).map(|at| (at, self.open[at].0, Arc::clone(&self.open[at].1)));
        if let Some((at, _, held)) = &covering
            && (Arc::ptr_eq(held, value) || is_newest && held == value)
        {
            // The newest of equal summaries is held here as long as elsewhere.
            self.open[*at].1 = Arc::clone(value);
            return;
        }
        let after = end.plus(spec.slide());
        grow(&mut self.open, 2);
        if let Some((_, _, held)) = &covering
            && !is_newest
            && self.open.get(next).is_none_or(|(first, _)| *first > after)
        {
            self.open.insert(next, (after, Arc::clone(held)));
        }
        match covering {
            Some((at, first, _)) if first == end => self.open[at].1 = Arc::clone(value),
            _ => self.open.insert(next, (end, Arc::clone(value))),
        }
    }

    /// The summary of a window that is not settled.
    fn open(&self, end: EventTime) -> Option<&Arc<S>> {
        let at = self.open.partition_point(|(first, _)| *first <= end).checked_sub(1)?;
        self.open.get(at).filter(|_| end > self.until).map(|(_, value)| value)
    }

    /// Settles the windows up to `limit`, of which none can change any more, and keeps the usual ones that
    /// ended after `oldest`. `is_there` says which windows there are.
    fn settle(
        &mut self,
        spec: WindowSpec,
        limit: EventTime,
        oldest: EventTime,
        is_there: impl Fn(EventTime) -> bool,
    ) {
        let size = spec.size();
        if let Some((first, _)) = self.open.front() {
            let from = first.0.max(self.until.0 + 1).max(oldest.0 + 1);
            let mut end = EventTime(from.next_multiple_of(size));
            while end <= limit {
                let summary = self.open(end).filter(|_| is_there(end));
                if let Some(bytes) = summary.and_then(|value| encoding().serialize(&(end.0, &**value)).ok()) {
                    if self.settled.is_empty() {
                        self.first = end;
                    }
                    grow(&mut self.settled, LENGTH + bytes.len());
                    self.settled.extend(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
                    self.settled.extend(bytes);
                }
                end = end.plus(size);
            }
        }
        self.until = self.until.max(limit);
        while self.open.get(1).is_some_and(|(next, _)| *next <= limit.plus(spec.slide())) {
            self.open.pop_front();
        }
        shrink(&mut self.open);
        if !self.settled.is_empty() && self.first <= oldest {
            self.forget(oldest);
        }
    }

    /// Removes the settled windows that ended at a time or before it.
    fn forget(&mut self, oldest: EventTime) {
        let (mut gone, mut first) = (0, EventTime::MIN);
        for bytes in self.records() {
            let end = encoding().allow_trailing_bytes().deserialize(&bytes).map_or(EventTime::MIN, EventTime);
            if end > oldest {
                first = end;
                break;
            }
            gone += LENGTH + bytes.len();
        }
        self.settled.drain(..gone);
        self.first = first;
        shrink(&mut self.settled);
    }

    /// The bytes of the settled windows, oldest first.
    fn records(&self) -> impl Iterator<Item = Cow<'_, [u8]>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let begin = at + LENGTH;
            let length: [u8; LENGTH] = slice(&self.settled, at..begin)?.as_ref().try_into().ok()?;
            at = begin + usize::try_from(u32::from_le_bytes(length)).ok()?;
            slice(&self.settled, begin..at)
        })
    }

    /// The settled windows, oldest first.
    fn settled(&self) -> impl Iterator<Item = (EventTime, S)> + '_ {
        self.records().filter_map(|bytes| {
            let (end, value): (u64, S) = encoding().deserialize(&bytes).ok()?;
            Some((EventTime(end), value))
        })
    }

    /// The usual windows among those whose end is in an interval of `[oldest, newest]`, oldest first.
    fn usual(
        &self,
        spec: WindowSpec,
        (oldest, newest): (EventTime, EventTime),
        is_there: impl Fn(EventTime) -> bool,
    ) -> Vec<(EventTime, Arc<S>)> {
        let settled = self.settled().map(|(end, value)| (end, Arc::new(value)));
        let mut usual: Vec<_> = settled.filter(|(end, _)| (oldest..=newest).contains(end)).collect();
        let mut end = EventTime(oldest.0.max(self.until.0 + 1).next_multiple_of(spec.size()));
        while end <= newest {
            usual.extend(self.open(end).filter(|_| is_there(end)).map(|value| (end, Arc::clone(value))));
            end = end.plus(spec.size());
        }
        usual
    }
}

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// Keeps the summary of a window, if a rule has an explanation.
    pub(super) fn keep_summary(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        end: EventTime,
        value: &Arc<S>,
        is_newest: bool,
    ) {
        if rules.iter().any(|rule| rule.explanation.is_some()) {
            self.contents.get_or_insert_default().set(windows.windows, end, value, is_newest);
        }
    }

    /// Settles the summaries that explanations may need.
    pub(super) fn settle_contents(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        boundary: EventTime,
    ) {
        let Some(contents) = &mut self.contents else { return };
        contents.releases_at = contents.releases_at.filter(|at| *at > boundary);
        let (spec, history) = (windows.windows, &self.history);
        let most = rules.iter().map(|rule| most_usual(rule, rule.max_samples())).max().unwrap_or(0);
        let limit = windows.settled_up_to(boundary);
        // Of the oldest window that may be explained anew, the oldest usual one.
        let oldest = limit.minus((u64::from(most) + 1) * spec.size());
        contents.settle(spec, limit, oldest, |end| history.find(spec, end).is_some());
        if history.newest().is_none_or(|newest| newest <= limit) {
            contents.open = VecDeque::new();
        }
        if contents.is_empty() {
            self.contents = None;
        }
    }

    /// The boundary at which the key must be advanced to give up the summaries of its last windows, if that
    /// was not planned before.
    pub fn releases(&mut self, windows: &WindowRules) -> Option<EventTime> {
        let newest = self.history.newest()?;
        let contents = self.contents.as_mut().filter(|contents| !contents.open.is_empty())?;
        if contents.releases_at.is_some() {
            return None;
        }
        contents.releases_at = Some(windows.settled_at(newest));
        contents.releases_at
    }

    /// Explains anew the anomalous windows from a time on: those whose summary or usual windows may have
    /// changed.
    pub(super) fn explain(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        from: EventTime,
    ) {
        for (number, rule) in (0..).zip(rules).filter(|(_, rule)| rule.explanation.is_some()) {
            let of_rule = (number, from)..=(number, EventTime::MAX);
            let hits = hits_of(&self.found, number as usize);
            if !self.explained.is_empty() {
                let is_gone = |end: &EventTime| hits.get(end).is_none_or(|hit| !hit.reported);
                let ends = self.explained.range(of_rule).map(|((_, end), _)| *end);
                let gone: Vec<_> = ends.filter(|end| is_gone(end)).collect();
                gone.iter().for_each(|end| drop(self.explained.remove(&(number, *end))));
            }
            let reported = hits.range(from..).filter(|(_, hit)| hit.reported);
            for end in reported.map(|(end, _)| *end).collect::<Vec<_>>() {
                if let Some(carried) =
                    self.carried(rule, windows, key, end, hits_of(&self.found, number as usize))
                    && self.explained.get(&(number, end)) != Some(&carried)
                {
                    self.explained.insert((number, end), carried);
                    if let Some(found) = self.found.get_mut(number as usize) {
                        found.changed = true;
                    }
                }
            }
        }
    }

    /// What carried an anomalous window; `None` if its summary is not known any more.
    fn carried(
        &self,
        rule: &MomentRule<S>,
        windows: &WindowRules,
        key: &K,
        end: EventTime,
        hits: &Hits,
    ) -> Option<Arc<[Carried]>> {
        let (contents, explanation) = self.contents.as_ref().zip(rule.explanation.as_ref())?;
        let spec = windows.windows;
        let peak = contents.open(end)?;
        let most = u64::from(most_usual(rule, rule.detector_of(key).max_samples()));
        let newest = last_usual(spec, end);
        let start = self.starts.last_before(end, rule.absent_after).unwrap_or(EventTime::MIN);
        let oldest = EventTime((newest.0 + spec.size()).saturating_sub(most * spec.size())).max(start);
        let all = contents.usual(spec, (oldest, newest), |end| self.history.find(spec, end).is_some());
        let left = all.iter().filter(|(end, _)| !rule.excludes_moments || !hits.contains_key(end));
        let left: Vec<_> = left.cloned().collect();
        let excludes = !left.is_empty();
        let usual = if excludes { left } else { all };
        let count = match (rule.missing, usual.first()) {
            (MissingWindow::Zero, Some((first, _))) => {
                let left_out = hits.range(*first..=newest).filter(|(hit, _)| {
                    excludes && rule.excludes_moments && hit.0.is_multiple_of(spec.size())
                });
                (newest - *first) / spec.size() + 1 - left_out.count() as u64
            }
            _ => usual.len() as u64,
        };
        let summaries: Vec<_> = usual.into_iter().map(|(_, value)| value).collect();
        let usual = Usual { summaries: &summaries, windows: u32::try_from(count).unwrap_or(u32::MAX) };
        Some(bounded(explanation(peak, &usual)))
    }

    /// Forgets what no moment can have for its peak any more: of settled windows, all but the first greatest
    /// of each moment.
    pub(super) fn forget_explanations(&mut self, rules: usize, windows: &WindowRules, boundary: EventTime) {
        if self.explained.is_empty() {
            return;
        }
        let (limit, slide) = (windows.settled_up_to(boundary), windows.windows.slide());
        for number in 0..rules {
            let mut before: Option<(EventTime, EventTime, u64)> = None;
            for (&end, hit) in
                hits_of(&self.found, number).iter().filter(|(end, hit)| hit.reported && **end <= limit)
            {
                let score = hit.score.0.unsigned_abs();
                before = match before.filter(|(last, ..)| last.plus(slide) == end) {
                    Some((_, best, greatest)) => {
                        let (worse, best) = if score > greatest { (best, end) } else { (end, best) };
                        self.explained.remove(&(number as u32, worse));
                        Some((end, best, greatest.max(score)))
                    }
                    None => Some((end, end, score)),
                };
            }
        }
        self.explained.retain(|(rule, end), _| hits_of(&self.found, *rule as usize).contains_key(end));
    }
}
