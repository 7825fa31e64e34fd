//! The baselines of one window: their extent and their samples.

use super::Hits;
use super::exclude::{Excluded, Level, Levels, is_usual};
use super::series::{Place, Series, Sums, first_after};
use crate::aggregate::power_sums::PowerSums;
use crate::detect::moment::MomentRule;
use crate::detect::observed::{Baselines, MissingWindow};
use crate::detect::{Baseline, Means, Samples};
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// A window that is compared with its baselines by one rule.
#[derive(Debug)]
pub(super) struct Compared<'a, S> {
    pub(super) rule: &'a MomentRule<S>,
    pub(super) spec: WindowSpec,
    pub(super) end: EventTime,
    pub(super) place: Place,
    /// The number of the series that the window is in.
    pub(super) series: usize,
    /// The first window after the last silence in which the key was absent.
    pub(super) start: Option<EventTime>,
    /// The anomalous windows.
    pub(super) hits: &'a Hits,
    /// The length of the longest baseline, and the least number of samples.
    pub(super) longest: u32,
    pub(super) fewest: u32,
}

/// The extent of one baseline.
#[derive(Copy, Clone, Debug)]
struct Reach {
    /// The length that the detector needs, in disjoint windows.
    samples: u32,
    /// The least end of a sample.
    oldest: EventTime,
    /// The number of samples including missing windows; `None` if a missing window is no sample.
    slots: Option<u64>,
}

impl<S> Compared<'_, S> {
    /// The extent of a baseline.
    ///
    /// If a missing window is a sample of zero, a window is a sample only if it began at or after the key's
    /// first pane within the length of the baseline, and after the last silence in which the key was absent.
    fn reach(&self, all: &[Series], samples: u32, level: &Level) -> Reach {
        let (size, slide) = (self.spec.size(), self.spec.slide());
        let longest = size.saturating_mul(u64::from(samples));
        let (end, start) = (self.end, self.start.unwrap_or(EventTime::MIN));
        if self.rule.missing == MissingWindow::Skip {
            return Reach { samples, oldest: end.minus(longest).max(start).max(level.since), slots: None };
        }
        let before = end.0.saturating_sub(longest).saturating_sub(size);
        let first = first_after(all, self.spec, EventTime(before)).unwrap_or(end).max(start);
        let whole = first.plus(size - slide).max(level.since);
        let slots = (end.0.saturating_sub(whole.0) / size).min(u64::from(samples));
        Reach { samples, oldest: end.minus(slots * size), slots: Some(slots) }
    }

    fn excluded(&self, level: &Level) -> Excluded<'_> {
        Excluded::new(self.rule, self.hits, level, self.longest)
    }

    /// The change of level that the window makes, if the anomalous windows before it have become the usual
    /// ones.
    fn new_level(&self, sums: &Sums) -> Option<Level> {
        let first = sums.first_excluded.filter(|_| is_usual(sums.excluded, self.longest))?;
        Some(Level::new(self.place.columns.rule, self.spec, self.end, first))
    }

    /// The only baseline of the detector.
    pub(super) fn roll<'s>(&'s self, all: &'s mut [Series], levels: &mut Levels) -> Ready<'s> {
        let Self { place, series, longest, .. } = *self;
        let mut level = levels.before(place.columns.rule, self.spec, self.end);
        let mut reach = self.reach(all, longest, &level);
        let mut sums = all[series].roll(place, reach.oldest, &self.excluded(&level));
        if let Some(new) = self.new_level(&sums) {
            levels.add(new);
            (level, reach) = (new, self.reach(all, longest, &new));
            all[series].restart(place.columns.rule);
            sums = all[series].roll(place, reach.oldest, &self.excluded(&level));
        }
        self.ready(all, &reach, sums, self.excluded(&level))
    }

    /// All baselines of the detector, and the change of level that the window makes.
    pub(super) fn scan<'s>(
        &'s self,
        all: &'s [Series],
        levels: &Levels,
        reaches: &[u32],
    ) -> (Vec<Ready<'s>>, Option<Level>) {
        if reaches.is_empty() {
            return (Vec::new(), None);
        }
        let Self { place, series, .. } = *self;
        let scan = |samples: u32, level: &Level| {
            let reach = self.reach(all, samples, level);
            (reach, all[series].scan(place, reach.oldest, &self.excluded(level)))
        };
        let before = levels.before(place.columns.rule, self.spec, self.end);
        let (reach, sums) = scan(self.longest, &before);
        let new = self.new_level(&sums);
        let level = new.unwrap_or(before);
        let mut longest = Some((reach, sums)).filter(|_| new.is_none());
        let ready = reaches.iter().map(|&samples| {
            let known = longest.take_if(|_| samples == self.longest);
            let (reach, sums) = known.unwrap_or_else(|| scan(samples, &level));
            self.ready(all, &reach, sums, self.excluded(&level))
        });
        (ready.collect(), new)
    }

    /// A baseline from its sums. If too few samples are left, none is left out.
    fn ready<'s>(
        &'s self,
        all: &'s [Series],
        reach: &Reach,
        sums: Sums,
        excluded: Excluded<'s>,
    ) -> Ready<'s> {
        let series = &all[self.series];
        let filled = |sums: &Sums| match reach.slots {
            Some(slots) => sums.sums.with_zeros(slots.saturating_sub(sums.sums.count + sums.excluded as u64)),
            None => sums.sums,
        };
        let (mut sums, mut excluded) = (sums, excluded);
        if sums.excluded > 0 && filled(&sums).count < u64::from(self.fewest) {
            excluded = Excluded::NONE;
            sums = series.scan(self.place, reach.oldest, &excluded);
        }
        let samples = SeriesSamples { series, place: self.place, from: sums.from, excluded };
        Ready { reach: reach.samples, sums: filled(&sums), means: sums.means, samples }
    }
}

/// A baseline with its sums.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    reach: u32,
    sums: PowerSums,
    means: Option<Means>,
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
        let means = ready.means.as_ref();
        Some(Baseline { sums: ready.sums, scale: self.scale, samples: &ready.samples, means })
    }
}

/// The samples of one baseline, one by one.
#[derive(Debug)]
struct SeriesSamples<'a> {
    series: &'a Series,
    place: Place,
    from: usize,
    excluded: Excluded<'a>,
}

impl Samples for SeriesSamples<'_> {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        let Place { columns, index: evaluated, size } = self.place;
        let end = self.series.ends[evaluated];
        for index in (self.from..evaluated).rev() {
            let sample = self.series.ends[index];
            if let Some(value) = self.series.value(columns, index)
                && !self.excluded.contains(sample)
            {
                visit(u32::try_from((end - sample) / size).unwrap_or(u32::MAX), value);
            }
        }
    }
}
