//! Series of disjoint windows, and the baselines that they give.

use std::collections::VecDeque;

use super::NONE;
use crate::aggregate::power_sums::PowerSums;
use crate::detect::moment::MomentRule;
use crate::detect::observed::{Baselines, MissingWindow};
use crate::detect::{Baseline, Samples};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The number of the oldest windows that are searched one by one: they share a cache line.
const NEAR: usize = 4;

/// A series of windows of one key that do not overlap, in order.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// The ends of the windows.
    pub(super) ends: VecDeque<EventTime>,
    /// The values in fixed point: of each window, those of all rules.
    values: VecDeque<i64>,
    /// The running sums over a range of windows, by rule.
    sums: Vec<RunningSums>,
    /// The end of the first window that must be evaluated again.
    dirty: Option<EventTime>,
}

/// The sums of one rule's values over a range of windows.
#[derive(Copy, Clone, Debug, Default)]
struct RunningSums {
    /// The index of the first window in the sums.
    from: usize,
    /// The index after the last window in the sums.
    to: usize,
    sums: PowerSums,
}

/// The place of one rule's value in one window.
#[derive(Copy, Clone, Debug)]
pub(super) struct Place {
    /// The number of the rule, and the number of all rules.
    pub(super) rule: usize,
    pub(super) rules: usize,
    /// The index of the window in its series.
    pub(super) index: usize,
    /// The size of the windows.
    pub(super) size: u64,
}

/// The extent of one window's baseline.
#[derive(Copy, Clone, Debug)]
pub(super) struct Reach {
    /// The length that the detector needs, in disjoint windows.
    pub(super) samples: u32,
    /// The least end of a sample.
    pub(super) oldest: EventTime,
    /// The number of samples including missing windows; `None` if a missing window is no sample.
    pub(super) slots: Option<u64>,
}

impl Series {
    /// The value of a rule's metric at an index.
    pub(super) fn value(&self, rule: usize, rules: usize, index: usize) -> Option<i64> {
        self.values.get(index * rules + rule).copied().filter(|value| *value != NONE)
    }

    /// The index of the window that ended at `end`.
    pub(super) fn find(&self, end: EventTime) -> Option<usize> {
        let index = first_from(&self.ends, end);
        (self.ends.get(index) == Some(&end)).then_some(index)
    }

    /// Sets or removes a window, and marks the following windows to be evaluated again. Returns whether a
    /// window was added or removed.
    pub(super) fn set<S>(&mut self, rules: &[MomentRule<S>], end: EventTime, value: Option<&S>) -> bool {
        let width = rules.len();
        let metrics = value.map(|value| rules.iter().map(move |rule| (rule.metric)(value).unwrap_or(NONE)));
        self.dirty = Some(self.dirty.map_or(end, |dirty| dirty.min(end)));
        let newest = self.ends.back().is_none_or(|last| *last < end);
        if newest && let Some(metrics) = metrics {
            self.ends.push_back(end);
            self.values.extend(metrics);
            return true;
        }
        let index = if newest { self.ends.len() } else { first_from(&self.ends, end) };
        let known = self.ends.get(index) == Some(&end);
        // The sums contain the old value, or lack the new one.
        self.sums.clear();
        match metrics {
            Some(metrics) if known => {
                for (slot, value) in self.values.range_mut(index * width..).zip(metrics) {
                    *slot = value;
                }
                false
            }
            Some(metrics) => {
                self.ends.insert(index, end);
                for (offset, value) in metrics.enumerate() {
                    self.values.insert(index * width + offset, value);
                }
                true
            }
            None if known => {
                self.ends.remove(index);
                self.values.drain(index * width..(index + 1) * width);
                true
            }
            None => false,
        }
    }

    /// Marks the windows from `end` on to be evaluated again, after a change outside of this series.
    pub(super) fn invalidate(&mut self, end: EventTime) {
        self.sums.clear();
        self.dirty = Some(self.dirty.map_or(end, |dirty| dirty.min(end)));
    }

    /// Returns the indices of the windows that must be evaluated again, and unmarks them.
    pub(super) fn take_dirty(&mut self) -> std::ops::Range<usize> {
        let first = self.dirty.take().map(|dirty| first_from(&self.ends, dirty));
        first.unwrap_or(self.ends.len())..self.ends.len()
    }

    /// Removes the windows up to one that is beyond the horizon.
    pub(super) fn retire(&mut self, width: usize, end: EventTime) {
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

    /// The sums of a window's samples and the index of the first sample. They are computed from the sums for
    /// the window before, by adding one value and removing one.
    pub(super) fn roll(&mut self, place: Place, reach: &Reach) -> (PowerSums, usize) {
        let Place { rule, rules, index, .. } = place;
        if self.sums.len() < rules {
            // The sums start with the oldest sample.
            let from = first_from(&self.ends, reach.oldest).min(index);
            self.sums.resize(rules, RunningSums { from, to: from, sums: PowerSums::default() });
        }
        let Self { ends, values, sums, .. } = self;
        let running = &mut sums[rule];
        if running.to > index || running.from > 0 && ends[running.from - 1] >= reach.oldest {
            let from = first_from(ends, reach.oldest).min(index);
            *running = RunningSums { from, to: from, sums: PowerSums::default() };
        }
        let value = |at: usize| Some(values[at * rules + rule]).filter(|value| *value != NONE);
        while running.to < index {
            value(running.to).into_iter().for_each(|value| running.sums.add(value));
            running.to += 1;
        }
        while running.from < running.to && ends[running.from] < reach.oldest {
            value(running.from).into_iter().for_each(|value| running.sums.remove(value));
            running.from += 1;
        }
        (running.sums, running.from)
    }

    /// The baseline of a window, with sums over all its samples.
    pub(super) fn scanned(&self, place: Place, reach: &Reach) -> Ready<'_> {
        let Place { rule, rules, index, .. } = place;
        let from = first_from(&self.ends, reach.oldest).min(index);
        let mut sums = PowerSums::default();
        (from..index).filter_map(|at| self.value(rule, rules, at)).for_each(|value| sums.add(value));
        self.ready(place, reach, sums, from)
    }

    /// The baseline with given sums, of the samples from an index on.
    pub(super) fn ready(&self, place: Place, reach: &Reach, sums: PowerSums, from: usize) -> Ready<'_> {
        let sums = match reach.slots {
            Some(slots) => sums.with_zeros(slots.saturating_sub(sums.count)),
            None => sums,
        };
        let samples = SeriesSamples { series: self, place, from };
        Ready { reach: reach.samples, sums, samples }
    }
}

/// The index of the first end that is not before `time`. It is nearly always the newest end or one of the
/// oldest.
fn first_from(ends: &VecDeque<EventTime>, time: EventTime) -> usize {
    match ends.back() {
        Some(newest) if *newest < time => ends.len(),
        Some(newest) if *newest == time => ends.len() - 1,
        _ => {
            let near = ends.iter().take(NEAR).position(|end| *end >= time);
            near.unwrap_or_else(|| ends.partition_point(|end| *end < time))
        }
    }
}

/// The extent of the baseline of the window that ended at `end`.
///
/// If a missing window is a sample of zero, only windows are samples that began at or after the key's first
/// pane within the length of the baseline.
pub(super) fn reach(
    series: &[Series],
    spec: WindowSpec,
    missing: MissingWindow,
    end: EventTime,
    samples: u32,
) -> Reach {
    let (size, slide) = (spec.size(), spec.slide());
    let longest = size.saturating_mul(u64::from(samples));
    if missing == MissingWindow::Skip {
        return Reach { samples, oldest: end.minus(longest), slots: None };
    }
    let before = end.0.saturating_sub(longest).saturating_sub(size);
    let first = first_after(series, spec, EventTime(before)).unwrap_or(end);
    let whole = first.plus(size - slide);
    let slots = (end.0.saturating_sub(whole.0) / size).min(u64::from(samples));
    Reach { samples, oldest: end.minus(slots * size), slots: Some(slots) }
}

/// The end of the key's first window that ended after a time.
pub(super) fn first_after(series: &[Series], spec: WindowSpec, time: EventTime) -> Option<EventTime> {
    let next = time.plus(spec.slide());
    // Mostly there is a window at each slide.
    if series.get(spec.series_of(next)).is_some_and(|series| series.find(next).is_some()) {
        return Some(next);
    }
    let firsts = series.iter().filter_map(|series| {
        let first = *series.ends.front()?;
        if first > time {
            return Some(first);
        }
        series.ends.get(first_from(&series.ends, time.plus(1))).copied()
    });
    firsts.min()
}

/// A baseline with its sums.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    reach: u32,
    sums: PowerSums,
    samples: SeriesSamples<'a>,
}

/// The baselines of one window.
#[derive(Debug)]
pub(super) struct ReadyAll<'a> {
    pub(super) scale: i64,
    pub(super) ready: &'a [Ready<'a>],
}

impl Baselines for ReadyAll<'_> {
    fn baseline(&self, reach: u32) -> Option<Baseline<'_>> {
        let ready = self.ready.iter().find(|ready| ready.reach == reach)?;
        Some(Baseline { sums: ready.sums, scale: self.scale, samples: &ready.samples })
    }
}

/// The samples of one baseline, one by one.
#[derive(Debug)]
struct SeriesSamples<'a> {
    series: &'a Series,
    place: Place,
    from: usize,
}

impl Samples for SeriesSamples<'_> {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        let Place { rule, rules, index: evaluated, size } = self.place;
        let end = self.series.ends[evaluated];
        for index in (self.from..evaluated).rev() {
            if let Some(value) = self.series.value(rule, rules, index) {
                let back = (end - self.series.ends[index]) / size;
                visit(u32::try_from(back).unwrap_or(u32::MAX), value);
            }
        }
    }
}
