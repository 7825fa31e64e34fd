//! The list of a process's partitions, to which some are added while workers let their capabilities go.

use telemetra_core::EventTime;

use crate::support::sync::{AtomicU64, AtomicUsize, Ordering, PoisonError, RwLock, RwLockReadGuard};

/// Partitions, or what reads them. Some are added while it runs, and none is removed.
///
/// A caller may downgrade its capabilities to the least floor, so a partition that is added has no floor before any
/// that was returned. The interleavings are checked by a model, `tests/model.rs`.
#[derive(Debug)]
pub(crate) struct SharedList<T> {
    /// Nothing else is locked while this is.
    all: RwLock<Vec<T>>,
    /// The number of elements.
    count: AtomicUsize,
    /// The greatest floor that was returned: a worker may have downgraded its capabilities to it.
    given_up: AtomicU64,
}

impl<T: Clone> SharedList<T> {
    /// A list of these, of which nobody needs anything before `given_up`.
    pub(crate) fn new(all: Vec<T>, given_up: EventTime) -> Self {
        let count = AtomicUsize::new(all.len());
        Self { all: RwLock::new(all), count, given_up: AtomicU64::new(given_up.0) }
    }

    /// As of now.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Vec<T>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a copy of the list up to date. Cheap where nothing is new.
    pub(crate) fn refresh(&self, known: &mut Vec<T>) {
        if self.count.load(Ordering::Acquire) > known.len() {
            known.extend_from_slice(&self.read()[known.len()..]);
        }
    }

    /// Adds what `make` makes of the least floor that it may have. `false` if all have ended, so that everything was let go.
    pub(crate) fn add(&self, make: impl FnOnce(EventTime) -> T) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock no floor is returned that leaves this one out.
        let least = EventTime(self.given_up.load(Ordering::Acquire));
        if least == EventTime::MAX {
            return false;
        }
        all.push(make(least));
        self.count.store(all.len(), Ordering::Release);
        true
    }

    /// Raises the least floor of elements that are added from now on to `least`.
    pub(crate) fn give_up(&self, least: EventTime) {
        self.given_up.fetch_max(least.0, Ordering::AcqRel);
    }

    /// The least floor of all; [`EventTime::MAX`] if all have ended. Who asks may let go of what lies before it.
    pub(crate) fn floor(&self, floor_of: impl Fn(&T) -> EventTime) -> EventTime {
        let all = self.read();
        let floor = all.iter().map(floor_of).min().unwrap_or(EventTime::MAX);
        // Under the lock: who adds one sees it.
        self.give_up(floor);
        floor
    }
}
