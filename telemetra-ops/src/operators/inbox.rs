//! The queue of arrivals that most tactics are built on.

use std::collections::BTreeMap;

use telemetra_core::EventTime;

/// A queue of arrivals, sorted by the time at which they take effect, for a [`Tactic`](crate::Tactic): push
/// into it in `take_in`, return its next time from `next`, and take from it in `advance`.
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
/// assert_eq!(inbox.next(), Some(EventTime(20)));
/// ```
///
/// Memory: the arrivals that have not taken effect. They are not part of a snapshot, as they arrive again
/// after a restart.
#[derive(Clone, Debug)]
pub struct Inbox<D> {
    arrivals: BTreeMap<EventTime, Vec<D>>,
    /// An emptied list: memory that is touched for the first time is a cost of its own.
    spare: Vec<D>,
}

impl<D> Default for Inbox<D> {
    fn default() -> Self {
        Self { arrivals: BTreeMap::new(), spare: Vec::new() }
    }
}

impl<D> Inbox<D> {
    /// Adds an arrival that takes effect at `time`. Cost: the logarithm of the number of different times that
    /// wait.
    pub fn push(&mut self, time: EventTime, arrival: D) {
        let Self { arrivals, spare } = self;
        arrivals.entry(time).or_insert_with(|| std::mem::take(spare)).push(arrival);
    }

    /// Returns the least time at which an arrival takes effect, for [`Tactic::next`](crate::Tactic::next).
    #[must_use]
    pub fn next(&self) -> Option<EventTime> {
        self.arrivals.keys().next().copied()
    }

    /// Removes and returns the arrivals that take effect at `time`, in the order in which they were added;
    /// empty if there are none. That order depends on how messages interleave: sort them if the result
    /// depends on it.
    pub fn take(&mut self, time: EventTime) -> Vec<D> {
        self.arrivals.remove(&time).unwrap_or_default()
    }

    /// Gives back the list of so many arrivals that were taken, for the next ones. That of a burst is not kept.
    pub(crate) fn recycle(&mut self, mut list: Vec<D>, used: usize) {
        list.clear();
        if list.capacity() <= 8 * used {
            self.spare = list;
        }
    }
}
