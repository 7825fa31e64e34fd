//! The queue of arrivals that most tactics need.

use std::collections::BTreeMap;

use telemetra_core::EventTime;

/// A queue of arrivals by the time at which they take effect: the part of a tactic that most need.
///
/// ```
/// use telemetra_core::EventTime;
/// use telemetra_ops::Inbox;
///
/// let mut inbox = Inbox::default();
/// inbox.push(EventTime(20), "b");
/// inbox.push(EventTime(10), "a");
/// assert_eq!(inbox.next(), Some(EventTime(10)));
/// assert_eq!(inbox.take(EventTime(10)), ["a"]);
/// ```
#[derive(Clone, Debug)]
pub struct Inbox<D>(BTreeMap<EventTime, Vec<D>>);

impl<D> Default for Inbox<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D> Inbox<D> {
    /// Adds an arrival.
    pub fn push(&mut self, time: EventTime, arrival: D) {
        self.0.entry(time).or_default().push(arrival);
    }

    /// Returns the first time at which an arrival takes effect, for [`Tactic::next`](crate::Tactic::next).
    #[must_use]
    pub fn next(&self) -> Option<EventTime> {
        self.0.keys().next().copied()
    }

    /// Removes and returns the arrivals that take effect at `time`, in the order in which they were added.
    pub fn take(&mut self, time: EventTime) -> Vec<D> {
        self.0.remove(&time).unwrap_or_default()
    }
}
