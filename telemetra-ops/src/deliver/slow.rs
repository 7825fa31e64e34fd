//! Warnings of batches that took long to be delivered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use telemetra_core::{Batch, EventTime};
use tracing::Span;

use crate::observe::spans::{SINK, int};
use crate::observe::traces::TraceLog;

/// The interval of warnings of slow batches, for each shard of a sink.
const REMIND: Duration = Duration::from_secs(60);

/// A batch on its way to a sink.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) batch: Batch,
    /// It ends when the batch is durable.
    pub(crate) span: Span,
    /// The instant at which the batch was complete.
    pub(crate) since: Instant,
}

impl Delivery {
    pub(crate) fn new(batch: Batch, span: Span) -> Self {
        Self { batch, span, since: Instant::now() }
    }
}

/// The time that a delivery may take before a warning.
#[derive(Clone, Debug)]
pub(crate) struct SlowBatches {
    bound: Duration,
    traces: Arc<TraceLog>,
    warned_at: Option<Instant>,
    withheld: u64,
}

impl SlowBatches {
    pub(crate) fn new(bound: Duration, traces: &Arc<TraceLog>) -> Self {
        Self { bound, traces: Arc::clone(traces), warned_at: None, withheld: 0 }
    }

    /// Says that this batch, the first since `after`, took long to be durable, if it did; warns of it at most once a
    /// minute. A batch without rows only says that its time has passed.
    pub(crate) fn judge(
        &mut self,
        sink: &str,
        after: EventTime,
        delivered: (EventTime, usize, Instant),
        span: &Span,
    ) {
        let (time, rows, since) = delivered;
        let took = since.elapsed();
        if rows == 0 || took < self.bound {
            return;
        }
        let traces = || {
            let found = self.traces.between(after, time);
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        if self.warned_at.is_some_and(|warned| warned.elapsed() < REMIND) {
            self.withheld += 1;
            tracing::debug!(
                target: SINK, parent: span, sink, rows = int(rows), through = %time, ?took, traceparents = traces(),
                "a batch took long to be durable"
            );
            return;
        }
        tracing::warn!(
            target: SINK, parent: span, sink, rows = int(rows), through = %time, ?took, withheld = int(self.withheld),
            traceparents = traces(), "a batch took long to be durable"
        );
        (self.warned_at, self.withheld) = (Some(Instant::now()), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// The memory of the warnings after a batch: whether there was one just now, and how many were withheld.
    fn judged(slow: &mut SlowBatches, rows: usize, took: Duration) -> (bool, u64) {
        let since = Instant::now().checked_sub(took).unwrap_or_else(|| unreachable!("the clock is past it"));
        slow.judge("sink", EventTime(1), (EventTime(2), rows, since), &Span::none());
        (slow.warned_at.is_some_and(|warned| warned.elapsed() < REMIND), slow.withheld)
    }

    #[test]
    fn a_slow_batch_with_rows_is_warned_of_at_most_once_a_minute() {
        let mut slow = SlowBatches::new(HOUR, &Arc::default());
        let minute = Duration::from_secs(60);
        assert_eq!(judged(&mut slow, 1, minute), (false, 0), "it is not slow");
        let mut slow = SlowBatches::new(minute, &Arc::default());
        assert_eq!(judged(&mut slow, 0, 2 * minute), (false, 0), "it has no rows");
        assert_eq!(judged(&mut slow, 1, 2 * minute), (true, 0));
        assert_eq!(judged(&mut slow, 1, 2 * minute), (true, 1));
        assert_eq!(judged(&mut slow, 1, 2 * minute), (true, 2));
        slow.warned_at = slow.warned_at.and_then(|warned| warned.checked_sub(minute));
        assert_eq!(judged(&mut slow, 1, 2 * minute), (true, 0), "a minute later");
    }
}
