//! The ends of a key's silences.

use serde::{Deserialize, Serialize};

use super::history::History;
use crate::detect::moment::MomentRule;
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The first windows of a key after silences, by time.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Starts {
    /// The end of the first window after a silence, and the length of the silence.
    starts: Vec<(EventTime, u64)>,
    /// True if they must be found anew.
    stale: bool,
}

impl Starts {
    /// See [`KeyEpisodes::peek`](super::KeyEpisodes::peek).
    pub(super) fn peek(&self) -> u64 {
        self.starts.first().map_or(0, |(start, _)| start.0)
    }

    /// The first window, at or before `end`, after the last silence of at least `absent` milliseconds.
    pub(super) fn last_before(&self, end: EventTime, absent: Option<u64>) -> Option<EventTime> {
        let absent = absent?;
        let long = |(start, silence): &&(EventTime, u64)| *start <= end && *silence >= absent;
        self.starts.iter().rev().find(long).map(|(start, _)| *start)
    }

    /// Adds the silence before the newest window.
    pub(super) fn add_newest<S>(
        &mut self,
        rules: &[MomentRule<S>],
        spec: WindowSpec,
        history: &History,
        end: EventTime,
    ) {
        // Mostly the window before is adjacent.
        let silence = history.newest().and_then(|before| silence(spec, before, end));
        if let Some(silence) = silence {
            self.add(shortest(rules), silence, end);
        }
    }

    fn add(&mut self, absent: Option<u64>, silence: u64, end: EventTime) {
        if absent.is_some_and(|absent| silence >= absent) {
            self.starts.push((end, silence));
        }
    }

    /// Marks them to be found anew, after other windows than the newest came or went.
    pub(super) fn invalidate(&mut self) {
        self.stale = true;
    }

    /// Finds the silences between all windows, if something but the newest window changed.
    pub(super) fn refresh<S>(&mut self, rules: &[MomentRule<S>], spec: WindowSpec, history: &History) {
        if !std::mem::take(&mut self.stale) {
            return;
        }
        self.starts.clear();
        let absent = shortest(rules);
        for (before, end) in history.silences() {
            if let Some(silence) = silence(spec, before, end) {
                self.add(absent, silence, end);
            }
        }
    }

    pub(super) fn retire(&mut self, is_past: impl Fn(EventTime) -> bool) {
        if self.starts.first().is_some_and(|(start, _)| is_past(*start)) {
            self.starts.retain(|(start, _)| !is_past(*start));
        }
    }
}

/// The shortest silence that matters to a rule.
fn shortest<S>(rules: &[MomentRule<S>]) -> Option<u64> {
    rules.iter().filter_map(|rule| rule.absent_after).min()
}

/// The time without any event between two windows of which none lies between; `None` if they are adjacent.
fn silence(spec: WindowSpec, before: EventTime, end: EventTime) -> Option<u64> {
    let missing = (end - before).checked_sub(spec.slide()).filter(|missing| *missing > 0)?;
    // The last event lies in the oldest pane of the window before, the next in the newest pane of this one.
    Some((missing + spec.size()).saturating_sub(spec.slide()))
}
