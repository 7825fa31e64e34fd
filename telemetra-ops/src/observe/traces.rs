//! The traces of records: which `traceparent` took effect when, for what is said of slow batches.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use telemetra_core::{EventTime, TraceParent};

/// The most that are kept of one time, and that are said of a batch.
pub(crate) const MOST: usize = 4;
/// The most times that are kept: the newest.
const TIMES: usize = 1024;

/// A few traces of the records that took effect at each of the last times, in this process.
#[derive(Debug, Default)]
pub(crate) struct TraceLog(Mutex<BTreeMap<EventTime, Vec<TraceParent>>>);

impl TraceLog {
    /// Takes note of the traces of a batch, with the times at which its records take effect.
    pub(crate) fn note(&self, found: impl IntoIterator<Item = (EventTime, TraceParent)>) {
        let mut found = found.into_iter().peekable();
        if found.peek().is_none() {
            return;
        }
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (time, parent) in found {
            let kept = times.entry(time).or_default();
            if kept.len() < MOST && !kept.contains(&parent) {
                kept.push(parent);
            }
        }
        while times.len() > TIMES {
            times.pop_first();
        }
    }

    /// A few traces of what took effect after one time, up to and including another.
    pub(crate) fn between(&self, after: EventTime, through: EventTime) -> Vec<TraceParent> {
        if after >= through {
            return Vec::new();
        }
        let times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.range(after.plus(1)..=through).flat_map(|(_, kept)| kept).take(MOST).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(trace: u128) -> TraceParent {
        TraceParent::new(trace, 1, 0).unwrap_or_else(|| unreachable!("it is not zero"))
    }

    #[test]
    fn a_few_of_each_time_are_kept_and_of_the_newest_times_only() {
        let log = TraceLog::default();
        log.note((1..=9).map(|trace| (EventTime(10), parent(trace))));
        log.note([(EventTime(10), parent(1)), (EventTime(20), parent(70)), (EventTime(20), parent(70))]);
        let first: Vec<_> = (1..=4).map(parent).collect();
        assert_eq!(log.between(EventTime(0), EventTime(10)), first);
        assert_eq!(log.between(EventTime(9), EventTime(30)), first, "a few in all");
        assert_eq!(log.between(EventTime(10), EventTime(20)), [parent(70)]);
        assert_eq!(log.between(EventTime(20), EventTime(20)), []);
        assert_eq!(log.between(EventTime(20), EventTime(10)), []);
        log.note((100..100 + TIMES as u64).map(|time| (EventTime(time), parent(5))));
        assert_eq!(log.between(EventTime(0), EventTime(99)), []);
        assert_eq!(log.between(EventTime(99), EventTime(100)), [parent(5)]);
    }
}
