//! A test bed for trackers on series of counts.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::detect::episodes::{CountLooks, KeyEpisodes, WindowChange};
use crate::detect::moment::{Moment, MomentRule};
use crate::detect::tracker::Tracker;
use crate::time::config::TimeConfig;
use crate::time::event_time::EventTime;
use crate::time::window::WindowRules;

/// A test bed that runs a tracker on the counts of one key, pane by pane, in the same way as a pipeline. Use
/// it to measure how often a tracker raises a false alarm, and how soon a true one.
///
/// ```
/// use telemetra_core::testkit::WatchedCounts;
/// use telemetra_core::{Side, TimeConfig, VarianceFloor, ZScore};
/// let detector = ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let mut watched = WatchedCounts::new(&TimeConfig::default(), detector);
/// // Ten events in each ten seconds for an hour: nothing is anomalous.
/// assert!((0..360).all(|_| !watched.pane(10).anomalous));
/// // Then a hundred: a moment begins.
/// let seen = watched.pane(100);
/// assert!(seen.anomalous && seen.begins);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct WatchedCounts {
    rules: [MomentRule<u64>; 1],
    windows: WindowRules,
    key: String,
    episodes: KeyEpisodes<String, u64>,
    /// The counts of the panes of the newest window.
    panes: VecDeque<u64>,
    /// The ends of the windows that are not retired.
    live: VecDeque<EventTime>,
    boundary: EventTime,
    changes: Vec<WindowChange<u64>>,
}

/// The start of the first pane.
pub(super) fn start(windows: &WindowRules) -> EventTime {
    windows.windows.pane_start(EventTime(1_767_225_600_000))
}

/// The evaluation of the window that ended with a pane.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// True if the window is anomalous.
    pub anomalous: bool,
    /// True if a moment begins with the window.
    pub begins: bool,
}

impl WatchedCounts {
    /// A test bed before the first pane.
    #[must_use]
    pub fn new(time: &TimeConfig, tracker: impl Tracker) -> Self {
        Self::of_rule(time, MomentRule::count("watched", tracker, |count: &u64| *count))
    }

    /// A test bed for a rule with settings of its own.
    #[must_use]
    pub fn of_rule(time: &TimeConfig, rule: MomentRule<u64>) -> Self {
        Self::of(time, rule, "watched")
    }

    /// The same for a key with that name.
    pub(super) fn of(time: &TimeConfig, rule: MomentRule<u64>, key: &str) -> Self {
        let windows = time.window_rules(rule.max_samples());
        Self {
            rules: [rule],
            windows,
            key: key.to_owned(),
            episodes: KeyEpisodes::new(1),
            panes: VecDeque::new(),
            live: VecDeque::new(),
            boundary: start(&windows),
            changes: Vec::new(),
        }
    }

    /// Adds the count of the next pane, and evaluates the window that ends with it. As in a pipeline, a
    /// window without events has no summary.
    pub fn pane(&mut self, count: u64) -> Seen {
        let mut seen = Seen::default();
        let boundary = self.boundary.plus(self.windows.windows.slide());
        self.judge(count, None, |moment, diff| {
            if diff > 0 && moment.last_at == boundary {
                seen = Seen { anomalous: true, begins: moment.windows == 1 };
            }
        });
        seen
    }

    /// Adds the count of the next pane, and reports looks and changes of moments.
    pub(super) fn judge(
        &mut self,
        count: u64,
        looks: Option<CountLooks<'_>>,
        emit: impl FnMut(Moment<String>, isize),
    ) {
        let spec = self.windows.windows;
        self.boundary = self.boundary.plus(spec.slide());
        self.panes.push_back(count);
        if self.panes.len() as u64 > spec.panes_per_window() {
            self.panes.pop_front();
        }
        while let Some(end) = self.live.front().copied()
            && self.windows.is_retired(end, self.boundary)
        {
            self.live.pop_front();
            self.changes.push(WindowChange { end, now: None });
        }
        let total: u64 = self.panes.iter().sum();
        if total > 0 {
            self.live.push_back(self.boundary);
            self.changes.push(WindowChange { end: self.boundary, now: Some(Arc::new(total)) });
        }
        let Self { rules, windows, key, episodes, boundary, changes, .. } = self;
        episodes.advance(rules, windows, key, *boundary, changes, (looks, emit));
    }
}
