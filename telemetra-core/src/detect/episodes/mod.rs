//! The moments of one key: which of its windows are anomalous, and the episodes they make.
//!
//! Arithmetic only. The baseline of a window is made of the windows one, two, … whole sizes before it, so the windows
//! of a key fall into `size / slide` interleaved series of disjoint windows, and each series keeps rolling
//! sums: judging a new window costs one value in and one out, whatever the length of the baseline.
//!
//! A judge that looks at baselines alone is asked again about the windows whose baselines changed. One that remembers is folded
//! over the windows in their order, twice: once over all of them, and once over those that will not change any more,
//! which is where it starts again when an earlier window has been revised.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::codec::CodecError;
use crate::detect::moment::{Moment, MomentRule};
use crate::detect::observed::{Finding, Observed};
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

mod emit;
mod follow;
mod series;

use follow::Following;
use series::{Place, ReadyAll, Series, reach};

/// The value of a metric that a window does not have.
const NONE: i64 = i64::MIN;

/// An anomalous window: what is needed to make moments of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnomalousWindow {
    value: Micro,
    score: Micro,
    mean: Micro,
    stddev: Micro,
    samples: u32,
}

/// The anomalous windows of a key, by rule and by the window's end.
pub type AnomalousWindows = Vec<BTreeMap<EventTime, AnomalousWindow>>;

/// What a checkpoint keeps of a key. Its summaries are in the windows operator's part; what was judged by summaries that are
/// gone cannot be judged again, and what judges have learnt cannot be learnt again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EpisodesState {
    hits: AnomalousWindows,
    /// The end of the last window that judges with a memory have taken in for good.
    settled: EventTime,
    /// The end of the last window.
    last: EventTime,
    /// What they remember, by rule; empty where a rule's judge remembers nothing.
    memories: Vec<Vec<u8>>,
}

/// The episodes of one key under a list of rules.
#[derive(Debug)]
pub struct KeyEpisodes<K: Key> {
    /// By the end of the window modulo the size: series of disjoint windows. Made when first needed.
    series: Vec<Series>,
    /// By rule.
    hits: AnomalousWindows,
    /// By rule: the moments as last emitted.
    emitted: Vec<Vec<Moment<K>>>,
    /// By rule: whether the anomalous windows changed since.
    changed: Vec<bool>,
    /// The end of the newest window there ever was.
    last: EventTime,
    /// What judges with a memory remember; `None` if there is nothing yet.
    following: Option<Box<Following>>,
}

/// A change of one window: its end, its summary before and after.
#[derive(Clone, Debug)]
pub struct WindowChange<S> {
    /// The window's end.
    pub end: EventTime,
    /// What it is now; `None` if it was withdrawn.
    pub now: Option<Arc<S>>,
}

impl<K: Key> KeyEpisodes<K> {
    /// Nothing seen yet, under this many rules.
    #[must_use]
    pub fn new(rules: usize) -> Self {
        Self {
            series: Vec::new(),
            hits: vec![BTreeMap::new(); rules],
            emitted: vec![Vec::new(); rules],
            changed: vec![false; rules],
            last: EventTime::MIN,
            following: None,
        }
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    ///
    /// If it was made under other judges, and what theirs remembered means nothing to these.
    pub fn restore<S>(
        &mut self,
        rules: &[MomentRule<S>],
        key: &K,
        state: EpisodesState,
    ) -> Result<(), CodecError> {
        for (mine, restored) in self.hits.iter_mut().zip(state.hits) {
            mine.extend(restored);
        }
        self.changed.fill(true);
        self.last = self.last.max(state.last);
        if !state.memories.is_empty() {
            let mut following = Following::new(rules, key);
            following.restore(state.settled, &state.memories)?;
            self.following = Some(Box::new(following));
        }
        Ok(())
    }

    /// What a checkpoint keeps; `None` if there is nothing to keep.
    ///
    /// # Errors
    ///
    /// If what a judge remembers cannot be encoded.
    pub fn state(&self) -> Result<Option<EpisodesState>, CodecError> {
        let (settled, memories) = match &self.following {
            Some(following) => following.save()?,
            None => Default::default(),
        };
        let any = !memories.is_empty() || self.hits.iter().any(|hits| !hits.is_empty());
        Ok(any.then(|| EpisodesState { hits: self.hits.clone(), settled, last: self.last, memories }))
    }

    /// Takes in a summary of before a restart, which was judged then.
    pub fn recall<S>(&mut self, rules: &[MomentRule<S>], windows: &WindowRules, end: EventTime, value: &S) {
        let series = self.series_of(windows, end);
        series.set(rules, end, Some(value));
        series.take_dirty();
        self.last = self.last.max(end);
    }

    /// Takes in the changes of windows as of `boundary`, judges again what depends on them, and calls `emit` with the
    /// changes of the moments.
    ///
    /// A new window costs one judgement per rule; a revised one also those of the windows that it is a sample of, and
    /// to judges with a memory those of all windows that may still be revised.
    ///
    /// Windows are revised while an event within the allowed lateness may touch them. To judges with a memory a change of
    /// an older one comes too late.
    pub fn advance<S>(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        boundary: EventTime,
        changes: &mut Vec<WindowChange<S>>,
        mut emit: impl FnMut(Moment<K>, isize),
    ) {
        self.settle(rules, windows, key, boundary);
        changes.sort_by_key(|change| change.end);
        let (mut newest, mut revised) = (None, false);
        for change in changes.drain(..) {
            if change.now.is_none() && windows.is_retired(change.end, boundary) {
                self.series_of(windows, change.end).retire(rules.len(), change.end);
                continue;
            }
            let is_new = change.end > self.last && change.now.is_some();
            self.last = self.last.max(change.end);
            let came_or_went =
                self.series_of(windows, change.end).set(rules, change.end, change.now.as_deref());
            if is_new {
                revised |= newest.replace(change.end).is_some();
                continue;
            }
            revised = true;
            if came_or_went {
                // Where a stream begins is where all its baselines do.
                self.series.iter_mut().for_each(|series| series.doubt(change.end));
            }
            if change.now.is_none() {
                for (hits, changed) in self.hits.iter_mut().zip(&mut self.changed) {
                    *changed |= hits.remove(&change.end).is_some();
                }
            }
        }
        for series in 0..self.series.len() {
            for index in self.series[series].take_dirty() {
                self.judge_pure(rules, windows, key, (series, index));
            }
        }
        self.follow(rules, windows, key, newest, revised);
        self.emit_changes(rules, windows, key, boundary, &mut emit);
    }

    /// When this key must be looked at next if nothing changes: when an open moment's next window has not come, or when what
    /// its judges remember may be forgotten.
    #[must_use]
    pub fn wake<S>(&self, rules: &[MomentRule<S>], windows: &WindowRules) -> Option<EventTime> {
        let open = self.emitted.iter().filter_map(|emitted| emitted.last()).filter(|moment| moment.open);
        let closes = open.map(|moment| moment.last_at.plus(windows.windows.slide())).min();
        let forgets = self.series.iter().all(|series| series.ends.is_empty()) && self.following.is_some();
        let forgets = forgets.then(|| self.forgets_at(rules, windows));
        closes.into_iter().chain(forgets).min()
    }

    /// The moments as last emitted.
    pub fn moments(&self) -> impl Iterator<Item = &Moment<K>> {
        self.emitted.iter().flatten()
    }

    /// Whether nothing is left of this key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.following.is_none()
            && self.hits.iter().all(BTreeMap::is_empty)
            && self.series.iter().all(|series| series.ends.is_empty())
    }

    fn series_of(&mut self, windows: &WindowRules, end: EventTime) -> &mut Series {
        if self.series.is_empty() {
            let count = windows.windows.panes_per_window() as usize;
            self.series.resize_with(count, Series::default);
        }
        &mut self.series[windows.windows.series_of(end)]
    }

    /// Asks the judges that look at baselines alone.
    fn judge_pure<S>(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &K,
        (number, index): (usize, usize),
    ) {
        let spec = windows.windows;
        let end = self.series[number].ends[index];
        for (rule_number, rule) in rules.iter().enumerate() {
            let judge = rule.detector_of(key);
            if !judge.is_pure() {
                continue;
            }
            let found = self.series[number].value(rule_number, rules.len(), index).and_then(|value| {
                let place = Place { rule: rule_number, rules: rules.len(), index, size: spec.size() };
                let observe = |ready: &[_]| {
                    let baselines = ReadyAll { scale: rule.scale, ready };
                    let (scale, missing) = (rule.scale, rule.missing);
                    judge.judge(&Observed { end, value, scale, spec, missing, baselines: &baselines })
                };
                if let [samples] = *judge.reaches() {
                    let reach = reach(&self.series, spec, rule.missing, end, samples);
                    let series = &mut self.series[number];
                    let (sums, from) = series.roll(place, &reach);
                    observe(&[series.ready(place, &reach, sums, from)])
                } else {
                    let scanned = judge.reaches().iter().map(|&samples| {
                        let reach = reach(&self.series, spec, rule.missing, end, samples);
                        self.series[number].scanned(place, &reach)
                    });
                    observe(&scanned.collect::<Vec<_>>())
                }
                .map(|found| AnomalousWindow::new(value, rule.scale, &found))
            });
            self.note(rule_number, end, found);
        }
    }

    /// Keeps what was found in a window.
    fn note(&mut self, rule: usize, end: EventTime, hit: Option<AnomalousWindow>) {
        let hits = &mut self.hits[rule];
        self.changed[rule] |= match hit {
            Some(hit) => hits.insert(end, hit) != Some(hit),
            // Most windows were no hit before either: do not search an empty map.
            None => !hits.is_empty() && hits.remove(&end).is_some(),
        };
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
        }
    }
}
