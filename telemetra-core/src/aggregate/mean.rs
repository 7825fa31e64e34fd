//! The accumulator of the mean.

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Subtract, SubtractOnEvict};

/// The mean of integers or fixed-point numbers. Its output is itself, a sum and a count, so that two outputs
/// are equal if and only if they are exactly equal; [`mean`](Self::mean) divides.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Mean};
/// let mut mean = Mean::default();
/// mean.add(1_500);
/// mean.add(2_000);
/// let finished = mean.finish();
/// assert_eq!((finished.sum, finished.count), (3_500, 2));
/// assert_eq!(finished.mean(1_000), Some(1.75));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mean {
    /// The sum of the inputs, in their own units.
    pub sum: i128,
    /// The number of inputs.
    pub count: u64,
}

impl Mean {
    /// The mean, for inputs of which `scale` units make one; `None` without inputs.
    #[must_use]
    pub fn mean(&self, scale: i64) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64 / scale as f64)
    }

    /// The mean in the units of the inputs, rounded towards zero; `None` of nothing. A metric for moment
    /// rules.
    #[must_use]
    pub fn rounded(&self) -> Option<i64> {
        let mean = self.sum.checked_div(i128::from(self.count))?;
        Some(i64::try_from(mean).unwrap_or(if mean < 0 { i64::MIN } else { i64::MAX }))
    }
}

impl Accumulator for Mean {
    type Output = Self;
    type Sliding = SubtractOnEvict<Self>;

    fn merge(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_add(other.sum);
        self.count = self.count.wrapping_add(other.count);
    }

    fn finish(&self) -> Self {
        *self
    }
}

impl Subtract for Mean {
    fn subtract(&mut self, other: &Self) {
        self.sum = self.sum.wrapping_sub(other.sum);
        self.count = self.count.wrapping_sub(other.count);
    }
}

impl<I: Into<i128>> Accumulate<I> for Mean {
    fn add(&mut self, input: I) {
        self.sum = self.sum.wrapping_add(input.into());
        self.count = self.count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_rounded_towards_zero_and_of_nothing_there_is_none() {
        let of = |sum, count| Mean { sum, count };
        assert_eq!((of(0, 0).mean(1), of(0, 0).rounded()), (None, None));
        assert_eq!((of(0, 1).mean(1), of(0, 1).rounded()), (Some(0.0), Some(0)));
        assert_eq!((of(7, 2).rounded(), of(-7, 2).rounded()), (Some(3), Some(-3)));
        assert_eq!(
            (of(i128::MAX, 2).rounded(), of(i128::MIN, 2).rounded()),
            (Some(i64::MAX), Some(i64::MIN))
        );
    }
}
