//! Frontiers as event times.

use std::sync::atomic::{AtomicU64, Ordering};

use telemetra_core::EventTime;
use timely::progress::frontier::{AntichainRef, MutableAntichain};

/// The frontier as a time; [`EventTime::MAX`] if nothing more will come.
pub(crate) fn reached(frontier: &MutableAntichain<EventTime>) -> EventTime {
    reached_of(frontier.frontier())
}

/// The time of a frontier that is seen through a probe.
pub(crate) fn reached_of(frontier: AntichainRef<'_, EventTime>) -> EventTime {
    frontier.first().copied().unwrap_or(EventTime::MAX)
}

/// The time up to which everything is durable, shared with reports.
#[derive(Debug, Default)]
pub(crate) struct DurableFrontier(AtomicU64);

impl DurableFrontier {
    pub(crate) fn set(&self, time: EventTime) {
        self.0.store(time.0, Ordering::Release);
    }

    pub(crate) fn get(&self) -> EventTime {
        EventTime(self.0.load(Ordering::Acquire))
    }
}
