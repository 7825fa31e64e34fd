//! A queue of updates that wait until the frontier passes their time.

use std::collections::BTreeMap;

use telemetra_core::EventTime;
use timely::dataflow::operators::Capability;
use timely::progress::ChangeBatch;
use timely::progress::frontier::MutableAntichain;

/// Updates by time, each time with a capability. Updates of the same record and time are added up.
#[derive(Debug)]
pub(crate) struct Stash<D>(BTreeMap<EventTime, (Capability<EventTime>, ChangeBatch<D>)>);

impl<D> Default for Stash<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D: Ord> Stash<D> {
    /// Adds an update; `cap` is the capability of its message.
    pub(crate) fn add(&mut self, cap: &Capability<EventTime>, (data, time, diff): (D, EventTime, isize)) {
        let delayed = || (cap.delayed(&time.max(*cap.time())), ChangeBatch::new());
        let (_, updates) = self.0.entry(time).or_insert_with(delayed);
        updates.update(data, diff as i64);
    }

    /// Returns the first time that has updates.
    pub(crate) fn next(&self) -> Option<EventTime> {
        self.0.keys().next().copied()
    }

    /// Removes the updates of `time`. Returns them sorted, with the capability to emit at that time.
    pub(crate) fn take(&mut self, time: EventTime) -> Option<(Capability<EventTime>, Vec<(D, isize)>)> {
        let (cap, mut updates) = self.0.remove(&time)?;
        Some((cap, updates.drain().map(|(data, diff)| (data, diff as isize)).collect()))
    }

    /// Removes the updates of the first time, if the frontier has passed it.
    pub(crate) fn due(
        &mut self,
        frontier: &MutableAntichain<EventTime>,
    ) -> Option<(Capability<EventTime>, Vec<(D, isize)>)> {
        let time = self.next().filter(|time| !frontier.less_equal(time))?;
        self.take(time)
    }
}
