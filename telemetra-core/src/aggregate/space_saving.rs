//! The Space-Saving sketch of frequent names.

use serde::{Deserialize, Serialize};

use super::name_counts::NameCounts;
use super::{Accumulate, Accumulator, TwoStacks};
use crate::aggregate::name_counts::Counted;

/// The approximately most frequent names, in bounded memory: at most `2 K` names.
///
/// This is the mergeable form of Space-Saving (Misra–Gries with merges after Agarwal and others, *Mergeable
/// summaries*, 2012): when there are more than `2 K` names, the count of the name ranked `K + 1` is
/// subtracted from all. For `n` inputs, in any split and any order of merging,
///
/// * each count is at most the true count, and less than it by at most [`Frequent::short`] ≤ `n / (K + 1)`;
/// * each name with a true count above `n / (K + 1)` is among the `K` names of the output.
///
/// It does not fully keep the contract of accumulators: merging is commutative, but **only approximately
/// associative**. With more than `2 K` different names, the counts may differ within that bound between one
/// worker and many, and between runs with and without corrections. Up to `2 K` names it is exact.
/// [`TopK`](super::TopK) is always exact.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, SpaceSaving};
/// let mut words = SpaceSaving::<100>::default();
/// for n in 0..10_000 {
///     words.add("often");
///     words.add(format!("once: {n}").as_str());
/// }
/// let frequent = words.finish();
/// assert_eq!(frequent.top[0].name, "often");
/// assert!(10_000 - frequent.top[0].count <= frequent.short && frequent.short <= 20_000 / 101);
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SpaceSaving<const K: usize> {
    counts: NameCounts,
    short: u64,
}

/// The output of [`SpaceSaving`].
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Frequent {
    /// The names by count descending, then by name. Each count is a lower bound.
    pub top: Vec<Counted>,
    /// The greatest amount by which a count may be less than the true count; 0 if all counts are exact.
    pub short: u64,
}

impl<const K: usize> SpaceSaving<K> {
    fn prune(&mut self) {
        if self.counts.len() <= 2 * K {
            return;
        }
        let mut counts: Vec<u64> = self.counts.iter().map(|held| held.count).collect();
        let (_, &mut ranked, _) = counts.select_nth_unstable_by(K, |a, b| b.cmp(a));
        self.counts.lower_all(ranked);
        self.short += ranked;
    }
}

impl<const K: usize> Accumulator for SpaceSaving<K> {
    type Output = Frequent;
    type Sliding = TwoStacks<Self>;

    fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.short += other.short;
        self.prune();
    }

    fn finish(&self) -> Frequent {
        Frequent { top: self.counts.top(K), short: self.short }
    }
}

impl<const K: usize> Accumulate<&str> for SpaceSaving<K> {
    fn add(&mut self, input: &str) {
        self.counts.add(input, 1);
        self.prune();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However the inputs are split and merged, the stated bounds hold.
        #[test]
        fn the_bounds_hold(inputs in prop::collection::vec((0u32..9, 0u32..40), 0..600)) {
            const K: usize = 5;
            let mut parts = vec![SpaceSaving::<K>::default(); 9];
            let mut truth = HashMap::<String, u64>::new();
            for &(part, skewed) in &inputs {
                let name = format!("{}", skewed * skewed / 40);
                parts[part as usize].add(name.as_str());
                *truth.entry(name).or_default() += 1;
            }
            let mut backwards = SpaceSaving::<K>::default();
            parts.iter().rev().for_each(|part| backwards.merge(part));
            let mut all = SpaceSaving::<K>::default();
            parts.iter().for_each(|part| all.merge(part));
            for frequent in [all.finish(), backwards.finish()] {
                let bound = inputs.len() as u64 / (K as u64 + 1);
                prop_assert!(frequent.short <= bound);
                for held in &frequent.top {
                    let count = truth[held.name.as_str()];
                    prop_assert!(held.count <= count && count <= held.count + frequent.short);
                }
                for (name, count) in &truth {
                    prop_assert!(*count <= bound || frequent.top.iter().any(|held| held.name == name));
                }
            }
            let (mut ab, mut ba) = (parts[0].clone(), parts[1].clone());
            ab.merge(&parts[1]);
            ba.merge(&parts[0]);
            prop_assert_eq!(ab.finish(), ba.finish());
        }
    }
}
