//! Exact counts by name: the state of [`TopK`](super::TopK) and [`SpaceSaving`](super::SpaceSaving).

use compact_str::CompactString;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::ident::{id_of, mix};

/// A name and its count: an element of the output of [`TopK`](crate::TopK).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Counted {
    /// The name.
    pub name: CompactString,
    /// The count.
    pub count: u64,
}

/// The greatest number of names that are stored in a list and searched one by one.
const FEW: usize = 8;

/// Counts by name, none of them 0. They are encoded in the order of the names, so that equal counts have
/// equal bytes.
#[derive(Clone, Debug)]
pub(super) enum NameCounts {
    Few(Vec<Counted>),
    Many(HashTable<Counted>),
}

impl Default for NameCounts {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

fn hash(name: &str) -> u64 {
    mix(id_of(name))
}

impl NameCounts {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Counted> {
        let (few, many) = match self {
            Self::Few(few) => (&few[..], None),
            Self::Many(many) => (&[][..], Some(many)),
        };
        few.iter().chain(many.into_iter().flatten())
    }

    pub(super) fn add(&mut self, name: &str, count: u64) {
        match self {
            Self::Few(few) => {
                if let Some(held) = few.iter_mut().find(|held| held.name == name) {
                    held.count += count;
                } else if few.len() < FEW {
                    few.push(Counted { name: CompactString::new(name), count });
                } else {
                    let mut many = HashTable::with_capacity(2 * FEW);
                    for held in few.drain(..) {
                        many.insert_unique(hash(&held.name), held, |held| hash(&held.name));
                    }
                    *self = Self::Many(many);
                    self.add(name, count);
                }
            }
            Self::Many(many) => {
                match many.entry(hash(name), |held| held.name == name, |held| hash(&held.name)) {
                    Entry::Occupied(mut held) => held.get_mut().count += count,
                    Entry::Vacant(free) => {
                        free.insert(Counted { name: CompactString::new(name), count });
                    }
                }
            }
        }
    }

    /// Subtracts from a count. A name whose count becomes 0 is removed.
    pub(super) fn subtract(&mut self, name: &str, count: u64) {
        match self {
            Self::Few(few) => {
                if let Some(at) = few.iter().position(|held| held.name == name) {
                    few[at].count = few[at].count.saturating_sub(count);
                    if few[at].count == 0 {
                        few.swap_remove(at);
                    }
                }
            }
            Self::Many(many) => {
                if let Ok(mut held) = many.find_entry(hash(name), |held| held.name == name) {
                    held.get_mut().count = held.get().count.saturating_sub(count);
                    if held.get().count == 0 {
                        held.remove();
                    }
                }
                if many.len() <= FEW / 2 {
                    *self = Self::Few(many.drain().collect());
                }
            }
        }
    }

    /// Subtracts `count` from every count. Names whose count becomes 0 are removed.
    pub(super) fn lower_all(&mut self, count: u64) {
        let lower = |held: &mut Counted| {
            held.count = held.count.saturating_sub(count);
            held.count > 0
        };
        match self {
            Self::Few(few) => few.retain_mut(lower),
            Self::Many(many) => many.retain(lower),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        if self.len() == 0 {
            self.clone_from(other);
        } else {
            other.iter().for_each(|held| self.add(&held.name, held.count));
        }
    }

    /// The `k` names with the greatest counts, by count descending, then by name. Mostly costs one comparison
    /// per name, at most `k`.
    pub(super) fn top(&self, k: usize) -> Vec<Counted> {
        let before = |a: &Counted, b: &Counted| a.count > b.count || (a.count == b.count && a.name < b.name);
        let mut top: SmallVec<[&Counted; 16]> = SmallVec::new();
        for held in self.iter() {
            if top.len() < k {
                top.push(held);
            } else if top.last().is_none_or(|last| !before(held, last)) {
                continue;
            }
            // Insert from the back; the last one is dropped.
            let mut at = top.len() - 1;
            while at > 0 && before(held, top[at - 1]) {
                top[at] = top[at - 1];
                at -= 1;
            }
            top[at] = held;
        }
        // Of exactly this length, as there is one for each window of each key.
        let mut found = Vec::with_capacity(top.len());
        found.extend(top.into_iter().cloned());
        found
    }
}

impl Serialize for NameCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut counts: Vec<&Counted> = self.iter().collect();
        counts.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        counts.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for NameCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut counts = Self::default();
        for held in Vec::<Counted>::deserialize(deserializer)? {
            counts.add(&held.name, held.count);
        }
        Ok(counts)
    }
}
