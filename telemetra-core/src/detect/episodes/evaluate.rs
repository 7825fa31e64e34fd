//! The evaluation of windows.

use super::baseline::{Compared, ReadyAll};
use super::history::Before;
use super::sums::Place;
use super::{AnomalousWindow, KeyEpisodes, hits_of};
use crate::data::Data;
use crate::detect::moment::MomentRule;
use crate::detect::observed::{Baselines, Observed};
use crate::key::Key;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// Evaluates a window by the pure detectors.
    pub(super) fn detect_pure(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        end: EventTime,
    ) {
        // Of a quiet key nothing can be found, and there is nothing to take back.
        if self.history.is_quiet(rules) && self.levels.is_empty() && !self.has_hits() {
            return;
        }
        let spec = windows.windows;
        let Some(run) = self.history.find(spec, end) else { return };
        let mut before: Option<(u32, Before)> = None;
        for (place, rule) in Place::of(rules, end, run, spec).zip(rules) {
            let columns = place.columns;
            let detector = rule.detector_of(key);
            if !detector.is_pure() {
                continue;
            }
            self.levels.remove(columns.rule, end);
            let hits = hits_of(&self.found, columns.rule);
            let is_quiet = self.history.is_quiet_for(columns.rule) && hits.is_empty();
            let value = self.history.value(columns, run).filter(|_| !is_quiet);
            let found = value.and_then(|value| {
                let compared = Compared {
                    rule,
                    place,
                    start: self.starts.last_before(end, rule.absent_after),
                    hits,
                    longest: detector.max_samples(),
                    fewest: detector.min_samples(),
                };
                let (scale, missing, longest) = (rule.scale, rule.missing, detector.max_samples());
                let events = self.history.events(columns, run);
                let observe = |ready: &[_]| {
                    let baselines = ReadyAll { scale, ready };
                    let baselines: &dyn Baselines = &baselines;
                    let window = Observed { end, value, scale, events, spec, missing, baselines };
                    if !rule.excludes_moments {
                        return Some(AnomalousWindow::new(value, scale, &detector.judge(&window)?));
                    }
                    match detector.judge_or_departs(&window) {
                        Ok(found) => Some(AnomalousWindow::new(value, scale, &found)),
                        Err(departs) => departs.then(AnomalousWindow::unreported),
                    }
                };
                if let [_] = *detector.reaches() {
                    if before.as_ref().is_none_or(|(reach, _)| *reach < longest) {
                        before = Some((longest, self.history.samples(place, longest)));
                    }
                    let (_, before) = before.get_or_insert_default();
                    observe(&[compared.roll(&mut self.history, before, &mut self.levels)])
                } else {
                    let (ready, level) = compared.scan(&self.history, &self.levels, detector.reaches());
                    level.into_iter().for_each(|level| self.levels.add(level));
                    observe(&ready)
                }
            });
            self.note(columns.rule, end, found);
        }
    }

    /// Sets or removes the finding in a window.
    pub(super) fn note(&mut self, rule: usize, end: EventTime, hit: Option<AnomalousWindow>) {
        if hit.is_none() && hits_of(&self.found, rule).is_empty() {
            return;
        }
        let Some(found) = self.all_found().get_mut(rule) else { return };
        found.changed |= match hit {
            Some(hit) => found.hits.insert(end, hit) != Some(hit),
            None => found.hits.remove(&end).is_some(),
        };
    }
}
