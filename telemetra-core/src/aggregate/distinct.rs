//! The exact count of different ids, and its sliding form.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Serialize};

use super::id_set::IdSet;
use super::{Accumulate, Accumulator, Sliding};
use crate::ident::{id_of, mix};

/// The exact number of different ids.
///
/// An id takes 16 bytes: the id itself if it has up to 15 bytes, otherwise a hash of 127 bits. Among 10⁹
/// longer ids the probability that any two have the same hash is below 10⁻²⁰, unless ids are chosen for that
/// purpose. Up to three ids are stored in place, without an allocation. [`HyperLogLog`](super::HyperLogLog)
/// needs less memory for many ids.
///
/// ```
/// use telemetra_core::{Accumulate, Accumulator, Distinct};
/// let mut users = Distinct::default();
/// for user in ["ada", "grace", "ada"] {
///     users.add(user);
/// }
/// assert_eq!(users.finish(), 2);
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Distinct(IdSet);

impl Distinct {
    pub(super) fn ids(&self) -> impl Iterator<Item = u128> {
        self.0.iter()
    }
}

impl Accumulator for Distinct {
    type Output = u64;
    type Sliding = DistinctSliding;

    fn merge(&mut self, other: &Self) {
        self.0.merge(&other.0);
    }

    fn finish(&self) -> u64 {
        self.0.len() as u64
    }
}

impl Accumulate<&str> for Distinct {
    #[inline]
    fn add(&mut self, input: &str) {
        self.0.insert(id_of(input));
    }
}

impl Accumulate<u64> for Distinct {
    #[inline]
    fn add(&mut self, input: u64) {
        // As a text of these eight bytes would be.
        self.0.insert(u128::from(input) | 8 << 120);
    }
}

/// The sliding form of [`Distinct`]: for each id, the number of panes that contain it.
///
/// It costs one look-up for each id of a pane that enters or leaves, whatever the number of panes in a
/// window.
#[derive(Clone, Debug, Default)]
pub struct DistinctSliding {
    held: HashTable<Held>,
}

/// An id, and the number of panes that contain it. The id is in two halves: with the alignment of a `u128`
/// this would take 32 bytes instead of 24.
#[derive(Copy, Clone, Debug)]
struct Held {
    low: u64,
    high: u64,
    panes: u32,
}

impl Held {
    fn id(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

impl Sliding<Distinct> for DistinctSliding {
    fn push(&mut self, pane: &Distinct) {
        for id in pane.0.iter() {
            match self.held.entry(mix(id), |held| held.id() == id, |held| mix(held.id())) {
                Entry::Occupied(mut held) => held.get_mut().panes += 1,
                Entry::Vacant(free) => {
                    free.insert(Held { low: id as u64, high: (id >> 64) as u64, panes: 1 });
                }
            }
        }
    }

    fn pop(&mut self, pane: &Distinct) {
        for id in pane.0.iter() {
            if let Ok(mut held) = self.held.find_entry(mix(id), |held| held.id() == id) {
                held.get_mut().panes -= 1;
                if held.get().panes == 0 {
                    held.remove();
                }
            }
        }
        // After a burst the memory is freed.
        if self.held.capacity() > 64 && self.held.len() < self.held.capacity() / 8 {
            self.held.shrink_to(self.held.len() * 2, |held| mix(held.id()));
        }
    }

    fn finish(&self) -> u64 {
        self.held.len() as u64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(ids: impl Iterator<Item = usize>) -> Distinct {
        let mut set = Distinct::default();
        ids.for_each(|n| set.add(format!("a user's id of some length: {n}").as_str()));
        set
    }

    #[test]
    fn equal_sets_have_equal_bytes() {
        for n in [0, 1, 3, 4, 1_000] {
            let mut halves = of((0..n / 2).rev());
            halves.merge(&of(n / 3..n));
            assert_eq!(bincode::serialize(&halves).unwrap(), bincode::serialize(&of(0..n)).unwrap());
        }
    }

    #[test]
    fn an_id_packed_and_one_hashed_are_not_confused() {
        let mut set = Distinct::default();
        for len in 0..40 {
            set.add("x".repeat(len).as_str());
        }
        assert_eq!(set.finish(), 40);
    }

    #[test]
    fn a_number_is_the_text_of_its_eight_bytes() {
        let mut set = Distinct::default();
        for text in ["abcdefgh", "hgfedcba", "\0\0\0\0\0\0\0\0"] {
            set.add(text);
            set.add(text.as_bytes().try_into().map(u64::from_le_bytes).unwrap());
        }
        assert_eq!(set.finish(), 3);
    }

    #[test]
    fn a_burst_gives_its_memory_back() {
        let (burst, calm) = (of(0..10_000), of(0..10));
        let mut rolling = DistinctSliding::default();
        rolling.push(&burst);
        rolling.push(&calm);
        rolling.pop(&burst);
        assert_eq!(rolling.finish(), 10);
        assert!(rolling.held.capacity() < 100);
    }

    #[test]
    fn memory_of_which_a_quarter_is_used_is_kept() {
        let (all, quarter) = (of(0..1_000), of(0..250));
        let mut rolling = DistinctSliding::default();
        rolling.push(&all);
        rolling.push(&quarter);
        rolling.pop(&all);
        assert_eq!(rolling.finish(), 250);
        assert!(rolling.held.capacity() >= 1_000);
    }

    #[test]
    fn a_pane_of_few_is_small() {
        assert!(size_of::<Distinct>() <= 64, "{}", size_of::<Distinct>());
        assert!(size_of::<Held>() == 24);
    }
}
