//! The documentation's definition of the windows of a key, computed from all of its windows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use telemetra_core::detect::{Carried, USUAL_WINDOWS, Usual};
use telemetra_core::{EventSums, EventTime, Means, Micro, MissingWindow, Moment, PowerSums, WindowRules};

use super::{Compared, HIGH, LOW, Plan, Shown, said};

/// The windows of a key under one rule.
pub(crate) struct Defined<'a> {
    plan: Plan,
    rows: &'a BTreeMap<EventTime, u64>,
    windows: &'a WindowRules,
    /// The first windows after silences that are absences.
    starts: BTreeSet<EventTime>,
    /// The changes of level, by the window that made them: the least end of a sample after it.
    levels: BTreeMap<EventTime, EventTime>,
}

/// The window that made a level, and the least end of a sample after it.
type Level = Option<(EventTime, EventTime)>;

impl<'a> Defined<'a> {
    pub(crate) fn new(plan: Plan, rows: &'a BTreeMap<EventTime, u64>, windows: &'a WindowRules) -> Self {
        let (starts, levels) = (BTreeSet::new(), BTreeMap::new());
        let mut defined = Self { plan, rows, windows, starts, levels };
        let ends: Vec<_> = rows.keys().copied().collect();
        let starts = ends.windows(2).filter(|pair| defined.is_absence(pair[0], pair[1])).map(|pair| pair[1]);
        defined.starts = starts.collect();
        for end in ends {
            if defined.value(end).is_none() {
                continue;
            }
            let level = defined.level(end);
            let slots = defined.slots(end, plan.longest(), level);
            let excluded: Vec<_> = slots.into_iter().filter(|end| defined.excluded(*end, level)).collect();
            if excluded.len() as u32 > plan.longest() / 3 {
                defined.levels.insert(end, excluded.last().unwrap().plus(defined.size()));
            }
        }
        defined
    }

    fn size(&self) -> u64 {
        self.windows.windows.size()
    }

    fn value(&self, end: EventTime) -> Option<(i64, u64)> {
        self.plan.value(*self.rows.get(&end)?)
    }

    fn is_hit(&self, end: EventTime) -> bool {
        self.value(end).is_some_and(|(value, _)| value >= HIGH || (value < LOW && !self.plan.includes))
    }

    /// Returns whether the key was absent between two windows of which none lies between.
    fn is_absence(&self, before: EventTime, after: EventTime) -> bool {
        let (slide, apart) = (self.windows.windows.slide(), after - before);
        // The last event before is in the oldest pane of its window, the first after in the newest pane.
        let silence = (apart + self.size()).saturating_sub(2 * slide);
        apart > slide && self.plan.absent.is_some_and(|absent| silence >= absent)
    }

    /// The first window after the last silence that is an absence.
    fn start(&self, end: EventTime) -> Option<EventTime> {
        self.starts.range(..=end).next_back().copied()
    }

    /// The ends of the windows that may be samples: the nearest first.
    fn slots(&self, end: EventTime, reach: u32, level: Level) -> Vec<EventTime> {
        let longest = u64::from(reach) * self.size();
        let start = self.start(end).unwrap_or(EventTime::MIN);
        let mut least = start.max(level.map_or(EventTime::MIN, |(_, since)| since));
        if self.plan.missing() == MissingWindow::Zero {
            let first = self.rows.range(end.minus(longest + self.size()).plus(1)..=end).next();
            let first = start.max(*first.unwrap().0);
            // A sample began at the first pane or after it.
            least = least.max(first.plus(self.size() - self.windows.windows.slide()));
        }
        let ends = (1..=u64::from(reach)).map(|back| end.minus(back * self.size()));
        ends.filter(|end| *end >= least).collect()
    }

    fn excluded(&self, end: EventTime, level: Level) -> bool {
        let any = !self.plan.includes && self.plan.longest() >= 3;
        any && self.is_hit(end) && level.is_none_or(|(at, _)| end >= at)
    }

    /// The level of a window: that which it makes itself, or the last one before in its series.
    fn level(&self, end: EventTime) -> Level {
        let levels = self.levels.range(..=end).rev().map(|(at, since)| (*at, *since));
        levels.into_iter().find(|(at, _)| (end - *at).is_multiple_of(self.size()))
    }

    fn baseline(&self, end: EventTime, reach: u32) -> Compared {
        let level = self.level(end);
        let slots = self.slots(end, reach, level);
        let zeros = self.plan.missing() == MissingWindow::Zero;
        let compared = |left_out: &dyn Fn(EventTime) -> bool| {
            let (mut sums, mut of_events, mut samples) =
                (PowerSums::default(), EventSums::default(), Vec::new());
            for slot in slots.iter().copied().filter(|slot| !left_out(*slot)) {
                if let Some((value, events)) = self.value(slot) {
                    sums.add(value);
                    of_events.add(value, events);
                    samples.push((((end - slot) / self.size()) as u32, value));
                } else if zeros {
                    sums.add(0);
                }
            }
            let (_, events) = self.value(end).unwrap();
            let means = (self.plan.kind == super::Kind::Mean).then_some(Means { events, sums: of_events });
            Compared { sums, samples, means }
        };
        let without = compared(&|slot| self.excluded(slot, level));
        let is_left_out = slots.iter().any(|slot| self.excluded(*slot, level));
        if is_left_out && without.sums.count < u64::from(self.plan.fewest) {
            return compared(&|_| false);
        }
        without
    }

    /// The view of a window that a tracker gets.
    pub(crate) fn shown(&self, end: EventTime) -> Option<Shown> {
        let (value, events) = self.value(end)?;
        let (spec, missing, scale) = (self.windows.windows, self.plan.missing(), self.plan.scale());
        let baselines = self.plan.reaches.iter().map(|reach| self.baseline(end, *reach)).collect();
        Some(Shown { value, scale, events, spec, missing, baselines })
    }

    /// The number of looks at a window.
    pub(crate) fn looks(&self, end: EventTime) -> i64 {
        let Some((scores, _)) = self.plan.scores().zip(self.value(end)) else { return 0 };
        let reach = u64::from(self.plan.longest());
        let (first, _) = self.rows.range(end.minus((reach + 1) * self.size()).plus(1)..=end).next().unwrap();
        let first = self.start(end).map_or(*first, |start| start.max(*first));
        let enough = u64::from(scores.min_samples).min(reach) * self.size();
        if first.plus(enough) <= end { i64::from(scores.sides) } else { 0 }
    }

    /// The windows that a peak is compared with: the last windows before it began that ended at multiples of their size.
    fn carried(&self, end: EventTime) -> Arc<[Carried]> {
        let size = self.size();
        let newest = end.minus(size).0 / size * size;
        let start = self.start(end).unwrap_or(EventTime::MIN);
        let most = u64::from(self.plan.longest().min(USUAL_WINDOWS));
        let slots = (0..most).rev().map(|back| EventTime(newest - back * size));
        let slots: Vec<_> = slots.filter(|slot| *slot >= start).collect();
        let left_out = |slot: &EventTime| !self.plan.includes && self.is_hit(*slot);
        let is_there = |slot: &&EventTime| self.rows.contains_key(slot);
        let any_left = slots.iter().filter(is_there).any(|slot| !left_out(slot));
        let taken = slots.into_iter().filter(|slot| !(any_left && left_out(slot)));
        let taken: Vec<_> = taken.skip_while(|slot| !is_there(&slot)).collect();
        let summaries: Vec<_> =
            taken.iter().filter_map(|slot| self.rows.get(slot).copied().map(Arc::new)).collect();
        let all = self.plan.missing() == MissingWindow::Zero;
        let number = if all { taken.len() } else { summaries.len() };
        said(&self.rows[&end], &Usual { summaries: &summaries, windows: number as u32 }).into()
    }

    /// The moments that are not retired.
    pub(crate) fn moments(&self, name: &str, key: &str, boundary: EventTime) -> BTreeSet<Moment<String>> {
        let slide = self.windows.windows.slide();
        let hits: Vec<_> = self.rows.keys().copied().filter(|end| self.is_hit(*end)).collect();
        let chains = hits.chunk_by(|one, next| one.plus(slide) == *next);
        let live = chains.filter(|chain| !self.windows.is_retired(*chain.last().unwrap(), boundary));
        let reported: Vec<_> =
            live.flatten().copied().filter(|end| self.value(*end).unwrap().0 >= HIGH).collect();
        let runs: Vec<_> = reported.chunk_by(|one, next| one.plus(slide) == *next).collect();
        let moment = |(number, run): (usize, &&[EventTime])| {
            let score = |end: &EventTime| self.value(*end).unwrap().0;
            let peak = run.iter().rev().max_by_key(|end| score(end)).copied().unwrap();
            let last = *run.last().unwrap();
            let shown = self.shown(peak).unwrap();
            let found = shown.found().unwrap();
            Moment {
                key: key.to_owned(),
                moment_type: name.into(),
                started_at: run[0].minus(slide),
                peak_at: peak,
                last_at: last,
                open: number + 1 == runs.len() && last.plus(slide) > boundary,
                detection_method: "witness".into(),
                value: Micro::from_f64(shown.value as f64 / shown.scale as f64),
                threshold: Micro::from_f64(5.0),
                score: Micro::from_f64(found.verdict.score),
                baseline_mean: Micro::from_f64(found.verdict.mean),
                baseline_stddev: Micro::from_f64(found.verdict.stddev),
                baseline_samples: found.samples,
                windows: run.len() as u32,
                comparable: self.plan.scores().is_some(),
                chance: None,
                carried: self.carried(peak),
            }
        };
        runs.iter().enumerate().map(moment).collect()
    }
}
