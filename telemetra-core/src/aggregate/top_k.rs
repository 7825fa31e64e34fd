//! The exact counts of the most frequent names.

use serde::{Deserialize, Serialize};

use super::name_counts::NameCounts;
use super::{Accumulate, Accumulator, Subtract, SubtractOnEvict};
use crate::aggregate::name_counts::Counted;

/// The `K` most frequent names, by count descending, then by name. It is exact, since it counts every name.
///
/// It takes about 32 bytes for each different name, more for names above 24 bytes.
/// [`SpaceSaving`](super::SpaceSaving) has bounded memory.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, TopK};
/// let mut words = TopK::<2>::default();
/// for word in ["a", "the", "of", "the"] {
///     words.add(word);
/// }
/// let top = words.finish();
/// assert_eq!((top[0].name.as_str(), top[0].count), ("the", 2));
/// assert_eq!((top[1].name.as_str(), top[1].count), ("a", 1));
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TopK<const K: usize>(NameCounts);

impl<const K: usize> Accumulator for TopK<K> {
    type Output = Vec<Counted>;
    type Sliding = SubtractOnEvict<Self>;

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn finish(&self) -> Vec<Counted> {
        self.0.top(K)
    }
}

impl<const K: usize> Subtract for TopK<K> {
    fn subtract(&mut self, other: &Self) {
        other.0.iter().for_each(|held| self.0.subtract(&held.name, held.count));
    }
}

impl<const K: usize> Accumulate<&str> for TopK<K> {
    fn add(&mut self, input: &str) {
        self.0.add(input, 1);
    }
}
