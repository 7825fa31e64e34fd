use std::fmt::Debug;

use crate::detect::{Baseline, Verdict};
use crate::time::event_time::EventTime;
use crate::time::window::{Window, WindowSpec};

/// What a window without any event says about a metric: the fill policy.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum MissingWindow {
    /// A value of zero, and a sample of zero in baselines. For counts. MissingWindow before the stream's first window in reach of a
    /// baseline does not count: there was no stream yet, or it had been silent for longer than a baseline. Nor
    /// does a window that began before it: it is no sample of a whole window.
    Zero,
    /// Nobody knows: there is no sample. For gauges.
    Skip,
}

/// One window of one key, as what judges it sees it.
#[derive(Copy, Clone, Debug)]
pub struct Observed<'a> {
    /// The window's end.
    pub end: EventTime,
    /// The metric, in fixed point.
    pub value: i64,
    /// Fixed-point units per one of the metric: 1 for counts.
    pub scale: i64,
    /// Size and slide of the windows.
    pub spec: WindowSpec,
    /// What a window without any event says.
    pub missing: MissingWindow,
    /// Gives the baselines of this window.
    pub baselines: &'a dyn Baselines,
}

impl Observed<'_> {
    /// The window.
    #[must_use]
    pub fn window(&self) -> Window {
        self.spec.window_ending(self.end)
    }

    /// How long after another window this one ended, in milliseconds.
    #[must_use]
    pub fn since(&self, end: EventTime) -> u64 {
        self.end.0.saturating_sub(end.0)
    }
}

/// Gives the baselines of one window.
pub trait Baselines: Debug {
    /// The one that goes back `reach` disjoint windows; `None` if nobody [asked](crate::Tracker::reaches) for it.
    fn baseline(&self, reach: u32) -> Option<Baseline<'_>>;
}

/// The one baseline, however far back is asked for.
impl Baselines for Baseline<'_> {
    fn baseline(&self, _reach: u32) -> Option<Baseline<'_>> {
        Some(*self)
    }
}

/// No baselines: for what does not ask for any.
impl Baselines for () {
    fn baseline(&self, _reach: u32) -> Option<Baseline<'_>> {
        None
    }
}

/// That a window is anomalous, by how much, and on how many samples this stands.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Finding {
    /// Score, mean and deviation.
    pub verdict: Verdict,
    /// How many samples the window was judged against.
    pub samples: u32,
}
