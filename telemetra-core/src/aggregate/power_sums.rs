//! Exact sums for mean and variance.

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Subtract, SubtractOnEvict};

/// The count, sum and sum of squares of fixed-point values, from which mean and variance follow. The sums are
/// exact, so removing a value undoes adding it. Baselines consist of them.
///
/// ```
/// let mut sums = telemetra_core::PowerSums::default();
/// for x in [2, 4, 4, 4, 5, 5, 7, 9] { sums.add(x); }
/// assert_eq!(sums.mean(), Some(5.0));
/// assert_eq!(sums.sample_variance().map(|v| (v * 1000.0).round()), Some(4571.0));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PowerSums {
    /// The number of values.
    pub count: u64,
    /// The sum of the values.
    pub sum: i128,
    /// The sum of the squares.
    pub sum_sq: i128,
}

impl PowerSums {
    /// Adds a value.
    pub fn add(&mut self, value: i64) {
        let value = i128::from(value);
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
        self.sum_sq = self.sum_sq.wrapping_add(value * value);
    }

    /// Removes a value that was added.
    pub fn remove(&mut self, value: i64) {
        let value = i128::from(value);
        self.count = self.count.saturating_sub(1);
        self.sum = self.sum.wrapping_sub(value);
        self.sum_sq = self.sum_sq.wrapping_sub(value * value);
    }

    /// Adds `zeros` values of zero.
    #[must_use]
    pub fn with_zeros(mut self, zeros: u64) -> Self {
        self.count += zeros;
        self
    }

    /// The mean; `None` without values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The sample variance, with n − 1 as denominator; `None` for fewer than two values. The numerator is an
    /// exact integer.
    #[must_use]
    pub fn sample_variance(&self) -> Option<f64> {
        if self.count < 2 {
            return None;
        }
        let n = i128::from(self.count);
        let numerator = n.wrapping_mul(self.sum_sq).wrapping_sub(self.sum.wrapping_mul(self.sum));
        Some(numerator.max(0) as f64 / (n as f64 * (n - 1) as f64))
    }
}

/// The output is the accumulator itself; see [`PowerSums::mean`] and [`PowerSums::sample_variance`].
impl Accumulator for PowerSums {
    type Output = Self;
    type Sliding = SubtractOnEvict<Self>;

    fn merge(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.sum_sq = self.sum_sq.wrapping_add(other.sum_sq);
    }

    fn finish(&self) -> Self {
        *self
    }
}

impl Subtract for PowerSums {
    fn subtract(&mut self, other: &Self) {
        self.count = self.count.wrapping_sub(other.count);
        self.sum = self.sum.wrapping_sub(other.sum);
        self.sum_sq = self.sum_sq.wrapping_sub(other.sum_sq);
    }
}

impl Accumulate<i64> for PowerSums {
    fn add(&mut self, input: i64) {
        Self::add(self, input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_variance_are_those_of_the_values_and_removing_undoes_adding() {
        let mut sums = PowerSums::default();
        assert_eq!((sums.mean(), sums.sample_variance()), (None, None));
        sums.add(2);
        let one = sums;
        assert_eq!((sums.mean(), sums.sample_variance()), (Some(2.0), None));
        [4, -6, 8].into_iter().for_each(|value| sums.add(value));
        // The deviations are 0, 2, -8 and 6.
        assert_eq!((sums.mean(), sums.sample_variance()), (Some(2.0), Some(104.0 / 3.0)));
        assert_eq!(sums.with_zeros(4).mean(), Some(1.0));
        [4, -6, 8].into_iter().for_each(|value| sums.remove(value));
        assert_eq!(sums, one);
    }
}
