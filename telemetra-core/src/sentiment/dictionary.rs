//! Words and what they stand for: a table that says no at once.

use hashbrown::HashTable;

use super::word::{LONGEST, folded};
use crate::ident::mix;

/// How many bits of a word's hash choose its place in the filter.
const FILTER_BITS: u32 = 16;

/// Finds words without regard to the case of ASCII letters. Most words of a message are in no list, so a filter of 8 KiB,
/// small enough to stay in the nearest cache, turns nine in ten of them away before the table is touched.
///
/// Exact for words of up to 15 bytes; longer ones match by a hash of 127 bits.
#[derive(Clone, Debug)]
pub(super) struct Dictionary<V> {
    filter: Box<[u64]>,
    table: HashTable<(u128, V)>,
    longest: usize,
}

impl<V: Copy> Dictionary<V> {
    pub(super) fn new() -> Self {
        let filter = vec![0; 1 << (FILTER_BITS - 6)].into_boxed_slice();
        Self { filter, table: HashTable::new(), longest: 0 }
    }

    /// What is held for a word, to be changed; at first `default`. For words of at most [`LONGEST`] bytes.
    pub(super) fn entry(&mut self, word: &str, default: V) -> &mut V {
        let id = folded(word.as_bytes());
        let hash = mix(id);
        let (place, bit) = place(hash);
        self.filter[place] |= bit;
        self.longest = self.longest.max(word.len().min(LONGEST));
        let entry = self.table.entry(hash, |held| held.0 == id, |held| mix(held.0));
        &mut entry.or_insert((id, default)).into_mut().1
    }

    #[inline]
    pub(super) fn get(&self, word: &[u8]) -> Option<V> {
        if word.len() > self.longest {
            return None;
        }
        self.find(folded(word))
    }

    #[inline]
    fn find(&self, id: u128) -> Option<V> {
        #[cfg(test)]
        super::work::done(1);
        let hash = mix(id);
        let (place, bit) = place(hash);
        if self.filter[place] & bit == 0 {
            return None;
        }
        self.table.find(hash, |held| held.0 == id).map(|held| held.1)
    }
}

/// A hash's word and bit of the filter. The table uses the lowest and the highest bits.
#[inline]
fn place(hash: u64) -> (usize, u64) {
    let bit = hash >> 32 & ((1 << FILTER_BITS) - 1);
    ((bit >> 6) as usize, 1 << (bit & 63))
}
