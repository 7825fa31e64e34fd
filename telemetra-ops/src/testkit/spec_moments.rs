//! The executable specification of one key's moments under one rule: each window is compared anew with all windows
//! before it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetra_core::detect::{Carried, USUAL_WINDOWS, Usual};
use telemetra_core::{
    AnyDetector, Baseline, Baselines, Data, EventSums, EventTime, Key, Means, Micro, MissingWindow, Moment,
    MomentRule, Observed, PowerSums, Samples, WindowSpec,
};

/// The moments of one key under one rule.
pub(crate) fn of_key<K: Key, S: Data>(
    rule: &MomentRule<S>,
    spec: WindowSpec,
    key: &K,
    now: EventTime,
    windows: &BTreeMap<EventTime, &Arc<S>>,
) -> Vec<Moment<K>> {
    let mut moments: Vec<Moment<K>> = Vec::new();
    let detector = rule.detector_of(key);
    let mut follower = detector.follow();
    let mut past = Past { rule, spec, detector, windows, anomalous: BTreeSet::new(), levels: Vec::new() };
    for (&end, summary) in windows {
        let Some(value) = (rule.metric)(summary) else { continue };
        let (since, forgiven) = past.level(end);
        let events = rule.events.as_ref().map(|events| events(summary));
        let baselines = detector.reaches().iter().map(|&reach| {
            let all = past.samples(end, reach, since, |_| false);
            let left = past.samples(end, reach, since, |sample| past.is_excluded(sample, forgiven));
            let enough = left.0.iter().flatten().count() >= detector.min_samples() as usize;
            let samples = if enough { left } else { all };
            let mut sums = EventSums::default();
            samples.0.iter().flatten().for_each(|sample| sums.add(sample.value, sample.events));
            (reach, samples, events.map(|events| Means { events, sums }))
        });
        let baselines = SpecBaselines { scale: rule.scale, ready: baselines.collect() };
        let (scale, missing) = (rule.scale, rule.missing);
        let events = events.unwrap_or(1);
        let window = Observed { end, value, scale, events, spec, missing, baselines: &baselines };
        let found = follower.next(&window);
        if found.is_some() || detector.departs(&window) {
            past.anomalous.insert(end);
        }
        let Some(found) = found else { continue };
        let hit = Moment {
            key: key.clone(),
            moment_type: Arc::clone(&rule.moment_type),
            started_at: end.minus(spec.slide()),
            peak_at: end,
            last_at: end,
            open: end == now,
            detection_method: Arc::clone(detector.method()),
            value: Micro::from_f64(value as f64 / rule.scale as f64),
            threshold: Micro::from_f64(detector.threshold()),
            score: Micro::from_f64(found.verdict.score),
            baseline_mean: Micro::from_f64(found.verdict.mean),
            baseline_stddev: Micro::from_f64(found.verdict.stddev),
            baseline_samples: found.samples,
            windows: 1,
            comparable: detector.normal_scores().is_some(),
            chance: None,
            carried: past.carried(end, summary),
        };
        match moments.last_mut().filter(|last| last.last_at.plus(spec.slide()) == end) {
            None => moments.push(hit),
            Some(last) => {
                let windows = last.windows + 1;
                let started_at = last.started_at;
                let peak = if hit.score.0.abs() > last.score.0.abs() { hit.clone() } else { last.clone() };
                *last = Moment { started_at, last_at: end, open: hit.open, windows, ..peak };
            }
        }
    }
    moments
}

/// The windows of a key, and what was found in those before the one that is compared.
struct Past<'a, S> {
    rule: &'a MomentRule<S>,
    spec: WindowSpec,
    detector: &'a AnyDetector,
    windows: &'a BTreeMap<EventTime, &'a Arc<S>>,
    anomalous: BTreeSet<EventTime>,
    /// The windows whose baselines began anew, each with the least end of its samples.
    levels: Vec<(EventTime, EventTime)>,
}

impl<S> Past<'_, S> {
    /// The least end of a sample, and the end before which anomalous windows are samples, too. If more than a third of the
    /// disjoint windows in reach are anomalous, they are the usual.
    fn level(&mut self, end: EventTime) -> (EventTime, EventTime) {
        let size = self.spec.size();
        let before = self.levels.iter().rev().find(|(at, _)| (end - *at).is_multiple_of(size));
        let (at, since) = before.copied().unwrap_or_default();
        let reach = self.detector.max_samples();
        let samples = self.samples(end, reach, since, |_| false);
        let backs = (1..).zip(&samples.0).filter(|(_, sample)| sample.is_some());
        let ends = backs.map(|(back, _): (u64, _)| end.minus(back * size));
        let excluded: Vec<_> = ends.filter(|sample| self.is_excluded(*sample, at)).collect();
        if excluded.len() <= reach as usize / 3 {
            return (since, at);
        }
        let since = excluded.last().map_or(since, |first| first.plus(size));
        self.levels.push((end, since));
        (since, end)
    }

    /// The explanation of an anomalous window by the rule.
    fn carried(&self, end: EventTime, peak: &S) -> Arc<[Carried]> {
        let Some(explanation) = &self.rule.explanation else { return Arc::default() };
        let most = self.detector.max_samples().min(USUAL_WINDOWS);
        let size = self.spec.size();
        let start = start(self.rule, self.spec, self.windows, end);
        let last = (end.0 - size) / size * size;
        let ends = (0..u64::from(most)).rev().filter_map(|back| last.checked_sub(back * size)).map(EventTime);
        let ends: Vec<_> = ends.filter(|end| *end >= start).collect();
        let is_left = |end: &&EventTime| !self.rule.excludes_moments || !self.anomalous.contains(end);
        let left: Vec<_> = ends.iter().filter(is_left).copied().collect();
        let is_there = |end: &EventTime| self.windows.contains_key(end);
        let mut usual = if left.iter().any(is_there) { left } else { ends };
        if self.rule.missing == MissingWindow::Skip {
            usual.retain(is_there);
        }
        usual.drain(..usual.iter().position(is_there).unwrap_or(usual.len()));
        let summaries = usual.iter().filter_map(|end| self.windows.get(end).map(|value| Arc::clone(value)));
        let summaries: Vec<_> = summaries.collect();
        explanation(peak, &Usual { summaries: &summaries, windows: usual.len() as u32 }).into()
    }

    fn is_excluded(&self, sample: EventTime, forgiven: EventTime) -> bool {
        let excludes = self.rule.excludes_moments && self.detector.max_samples() >= 3;
        excludes && sample >= forgiven && self.anomalous.contains(&sample)
    }

    /// One, two, … whole windows back: `None` where that is no sample.
    fn samples(
        &self,
        end: EventTime,
        reach: u32,
        since: EventTime,
        is_excluded: impl Fn(EventTime) -> bool,
    ) -> SpecSamples {
        let (rule, spec, windows) = (self.rule, self.spec, self.windows);
        let start = start(rule, spec, windows, end);
        let ends = |back: u64| end.0.checked_sub(back * spec.size()).map(EventTime);
        let value = |end: EventTime| {
            let summary = windows.get(&end)?;
            Some(((rule.metric)(summary)?, rule.events.as_ref().map_or(1, |events| events(summary))))
        };
        // Where a missing window is zero, only windows that hold nothing of before the first pane in reach are samples.
        let before = end.minus(u64::from(reach + 1) * spec.size());
        let first = windows.range(before.plus(1)..).next().map(|(first, _)| (*first).max(start));
        let first = first.map(|first| first.minus(spec.slide()));
        let is_whole = |end: EventTime| first.is_some_and(|first| end.minus(spec.size()) >= first);
        let sample = |back: u64| {
            let end = ends(back).filter(|end| *end >= since && !is_excluded(*end))?;
            match rule.missing {
                MissingWindow::Skip if end >= start => {
                    value(end).map(|(value, events)| SpecSample { value, events, is_there: true })
                }
                MissingWindow::Zero if end >= EventTime(spec.size()) && is_whole(end) => {
                    let there =
                        value(end).map(|(value, events)| SpecSample { value, events, is_there: true });
                    Some(there.unwrap_or(SpecSample { value: 0, events: 0, is_there: false }))
                }
                _ => None,
            }
        };
        SpecSamples((1..=u64::from(reach)).map(sample).collect())
    }
}

/// The end of the first window, at or before `end`, after the last silence in which the key was absent.
pub(super) fn start<S, V>(
    rule: &MomentRule<S>,
    spec: WindowSpec,
    windows: &BTreeMap<EventTime, V>,
    end: EventTime,
) -> EventTime {
    let (size, slide) = (spec.size(), spec.slide());
    let ends: Vec<_> = windows.range(..=end).map(|(end, _)| *end).collect();
    let is_start = |pair: &&[EventTime]| {
        let apart = pair[1] - pair[0];
        // The last event is in the first pane of the one, the next in the last pane of the other.
        apart > slide
            && rule.absent_after.is_some_and(|absent| apart + size >= absent.saturating_add(2 * slide))
    };
    ends.windows(2).rfind(is_start).map_or(EventTime::MIN, |pair| pair[1])
}

#[derive(Debug)]
struct SpecBaselines {
    scale: i64,
    ready: Vec<(u32, SpecSamples, Option<Means>)>,
}

impl Baselines for SpecBaselines {
    fn baseline(&self, reach: u32) -> Option<Baseline<'_>> {
        let (_, samples, means) = self.ready.iter().find(|(other, ..)| *other == reach)?;
        let mut sums = PowerSums::default();
        samples.0.iter().flatten().for_each(|sample| sums.add(sample.value));
        Some(Baseline { sums, scale: self.scale, samples, means: means.as_ref() })
    }
}

/// One disjoint window.
#[derive(Copy, Clone, Debug)]
struct SpecSample {
    value: i64,
    events: u64,
    /// True if there is a row.
    is_there: bool,
}

/// The samples by how many windows back.
#[derive(Debug)]
struct SpecSamples(Vec<Option<SpecSample>>);

impl Samples for SpecSamples {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        for (back, sample) in (1..).zip(&self.0) {
            if let Some(SpecSample { value, is_there: true, .. }) = sample {
                visit(back, *value);
            }
        }
    }
}
