//! The executable specification: the operators as plain differential dataflow.
//!
//! Nothing here is fast. Each event goes to each of its windows, each window is folded from its events, each key's moments are
//! found anew from all its windows, each board from all keys. Property tests hold the operators equal to this, change by
//! change.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{
    Accumulator, Baseline, Baselines, Data, EventTime, Key, Micro, MissingWindow, Moment, MomentRule,
    Observed, PowerSums, Ranked, Samples, Summary, Window, WindowSpec,
};
use timely::dataflow::operators::vec::Map;

use crate::operators::enrich::Enriched;
use crate::operators::windows::Summaries;

mod chance;

pub use chance::chance;

/// The windows of events that count: `(key, (event time, payload))`, each at its effective time.
///
/// The summaries stay for ever: retiring is a matter of memory, not of meaning.
pub fn windows<'scope, K: Key, A: Accumulator, D: Data>(
    events: VecCollection<'scope, EventTime, (K, (EventTime, D)), isize>,
    spec: WindowSpec,
    add: impl Fn(&mut A, &D) + 'static,
) -> Summaries<'scope, K, A::Output> {
    events
        .inner
        .flat_map(move |((key, (time, payload)), effective, diff)| {
            let first = spec.pane_end(time);
            (0..spec.panes_per_window()).map(move |n| {
                let end = first.plus(n * spec.slide());
                // A window is not there before it has ended.
                (((key.clone(), end), payload.clone()), effective.max(end.minus(1)), diff)
            })
        })
        .as_collection()
        .reduce_named("WindowsSpec", move |_, payloads, output| {
            let mut accumulator = A::default();
            for (payload, count) in payloads {
                (0..*count).for_each(|_| add(&mut accumulator, payload));
            }
            output.push((Arc::new(accumulator.finish()), 1));
        })
        .map(move |((key, end), value)| (key, Summary { window: spec.window_ending(end), value }))
}

/// The sessions of events that count: `(key, (event time, payload))`, each at its effective time.
///
/// A session is not there before the first end of a pane at or after its own end.
pub fn sessions<'scope, K: Key, A: Accumulator, D: Data>(
    events: VecCollection<'scope, EventTime, (K, (EventTime, D)), isize>,
    gap: u64,
    panes: WindowSpec,
    add: impl Fn(&mut A, &D) + 'static,
) -> Summaries<'scope, K, A::Output> {
    events
        .reduce_named("SessionsSpec", move |_, events, output| {
            // The events come sorted by time.
            for session in events.chunk_by(|((one, _), _), ((next, _), _)| *next < one.plus(gap)) {
                let (Some(((start, _), _)), Some(((last, _), _))) = (session.first(), session.last()) else {
                    continue;
                };
                let mut accumulator = A::default();
                for ((_, payload), count) in session {
                    (0..*count).for_each(|_| add(&mut accumulator, payload));
                }
                let window = Window { start: *start, end: last.plus(gap) };
                output.push((Summary { window, value: Arc::new(accumulator.finish()) }, 1));
            }
        })
        .inner
        .map(move |(record, time, diff)| {
            let closes = EventTime(record.1.window.end.0.next_multiple_of(panes.slide()));
            (record, time.max(closes.minus(1)), diff)
        })
        .as_collection()
}

/// The moments of summaries. `clock` holds, at each time, the boundary that follows it, which tells whether a moment is open.
pub fn moments<'scope, K: Key, S: Data>(
    summaries: Summaries<'scope, K, S>,
    clock: VecCollection<'scope, EventTime, EventTime, isize>,
    spec: WindowSpec,
    rules: Arc<[MomentRule<S>]>,
) -> VecCollection<'scope, EventTime, Moment<K>, isize> {
    let keys = summaries.clone().map(|(key, _)| ((), key)).distinct();
    let clock =
        keys.join_map(clock.map(|boundary| ((), boundary)), |(), key, now| (key.clone(), (*now, None)));
    summaries
        .map(|(key, summary)| (key, (summary.window.end, Some(summary.value))))
        .concat(clock)
        .reduce_named("MomentsSpec", move |key, known, output| {
            let mut windows = BTreeMap::new();
            let mut now = EventTime::MIN;
            for ((time, value), _) in known {
                match value {
                    Some(value) => drop(windows.insert(*time, value)),
                    None => now = *time,
                }
            }
            for rule in &*rules {
                output.extend(of_key(rule, spec, key, now, &windows).into_iter().map(|moment| (moment, 1)));
            }
        })
        .map(|(_, moment)| moment)
}

/// The newest summary of each key: of the window that ends at the boundary that `clock` holds, as for [`moments`].
pub fn latest<'scope, K: Key, S: Data>(
    summaries: Summaries<'scope, K, S>,
    clock: VecCollection<'scope, EventTime, EventTime, isize>,
) -> Summaries<'scope, K, S> {
    summaries
        .map(|(key, summary)| (summary.window.end, (key, summary)))
        .join_map(clock.map(|boundary| (boundary, ())), |_, record, ()| record.clone())
}

/// The `n` keys of greatest value.
pub fn top<'scope, K: Key, S: Data, V: Into<Option<i64>>>(
    summaries: Summaries<'scope, K, S>,
    n: usize,
    name: &str,
    metric: impl Fn(&S) -> V + 'static,
) -> VecCollection<'scope, EventTime, Ranked<K>, isize> {
    let board: Arc<str> = name.into();
    summaries
        .flat_map(move |(key, summary)| {
            let value: Option<i64> = metric(&summary.value).into();
            value.map(|value| ((), (Reverse(value), key)))
        })
        .reduce_named("TopSpec", move |(), places, output| {
            for (rank, ((Reverse(value), key), _)) in (1..).zip(places.iter().take(n)) {
                let (board, key) = (Arc::clone(&board), key.clone());
                output.push((Ranked { board, rank, key, value: *value }, 1));
            }
        })
        .map(|((), ranked)| ranked)
}

/// Records with the rows of their keys: those that have one, and those that have none.
pub fn enrich<'scope, K: Key, V: Data, R: Data>(
    records: VecCollection<'scope, EventTime, (K, V), isize>,
    rows: VecCollection<'scope, EventTime, (K, R), isize>,
) -> Enriched<'scope, K, V, R> {
    let known = rows.clone().map(|(key, _)| key).distinct();
    let described =
        records.clone().join_map(rows, |key, value, row| (key.clone(), (value.clone(), Some(row.clone()))));
    described.concat(records.antijoin(known).map(|(key, value)| (key, (value, None))))
}

/// The moments of one key under one rule.
fn of_key<K: Key, S: Data>(
    rule: &MomentRule<S>,
    spec: WindowSpec,
    key: &K,
    now: EventTime,
    windows: &BTreeMap<EventTime, &Arc<S>>,
) -> Vec<Moment<K>> {
    let mut moments: Vec<Moment<K>> = Vec::new();
    let detector = rule.detector_of(key);
    let mut follower = detector.follow();
    for (&end, value) in windows {
        let Some(value) = (rule.metric)(value) else { continue };
        let ready = detector.reaches().iter().map(|&reach| (reach, samples(rule, spec, end, reach, windows)));
        let baselines = SpecBaselines { scale: rule.scale, ready: ready.collect() };
        let (scale, missing) = (rule.scale, rule.missing);
        let window = Observed { end, value, scale, spec, missing, baselines: &baselines };
        let Some(found) = follower.next(&window) else { continue };
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

/// One, two, … whole windows back: `None` where that is no sample.
fn samples<S>(
    rule: &MomentRule<S>,
    spec: WindowSpec,
    end: EventTime,
    reach: u32,
    windows: &BTreeMap<EventTime, &Arc<S>>,
) -> SpecSamples {
    let ends = |back: u64| end.0.checked_sub(back * spec.size()).map(EventTime);
    let value = |end: EventTime| windows.get(&end).and_then(|value| (rule.metric)(value));
    // Where a missing window is zero, only windows that hold nothing of before the first pane in reach are samples.
    let before = end.minus(u64::from(reach + 1) * spec.size());
    let first = windows.range(before.plus(1)..).next().map(|(first, _)| first.minus(spec.slide()));
    let is_whole = |end: EventTime| first.is_some_and(|first| end.minus(spec.size()) >= first);
    let sample = |back: u64| match (ends(back)?, rule.missing) {
        (end, MissingWindow::Skip) => value(end).map(|value| (value, true)),
        (end, MissingWindow::Zero) if end >= EventTime(spec.size()) && is_whole(end) => {
            Some(value(end).map_or((0, false), |value| (value, true)))
        }
        _ => None,
    };
    SpecSamples((1..=u64::from(reach)).map(sample).collect())
}

#[derive(Debug)]
struct SpecBaselines {
    scale: i64,
    ready: Vec<(u32, SpecSamples)>,
}

impl Baselines for SpecBaselines {
    fn baseline(&self, reach: u32) -> Option<Baseline<'_>> {
        let (_, samples) = self.ready.iter().find(|(other, _)| *other == reach)?;
        let mut sums = PowerSums::default();
        samples.0.iter().flatten().for_each(|(value, _)| sums.add(*value));
        Some(Baseline { sums, scale: self.scale, samples })
    }
}

/// By how many windows back: the value, and whether there is a row.
#[derive(Debug)]
struct SpecSamples(Vec<Option<(i64, bool)>>);

impl Samples for SpecSamples {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        for (back, sample) in (1..).zip(&self.0) {
            if let Some((value, true)) = sample {
                visit(back, *value);
            }
        }
    }
}
