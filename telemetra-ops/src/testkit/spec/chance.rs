//! The chance of moments, defined plainly.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetra_core::engine::{Level, upcrossings};
use telemetra_core::{Data, EventTime, Key, Micro, Moment, MomentRule, Summary, WindowRules};

/// The changes of moments with their chance, of the changes of moments without it, at the times at which
/// sinks see them.
///
/// A moment is compared, when it is published, with the `period` that had settled by then, and once more when
/// the last of its panes has settled. Everything is counted anew from all summaries and moments.
pub fn chance<K: Key, S: Data>(
    summaries: &[((K, Summary<S>), EventTime, isize)],
    moments: &[(Moment<K>, EventTime, isize)],
    windows: WindowRules,
    rules: &[MomentRule<S>],
    period: u64,
) -> Vec<(Moment<K>, EventTime, isize)> {
    let due = |moment: &Moment<K>| windows.settled_at(moment.last_at).minus(1);
    let mut times: BTreeSet<EventTime> = BTreeSet::new();
    for (moment, time, _) in moments {
        times.extend([*time, due(moment)]);
    }
    let mut stated: BTreeMap<Moment<K>, Option<Micro>> = BTreeMap::new();
    let mut updates = Vec::new();
    for now in times {
        let settled = windows.windows.pane_start(now.plus(1).minus(windows.settled_at(EventTime(0)).0));
        let is_in_period = |end: EventTime| end <= settled && end.plus(period) > settled;
        // The looks at each window that is settled, by the end of the window and the threshold.
        let mut ends: BTreeMap<&K, BTreeMap<EventTime, &Arc<S>>> = BTreeMap::new();
        let known = as_of(summaries, now);
        known.iter().for_each(|(key, summary)| {
            ends.entry(key).or_default().insert(summary.window.end, &summary.value);
        });
        let mut looks = Vec::new();
        for (key, of_key) in &ends {
            for (&end, value) in of_key.range(..=settled) {
                let of_rules = rules.iter().filter(|rule| (rule.metric)(value).is_some());
                looks.extend(of_rules.filter_map(|rule| {
                    let (detector, size) = (rule.detector_of(*key), windows.windows.size());
                    let scores = detector.normal_scores()?;
                    let reach = detector.max_samples();
                    let before = end.minus(size * u64::from(reach + 1));
                    let (first, _) = of_key.range(before.plus(1)..).next()?;
                    let is_judged = first.plus(size * u64::from(scores.min_samples.min(reach))) <= end;
                    let threshold = Level::of(Micro::from_f64(detector.threshold()));
                    is_judged.then_some((end, threshold, i64::from(scores.sides)))
                }));
            }
        }
        let covered = looks.iter().map(|(end, ..)| settled.plus(windows.windows.slide()) - *end).max();
        let covered = covered.map(|covered| covered.min(period));
        let before = as_of(moments, now.minus(1));
        let after = as_of(moments, now);
        let found: Vec<Level> =
            after.iter().filter(|m| is_in_period(m.last_at)).filter_map(|m| m.level()).collect();
        let ratio = |level: Level, besides: usize, more: f64| {
            let looks = looks.iter().filter(|(end, threshold, _)| is_in_period(*end) && *threshold <= level);
            let looks: i64 = looks.map(|(.., sides)| sides).sum();
            let rate = upcrossings(level.score(), windows.windows.panes_per_window());
            let above = besides + found.iter().filter(|other| **other >= level).count();
            more * (looks as f64 * rate) / above as f64
        };
        let of = |moment: &Moment<K>| {
            let own = moment.level()?;
            let is_final = windows.settled_at(moment.last_at) <= now.plus(1);
            let (besides, more) = if is_final { (0, 1.0) } else { (1, period as f64 / covered? as f64) };
            let levels = found.iter().copied().filter(|level| *level <= own).chain([own]);
            let least = levels.map(|level| ratio(level, besides, more)).fold(1.0, f64::min);
            Some(Micro(((least * 1e6).ceil() as i64).clamp(1, Micro::SCALE)))
        };
        for gone in before.iter().filter(|moment| !after.contains(moment)) {
            let chance = stated.remove(gone).flatten();
            updates.push((Moment { chance, ..gone.clone() }, now, -1));
        }
        for moment in &after {
            let is_due = due(moment) == now;
            let chance = match stated.get(moment) {
                Some(_) if is_due => of(moment),
                Some(chance) => *chance,
                None => of(moment),
            };
            let old = stated.insert(moment.clone(), chance);
            if old == Some(chance) {
                continue;
            }
            if let Some(old) = old {
                updates.push((Moment { chance: old, ..moment.clone() }, now, -1));
            }
            updates.push((Moment { chance, ..moment.clone() }, now, 1));
        }
    }
    updates
}

/// The collection as it is at a time.
fn as_of<D: Clone + Ord>(updates: &[(D, EventTime, isize)], now: EventTime) -> Vec<D> {
    let mut counts: BTreeMap<&D, isize> = BTreeMap::new();
    for (data, _, diff) in updates.iter().filter(|(_, time, _)| *time <= now) {
        *counts.entry(data).or_default() += diff;
    }
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(data, _)| data.clone()).collect()
}
