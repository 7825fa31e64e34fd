//! Watermark strategies: generators of a partition's watermark from the times of its events.

use std::fmt::Debug;
use std::time::Duration;

use crate::time::event_time::EventTime;
use crate::time::millis;

/// A generator of one partition's watermark, like Flink's `WatermarkGenerator`: it observes the times of
/// events and returns the time before which no more events are expected.
///
/// # Contract
///
/// * **Never back.** [`watermark`](Self::watermark) never decreases.
/// * **Restartable.** After a restart a new strategy observes the greatest event time of before. Its
///   watermark must then be the same as before the restart, or later floors differ from those of a run
///   without one. The floor itself is in the checkpoint and never moves back.
/// * **Deterministic.** The watermark depends on the observed times alone, not on the clock.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::{EventTime, WatermarkStrategy};
///
/// /// For partitions in order of time, like Flink's `forMonotonousTimestamps`.
/// #[derive(Debug, Default)]
/// struct Ascending(EventTime);
///
/// impl WatermarkStrategy for Ascending {
///     fn observe(&mut self, time: EventTime) { self.0 = self.0.max(time) }
///     fn watermark(&self) -> EventTime { self.0 }
///     fn idle_after(&self) -> Option<Duration> { Some(Duration::from_secs(5)) }
/// }
///
/// let mut strategy = Ascending::default();
/// strategy.observe(EventTime(2_000));
/// strategy.observe(EventTime(1_000));
/// assert_eq!(strategy.watermark(), EventTime(2_000));
/// ```
pub trait WatermarkStrategy: Debug + Send {
    /// Takes the time of an event into account. Not called for malformed records and events from the future.
    fn observe(&mut self, time: EventTime);

    /// Returns the time before which no more events are expected. Called for each event, so keep it cheap.
    fn watermark(&self) -> EventTime;

    /// The processing time without records after which a partition is idle: other partitions then no longer
    /// wait for its watermark. `None` means never, which is right for a replay.
    fn idle_after(&self) -> Option<Duration> {
        None
    }
}

/// A watermark strategy that stays a fixed time behind the greatest event time seen, like Flink's
/// `forBoundedOutOfOrderness`. The default of a pipeline.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::{BoundedOutOfOrderness, EventTime, WatermarkStrategy};
/// let mut strategy = BoundedOutOfOrderness::new(Duration::from_secs(10));
/// strategy.observe(EventTime(50_000));
/// strategy.observe(EventTime(45_000));
/// assert_eq!(strategy.watermark(), EventTime(40_000));
/// ```
#[derive(Clone, Debug)]
pub struct BoundedOutOfOrderness {
    bound: u64,
    idle_after: Option<Duration>,
    greatest: EventTime,
}

impl BoundedOutOfOrderness {
    /// Creates a strategy that stays `bound` behind the greatest event time seen, to the millisecond, for
    /// partitions that are never idle: see [`idle_after`](Self::idle_after).
    #[must_use]
    pub fn new(bound: Duration) -> Self {
        Self { bound: millis::of(bound), idle_after: None, greatest: EventTime::MIN }
    }

    /// Sets the processing time without records after which a partition is idle. Default: `None`, which means
    /// never, so that a partition without records holds back all windows. (A pipeline without a strategy of yours
    /// has 5 s.)
    #[must_use]
    pub fn idle_after(mut self, idle_after: Option<Duration>) -> Self {
        self.idle_after = idle_after;
        self
    }
}

impl WatermarkStrategy for BoundedOutOfOrderness {
    fn observe(&mut self, time: EventTime) {
        self.greatest = self.greatest.max(time);
    }

    fn watermark(&self) -> EventTime {
        self.greatest.minus(self.bound)
    }

    fn idle_after(&self) -> Option<Duration> {
        self.idle_after
    }
}
