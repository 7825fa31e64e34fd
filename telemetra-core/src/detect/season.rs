//! Means by the hour of the week and of the day.

use serde::{Deserialize, Serialize};

use crate::time::event_time::EventTime;

const HOUR: u64 = 3_600_000;
/// The weight of the newest value in the mean of its hour, and in that of all.
const WEIGHT: f64 = 0.02;
const WEIGHT_OF_ALL: f64 = 0.01;

/// The usual values of a metric: means by the hour of the week, by the hour of the day, and of all values.
/// They have exponential weights, and equal weights while there are few values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    week: Vec<Slot>,
    day: Vec<Slot>,
    all: Slot,
    /// The mean square of the departures from the mean of all values.
    variance: f64,
}

/// A mean, and the number of its values.
#[derive(Copy, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Slot {
    mean: f64,
    count: u64,
}

impl Slot {
    fn learn(&mut self, value: f64, weight: f64) {
        self.count += 1;
        self.mean += weight.max(1.0 / self.count as f64) * (value - self.mean);
    }
}

impl Season {
    /// The usual value at a time: the mean at its hour of the week, else of the day, else of all values.
    /// `None` before the first value.
    pub(super) fn expected(&self, at: EventTime) -> Option<f64> {
        let hour = at.0 / HOUR;
        let slots =
            [self.week.get((hour % 168) as usize), self.day.get((hour % 24) as usize), Some(&self.all)];
        slots.into_iter().flatten().find(|slot| slot.count > 0).map(|slot| slot.mean)
    }

    /// The mean of all values.
    pub(super) fn mean(&self) -> f64 {
        self.all.mean
    }

    /// The standard deviation of all values.
    pub(super) fn deviation(&self) -> f64 {
        self.variance.max(0.0).sqrt()
    }

    pub(super) fn learn(&mut self, at: EventTime, value: f64) {
        self.week.resize(168, Slot::default());
        self.day.resize(24, Slot::default());
        let hour = at.0 / HOUR;
        self.week[(hour % 168) as usize].learn(value, WEIGHT);
        self.day[(hour % 24) as usize].learn(value, WEIGHT);
        self.all.learn(value, WEIGHT_OF_ALL);
        let square = (value - self.all.mean).powi(2);
        self.variance += WEIGHT_OF_ALL.max(1.0 / self.all.count as f64) * (square - self.variance);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_hour_that_has_values_is_expected() {
        let mut season = Season::default();
        assert_eq!(season.expected(EventTime(0)), None);
        for (hour, value) in [(30, 10.0), (6, 20.0), (1, 60.0)] {
            season.learn(EventTime(hour * HOUR + 5), value);
        }
        let expected = |hour: u64| season.expected(EventTime(hour * HOUR)).unwrap_or(f64::NAN);
        assert_eq!([expected(30), expected(168 + 30), expected(6)], [10.0, 10.0, 20.0], "hours of the week");
        assert_eq!([expected(54), expected(168 + 78)], [15.0, 15.0], "hours of the day");
        assert!((expected(7) - 30.0).abs() < 1e-9, "all values");
    }
}
