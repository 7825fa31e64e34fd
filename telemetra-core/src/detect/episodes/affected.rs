//! The windows that must be evaluated again after changes of some.

use smallvec::SmallVec;

use super::history::History;
use crate::time::event_time::EventTime;
use crate::time::window::WindowSpec;

/// The windows that must be evaluated again.
#[derive(Debug)]
pub(super) struct Affected {
    /// The ends of the windows that changed: each affects the later ones of its series.
    pub(super) windows: SmallVec<[EventTime; 4]>,
    /// The end from which on all windows are affected.
    pub(super) from: EventTime,
}

impl Affected {
    /// None.
    pub(super) fn none() -> Self {
        Self { windows: SmallVec::new(), from: EventTime::MAX }
    }

    /// The ends of the windows, in order.
    pub(super) fn ends(&self, history: &History, spec: WindowSpec) -> SmallVec<[EventTime; 4]> {
        // Mostly it is the newest window alone.
        match self.windows[..] {
            [] => SmallVec::new(),
            [end] if self.from == EventTime::MAX && history.newest() == Some(end) => self.windows.clone(),
            _ => {
                let ends = history.ends_from(spec, self.first());
                ends.filter(|end| self.contains(spec, *end)).collect()
            }
        }
    }

    /// The end of the first window that may be affected.
    fn first(&self) -> EventTime {
        self.windows.iter().copied().fold(self.from, EventTime::min)
    }

    fn contains(&self, spec: WindowSpec, end: EventTime) -> bool {
        let mut changed = self.windows.iter().filter(|changed| **changed <= end);
        self.from <= end || changed.any(|changed| (end - *changed).is_multiple_of(spec.size()))
    }
}
