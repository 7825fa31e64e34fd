//! Watermarks: how far event time has come in one partition.

use std::fmt::Debug;
use std::time::Duration;

use crate::time::event_time::EventTime;

/// Says how far event time has come in a partition, from the times of its events.
///
/// # Contract
///
/// * **Never back.** [`watermark`](Self::watermark) never decreases.
/// * **Restartable.** After a restart the strategy is made anew and observes the greatest event time seen
///   before; its watermark must then be what it was, or later floors differ from those of an undisturbed run.
///   The floor itself is kept by the checkpoint and never moves back.
/// * **Deterministic.** It depends on the observed times alone, not on the clock.
pub trait WatermarkStrategy: Debug + Send {
    /// Takes note of an event's time. Not called for events from the future or malformed records.
    fn observe(&mut self, time: EventTime);

    /// The time before which events are no longer expected.
    fn watermark(&self) -> EventTime;

    /// How long, in processing time, a partition may have nothing to read before it stops holding back
    /// the others. `None`: for ever, as a replay wants it.
    fn idle_after(&self) -> Option<Duration> {
        None
    }
}

/// The greatest event time seen, less a fixed bound on disorder.
///
/// ```
/// use telemetra_core::{BoundedOutOfOrderness, EventTime, WatermarkStrategy};
/// let mut strategy = BoundedOutOfOrderness::new(10_000);
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
    /// Events may be up to `bound` milliseconds behind the greatest time seen.
    #[must_use]
    pub fn new(bound: u64) -> Self {
        Self { bound, idle_after: None, greatest: EventTime::MIN }
    }

    /// Lets a partition that has had nothing to read for `idle_after` stop holding back the others.
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
