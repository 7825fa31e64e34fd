//! The accumulator of the sum.

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Subtract, SubtractOnEvict};

/// The sum of integers or fixed-point numbers, in 128 bits: it is exact for up to 10¹⁹ inputs of 64 bits, and
/// wraps beyond.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Sum};
/// let mut sum = Sum::default();
/// sum.add(i64::MAX);
/// sum.add(i64::MAX);
/// assert_eq!(sum.finish(), 2 * i128::from(i64::MAX));
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sum(i128);

impl Accumulator for Sum {
    type Output = i128;
    type Sliding = SubtractOnEvict<Self>;

    fn merge(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    fn finish(&self) -> i128 {
        self.0
    }
}

impl Subtract for Sum {
    fn subtract(&mut self, other: &Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl<I: Into<i128>> Accumulate<I> for Sum {
    fn add(&mut self, input: I) {
        self.0 = self.0.wrapping_add(input.into());
    }
}
