//! The states of detectors that are not pure: after the newest window, and after the last settled window.

use super::baseline::{Compared, ReadyAll};
use super::sums::Place;
use super::{AnomalousWindow, KeyEpisodes, hits_of};
use crate::codec::CodecError;
use crate::data::Data;
use crate::detect::any_detector::{AnyDetector, DetectorState};
use crate::detect::moment::MomentRule;
use crate::detect::observed::Observed;
use crate::key::Key;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// The detector states of one key.
#[derive(Debug)]
pub(super) struct Following {
    /// The states by rule; `None` for a pure detector.
    states: Vec<Option<DetectorState>>,
    /// The end of the last settled window.
    settled: EventTime,
    /// True if the windows after it must be evaluated again.
    stale: bool,
    /// The rules that earlier windows were not judged by: their states are made from the windows that are known. Those
    /// windows stay as they were judged.
    fresh: Vec<usize>,
}

/// The way in which windows are observed.
#[derive(Copy, Clone)]
struct Pass {
    /// True if windows are settled, not judged.
    settles: bool,
    /// True if only the states of fresh rules observe them.
    only_fresh: bool,
    /// By fresh rules, a window up to this end is observed and not judged.
    quiet_until: EventTime,
}

impl Pass {
    const SETTLING: Self = Self { settles: true, only_fresh: false, quiet_until: EventTime::MIN };
}

impl Following {
    pub(super) fn new<K: Key, S>(rules: &[MomentRule<S>], key: &K) -> Self {
        let detectors = rules.iter().map(|rule| rule.detector_of(key));
        let states = detectors.map(|detector| (!detector.is_pure()).then(|| detector.follow())).collect();
        Self { states, settled: EventTime::MIN, stale: false, fresh: Vec::new() }
    }

    /// The end of the last settled window, and the states after it.
    pub(super) fn save(&self) -> Result<(EventTime, Vec<Vec<u8>>), CodecError> {
        let saved = self.states.iter().map(|state| match state {
            Some(state) => state.save(),
            None => Ok(Vec::new()),
        });
        Ok((self.settled, saved.collect::<Result<_, _>>()?))
    }

    pub(super) fn restore(&mut self, settled: EventTime, saved: &[Vec<u8>]) -> Result<(), CodecError> {
        (self.settled, self.stale) = (settled, true);
        for (rule, (state, saved)) in self.states.iter_mut().zip(saved).enumerate() {
            match state {
                Some(_) if saved.is_empty() => self.fresh.push(rule),
                Some(state) => state.restore(saved)?,
                None => {}
            }
        }
        Ok(())
    }

    /// Returns whether what was [saved](Self::save) holds everything. States that must be made from earlier
    /// windows, and those that are written as nothing, are not distinguished when they are restored.
    pub(super) fn is_complete(&self, saved: &[Vec<u8>]) -> bool {
        let mut states = self.states.iter().zip(saved);
        self.fresh.is_empty() && states.all(|(state, saved)| state.is_none() || !saved.is_empty())
    }

    /// The states of rules by which no window was judged yet.
    fn fresh<K: Key, S>(rules: &[MomentRule<S>], key: &K) -> Self {
        let mut following = Self { stale: true, ..Self::new(rules, key) };
        let states = following.states.iter().enumerate();
        following.fresh = states.filter_map(|(rule, state)| state.as_ref().map(|_| rule)).collect();
        following
    }
}

impl<K: Key, S: Data> KeyEpisodes<K, S> {
    /// The time at which the states of a key without windows are freed: its silence is then longer than all
    /// detectors need them.
    pub(super) fn forgets_at(&self, rules: &[MomentRule<S>], windows: &WindowRules) -> EventTime {
        let detectors = rules.iter().flat_map(|rule| rule.own.values().chain([&rule.detector]));
        let longest = detectors.filter(|detector| !detector.is_pure()).map(AnyDetector::forgets_after).max();
        // A late event may still create an earlier window.
        let late = windows.allowed_lateness + windows.windows.size() + 3 * windows.windows.slide();
        self.last.plus(longest.unwrap_or(0).saturating_add(late))
    }

    /// Settles the windows that cannot change any more, before they are retired.
    pub(super) fn settle(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
    ) {
        let Some(mut following) = self.following.take() else { return };
        if following.stale && !following.fresh.is_empty() {
            let pass = Pass { only_fresh: true, ..Pass::SETTLING };
            let mut after = EventTime::MIN;
            while let Some(end) = self.history.first_after(windows.windows, after)
                && end <= following.settled
            {
                self.observe(rules, windows, key, end, &mut following, pass);
                after = end;
            }
        }
        let limit = windows.settled_up_to(boundary);
        while let Some(end) = self.history.first_after(windows.windows, following.settled)
            && end <= limit
        {
            self.observe(rules, windows, key, end, &mut following, Pass::SETTLING);
            following.settled = end;
        }
        if !self.history.is_empty() || boundary < self.forgets_at(rules, windows) {
            self.following = Some(following);
        }
    }

    /// Evaluates a new window, or, after a correction, all windows that are not settled. `before` is the end of the last
    /// window before the changes.
    pub(super) fn follow(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        (newest, before): (Option<EventTime>, EventTime),
        revised: bool,
    ) {
        if rules.iter().all(|rule| rule.detector_of(key).is_pure()) {
            return;
        }
        let mut following = match self.following.take() {
            Some(following) => following,
            None if newest.is_none() && !revised => return,
            None => Box::new(Following::fresh(rules, key)),
        };
        if revised || std::mem::take(&mut following.stale) {
            following.states.iter_mut().flatten().for_each(DetectorState::rewind);
            let pass = Pass { settles: false, only_fresh: false, quiet_until: before };
            let mut after = following.settled;
            while let Some(end) = self.history.first_after(windows.windows, after) {
                self.observe(rules, windows, key, end, &mut following, pass);
                after = end;
            }
            following.fresh.clear();
        } else if let Some(end) = newest {
            let pass = Pass { settles: false, ..Pass::SETTLING };
            self.observe(rules, windows, key, end, &mut following, pass);
        }
        self.following = Some(following);
    }

    /// Evaluates a window by all detectors with state, or settles it.
    fn observe(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        end: EventTime,
        following: &mut Following,
        pass: Pass,
    ) {
        let spec = windows.windows;
        let Some(run) = self.history.find(spec, end) else { return };
        for (place, rule) in Place::of(rules, end, run, spec).zip(rules) {
            let columns = place.columns;
            let is_fresh = !following.fresh.is_empty() && following.fresh.contains(&columns.rule);
            if pass.only_fresh && !is_fresh {
                continue;
            }
            let Some(state) = &mut following.states[columns.rule] else { continue };
            let judges = !pass.settles && (!is_fresh || end > pass.quiet_until);
            if judges {
                self.levels.remove(columns.rule, end);
            }
            let Some(value) = self.history.value(columns, run) else {
                if judges {
                    self.note(columns.rule, end, None);
                }
                continue;
            };
            let detector = rule.detector_of(key);
            let compared = Compared {
                rule,
                place,
                start: self.starts.last_before(end, rule.absent_after),
                hits: hits_of(&self.found, columns.rule),
                longest: detector.max_samples(),
                fewest: detector.min_samples(),
            };
            let (ready, level) = compared.scan(&self.history, &self.levels, detector.reaches());
            let baselines = ReadyAll { scale: rule.scale, ready: &ready };
            let (scale, missing) = (rule.scale, rule.missing);
            let events = self.history.events(columns, run);
            let window = Observed { end, value, scale, events, spec, missing, baselines: &baselines };
            if pass.settles {
                state.settle(&window);
                continue;
            }
            let found = state.next(&window);
            if !judges {
                continue;
            }
            let hit = match found {
                Some(found) => Some(AnomalousWindow::new(value, scale, &found)),
                None if rule.excludes_moments && detector.departs(&window) => {
                    Some(AnomalousWindow::unreported())
                }
                None => None,
            };
            drop(ready);
            level.into_iter().for_each(|level| self.levels.add(level));
            self.note(columns.rule, end, hit);
        }
    }
}
