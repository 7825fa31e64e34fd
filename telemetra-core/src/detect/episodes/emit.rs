//! Episodes of anomalous windows, and the changes of moments that are emitted for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::explain::Explanations;
use super::{AnomalousWindow, Found, KeyEpisodes};
use crate::data::Data;
use crate::detect::moment::{Moment, MomentRule};
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// Computes the moments, and emits the differences from those in the collection.
    pub(super) fn emit_changes(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
        emit: &mut impl FnMut(Moment<K>, isize),
    ) {
        if self.found.is_empty() {
            return;
        }
        let slide = windows.windows.slide();
        for (number, (found, rule)) in self.found.iter_mut().zip(rules).enumerate() {
            let Found { hits, emitted, changed } = found;
            let due = emitted.last().is_some_and(|last| last.open)
                || emitted.first().is_some_and(|first| windows.is_retired(first.last_at, boundary))
                || hits.first_key_value().is_some_and(|(end, _)| windows.is_retired(*end, boundary));
            if !due && !std::mem::take(changed) {
                continue;
            }
            // An episode is retired as a whole, with its last window, so that its start does not change.
            while let Some(end) = first_episode(hits, slide)
                && windows.is_retired(end, boundary)
            {
                *hits = hits.split_off(&end.plus(1));
            }
            let now = episodes((number, rule), slide, key, boundary, hits, &self.explained);
            for old in emitted.iter().filter(|old| !now.contains(old)) {
                emit(old.clone(), -1);
            }
            for new in now.iter().filter(|new| !emitted.contains(new)) {
                emit(new.clone(), 1);
            }
            *emitted = now;
        }
        if self.found.iter().all(|found| found.hits.is_empty() && found.emitted.is_empty()) {
            self.found = Vec::new();
        }
        self.forget_explanations(rules.len(), windows, boundary);
    }
}

/// The end of the last window of the first episode.
fn first_episode(hits: &BTreeMap<EventTime, AnomalousWindow>, slide: u64) -> Option<EventTime> {
    let mut ends = hits.keys().copied();
    let mut last = ends.next()?;
    for end in ends {
        if end != last.plus(slide) {
            break;
        }
        last = end;
    }
    Some(last)
}

/// Makes moments of anomalous windows: windows whose ends are one slide apart are in the same moment.
fn episodes<K: Key, S>(
    (number, rule): (usize, &MomentRule<S>),
    slide: u64,
    key: &K,
    boundary: EventTime,
    hits: &BTreeMap<EventTime, AnomalousWindow>,
    explained: &Explanations,
) -> Vec<Moment<K>> {
    let detector = rule.detector_of(key);
    let mut moments: Vec<Moment<K>> = Vec::new();
    for (&end, hit) in hits.iter().filter(|(_, hit)| hit.reported) {
        if let Some(moment) = moments.last_mut().filter(|moment| moment.last_at.plus(slide) == end) {
            moment.last_at = end;
            moment.windows += 1;
            if hit.score.0.unsigned_abs() > moment.score.0.unsigned_abs() {
                moment.peak_at = end;
                (moment.value, moment.score) = (hit.value, hit.score);
                (moment.baseline_mean, moment.baseline_stddev) = (hit.mean, hit.stddev);
                moment.baseline_samples = hit.samples;
            }
            continue;
        }
        moments.push(Moment {
            key: key.clone(),
            moment_type: Arc::clone(&rule.moment_type),
            started_at: end.minus(slide),
            peak_at: end,
            last_at: end,
            open: false,
            detection_method: Arc::clone(detector.method()),
            value: hit.value,
            threshold: Micro::from_f64(detector.threshold()),
            score: hit.score,
            baseline_mean: hit.mean,
            baseline_stddev: hit.stddev,
            baseline_samples: hit.samples,
            windows: 1,
            comparable: detector.normal_scores().is_some(),
            chance: None,
            carried: Arc::default(),
        });
    }
    for moment in moments.iter_mut().filter(|_| !explained.is_empty()) {
        let carried = explained.get(&(number as u32, moment.peak_at));
        moment.carried = carried.map_or_else(Arc::default, Arc::clone);
    }
    if let Some(last) = moments.last_mut() {
        last.open = last.last_at.plus(slide) > boundary;
    }
    moments
}
