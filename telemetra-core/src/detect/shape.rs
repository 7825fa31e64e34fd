//! Trackers that filter the findings of another tracker by their order in time: hysteresis, minimum duration,
//! cooldown.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::tracker::Tracker;
use crate::detect::chance::NormalScores;
use crate::detect::observed::{Finding, Observed};
use crate::error::ConfigError;
use crate::time::event_time::EventTime;

/// The state of a run of adjacent windows: the last window, the length, and the side.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    last: Option<EventTime>,
    length: u32,
    upper: bool,
}

impl Run {
    /// Returns whether this window follows the last one.
    fn goes_on(&self, window: &Observed<'_>) -> bool {
        self.last.is_some_and(|last| window.since(last) <= window.spec.slide())
    }
}

/// A tracker with a second, lower threshold; made by [`Tracker::hysteresis`]. A moment begins above the first
/// threshold and lasts until the score falls below the second, on the same side. So a score that varies
/// around one threshold makes one moment and not several.
#[derive(Clone, Debug)]
pub struct Hysteresis<T> {
    tracker: T,
    /// The same with the second threshold.
    sensitive: T,
}

impl<T: Tracker> Hysteresis<T> {
    pub(super) fn new(tracker: T, lower: f64) -> Result<Self, ConfigError> {
        let threshold = tracker.limit();
        if !(lower > 0.0 && lower <= threshold) {
            return Err(ConfigError::new(
                "hysteresis",
                format!("{lower} is not between 0 and the threshold of {threshold}"),
                "take about two thirds of the threshold",
            ));
        }
        Ok(Self { sensitive: tracker.sensitive(lower)?, tracker })
    }
}

impl<T: Tracker> Tracker for Hysteresis<T> {
    type State = (T::State, Run);

    fn name(&self) -> Cow<'static, str> {
        self.sensitive.name()
    }

    fn limit(&self) -> f64 {
        self.tracker.limit()
    }

    fn least(&self) -> f64 {
        self.sensitive.least()
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        self.sensitive.reaches(reaches);
    }

    fn fewest(&self) -> u32 {
        self.sensitive.fewest()
    }

    fn departs(&self, window: &Observed<'_>) -> bool {
        self.tracker.departs(window)
    }

    fn forgets_after(&self) -> u64 {
        self.sensitive.forgets_after()
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        self.sensitive.normal_scores()
    }

    fn track(&self, (state, run): &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        let found = self.sensitive.track(state, window)?;
        let upper = found.verdict.score > 0.0;
        let goes_on = run.goes_on(window) && run.upper == upper;
        if !goes_on && found.verdict.score.abs() < self.tracker.limit() {
            return None;
        }
        *run = Run { last: Some(window.end), length: 0, upper };
        Some(found)
    }
}

/// A tracker that reports a window only if a minimum number of adjacent windows up to it were anomalous; made
/// by [`Tracker::min_duration`]. A moment starts with the first window that is reported.
#[derive(Clone, Debug)]
pub struct MinDuration<T> {
    tracker: T,
    windows: u32,
}

impl<T: Tracker> MinDuration<T> {
    pub(super) fn new(tracker: T, windows: u32) -> Result<Self, ConfigError> {
        if windows == 0 {
            return Err(ConfigError::new(
                "min_duration",
                "no moment lasts for 0 windows",
                "take 1 or more; 1 changes nothing",
            ));
        }
        Ok(Self { tracker, windows })
    }
}

impl<T: Tracker> Tracker for MinDuration<T> {
    type State = (T::State, Run);

    fn name(&self) -> Cow<'static, str> {
        self.tracker.name()
    }

    fn limit(&self) -> f64 {
        self.tracker.limit()
    }

    fn least(&self) -> f64 {
        self.tracker.least()
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        self.tracker.reaches(reaches);
    }

    fn fewest(&self) -> u32 {
        self.tracker.fewest()
    }

    fn departs(&self, window: &Observed<'_>) -> bool {
        self.tracker.departs(window)
    }

    fn forgets_after(&self) -> u64 {
        self.tracker.forgets_after()
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        self.tracker.normal_scores()
    }

    fn sensitive(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { tracker: self.tracker.sensitive(threshold)?, windows: self.windows })
    }

    fn track(&self, (state, run): &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        let found = self.tracker.track(state, window)?;
        let length = if run.goes_on(window) { run.length.saturating_add(1) } else { 1 };
        *run = Run { last: Some(window.end), length, upper: false };
        (length >= self.windows).then_some(found)
    }
}

/// A tracker that reports nothing for some time after the end of a moment; made by [`Tracker::cooldown`]. If
/// windows are still anomalous after that time, a moment begins then.
#[derive(Clone, Debug)]
pub struct Cooldown<T> {
    tracker: T,
    millis: u64,
}

impl<T> Cooldown<T> {
    pub(super) fn new(tracker: T, millis: u64) -> Self {
        Self { tracker, millis }
    }
}

impl<T: Tracker> Tracker for Cooldown<T> {
    type State = (T::State, Run);

    fn name(&self) -> Cow<'static, str> {
        self.tracker.name()
    }

    fn limit(&self) -> f64 {
        self.tracker.limit()
    }

    fn least(&self) -> f64 {
        self.tracker.least()
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        self.tracker.reaches(reaches);
    }

    fn fewest(&self) -> u32 {
        self.tracker.fewest()
    }

    fn departs(&self, window: &Observed<'_>) -> bool {
        self.tracker.departs(window)
    }

    fn forgets_after(&self) -> u64 {
        self.tracker.forgets_after().max(self.millis)
    }

    fn normal_scores(&self) -> Option<NormalScores> {
        self.tracker.normal_scores()
    }

    fn sensitive(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { tracker: self.tracker.sensitive(threshold)?, millis: self.millis })
    }

    fn track(&self, (state, run): &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        let found = self.tracker.track(state, window)?;
        let cold = run.last.is_some_and(|last| window.since(last) <= self.millis) && !run.goes_on(window);
        if cold {
            return None;
        }
        run.last = Some(window.end);
        Some(found)
    }
}
