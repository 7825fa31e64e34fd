//! The accumulator that counts.

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Subtract, SubtractOnEvict};

/// The number of inputs, whatever they are.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Count};
/// let mut count = Count::default();
/// count.add(&"one");
/// count.add(2);
/// assert_eq!(count.finish(), 2);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Count(u64);

impl Accumulator for Count {
    type Output = u64;
    type Sliding = SubtractOnEvict<Self>;

    fn merge(&mut self, other: &Self) {
        self.0 = self.0.wrapping_add(other.0);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

impl Subtract for Count {
    fn subtract(&mut self, other: &Self) {
        self.0 = self.0.wrapping_sub(other.0);
    }
}

impl<I> Accumulate<I> for Count {
    fn add(&mut self, _input: I) {
        self.0 = self.0.wrapping_add(1);
    }
}
