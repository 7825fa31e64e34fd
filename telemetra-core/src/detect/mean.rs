//! Metrics that are means of events, and the numbers of events of the means in a baseline.

use serde::{Deserialize, Serialize};

/// The mean of some events of a window, as the metric of a [rule](crate::MomentRule::mean).
///
/// ```
/// use telemetra_core::MeanOf;
/// assert_eq!(MeanOf { sum: 70, events: 4 }.value(), Some(17));
/// assert_eq!(MeanOf { sum: 0, events: 0 }.value(), None);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct MeanOf {
    /// The sum of the events' values, in fixed point.
    pub sum: i128,
    /// The number of the events.
    pub events: u64,
}

impl MeanOf {
    /// The mean in fixed point, rounded towards zero; `None` without events.
    #[must_use]
    pub fn value(&self) -> Option<i64> {
        let mean = self.sum.checked_div(i128::from(self.events))?;
        Some(mean.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }
}

/// The numbers of events of the compared means: that of the window, and those of its baseline.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Means {
    /// The number of events of the window that is compared.
    pub events: u64,
    /// The sums over the baseline, in which a window counts once for each of its events.
    pub sums: EventSums,
}

/// The number, sum and sum of squares of means, in which each counts once for each of its events. The sums
/// are exact, so removing a mean undoes adding it.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSums {
    /// The number of events.
    pub events: u64,
    /// The sum of the means, each times its events.
    pub sum: i128,
    /// The sum of the squares of the means, each times its events.
    pub sum_sq: i128,
}

impl EventSums {
    /// Adds a mean of some events.
    pub fn add(&mut self, mean: i64, events: u64) {
        let (mean, weight) = (i128::from(mean), i128::from(events));
        self.events = self.events.wrapping_add(events);
        self.sum = self.sum.wrapping_add(mean.wrapping_mul(weight));
        self.sum_sq = self.sum_sq.wrapping_add((mean * mean).wrapping_mul(weight));
    }

    /// Removes a mean that was added.
    pub fn remove(&mut self, mean: i64, events: u64) {
        let (mean, weight) = (i128::from(mean), i128::from(events));
        self.events = self.events.wrapping_sub(events);
        self.sum = self.sum.wrapping_sub(mean.wrapping_mul(weight));
        self.sum_sq = self.sum_sq.wrapping_sub((mean * mean).wrapping_mul(weight));
    }

    /// The difference between a mean and that of all events; `None` without events. The numerator is exact.
    #[must_use]
    pub fn departure(&self, mean: i64) -> Option<f64> {
        let events = i128::from(self.events);
        let numerator = i128::from(mean).wrapping_mul(events).wrapping_sub(self.sum);
        (events > 0).then(|| numerator as f64 / events as f64)
    }

    /// The sum of the squared differences from the mean of all events; `None` without events.
    #[must_use]
    pub fn squares(&self) -> Option<f64> {
        let events = i128::from(self.events);
        let numerator = events.wrapping_mul(self.sum_sq).wrapping_sub(self.sum.wrapping_mul(self.sum));
        (events > 0).then(|| numerator.max(0) as f64 / events as f64)
    }
}
