//! Windows as trackers see them, and their findings.

use std::fmt::Debug;

use crate::detect::{Baseline, Verdict};
use crate::time::event_time::EventTime;
use crate::time::window::{Window, WindowSpec};

/// The meaning of a window without events for a metric: the policy for filling gaps.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MissingWindow {
    /// The window is a sample of zero in baselines; for counts. Within the length of a baseline, this applies
    /// from the key's first pane on: before it, the key was new, or had no events for longer than a baseline,
    /// so there is no sample. A window that began before that pane is incomplete and no sample either.
    Zero,
    /// The window is no sample; for gauges.
    Skip,
}

/// One window of one key, as a tracker sees it.
#[derive(Copy, Clone, Debug)]
pub struct Observed<'a> {
    /// The window's end.
    pub end: EventTime,
    /// The value of the metric, in fixed point.
    pub value: i64,
    /// The number of fixed-point units that make one in the metric: 1 for counts.
    pub scale: i64,
    /// The number of events that the value is the [mean](crate::MomentRule::mean) of; 1 for other metrics.
    pub events: u64,
    /// The size and slide of the windows.
    pub spec: WindowSpec,
    /// The meaning of a window without events.
    pub missing: MissingWindow,
    /// The baselines of this window.
    pub baselines: &'a dyn Baselines,
}

impl Observed<'_> {
    /// The window.
    #[must_use]
    pub fn window(&self) -> Window {
        self.spec.window_ending(self.end)
    }

    /// The time from the end of another window to the end of this one, in milliseconds.
    #[must_use]
    pub fn since(&self, end: EventTime) -> u64 {
        self.end.0.saturating_sub(end.0)
    }
}

/// The baselines of one window, of each length that its tracker needs.
///
/// # Contract
///
/// * **Disjoint and earlier.** No sample shares an event with the window or with another sample.
pub trait Baselines: Debug {
    /// The baseline of the last `reach` disjoint windows; `None` if the tracker does not
    /// [need](crate::Tracker::reaches) it.
    fn baseline(&self, reach: u32) -> Option<Baseline<'_>>;
}

/// A single baseline, which is returned for any length.
impl Baselines for Baseline<'_> {
    fn baseline(&self, _reach: u32) -> Option<Baseline<'_>> {
        Some(*self)
    }
}

/// No baselines, for trackers that need none.
impl Baselines for () {
    fn baseline(&self, _reach: u32) -> Option<Baseline<'_>> {
        None
    }
}

/// The finding of a tracker in an anomalous window.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Finding {
    /// The score, mean and deviation.
    pub verdict: Verdict,
    /// The number of samples that the window was compared with.
    pub samples: u32,
}
