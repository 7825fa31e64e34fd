//! The baselines of one window: their extent and their samples.

use super::Hits;
use super::exclude::{Excluded, Level, Levels, is_usual};
use super::history::{Before, History};
use super::sums::{Place, Slots, Sums};
use crate::aggregate::power_sums::PowerSums;
use crate::detect::moment::MomentRule;
use crate::detect::observed::{Baselines, MissingWindow};
use crate::detect::{Baseline, Means, Samples};
use crate::time::event_time::EventTime;

/// A window that is compared with its baselines by one rule.
#[derive(Debug)]
pub(super) struct Compared<'a, S> {
    pub(super) rule: &'a MomentRule<S>,
    pub(super) place: Place,
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
    /// The number of samples including missing windows.
    slots: u64,
    /// True if a missing window is a sample of zero.
    counts_missing: bool,
}

impl Reach {
    fn slots(&self) -> Slots {
        Slots { first: self.oldest, windows: self.slots as usize }
    }
}

impl<S> Compared<'_, S> {
    /// The extent of a baseline.
    ///
    /// If a missing window is a sample of zero, a window is a sample only if it began at or after the key's
    /// first pane within the length of the baseline, and after the last silence in which the key was absent.
    fn reach(&self, history: &History, samples: u32, level: &Level) -> Reach {
        let Place { end, spec, .. } = self.place;
        let (size, slide) = (spec.size(), spec.slide());
        let longest = size.saturating_mul(u64::from(samples));
        let start = self.start.unwrap_or(EventTime::MIN);
        let counts_missing = self.rule.missing != MissingWindow::Skip;
        let from = if counts_missing {
            let before = end.0.saturating_sub(longest).saturating_sub(size);
            let first = history.first_after(spec, EventTime(before)).unwrap_or(end).max(start);
            first.plus(size - slide).max(level.since)
        } else {
            start.max(level.since)
        };
        let available = end.0.saturating_sub(from.0);
        let slots = if available >= longest { u64::from(samples) } else { available / size };
        Reach { samples, oldest: end.minus(slots * size), slots, counts_missing }
    }

    fn excluded(&self, level: &Level) -> Excluded<'_> {
        Excluded::new(self.rule, self.hits, level, self.longest)
    }

    /// The change of level that the window makes, if the anomalous windows before it have become the usual
    /// ones.
    fn new_level(&self, sums: &Sums) -> Option<Level> {
        let first = sums.first_excluded.filter(|_| is_usual(sums.excluded, self.longest))?;
        Some(Level::new(self.place.columns.rule, self.place.spec, self.place.end, first))
    }

    fn level_before(&self, levels: &Levels) -> Level {
        levels.before(self.place.columns.rule, self.place.spec, self.place.end)
    }

    /// The only baseline of the detector.
    pub(super) fn roll<'s>(
        &'s self,
        history: &'s mut History,
        before: &Before,
        levels: &mut Levels,
    ) -> Ready<'s> {
        let Self { place, longest, .. } = *self;
        let mut level = self.level_before(levels);
        let mut reach = self.reach(history, longest, &level);
        let mut sums = history.roll(place, before, reach.slots(), &self.excluded(&level));
        if let Some(new) = self.new_level(&sums) {
            levels.add(new);
            (level, reach) = (new, self.reach(history, longest, &new));
            history.restart(place);
            sums = history.roll(place, before, reach.slots(), &self.excluded(&level));
        }
        self.ready(history, &reach, sums, self.excluded(&level))
    }

    /// All baselines of the detector, and the change of level that the window makes.
    pub(super) fn scan<'s>(
        &'s self,
        history: &'s History,
        levels: &Levels,
        reaches: &[u32],
    ) -> (Vec<Ready<'s>>, Option<Level>) {
        if reaches.is_empty() {
            return (Vec::new(), None);
        }
        let scan = |samples: u32, level: &Level| {
            let reach = self.reach(history, samples, level);
            (reach, history.scan(self.place, reach.oldest, &self.excluded(level)))
        };
        let before = self.level_before(levels);
        let (reach, sums) = scan(self.longest, &before);
        let new = self.new_level(&sums);
        let level = new.unwrap_or(before);
        let mut longest = Some((reach, sums)).filter(|_| new.is_none());
        let ready = reaches.iter().map(|&samples| {
            let known = longest.take_if(|_| samples == self.longest);
            let (reach, sums) = known.unwrap_or_else(|| scan(samples, &level));
            self.ready(history, &reach, sums, self.excluded(&level))
        });
        (ready.collect(), new)
    }

    /// A baseline from its sums. If too few samples are left, none is left out.
    fn ready<'s>(
        &'s self,
        history: &'s History,
        reach: &Reach,
        mut sums: Sums,
        mut excluded: Excluded<'s>,
    ) -> Ready<'s> {
        let filled = |sums: &Sums| {
            if !reach.counts_missing {
                return sums.sums;
            }
            sums.sums.with_zeros(reach.slots.saturating_sub(sums.sums.count + sums.excluded as u64))
        };
        if sums.excluded > 0 && filled(&sums).count < u64::from(self.fewest) {
            excluded = Excluded::NONE;
            sums = history.scan(self.place, reach.oldest, &excluded);
        }
        let samples = HistorySamples { history, place: self.place, oldest: reach.oldest, excluded };
        Ready { reach: reach.samples, sums: filled(&sums), means: sums.means, samples }
    }
}

/// A baseline with its sums.
#[derive(Debug)]
pub(super) struct Ready<'a> {
    reach: u32,
    sums: PowerSums,
    means: Option<Means>,
    samples: HistorySamples<'a>,
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
struct HistorySamples<'a> {
    history: &'a History,
    place: Place,
    oldest: EventTime,
    excluded: Excluded<'a>,
}

impl Samples for HistorySamples<'_> {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        let Place { columns, end, spec, .. } = self.place;
        for (sample, run) in self.history.before(self.place, self.oldest) {
            if let Some(value) = self.history.value(columns, run)
                && !self.excluded.contains(sample)
            {
                visit(u32::try_from((end - sample) / spec.size()).unwrap_or(u32::MAX), value);
            }
        }
    }
}
