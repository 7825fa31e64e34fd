//! Sets of ids.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ident::mix;

/// The number of ids that are stored in place. Most panes of most keys have no more.
const FEW: usize = 3;

/// A set of ids, stored in place or in a hash table. It is encoded in order, so that equal sets have equal
/// bytes.
#[derive(Clone, Debug)]
pub(super) enum IdSet {
    Few { len: u8, ids: [u128; FEW] },
    Many(HashTable<u128>),
}

impl Default for IdSet {
    fn default() -> Self {
        Self::Few { len: 0, ids: [0; FEW] }
    }
}

impl IdSet {
    #[inline]
    pub(super) fn insert(&mut self, id: u128) {
        match self {
            Self::Many(table) => insert(table, id),
            Self::Few { len, ids } => {
                let held = usize::from(*len);
                if ids[..held].contains(&id) {
                    return;
                }
                if let Some(free) = ids.get_mut(held) {
                    *free = id;
                    *len += 1;
                } else {
                    self.grow(FEW).insert(id);
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

    pub(super) fn iter(&self) -> impl Iterator<Item = u128> {
        let (few, many) = match self {
            Self::Few { len, ids } => (&ids[..usize::from(*len)], None),
            Self::Many(table) => (&[][..], Some(table)),
        };
        few.iter().copied().chain(many.into_iter().flatten().copied())
    }

    pub(super) fn merge(&mut self, other: &Self) {
        // Copying a table costs less than filling one, so the smaller set is inserted into the larger.
        if self.len() < other.len() {
            let smaller = std::mem::replace(self, other.clone());
            smaller.iter().for_each(|id| self.insert(id));
        } else {
            // Half of them, as some are contained already. Growing on the way would be slower, since they
            // come in the order of their hash.
            if let Self::Many(_) = self {
                self.grow(other.len().div_ceil(2));
            }
            other.iter().for_each(|id| self.insert(id));
        }
    }

    /// Converts it to a table with room for `more` ids.
    fn grow(&mut self, more: usize) -> &mut Self {
        match self {
            Self::Many(table) => table.reserve(more, |&id| mix(id)),
            Self::Few { .. } => {
                let mut table = HashTable::with_capacity(self.len() + more);
                self.iter().for_each(|id| insert(&mut table, id));
                *self = Self::Many(table);
            }
        }
        self
    }
}

#[inline]
fn insert(table: &mut HashTable<u128>, id: u128) {
    if let Entry::Vacant(free) = table.entry(mix(id), |&held| held == id, |&held| mix(held)) {
        free.insert(id);
    }
}

impl Serialize for IdSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut ids: Vec<u128> = self.iter().collect();
        ids.sort_unstable();
        ids.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IdSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ids = Vec::<u128>::deserialize(deserializer)?;
        let mut set = Self::default();
        if ids.len() > FEW {
            set.grow(ids.len());
        }
        ids.into_iter().for_each(|id| set.insert(id));
        Ok(set)
    }
}
