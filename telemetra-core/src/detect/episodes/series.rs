//! Series of disjoint windows, and the baselines that they give.

use std::collections::VecDeque;

use super::NONE;
use super::exclude::Excluded;
use crate::aggregate::power_sums::PowerSums;
use crate::detect::moment::MomentRule;
use crate::detect::{EventSums, Means};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The number of the oldest windows that are searched one by one: they share a cache line.
const NEAR: usize = 4;

/// A series of windows of one key that do not overlap, in order.
#[derive(Debug, Default)]
pub(super) struct Series {
    /// The ends of the windows.
    pub(super) ends: VecDeque<EventTime>,
    /// The values in fixed point: of each window, those of all rules, then the numbers of events of those that
    /// are means.
    values: VecDeque<i64>,
    /// The running sums over a range of windows, by rule.
    sums: Vec<RunningSums>,
    /// The end of the first window that must be evaluated again.
    dirty: Option<EventTime>,
}

/// The sums of one rule's values over a range of windows.
#[derive(Clone, Debug, Default)]
struct RunningSums {
    /// The index of the first window in the sums.
    from: usize,
    /// The index after the last window in the sums.
    to: usize,
    sums: PowerSums,
    /// The sums that most rules need for few windows, or never.
    more: Option<Box<MoreSums>>,
}

/// The further sums of one rule.
#[derive(Clone, Debug, Default)]
struct MoreSums {
    /// The sums of means.
    means: EventSums,
    /// The ends of the windows in the range that are left out.
    excluded: VecDeque<EventTime>,
}

/// The columns of one rule in a series.
#[derive(Copy, Clone, Debug)]
pub(super) struct Columns {
    /// The column of the values, which is the number of the rule.
    pub(super) rule: usize,
    /// The column of the numbers of events, if the values are means.
    pub(super) events: Option<usize>,
    /// The number of rules, and of all columns.
    pub(super) rules: usize,
    pub(super) width: usize,
}

impl Columns {
    /// The columns of each rule.
    pub(super) fn of<S>(rules: &[MomentRule<S>]) -> impl Iterator<Item = Self> {
        let (width, mut next) = (Self::width(rules), rules.len());
        rules.iter().enumerate().map(move |(rule, MomentRule { events, .. })| {
            let events = events.is_some().then_some(next);
            next += usize::from(events.is_some());
            Self { rule, events, rules: rules.len(), width }
        })
    }

    /// The number of the columns of all rules.
    fn width<S>(rules: &[MomentRule<S>]) -> usize {
        rules.len() + rules.iter().filter(|rule| rule.events.is_some()).count()
    }
}

/// The place of one rule's value in one window.
#[derive(Copy, Clone, Debug)]
pub(super) struct Place {
    pub(super) columns: Columns,
    /// The index of the window in its series.
    pub(super) index: usize,
    /// The size of the windows.
    pub(super) size: u64,
}

/// The sums of one baseline.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    pub(super) sums: PowerSums,
    pub(super) means: Option<Means>,
    /// The index of the first window in its reach.
    pub(super) from: usize,
    /// The number of windows that are left out, and the end of the first.
    pub(super) excluded: usize,
    pub(super) first_excluded: Option<EventTime>,
}

impl Series {
    /// The value of a rule's metric at an index.
    pub(super) fn value(&self, columns: Columns, index: usize) -> Option<i64> {
        value_at(&self.values, columns, index)
    }

    /// The number of events that a rule's metric is the mean of at an index; 1 if it is no mean.
    pub(super) fn events(&self, columns: Columns, index: usize) -> u64 {
        events_at(&self.values, columns, index)
    }

    /// The index of the window that ended at `end`.
    pub(super) fn find(&self, end: EventTime) -> Option<usize> {
        let index = first_from(&self.ends, end);
        (self.ends.get(index) == Some(&end)).then_some(index)
    }

    /// Sets or removes a window, and marks the following windows to be evaluated again. Returns whether a
    /// window was added or removed.
    pub(super) fn set<S>(&mut self, rules: &[MomentRule<S>], end: EventTime, value: Option<&S>) -> bool {
        let events_of = |value| {
            let events = rules.iter().filter_map(|rule| rule.events.as_ref());
            events.map(move |events| i64::try_from(events(value)).unwrap_or(i64::MAX))
        };
        let metrics_of = |value| rules.iter().map(move |rule| (rule.metric)(value).unwrap_or(NONE));
        self.dirty = Some(self.dirty.map_or(end, |dirty| dirty.min(end)));
        let newest = self.ends.back().is_none_or(|last| *last < end);
        if newest && let Some(value) = value {
            self.ends.push_back(end);
            self.values.extend(metrics_of(value));
            self.values.extend(events_of(value));
            return true;
        }
        let metrics = value.map(|value| metrics_of(value).chain(events_of(value)));
        let index = if newest { self.ends.len() } else { first_from(&self.ends, end) };
        let known = self.ends.get(index) == Some(&end);
        // The sums contain the old value, or lack the new one.
        self.sums.clear();
        let width = Columns::width(rules);
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
    pub(super) fn retire<S>(&mut self, rules: &[MomentRule<S>], end: EventTime) {
        while let Some(first) = self.ends.front().copied().filter(|first| *first <= end) {
            let Self { values, sums, .. } = self;
            for columns in Columns::of(rules) {
                let Some(running) = sums.get_mut(columns.rule) else { continue };
                if running.from == 0 && running.to > 0 {
                    let (value, events) = (value_at(values, columns, 0), events_at(values, columns, 0));
                    running.leave(columns, first, value, events);
                    running.to -= 1;
                } else {
                    running.from = running.from.saturating_sub(1);
                    running.to = running.to.saturating_sub(1);
                }
            }
            self.ends.pop_front();
            self.values.drain(..Columns::width(rules));
        }
    }

    /// The sums of a window's samples: of those that ended at `oldest` or later and are not left out. They are
    /// computed from the sums for the window before, by adding one value and removing one.
    pub(super) fn roll(&mut self, place: Place, oldest: EventTime, excluded: &Excluded<'_>) -> Sums {
        let Place { columns, index, .. } = place;
        let Self { ends, values, sums, .. } = self;
        if sums.len() <= columns.rule {
            // The sums start with the oldest sample.
            let from = first_from(ends, oldest).min(index);
            sums.resize(columns.rules, RunningSums::from(from));
        }
        let running = &mut sums[columns.rule];
        if running.to > index || running.from > 0 && ends[running.from - 1] >= oldest {
            *running = RunningSums::from(first_from(ends, oldest).min(index));
        }
        running.fill(ends, values, place, oldest, excluded);
        running.sums(values, place)
    }

    /// The sums of a rule begin anew with the next [`roll`](Self::roll), since other windows are left out.
    pub(super) fn restart(&mut self, rule: usize) {
        if let Some(running) = self.sums.get_mut(rule) {
            *running = RunningSums { to: usize::MAX, ..RunningSums::default() };
        }
    }

    /// The same sums, over all samples.
    pub(super) fn scan(&self, place: Place, oldest: EventTime, excluded: &Excluded<'_>) -> Sums {
        let mut running = RunningSums::from(first_from(&self.ends, oldest).min(place.index));
        running.fill(&self.ends, &self.values, place, oldest, excluded);
        running.sums(&self.values, place)
    }
}

/// The value of a rule's metric at an index.
fn value_at(values: &VecDeque<i64>, columns: Columns, index: usize) -> Option<i64> {
    values.get(index * columns.width + columns.rule).copied().filter(|value| *value != NONE)
}

/// The number of events that a rule's metric is the mean of at an index; 1 if it is no mean.
fn events_at(values: &VecDeque<i64>, columns: Columns, index: usize) -> u64 {
    let events = columns.events.and_then(|column| values.get(index * columns.width + column));
    events.map_or(1, |events| events.unsigned_abs())
}

impl RunningSums {
    /// No windows, of which the first will be that at an index.
    fn from(index: usize) -> Self {
        Self { from: index, to: index, ..Self::default() }
    }

    /// Adds the windows before a window, and removes those before `oldest`.
    fn fill(
        &mut self,
        ends: &VecDeque<EventTime>,
        values: &VecDeque<i64>,
        Place { columns, index, .. }: Place,
        oldest: EventTime,
        excluded: &Excluded<'_>,
    ) {
        while self.to < index {
            if excluded.contains(ends[self.to]) {
                self.more.get_or_insert_default().excluded.push_back(ends[self.to]);
            } else if let Some(value) = value_at(values, columns, self.to) {
                self.sums.add(value);
                if columns.events.is_some() {
                    let events = events_at(values, columns, self.to);
                    self.more.get_or_insert_default().means.add(value, events);
                }
            }
            self.to += 1;
        }
        while self.from < self.to && ends[self.from] < oldest {
            let at = self.from;
            self.leave(columns, ends[at], value_at(values, columns, at), events_at(values, columns, at));
            self.from += 1;
        }
    }

    /// The sums for the window at a place.
    fn sums(&self, values: &VecDeque<i64>, Place { columns, index, .. }: Place) -> Sums {
        let Self { from, sums, .. } = *self;
        let more = self.more.as_ref();
        let means = columns.events.map(|_| {
            let sums = more.map_or(EventSums::default(), |more| more.means);
            Means { events: events_at(values, columns, index), sums }
        });
        Sums {
            sums,
            means,
            from,
            excluded: more.map_or(0, |more| more.excluded.len()),
            first_excluded: more.and_then(|more| more.excluded.front().copied()),
        }
    }

    /// Removes the first window.
    fn leave(&mut self, columns: Columns, end: EventTime, value: Option<i64>, events: u64) {
        if let Some(more) = &mut self.more
            && more.excluded.front() == Some(&end)
        {
            more.excluded.pop_front();
            return;
        }
        let Some(value) = value else { return };
        self.sums.remove(value);
        if let Some(more) = self.more.as_mut().filter(|_| columns.events.is_some()) {
            more.means.remove(value, events);
        }
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
