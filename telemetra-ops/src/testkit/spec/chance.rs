//! The executable specification of the chance of moments.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetra_core::engine::{Calibration, Level, Rates};
use telemetra_core::{Data, EventTime, Key, Micro, Moment, MomentRule, Summary, WindowRules};

use crate::testkit::spec_moments::start;

/// Returns the updates of the collection of moments with their chance, as
/// [`with_chance`](crate::FoundMoments::with_chance) must, computed from the updates of summaries and of
/// moments without chance.
///
/// The chance of a moment is estimated from the last settled `period` (in milliseconds) when the moment is
/// published, and again when the last pane of the moment is settled. Everything is counted from all summaries
/// and moments each time.
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
    let rates = RefCell::new(Rates::new(windows.windows.panes_per_window()));
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
                for (number, rule) in (0..).zip(rules) {
                    let (detector, size) = (rule.detector_of(*key), windows.windows.size());
                    let Some(scores) = detector.normal_scores() else { continue };
                    let reach = detector.max_samples();
                    let before = end.minus(size * u64::from(reach + 1));
                    let first = of_key.range(before.plus(1)..).next().map_or(end, |(first, _)| *first);
                    let first = first.max(start(rule, windows.windows, of_key, end));
                    let whole = size * u64::from(scores.min_samples.min(reach));
                    if (rule.metric)(value).is_some() && first.plus(whole) <= end {
                        let threshold = Level::of(Micro::from_f64(detector.threshold()));
                        looks.push((end, (number, threshold), i64::from(scores.sides)));
                    }
                }
            }
        }
        let covered = looks.iter().map(|(end, ..)| settled.plus(windows.windows.slide()) - *end).max();
        let covered = covered.map(|covered| covered.min(period));
        let before = as_of(moments, now.minus(1));
        let after = as_of(moments, now);
        let place = |moment: &Moment<K>| {
            let rule = rules.iter().position(|rule| rule.moment_type == moment.moment_type)?;
            Some((u16::try_from(rule).ok()?, moment.level()?))
        };
        let in_period = looks.iter().filter(|(end, ..)| is_in_period(*end));
        let looks: Vec<_> = in_period.map(|(_, place, sides)| (*place, *sides)).collect();
        let found: Vec<_> = after.iter().filter(|m| is_in_period(m.last_at)).filter_map(place).collect();
        // By how much the scores of each rule are too great.
        let of_rule = |rule: u16| {
            let looks = || looks.iter().filter(|((of, _), _)| *of == rule);
            let least = looks().map(|((_, threshold), _)| *threshold).min();
            let looks_at =
                |level| looks().filter(|((_, threshold), _)| *threshold <= level).map(|(_, n)| n).sum();
            let found_at =
                |level| found.iter().filter(|(of, score)| *of == rule && *score >= level).count() as i64;
            Calibration::of(least.unwrap_or(Level::of(Micro(0))), looks_at, found_at, &mut rates.borrow_mut())
        };
        let calibrations: Vec<Calibration> = (0..).take(rules.len()).map(of_rule).collect();
        let calibrated = |(rule, level): (u16, Level)| {
            calibrations[usize::from(rule)].apply(level, &mut rates.borrow_mut())
        };
        let ratio = |level: Level, besides: usize, more: f64| {
            let looks = looks.iter().filter(|(place, _)| calibrated(*place) <= level);
            let looks: i64 = looks.map(|(_, sides)| sides).sum();
            let above = besides + found.iter().filter(|place| calibrated(**place) >= level).count();
            more * (looks as f64 * rates.borrow_mut().of(level)) / above as f64
        };
        let of = |moment: &Moment<K>| {
            let own = calibrated(place(moment)?);
            let is_final = windows.settled_at(moment.last_at) <= now.plus(1);
            let (besides, more) = if is_final { (0, 1.0) } else { (1, period as f64 / covered? as f64) };
            let levels = found.iter().map(|place| calibrated(*place)).filter(|level| *level <= own);
            let least = levels.chain([own]).map(|level| ratio(level, besides, more)).fold(1.0, f64::min);
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
