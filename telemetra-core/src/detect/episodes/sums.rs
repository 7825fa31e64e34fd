//! The sums of baselines: of one window, and running from window to window.

use std::collections::VecDeque;

use super::exclude::Excluded;
use super::history::History;
use crate::aggregate::power_sums::PowerSums;
use crate::detect::moment::MomentRule;
use crate::detect::{EventSums, Means};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The columns of one rule among the values of a window.
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
    pub(super) fn width<S>(rules: &[MomentRule<S>]) -> usize {
        rules.len() + rules.iter().filter(|rule| rule.events.is_some()).count()
    }
}

/// The place of one rule's value in one window.
#[derive(Copy, Clone, Debug)]
pub(super) struct Place {
    pub(super) columns: Columns,
    /// The end of the window.
    pub(super) end: EventTime,
    /// The run that the window is in.
    pub(super) run: usize,
    pub(super) spec: WindowSpec,
    /// The number of the series of disjoint windows that the window is in, and of all series.
    pub(super) series: usize,
    pub(super) all_series: usize,
}

impl Place {
    /// The places of each rule's value in one window.
    pub(super) fn of<S>(
        rules: &[MomentRule<S>],
        end: EventTime,
        run: usize,
        spec: WindowSpec,
    ) -> impl Iterator<Item = Self> {
        let (series, all_series) = (spec.series_of(end), spec.panes_per_window() as usize);
        Columns::of(rules).map(move |columns| Self { columns, end, run, spec, series, all_series })
    }

    /// The number of the running sums of the rule and the series.
    pub(super) fn number(&self) -> usize {
        self.series * self.columns.rules + self.columns.rule
    }

    /// The run of the window so many disjoint windows earlier, if each slide since then has a run, as of a busy key.
    pub(super) fn run_before(&self, windows: usize) -> Option<usize> {
        self.run.checked_sub(windows.checked_mul(self.all_series)?)
    }
}

/// The places in time of a baseline's disjoint windows, whether there are windows or not.
#[derive(Copy, Clone, Debug)]
pub(super) struct Slots {
    /// The end of the first.
    pub(super) first: EventTime,
    pub(super) windows: usize,
}

/// The sums of one baseline.
#[derive(Clone, Debug, Default)]
pub(super) struct Sums {
    pub(super) sums: PowerSums,
    pub(super) means: Option<Means>,
    /// The number of windows that are left out, and the end of the first.
    pub(super) excluded: usize,
    pub(super) first_excluded: Option<EventTime>,
}

/// The sums of one rule's values over the windows of a series from one time to another.
#[derive(Clone, Debug)]
pub(super) struct RunningSums {
    /// The end of the first window that may be in the sums.
    from: EventTime,
    /// The end of the first window after those in the sums; the greatest time if they must begin anew.
    to: EventTime,
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

impl RunningSums {
    /// Sums that begin anew when they are needed.
    pub(super) const STALE: Self = Self::from(EventTime::MAX);

    /// No windows, of which the first will be that at a time.
    const fn from(time: EventTime) -> Self {
        Self { from: time, to: time, sums: PowerSums { count: 0, sum: 0, sum_sq: 0 }, more: None }
    }

    /// Moves on to the baseline of a window: adds the windows before it, and removes those before the first of
    /// `slots` windows.
    pub(super) fn roll(
        &mut self,
        history: &History,
        place: Place,
        Slots { first, windows }: Slots,
        excluded: &Excluded<'_>,
    ) -> Sums {
        let Place { columns, end, spec, .. } = place;
        if self.to > end || self.to < first || self.from > first {
            *self = Self::from(first);
        }
        while self.to < end {
            let run = history.find_by(place.run_before(1), spec, self.to);
            if excluded.contains(self.to) {
                if run.is_some() {
                    self.more.get_or_insert_default().excluded.push_back(self.to);
                }
            } else if let Some(run) = run
                && let Some(value) = history.value(columns, run)
            {
                self.sums.add(value);
                if columns.events.is_some() {
                    self.more.get_or_insert_default().means.add(value, history.events(columns, run));
                }
            }
            self.to = self.to.plus(spec.size());
        }
        while self.from < first {
            if let Some(run) = history.find_by(place.run_before(windows + 1), spec, self.from) {
                self.leave(columns, self.from, history.value(columns, run), history.events(columns, run));
            }
            self.from = self.from.plus(spec.size());
        }
        let more = self.more.as_ref();
        Sums {
            sums: self.sums,
            means: columns.events.map(|_| Means {
                events: history.events(columns, place.run),
                sums: more.map_or(EventSums::default(), |more| more.means),
            }),
            excluded: more.map_or(0, |more| more.excluded.len()),
            first_excluded: more.and_then(|more| more.excluded.front().copied()),
        }
    }

    /// Removes a window that is retired, if it is in the sums.
    pub(super) fn retire(&mut self, columns: Columns, end: EventTime, size: u64, at: (Option<i64>, u64)) {
        if self.from <= end && end < self.to {
            self.leave(columns, end, at.0, at.1);
            self.from = end.plus(size);
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
