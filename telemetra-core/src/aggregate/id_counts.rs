//! Counts by id.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ident::mix;

/// The number of ids that are stored in place. Most panes of most keys have no more.
const FEW: usize = 3;

/// An id and its count. The id is in two halves: with the alignment of a `u128` this would take 32 bytes
/// instead of 24.
#[derive(Copy, Clone, Debug)]
pub(super) struct IdCount {
    low: u64,
    high: u64,
    pub(super) count: u64,
}

impl IdCount {
    pub(super) fn new(id: u128, count: u64) -> Self {
        Self { low: id as u64, high: (id >> 64) as u64, count }
    }

    pub(super) fn id(&self) -> u128 {
        u128::from(self.high) << 64 | u128::from(self.low)
    }
}

/// Counts by id, none of them 0, stored in place or in a hash table. They are encoded in the order of the
/// ids, so that equal counts have equal bytes. In place a count is at most `u32::MAX`.
#[derive(Clone, Debug)]
pub(super) enum IdCounts {
    Few { len: u8, counts: [u32; FEW], ids: [u128; FEW] },
    Many(HashTable<IdCount>),
}

impl Default for IdCounts {
    fn default() -> Self {
        Self::Few { len: 0, counts: [0; FEW], ids: [0; FEW] }
    }
}

impl IdCounts {
    #[inline]
    pub(super) fn add(&mut self, id: u128, count: u64) {
        match self {
            Self::Many(table) => add(table, id, count),
            Self::Few { len, counts, ids } => {
                let held = usize::from(*len);
                let at = ids[..held].iter().position(|known| *known == id);
                let sum = at.map_or(0, |at| u64::from(counts[at])).saturating_add(count);
                match (u32::try_from(sum), at) {
                    (Ok(sum), Some(at)) => counts[at] = sum,
                    (Ok(sum), None) if held < FEW => {
                        (ids[held], counts[held]) = (id, sum);
                        *len += 1;
                    }
                    _ => self.grow(1).add(id, count),
                }
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few { len, .. } => usize::from(*len),
            Self::Many(table) => table.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = IdCount> {
        let (few, many) = match self {
            Self::Few { len, counts, ids } => (ids[..usize::from(*len)].iter().zip(counts), None),
            Self::Many(table) => ([].iter().zip(&[0; FEW]), Some(table)),
        };
        let few = few.map(|(id, count)| IdCount::new(*id, u64::from(*count)));
        few.chain(many.into_iter().flatten().copied())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // Copying a table costs less than filling one, so the smaller one is added to the larger.
        if self.len() < other.len() {
            let smaller = std::mem::replace(self, other.clone());
            smaller.iter().for_each(|held| self.add(held.id(), held.count));
        } else {
            // Half of them, as some are contained already. Growing on the way would be slower, since they
            // come in the order of their hash.
            if let Self::Many(_) = self {
                self.grow(other.len().div_ceil(2));
            }
            other.iter().for_each(|held| self.add(held.id(), held.count));
        }
    }

    /// Converts it to a table with room for `more` ids.
    fn grow(&mut self, more: usize) -> &mut Self {
        match self {
            Self::Many(table) => table.reserve(more, |held| mix(held.id())),
            Self::Few { .. } => {
                let mut table = HashTable::with_capacity(self.len() + more.max(FEW));
                self.iter().for_each(|held| add(&mut table, held.id(), held.count));
                *self = Self::Many(table);
            }
        }
        self
    }
}

#[inline]
fn add(table: &mut HashTable<IdCount>, id: u128, count: u64) {
    match table.entry(mix(id), |held| held.id() == id, |held| mix(held.id())) {
        Entry::Occupied(mut held) => {
            let held = held.get_mut();
            held.count = held.count.saturating_add(count);
        }
        Entry::Vacant(free) => {
            free.insert(IdCount::new(id, count));
        }
    }
}

/// The ids in order, and of those with a count above 1 the place in that order and the rest of the count:
/// most have none.
type Encoded = (Vec<u128>, Vec<(u32, u64)>);

impl Serialize for IdCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut held: Vec<IdCount> = self.iter().collect();
        held.sort_unstable_by_key(IdCount::id);
        let more = (0u32..).zip(&held).filter(|(_, held)| held.count > 1);
        let encoded: Encoded =
            (held.iter().map(IdCount::id).collect(), more.map(|(at, held)| (at, held.count - 1)).collect());
        encoded.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IdCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (ids, more) = Encoded::deserialize(deserializer)?;
        let mut counts = Self::default();
        if ids.len() > FEW {
            counts.grow(ids.len());
        }
        ids.iter().for_each(|id| counts.add(*id, 1));
        for (at, rest) in more {
            if let Some(id) = ids.get(at as usize) {
                counts.add(*id, rest);
            }
        }
        Ok(counts)
    }
}
