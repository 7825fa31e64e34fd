//! The moments of one key: which of its windows are anomalous, and the episodes they make.
//!
//! Arithmetic only. The baseline of a window is made of the windows one, two, … whole sizes before it, so the windows
//! of a key fall into `size / slide` interleaved series of disjoint windows, and each series keeps rolling
//! sums: judging a new window costs one value in and one out, whatever the length of the baseline.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    Baseline, EventTime, Micro, Moment, MomentRule, PowerSums, Samples, Silence, StreamId, Verdict,
    WindowRules,
};

/// The value of a metric that a window does not have.
const NONE: i64 = i64::MIN;

/// An anomalous window: what is needed to make moments of it.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit {
    value: Micro,
    score: Micro,
    mean: Micro,
    stddev: Micro,
    samples: u32,
}

/// What a checkpoint keeps of a key: its anomalous windows, by rule and by the window's end. Its summaries are in
/// the windows operator's part, and what was judged by summaries that are gone cannot be judged again.
pub type Hits = Vec<BTreeMap<EventTime, Hit>>;

/// The episodes of one key under a list of rules.
#[derive(Debug)]
pub struct KeyEpisodes {
    /// By the end of the window modulo the size: series of disjoint windows. Made when first needed.
    series: Vec<Series>,
    /// By rule.
    hits: Hits,
    /// By rule: the moments as last told.
    told: Vec<Vec<Moment>>,
    /// By rule: whether the anomalous windows changed since.
    changed: Vec<bool>,
}

/// Windows that do not overlap, in order.
#[derive(Debug, Default)]
struct Series {
    ends: VecDeque<EventTime>,
    /// The fixed-point values, rule by rule, window by window.
    values: VecDeque<i64>,
    /// By rule: the sums of the values of the windows from an index up to the last.
    sums: Vec<Running>,
}

#[derive(Copy, Clone, Debug, Default)]
struct Running {
    /// The index of the first window in the sums.
    from: usize,
    /// The index after the last.
    to: usize,
    sums: PowerSums,
}

/// A change of one window: its end, its summary before and after.
#[derive(Clone, Debug)]
pub struct WindowChange<S> {
    /// The window's end.
    pub end: EventTime,
    /// What it is now; `None` if it was withdrawn.
    pub now: Option<Arc<S>>,
}

impl KeyEpisodes {
    /// Nothing seen yet, under this many rules.
    #[must_use]
    pub fn new(rules: usize) -> Self {
        Self {
            series: Vec::new(),
            hits: vec![BTreeMap::new(); rules],
            told: vec![Vec::new(); rules],
            changed: vec![false; rules],
        }
    }

    /// Goes on with the anomalous windows of a checkpoint.
    pub fn restore_hits(&mut self, hits: Hits) {
        for (mine, restored) in self.hits.iter_mut().zip(hits) {
            mine.extend(restored);
        }
        self.changed.fill(true);
    }

    /// The anomalous windows, for a checkpoint; `None` if there are none.
    #[must_use]
    pub fn hits(&self) -> Option<&Hits> {
        self.hits.iter().any(|hits| !hits.is_empty()).then_some(&self.hits)
    }

    /// Takes in a summary of before a restart, which was judged then.
    pub fn recall<S>(&mut self, rules: &[MomentRule<S>], windows: &WindowRules, end: EventTime, value: &S) {
        let size = windows.windows.size();
        self.series_of(windows, end).set(rules, size, end, Some(value));
    }

    /// Takes in the changes of windows as of `boundary`, judges again what depends on them, and calls `emit` with the
    /// changes of the moments.
    ///
    /// A new window costs one judgement per rule; a revised one also those of the windows that it is a sample of.
    pub fn advance<S>(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &StreamId,
        boundary: EventTime,
        changes: &mut Vec<WindowChange<S>>,
        mut emit: impl FnMut(Moment, isize),
    ) {
        let size = windows.windows.size();
        changes.sort_by_key(|change| change.end);
        for change in changes.drain(..) {
            if change.now.is_none() && windows.is_retired(change.end, boundary) {
                self.series_of(windows, change.end).retire(rules.len(), change.end);
                continue;
            }
            let series = windows.windows.series_of(change.end);
            let first =
                self.series_of(windows, change.end).set(rules, size, change.end, change.now.as_deref());
            if change.now.is_none() {
                for (hits, changed) in self.hits.iter_mut().zip(&mut self.changed) {
                    *changed |= hits.remove(&change.end).is_some();
                }
            }
            self.judge_from(rules, windows, series, first);
        }
        self.tell(rules, windows, key, boundary, &mut emit);
    }

    /// When this key must be looked at next if nothing changes: when an open moment's next window has not come.
    #[must_use]
    pub fn wake(&self, windows: &WindowRules) -> Option<EventTime> {
        let open = self.told.iter().filter_map(|told| told.last()).filter(|moment| moment.open);
        open.map(|moment| moment.last_at.plus(windows.windows.slide())).min()
    }

    /// The moments as last told.
    pub fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.told.iter().flatten()
    }

    /// Whether nothing is left of this key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hits().is_none() && self.series.iter().all(|series| series.ends.is_empty())
    }

    fn series_of(&mut self, windows: &WindowRules, end: EventTime) -> &mut Series {
        if self.series.is_empty() {
            let count = windows.windows.panes_per_window() as usize;
            self.series.resize_with(count, Series::default);
        }
        &mut self.series[windows.windows.series_of(end)]
    }

    /// Judges the windows of a series from an index on.
    fn judge_from<S>(&mut self, rules: &[MomentRule<S>], windows: &WindowRules, series: usize, first: usize) {
        let size = windows.windows.size();
        let series = &mut self.series[series];
        for index in first..series.ends.len() {
            let end = series.ends[index];
            for (number, rule) in rules.iter().enumerate() {
                let hit = series.judge(rule, number, rules.len(), index, size);
                let hits = &mut self.hits[number];
                self.changed[number] |= match hit {
                    Some(hit) => hits.insert(end, hit) != Some(hit),
                    // Most windows were no hit before either: do not search an empty map.
                    None => !hits.is_empty() && hits.remove(&end).is_some(),
                };
            }
        }
    }

    /// Compares the episodes with those last told.
    fn tell<S>(
        &mut self,
        rules: &[MomentRule<S>],
        windows: &WindowRules,
        key: &StreamId,
        boundary: EventTime,
        emit: &mut impl FnMut(Moment, isize),
    ) {
        let slide = windows.windows.slide();
        for (number, rule) in rules.iter().enumerate() {
            let (hits, told) = (&mut self.hits[number], &mut self.told[number]);
            let due = told.last().is_some_and(|last| last.open)
                || told.first().is_some_and(|first| windows.is_retired(first.last_at, boundary));
            if !due && !std::mem::take(&mut self.changed[number]) {
                continue;
            }
            // An episode goes as a whole, when its last window goes: its start stays what it was.
            while let Some(end) = first_episode(hits, slide)
                && windows.is_retired(end, boundary)
            {
                *hits = hits.split_off(&end.plus(1));
            }
            let now = episodes(rule, slide, key, boundary, hits);
            for old in told.iter().filter(|old| !now.contains(old)) {
                emit(old.clone(), -1);
            }
            for new in now.iter().filter(|new| !told.contains(new)) {
                emit(new.clone(), 1);
            }
            *told = now;
        }
    }
}

impl Series {
    /// Sets or removes a window, and returns the index of the first that is to be judged again.
    fn set<S>(&mut self, rules: &[MomentRule<S>], size: u64, end: EventTime, value: Option<&S>) -> usize {
        let width = rules.len();
        let metrics = value.map(|value| rules.iter().map(move |rule| (rule.metric)(value).unwrap_or(NONE)));
        let newest = self.ends.back().is_none_or(|last| *last < end);
        let index = if newest { self.ends.len() } else { self.ends.partition_point(|other| *other < end) };
        if newest && let Some(metrics) = metrics {
            self.ends.push_back(end);
            self.values.extend(metrics);
            return index;
        }
        let known = self.ends.get(index) == Some(&end);
        match metrics {
            Some(metrics) if known => {
                for (slot, value) in self.values.range_mut(index * width..).zip(metrics) {
                    *slot = value;
                }
            }
            Some(metrics) => {
                self.ends.insert(index, end);
                for (offset, value) in metrics.enumerate() {
                    self.values.insert(index * width + offset, value);
                }
            }
            None if known => {
                self.ends.remove(index);
                self.values.drain(index * width..(index + 1) * width);
            }
            None => {}
        }
        // The sums held the old value, or miss the new one: start them at the oldest window that can need them.
        let reach = rules.iter().map(|rule| rule.detector.max_samples()).max().unwrap_or(0);
        let oldest = self.ends.get(index).map_or(end, |end| end.minus(size * u64::from(reach)));
        let from = self.ends.partition_point(|end| *end < oldest).min(index);
        self.sums.fill(Running { from, to: from, sums: PowerSums::default() });
        index
    }

    /// Drops the windows up to one that has gone beyond the horizon.
    fn retire(&mut self, width: usize, end: EventTime) {
        while self.ends.front().is_some_and(|first| *first <= end) {
            for (number, running) in self.sums.iter_mut().enumerate() {
                if running.from == 0 && running.to > 0 {
                    if self.values[number] != NONE {
                        running.sums.remove(self.values[number]);
                    }
                    running.to -= 1;
                } else {
                    running.from = running.from.saturating_sub(1);
                    running.to = running.to.saturating_sub(1);
                }
            }
            self.ends.pop_front();
            self.values.drain(..width);
        }
    }

    /// Judges the window at an index by the ones before it.
    fn judge<S>(
        &mut self,
        rule: &MomentRule<S>,
        number: usize,
        width: usize,
        index: usize,
        size: u64,
    ) -> Option<Hit> {
        if self.sums.len() < width {
            self.sums.resize(width, Running::default());
        }
        let end = self.ends[index];
        let oldest = end.minus(size.saturating_mul(u64::from(rule.detector.max_samples())));
        let running = &mut self.sums[number];
        while running.to < index {
            let value = self.values[running.to * width + number];
            if value != NONE {
                running.sums.add(value);
            }
            running.to += 1;
        }
        while running.from < running.to && self.ends[running.from] < oldest {
            let value = self.values[running.from * width + number];
            if value != NONE {
                running.sums.remove(value);
            }
            running.from += 1;
        }
        let value = self.values[index * width + number];
        if value == NONE || running.from == running.to {
            return None;
        }
        let mut sums = running.sums;
        if rule.silence == Silence::Zero {
            let slots = (end - self.ends[running.from]) / size;
            sums = sums.with_zeros(slots.saturating_sub(sums.count));
        }
        if sums.count < u64::from(rule.detector.min_samples()) {
            return None;
        }
        let from = running.from;
        let samples = SeriesSamples { series: self, number, width, size, from, index };
        let baseline = Baseline { sums, scale: rule.scale, samples: &samples };
        let Verdict { score, mean, stddev } = rule.detector.judge(value, &baseline)?;
        Some(Hit {
            value: Micro::from_f64(value as f64 / rule.scale as f64),
            score: Micro::from_f64(score),
            mean: Micro::from_f64(mean),
            stddev: Micro::from_f64(stddev),
            samples: u32::try_from(sums.count).unwrap_or(u32::MAX),
        })
    }
}

/// The samples of one baseline, for detectors that want each.
#[derive(Debug)]
struct SeriesSamples<'a> {
    series: &'a Series,
    number: usize,
    width: usize,
    size: u64,
    from: usize,
    index: usize,
}

impl Samples for SeriesSamples<'_> {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        let end = self.series.ends[self.index];
        for index in (self.from..self.index).rev() {
            let value = self.series.values[index * self.width + self.number];
            if value != NONE {
                let back = (end - self.series.ends[index]) / self.size;
                visit(u32::try_from(back).unwrap_or(u32::MAX), value);
            }
        }
    }
}

/// The end of the last window of the first episode.
fn first_episode(hits: &BTreeMap<EventTime, Hit>, slide: u64) -> Option<EventTime> {
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

/// Makes moments of anomalous windows: those that follow one another by one slide are one.
fn episodes<S>(
    rule: &MomentRule<S>,
    slide: u64,
    key: &StreamId,
    boundary: EventTime,
    hits: &BTreeMap<EventTime, Hit>,
) -> Vec<Moment> {
    let mut moments: Vec<Moment> = Vec::new();
    for (&end, hit) in hits {
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
            stream_id: key.clone(),
            moment_type: Arc::clone(&rule.moment_type),
            started_at: end.minus(slide),
            peak_at: end,
            last_at: end,
            open: false,
            detection_method: rule.detector.method().into(),
            value: hit.value,
            threshold: Micro::from_f64(rule.detector.threshold()),
            score: hit.score,
            baseline_mean: hit.mean,
            baseline_stddev: hit.stddev,
            baseline_samples: hit.samples,
            windows: 1,
        });
    }
    if let Some(last) = moments.last_mut() {
        last.open = last.last_at.plus(slide) > boundary;
    }
    moments
}
