//! A window of recent values in sorted order.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The number of values in a block at which it is split.
const BLOCK: usize = 256;

/// Recent values, in the order of arrival and sorted.
///
/// They are stored in sorted blocks. Finding takes two binary searches, and inserting or removing moves at
/// most one block. Cloning, which is needed after a correction, copies a few pieces of memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sorted {
    /// The values, oldest first.
    order: VecDeque<i64>,
    /// The values in sorted blocks, none of which is empty.
    blocks: Vec<Vec<i64>>,
}

impl Sorted {
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Adds a value. If there are then more than `most`, removes the oldest and returns it.
    pub(super) fn push(&mut self, value: i64, most: usize) -> Option<i64> {
        self.order.push_back(value);
        self.insert(value);
        let oldest = if self.order.len() > most { self.order.pop_front()? } else { return None };
        self.remove(oldest);
        Some(oldest)
    }

    /// The least and the greatest value.
    pub(super) fn ends(&self) -> Option<(i64, i64)> {
        Some((*self.blocks.first()?.first()?, *self.blocks.last()?.last()?))
    }

    /// The distance from the nearest value, `u64::MAX` if there is none.
    pub(super) fn distance(&self, value: i64) -> u64 {
        let block = self.blocks.partition_point(|block| block.last().is_some_and(|last| *last < value));
        let within = self.blocks.get(block).map_or(0, |values| values.partition_point(|x| *x < value));
        let above = self.blocks.get(block).and_then(|values| values.get(within));
        let below = match within.checked_sub(1) {
            Some(before) => self.blocks.get(block).and_then(|values| values.get(before)),
            None => block.checked_sub(1).and_then(|before| self.blocks[before].last()),
        };
        [above, below].into_iter().flatten().map(|near| near.abs_diff(value)).min().unwrap_or(u64::MAX)
    }

    /// The value with this rank, from 0.
    pub(super) fn nth(&self, mut rank: usize) -> Option<i64> {
        for block in &self.blocks {
            match block.get(rank) {
                Some(value) => return Some(*value),
                None => rank -= block.len(),
            }
        }
        None
    }

    /// Twice the median, which is an exact integer.
    pub(super) fn median_twice(&self) -> Option<i128> {
        let n = self.len();
        let upper = self.nth(n / 2)?;
        let lower = if n.is_multiple_of(2) { self.nth(n / 2 - 1)? } else { upper };
        Some(i128::from(lower) + i128::from(upper))
    }

    /// Twice the median of the distances from `centre / 2`; of an even number of distances, the upper median.
    ///
    /// The distances of the values below the centre, and of those above, are two sorted lists. A bisection
    /// finds how many of the nearest values are below.
    pub(super) fn spread_twice(&self, centre: i128) -> Option<i128> {
        let n = self.len();
        let twice = |rank: usize| self.nth(rank).map(|value| 2 * i128::from(value) - centre);
        let split = self.rank_below(centre);
        let wanted = n / 2 + 1;
        // The nearest `wanted` values are `lower` values just below the centre, and the rest just above.
        let (mut least, mut most) = (wanted.saturating_sub(n - split), split.min(wanted));
        while least < most {
            let lower = least.midpoint(most);
            // Whether the next value below is nearer than the last one above.
            let below = twice(split - lower - 1).map(i128::abs)?;
            let above = twice(split + (wanted - lower) - 1).map(i128::abs)?;
            if below < above { least = lower + 1 } else { most = lower }
        }
        let below = if least > 0 { twice(split - least)?.abs() } else { 0 };
        let above = if wanted > least { twice(split + (wanted - least) - 1)?.abs() } else { 0 };
        Some(below.max(above))
    }

    /// The number of values below `centre / 2`.
    fn rank_below(&self, centre: i128) -> usize {
        let is_below = |value: i64| 2 * i128::from(value) < centre;
        let whole = self.blocks.partition_point(|block| block.last().is_some_and(|last| is_below(*last)));
        let before: usize = self.blocks[..whole].iter().map(Vec::len).sum();
        before + self.blocks.get(whole).map_or(0, |block| block.partition_point(|value| is_below(*value)))
    }

    fn insert(&mut self, value: i64) {
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        let block = self.blocks.partition_point(|block| block.last().is_some_and(|last| *last < value));
        let block = block.min(self.blocks.len() - 1);
        let values = &mut self.blocks[block];
        let within = values.partition_point(|x| *x < value);
        values.insert(within, value);
        if values.len() > BLOCK {
            let upper = values.split_off(BLOCK / 2);
            self.blocks.insert(block + 1, upper);
        }
    }

    fn remove(&mut self, value: i64) {
        let block = self.blocks.partition_point(|block| block.last().is_some_and(|last| *last < value));
        let Some(values) = self.blocks.get_mut(block) else { return };
        let within = values.partition_point(|x| *x < value);
        if values.get(within) == Some(&value) {
            values.remove(within);
        }
        if values.is_empty() {
            self.blocks.remove(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The results equal those of sorting, for values that repeat, rise and fall, with few and many blocks.
    #[test]
    fn results_equal_those_of_sorting() {
        let mut state = 1u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for (most, range) in [(1, 5), (2, 5), (7, 4), (60, 1_000), (1_500, 100_000), (1_500, 40)] {
            let mut sorted = Sorted::default();
            let mut kept: VecDeque<i64> = VecDeque::new();
            for step in 0..4_000i64 {
                let value = random(range) as i64 + if step % 1_000 < 200 { step } else { -3 };
                sorted.push(value, most);
                kept.push_back(value);
                if kept.len() > most {
                    kept.pop_front();
                }
                if step % 37 != 0 {
                    continue;
                }
                let mut all: Vec<i64> = kept.iter().copied().collect();
                all.sort_unstable();
                assert_eq!(sorted.blocks.concat(), all);
                assert!(sorted.blocks.iter().all(|block| !block.is_empty() && block.len() <= BLOCK));
                assert_eq!(sorted.ends(), all.first().copied().zip(all.last().copied()));
                let probe = random(range) as i64;
                assert_eq!(Some(sorted.distance(probe)), all.iter().map(|x| x.abs_diff(probe)).min());
                let n = all.len();
                let median = i128::from(all[n / 2]) + i128::from(all[(n - 1) / 2]);
                assert_eq!(sorted.median_twice(), Some(median));
                let mut far: Vec<i128> = all.iter().map(|x| (2 * i128::from(*x) - median).abs()).collect();
                far.sort_unstable();
                assert_eq!(sorted.spread_twice(median), Some(far[n / 2]), "of {all:?}");
            }
        }
        assert_eq!(Sorted::default().distance(3), u64::MAX);
        assert_eq!(Sorted::default().median_twice(), None);
    }
}
