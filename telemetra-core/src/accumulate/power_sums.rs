//! Mean and variance as an accumulator: the [`PowerSums`] that baselines are made of.

use super::{Accumulate, Accumulator, Running, Unmerge};
use crate::PowerSums;

/// Finishes to itself; see [`PowerSums::mean`] and [`PowerSums::sample_variance`].
impl Accumulator for PowerSums {
    type Output = Self;
    type Rolling = Running<Self>;

    fn merge(&mut self, other: &Self) {
        self.count = self.count.wrapping_add(other.count);
        self.sum = self.sum.wrapping_add(other.sum);
        self.sum_sq = self.sum_sq.wrapping_add(other.sum_sq);
    }

    fn finish(&self) -> Self {
        *self
    }
}

impl Unmerge for PowerSums {
    fn unmerge(&mut self, other: &Self) {
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
