use serde::{Deserialize, Serialize};

use super::name_counts::NameCounts;
use super::{Accumulate, Accumulator, Subtract, SubtractOnEvict};
use crate::aggregate::name_counts::Counted;

/// The `K` names seen most often, by count descending, then by name. Exact: it counts every name.
///
/// Memory is about 32 bytes for each different name (more for names above 24 bytes);
/// [`SpaceSaving`](super::SpaceSaving) bounds it where names are many.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, TopK};
/// let mut emotes = TopK::<2>::default();
/// for emote in ["Kappa", "PogChamp", "LUL", "PogChamp"] {
///     emotes.add(emote);
/// }
/// let top = emotes.finish();
/// assert_eq!((top[0].name.as_str(), top[0].count), ("PogChamp", 2));
/// assert_eq!((top[1].name.as_str(), top[1].count), ("Kappa", 1));
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
