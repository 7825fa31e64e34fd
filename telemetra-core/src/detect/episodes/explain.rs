//! The explanations of one key's moments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Hits, KeyEpisodes, hits_of};
use crate::data::Data;
use crate::detect::explain::{Carried, USUAL_WINDOWS, Usual, bounded};
use crate::detect::moment::MomentRule;
use crate::detect::observed::MissingWindow;
use crate::key::Key;
use crate::time::event_time::EventTime;
use crate::time::window::{WindowRules, WindowSpec};

/// The explanations of the moments of a key, for each window that may be a peak, by rule and the window's end.
pub(super) type Explanations = BTreeMap<(u32, EventTime), Arc<[Carried]>>;

/// The greatest number of usual windows of a rule.
fn most_usual<S>(rule: &MomentRule<S>, samples: u32) -> u32 {
    if rule.explanation.is_some() { samples.min(USUAL_WINDOWS) } else { 0 }
}

/// The end of the last window before one that ended at a multiple of its size and shares no data with it.
fn last_usual(spec: WindowSpec, end: EventTime) -> EventTime {
    let before = end.minus(spec.size());
    before.minus(before.0 % spec.size())
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
            contents.close();
        }
        if contents.is_empty() {
            self.contents = None;
        }
    }

    /// The boundary at which the key must be advanced to give up the summaries of its last windows, if that
    /// was not planned before.
    pub fn releases(&mut self, windows: &WindowRules) -> Option<EventTime> {
        let newest = self.history.newest()?;
        let contents = self.contents.as_mut().filter(|contents| contents.has_open())?;
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
            let hits = hits_of(&self.found, number as usize);
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

    /// The explanation of an anomalous window; `None` if its summary is not known any more.
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
        Some(bounded(explanation(&peak, &usual)))
    }

    /// Forgets what no moment can have for its peak any more: windows that are in none, and of settled windows, all
    /// but the first greatest of each moment.
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
        self.explained.retain(|(rule, end), _| {
            hits_of(&self.found, *rule as usize).get(end).is_some_and(|hit| hit.reported)
        });
    }
}
