//! A random sample of bounded size, and its sliding form.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Accumulate, Accumulator, Sliding};
use crate::data::Data;
use crate::key::key_hash;

/// A uniform random sample without replacement of at most `K` inputs: those whose ids have the least hashes.
/// Up to `K` inputs it is all of them.
///
/// The choice depends on nothing but the ids, so the sample is the same for any split of the inputs and any
/// order of merging, unlike that of a [`SpaceSaving`](super::SpaceSaving) sketch. A share `p` that is
/// estimated from the sample has a standard error of at most `sqrt(p (1 - p) / K)`.
///
/// ```
/// use telemetra_core::aggregate::Sample;
/// use telemetra_core::Accumulator;
/// let mut sizes = Sample::<usize, 100>::default();
/// for n in 0..10_000 {
///     sizes.offer(&format!("id {n}"), || n % 4);
/// }
/// let sample = sizes.finish();
/// assert_eq!(sample.len(), 100);
/// let threes = sample.iter().filter(|size| **size == 3).count();
/// assert!((10..40).contains(&threes), "{threes}");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent, bound = "T: Data")]
pub struct Sample<T, const K: usize> {
    /// By hash, then by value.
    kept: Vec<(u64, T)>,
}

impl<T, const K: usize> Default for Sample<T, K> {
    fn default() -> Self {
        Self { kept: Vec::new() }
    }
}

impl<T: Data, const K: usize> Sample<T, K> {
    /// Adds an input by its id. `value` is called only if the input is in the sample, as far as is known now:
    /// of `n` inputs that is about `K (1 + ln(n / K))` times.
    pub fn offer(&mut self, id: &str, value: impl FnOnce() -> T) {
        let hash = key_hash(id);
        if self.kept.len() < K || self.kept.last().is_some_and(|(last, _)| hash <= *last) {
            self.keep((hash, value()));
        }
    }

    fn keep(&mut self, one: (u64, T)) {
        let at = self.kept.partition_point(|held| *held < one);
        if at < K {
            self.kept.insert(at, one);
            self.kept.truncate(K);
        }
    }
}

impl<T: Data, const K: usize> Accumulator for Sample<T, K> {
    type Output = Vec<T>;
    type Sliding = SampleSliding<T, K>;

    fn merge(&mut self, other: &Self) {
        for one in &other.kept {
            if self.kept.len() >= K && self.kept.last().is_none_or(|last| last <= one) {
                break;
            }
            self.keep(one.clone());
        }
    }

    fn finish(&self) -> Vec<T> {
        self.kept.iter().map(|(_, value)| value.clone()).collect()
    }
}

impl<T: Data, const K: usize> Accumulate<(&str, T)> for Sample<T, K> {
    fn add(&mut self, (id, value): (&str, T)) {
        self.offer(id, || value);
    }
}

/// The sliding form of [`Sample`]: what is in the samples of the panes. A pane that enters or leaves costs one
/// look-up for each of its inputs.
#[derive(Clone, Debug)]
pub struct SampleSliding<T, const K: usize> {
    /// The number of times that each input is there.
    held: BTreeMap<(u64, T), u32>,
}

impl<T, const K: usize> Default for SampleSliding<T, K> {
    fn default() -> Self {
        Self { held: BTreeMap::new() }
    }
}

impl<T: Data, const K: usize> Sliding<Sample<T, K>> for SampleSliding<T, K> {
    fn push(&mut self, pane: &Sample<T, K>) {
        for one in &pane.kept {
            *self.held.entry(one.clone()).or_default() += 1;
        }
    }

    fn pop(&mut self, pane: &Sample<T, K>) {
        for one in &pane.kept {
            if let Some(times) = self.held.get_mut(one) {
                *times -= 1;
                if *times == 0 {
                    self.held.remove(one);
                }
            }
        }
    }

    fn finish(&self) -> Vec<T> {
        let each = self.held.iter().flat_map(|((_, value), times)| (0..*times).map(move |_| value));
        each.take(K).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panes_that_come_and_go_are_sampled_as_if_merged_anew() {
        let pane = |n: u32| {
            let mut pane = Sample::<u32, 5>::default();
            // Some inputs come again in later panes, under the same id and with the same value.
            (0..n % 9).for_each(|m| pane.offer(&format!("{}", n / 3 * 10 + m), || m % 3));
            pane
        };
        let panes: Vec<_> = (0..60).map(pane).collect();
        let mut sliding = SampleSliding::default();
        for (n, pane) in panes.iter().enumerate() {
            sliding.push(pane);
            if let Some(left) = n.checked_sub(4) {
                sliding.pop(&panes[left]);
            }
            let mut merged = Sample::default();
            panes[n.saturating_sub(3)..=n].iter().rev().for_each(|pane| merged.merge(pane));
            assert_eq!(sliding.finish(), merged.finish());
        }
        panes[56..].iter().for_each(|pane| sliding.pop(pane));
        assert!(sliding.held.is_empty());
    }

    #[test]
    fn every_input_is_as_likely_as_any_other() {
        let mut chosen = [0u32; 10];
        for round in 0..2_000 {
            let mut sample = Sample::<usize, 3>::default();
            (0..10).for_each(|n| sample.offer(&format!("{round} of {n}"), || n));
            sample.finish().into_iter().for_each(|n| chosen[n] += 1);
        }
        // 600 each on average, with a standard deviation of 20.
        assert!(chosen.iter().all(|times| (500..700).contains(times)), "{chosen:?}");
    }
}
