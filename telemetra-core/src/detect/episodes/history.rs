//! The windows of one key, with the values of the rules' metrics.
//!
//! A quiet key has the same events in several windows in a row. These are kept as one run, so a key costs
//! memory for what it does, not for the time that passes.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::NONE;
use super::exclude::Excluded;
use super::sums::{Columns, Place, RunningSums, Slots, Sums};
use super::values::Values;
use crate::detect::moment::MomentRule;
use crate::detect::{EventSums, Means};
use crate::room::{grow, shrink};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The number of runs up to which sums are computed anew for each window: that costs as much as finding running ones,
/// which would be most of the memory of a quiet key.
const FEW: usize = 32;
/// The number of the oldest runs that are searched one by one: they share a cache line.
const NEAR: usize = 4;

/// The windows of a key, oldest first.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    runs: VecDeque<Run>,
    /// The values in fixed point: of each run, those of all rules, then the numbers of events of those that
    /// are means.
    values: Values,
    /// The running sums, by series and rule; empty for few runs.
    #[serde(skip)]
    sums: Vec<RunningSums>,
    /// The rules with a value that is loud, a bit for each of the first rules, and the end of the last window
    /// with one.
    loud: u64,
    loud_until: EventTime,
}

/// The ends and the runs of the windows before one, newest first; empty if running sums are kept.
pub(super) type Before = SmallVec<[(EventTime, usize); 32]>;

/// Windows with equal values, one at each slide.
#[derive(Copy, Clone, Debug, Serialize, Deserialize)]
struct Run {
    /// The end of the first window.
    first: EventTime,
    /// The end of the last window.
    last: EventTime,
}

impl History {
    /// See [`KeyEpisodes::peek`](super::KeyEpisodes::peek).
    pub(super) fn peek(&self) -> u64 {
        self.runs.len() as u64 ^ self.values.len() as u64 ^ self.loud_until.0
    }

    /// See [`KeyEpisodes::peek_deeper`](super::KeyEpisodes::peek_deeper).
    pub(super) fn peek_deeper(&self) -> u64 {
        let value = self.values.len().checked_sub(1).and_then(|last| self.values.get(last));
        let runs = [self.runs.front(), self.runs.back()].map(|run| run.map_or(0, |run| run.last.0));
        runs[0] ^ runs[1] ^ value.unwrap_or_default().unsigned_abs()
    }

    /// The bytes of memory of the queues.
    pub(super) fn memory(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
            + self.values.memory()
            + self.sums.capacity() * size_of::<RunningSums>()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The end of the newest window.
    pub(super) fn newest(&self) -> Option<EventTime> {
        self.runs.back().map(|run| run.last)
    }

    /// The ends of the windows from a time on, in order.
    pub(super) fn ends_from(&self, spec: WindowSpec, time: EventTime) -> impl Iterator<Item = EventTime> {
        let slide = spec.slide();
        let runs = self.runs.range(self.runs.partition_point(|run| run.last < time)..);
        let ends = runs.flat_map(move |run| (run.first.0..=run.last.0).step_by(slide as usize));
        ends.map(EventTime).skip_while(move |end| *end < time)
    }

    /// The ends of all windows, newest first.
    pub(super) fn newest_first(&self, spec: WindowSpec) -> impl Iterator<Item = EventTime> {
        let slide = spec.slide() as usize;
        let runs = self.runs.iter().rev();
        runs.flat_map(move |run| (run.first.0..=run.last.0).rev().step_by(slide)).map(EventTime)
    }

    /// The pairs of adjacent windows with silence between them.
    pub(super) fn silences(&self) -> impl Iterator<Item = (EventTime, EventTime)> {
        self.runs.iter().zip(self.runs.iter().skip(1)).map(|(before, run)| (before.last, run.first))
    }

    /// The run of the window that ended at `end`.
    pub(super) fn find(&self, spec: WindowSpec, end: EventTime) -> Option<usize> {
        let newest = self.newest().filter(|newest| *newest >= end)?;
        let holds = |run: usize| self.runs.get(run).is_some_and(|run| run.first <= end && end <= run.last);
        let last = self.runs.len() - 1;
        if self.runs[last].first <= end {
            return Some(last);
        }
        // A busy key has a run for each slide.
        let dense = self.runs.len().checked_sub(1 + ((newest - end) / spec.slide()) as usize);
        if let Some(run) = dense.filter(|run| holds(*run)) {
            return Some(run);
        }
        let run = self.first_from(end);
        holds(run).then_some(run)
    }

    /// The run of the window that ended at `end`, which is often `near`.
    #[inline]
    pub(super) fn find_by(&self, near: Option<usize>, spec: WindowSpec, end: EventTime) -> Option<usize> {
        let holds = |run: &usize| self.runs.get(*run).is_some_and(|run| run.first <= end && end <= run.last);
        near.filter(holds).or_else(|| self.find(spec, end))
    }

    /// The first run that ends at a time or after it.
    fn first_from(&self, time: EventTime) -> usize {
        let near = self.runs.iter().take(NEAR).position(|run| run.last >= time);
        near.unwrap_or_else(|| self.runs.partition_point(|run| run.last < time))
    }

    /// The end of the first window that ended after a time.
    pub(super) fn first_after(&self, spec: WindowSpec, time: EventTime) -> Option<EventTime> {
        // Of most keys all windows ended after it.
        if let Some(first) = self.runs.front().map(|run| run.first).filter(|first| *first > time) {
            return Some(first);
        }
        let run = self.runs.get(self.first_from(time.plus(1)))?;
        let passed = time.plus(1).0.saturating_sub(run.first.0).div_ceil(spec.slide());
        Some(run.first.plus(passed * spec.slide()))
    }

    /// Returns whether no rule can find anything in these windows, as all values are small.
    pub(super) fn is_quiet<S>(&self, rules: &[MomentRule<S>]) -> bool {
        self.loud == 0 && rules.len() <= u64::BITS as usize
    }

    /// Returns whether a rule can find nothing in these windows.
    pub(super) fn is_quiet_for(&self, rule: usize) -> bool {
        rule < u64::BITS as usize && self.loud & (1 << rule) == 0
    }

    /// The value of a rule's metric in a run.
    pub(super) fn value(&self, columns: Columns, run: usize) -> Option<i64> {
        self.values.get(run * columns.width + columns.rule).filter(|value| *value != NONE)
    }

    /// The number of events that a rule's metric is the mean of in a run; 1 if it is no mean.
    pub(super) fn events(&self, columns: Columns, run: usize) -> u64 {
        let events = columns.events.and_then(|column| self.values.get(run * columns.width + column));
        events.map_or(1, |events| events.unsigned_abs())
    }

    /// The windows in the series of a window that are before it and not before `oldest`, newest first: the
    /// end and the run of each.
    pub(super) fn before(&self, place: Place, oldest: EventTime) -> impl Iterator<Item = (EventTime, usize)> {
        let (size, dense) = (place.spec.size(), place.all_series);
        let (mut end, mut at) = (place.end, place.run);
        std::iter::from_fn(move || {
            loop {
                end = EventTime(end.0.checked_sub(size)?);
                if end < oldest {
                    return None;
                }
                let near = at.checked_sub(dense).filter(|near| self.runs[*near].first <= end);
                at = near.filter(|near| end <= self.runs[*near].last).unwrap_or(at);
                while self.runs[at].first > end {
                    at = at.checked_sub(1)?;
                }
                match end.0.saturating_sub(self.runs[at].last.0) {
                    0 => return Some((end, at)),
                    // The windows between are missing.
                    missing => end = end.minus((missing - 1) / size * size),
                }
            }
        })
    }

    /// The windows in the series of a window that are before it, for [`roll`](Self::roll).
    pub(super) fn samples(&self, place: Place, longest: u32) -> Before {
        if self.runs.len() > FEW {
            return Before::new();
        }
        let reach = place.spec.size().saturating_mul(longest.into());
        self.before(place, place.end.minus(reach)).collect()
    }

    /// Sets or removes a window. Returns whether one was added or removed.
    pub(super) fn set<S>(
        &mut self,
        rules: &[MomentRule<S>],
        spec: WindowSpec,
        end: EventTime,
        value: Option<&S>,
    ) -> bool {
        let values = value.map(|value| {
            let mut values = SmallVec::<[i64; 16]>::new();
            rules.iter().for_each(|rule| values.push((rule.metric)(value).unwrap_or(NONE)));
            for events in rules.iter().filter_map(|rule| rule.events.as_ref()) {
                values.push(i64::try_from(events(value)).unwrap_or(i64::MAX));
            }
            values
        });
        if let Some(values) = &values {
            self.listen(rules, end, values);
        }
        let width = Columns::width(rules);
        let newest = self.newest().is_none_or(|newest| newest < end);
        if newest && let Some(values) = values {
            match self.runs.back_mut() {
                Some(run) if run.last.plus(spec.slide()) == end && self.values.ends_with(&values) => {
                    run.last = end;
                }
                _ => {
                    grow(&mut self.runs, 1);
                    self.runs.push_back(Run { first: end, last: end });
                    self.values.insert(self.values.len(), &values);
                }
            }
            return true;
        }
        // The sums contain the old value, or lack the new one.
        self.sums.clear();
        let run = self.runs.partition_point(|run| run.last < end);
        let known = self.runs.get(run).is_some_and(|run| run.first <= end);
        let run = if known { self.isolate(spec, run, end, width) } else { run };
        if known {
            self.runs.remove(run);
            self.values.remove(run * width, width);
        }
        let Some(values) = values else { return known };
        self.runs.insert(run, Run { first: end, last: end });
        self.values.insert(run * width, &values);
        !known
    }

    /// Notes which values of a window are loud.
    fn listen<S>(&mut self, rules: &[MomentRule<S>], end: EventTime, values: &[i64]) {
        let all = rules.iter().zip(values).take(u64::BITS as usize).enumerate();
        let loud = all.filter(|(_, (rule, value))| **value != NONE && rule.is_loud(**value));
        let loud = loud.fold(0, |loud, (rule, _)| loud | 1 << rule);
        if loud != 0 {
            self.loud |= loud;
            self.loud_until = self.loud_until.max(end);
        }
    }

    /// Splits a run so that one of its windows is a run of its own, whose number is returned.
    fn isolate(&mut self, spec: WindowSpec, run: usize, end: EventTime, width: usize) -> usize {
        let Run { first, last } = self.runs[run];
        if end < last {
            self.split(run, end, spec, width);
        }
        if first < end {
            self.split(run, end.minus(spec.slide()), spec, width);
            return run + 1;
        }
        run
    }

    /// Splits a run after one of its windows.
    fn split(&mut self, run: usize, end: EventTime, spec: WindowSpec, width: usize) {
        let last = std::mem::replace(&mut self.runs[run].last, end);
        self.runs.insert(run + 1, Run { first: end.plus(spec.slide()), last });
        let row: SmallVec<[i64; 16]> =
            (run * width..(run + 1) * width).filter_map(|index| self.values.get(index)).collect();
        self.values.insert((run + 1) * width, &row);
    }

    /// Removes the windows up to one that is beyond the horizon.
    pub(super) fn retire<S>(&mut self, rules: &[MomentRule<S>], spec: WindowSpec, end: EventTime) {
        while let Some(Run { first, last }) = self.runs.front().copied().filter(|run| run.first <= end) {
            let series = if self.sums.is_empty() { 0 } else { spec.series_of(first) };
            for columns in Columns::of(rules) {
                let at = (self.value(columns, 0), self.events(columns, 0));
                if let Some(running) = self.sums.get_mut(series * columns.rules + columns.rule) {
                    running.retire(columns, first, spec.size(), at);
                }
            }
            if first < last {
                self.runs[0].first = first.plus(spec.slide());
            } else {
                self.runs.pop_front();
                self.values.remove(0, Columns::width(rules));
            }
        }
        if self.runs.front().is_none_or(|run| run.first > self.loud_until) {
            self.loud = 0;
        }
        if self.runs.len() <= FEW / 2 {
            self.sums = Vec::new();
        }
        shrink(&mut self.runs);
        self.values.shrink();
    }

    /// The sums begin anew, after a change outside of the windows.
    pub(super) fn invalidate(&mut self) {
        self.sums.clear();
    }

    /// The sums of a window's samples: of those in `slots` that are not left out. If there are many, they are
    /// computed from the sums for the window before, by adding one value and removing one.
    pub(super) fn roll(
        &mut self,
        place: Place,
        before: &Before,
        slots: Slots,
        excluded: &Excluded<'_>,
    ) -> Sums {
        if self.runs.len() <= FEW {
            let before = before.iter().copied().take_while(|(end, _)| *end >= slots.first);
            return self.sum(place, before, excluded);
        }
        let mut sums = std::mem::take(&mut self.sums);
        sums.resize(place.columns.rules * place.all_series, RunningSums::STALE);
        let rolled = sums[place.number()].roll(self, place, slots, excluded);
        self.sums = sums;
        rolled
    }

    /// The sums of a rule begin anew with the next [`roll`](Self::roll), since other windows are left out.
    pub(super) fn restart(&mut self, place: Place) {
        if let Some(running) = self.sums.get_mut(place.number()) {
            *running = RunningSums::STALE;
        }
    }

    /// The same sums, over all samples.
    pub(super) fn scan(&self, place: Place, oldest: EventTime, excluded: &Excluded<'_>) -> Sums {
        self.sum(place, self.before(place, oldest), excluded)
    }

    /// The sums of some windows, newest first.
    fn sum(
        &self,
        place: Place,
        windows: impl Iterator<Item = (EventTime, usize)>,
        excluded: &Excluded<'_>,
    ) -> Sums {
        let (columns, mut found, mut means) = (place.columns, Sums::default(), EventSums::default());
        for (end, run) in windows {
            if excluded.contains(end) {
                found.excluded += 1;
                found.first_excluded = Some(end);
            } else if let Some(value) = self.value(columns, run) {
                found.sums.add(value);
                if columns.events.is_some() {
                    means.add(value, self.events(columns, run));
                }
            }
        }
        let events = self.events(columns, place.run);
        found.means = columns.events.map(|_| Means { events, sums: means });
        found
    }
}
