//! The windows that are left out of baselines: those of moments, unless they have become the usual ones.

use serde::{Deserialize, Serialize};

use super::Hits;
use crate::detect::moment::MomentRule;
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The denominator of the share of windows within reach of a baseline above which they are not left out. With
/// fewer windows than this, none is left out.
const LEAST_REACH: u32 = 3;

/// A new level of one rule in one series: anomalous windows that became the usual ones.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Level {
    rule: u32,
    /// The end of the window whose baseline was the first to begin anew. Windows before it are samples, whether
    /// they are anomalous or not.
    at: EventTime,
    /// The least end of a sample.
    pub(super) since: EventTime,
}

impl Level {
    /// The level of a rule before its first change.
    fn first(rule: usize) -> Self {
        Self { rule: rule as u32, at: EventTime::MIN, since: EventTime::MIN }
    }

    /// The level that begins with the baseline of a window, after the first anomalous window in its reach.
    pub(super) fn new(rule: usize, spec: WindowSpec, end: EventTime, first: EventTime) -> Self {
        Self { rule: rule as u32, at: end, since: first.plus(spec.size()) }
    }
}

/// The changes of level of one key, in the order of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Levels(Vec<Level>);

impl Levels {
    /// The level of a rule before the window that ended at `end`, in the series of that window.
    pub(super) fn before(&self, rule: usize, spec: WindowSpec, end: EventTime) -> Level {
        let same = |level: &&Level| {
            level.rule == rule as u32 && level.at < end && (end - level.at).is_multiple_of(spec.size())
        };
        self.0.iter().rev().find(same).copied().unwrap_or(Level::first(rule))
    }

    /// See [`KeyEpisodes::peek`](super::KeyEpisodes::peek).
    pub(super) fn peek(&self) -> u64 {
        self.0.first().map_or(0, |level| level.at.0)
    }

    /// Adds the change of level that a window made.
    pub(super) fn add(&mut self, level: Level) {
        self.0.insert(self.0.partition_point(|other| other.at <= level.at), level);
    }

    /// Removes the change of level that a window made, before it is evaluated again.
    pub(super) fn remove(&mut self, rule: usize, end: EventTime) {
        if !self.0.is_empty() {
            self.0.retain(|level| level.rule != rule as u32 || level.at != end);
        }
    }

    /// Removes the changes of level on which nothing depends any more, according to `is_past`.
    pub(super) fn retire(&mut self, is_past: impl Fn(EventTime) -> bool) {
        if self.0.first().is_some_and(|level| is_past(level.at)) {
            self.0.retain(|level| !is_past(level.at));
        }
    }

    /// Gives rules other numbers, and leaves out the levels of those that have none.
    pub(super) fn arrange(self, place: impl Fn(usize) -> Option<usize>) -> Self {
        let levels = self.0.into_iter();
        let arranged = levels.filter_map(|level| {
            let rule = u32::try_from(place(level.rule as usize)?).ok()?;
            Some(Level { rule, ..level })
        });
        Self(arranged.collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn extend(&mut self, levels: Self) {
        levels.0.into_iter().for_each(|level| self.add(level));
    }
}

/// The windows that are left out of the baselines of one rule in one series.
#[derive(Copy, Clone, Debug)]
pub(super) struct Excluded<'a> {
    /// The anomalous windows; `None` if none is left out.
    hits: Option<&'a Hits>,
    /// Windows before this are not left out.
    from: EventTime,
}

impl<'a> Excluded<'a> {
    /// No windows.
    pub(super) const NONE: Self = Self { hits: None, from: EventTime::MIN };

    pub(super) fn new<S>(rule: &MomentRule<S>, hits: &'a Hits, level: &Level, longest: u32) -> Self {
        // The map is mostly empty, so searches are avoided.
        let any = rule.excludes_moments && longest >= LEAST_REACH && !hits.is_empty();
        Self { hits: any.then_some(hits), from: level.at }
    }

    pub(super) fn contains(&self, end: EventTime) -> bool {
        self.hits.is_some_and(|hits| end >= self.from && hits.contains_key(&end))
    }
}

/// Returns whether this many anomalous windows among the last `reach` disjoint ones have become the usual
/// ones.
pub(super) fn is_usual(excluded: usize, reach: u32) -> bool {
    excluded > (reach / LEAST_REACH) as usize
}
