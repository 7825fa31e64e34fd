//! A dictionary of words, with a filter for words that it does not contain.

use std::fmt;

use hashbrown::HashTable;
use xxhash_rust::xxh3::Xxh3;

use super::word::{Folded, mix, number};

/// The number of bits of a word's hash that choose its place in the filter.
const FILTER_BITS: u32 = 16;

/// A map from words to values, without regard to case. Most words of a message are in no list, so a filter of
/// 8 KiB, small enough for the first-level cache, rejects nine in ten of them before the table is searched.
///
/// The map is exact for words of up to 15 bytes; longer ones match by a hash of 127 bits.
#[derive(Clone)]
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

    /// The value of a word, for changes; `default` if there was none.
    pub(super) fn entry(&mut self, word: &Folded, default: V) -> &mut V {
        let number = number(word.bytes());
        let hash = mix(number);
        let (place, bit) = place(hash);
        self.filter[place] |= bit;
        self.longest = self.longest.max(word.bytes().len());
        let entry = self.table.entry(hash, |held| held.0 == number, |held| mix(held.0));
        &mut entry.or_insert((number, default)).into_mut().1
    }

    /// The value of a word of ASCII letters in either case. Other letters must be in the form of [`Folded`].
    #[inline]
    pub(super) fn get(&self, word: &[u8]) -> Option<V> {
        if word.len() > self.longest {
            return None;
        }
        #[cfg(test)]
        super::work::done(word.len() as u64 + 1);
        self.find(number(word))
    }

    /// The value of the word that has a number.
    #[inline]
    pub(super) fn find(&self, number: u128) -> Option<V> {
        let hash = mix(number);
        let (place, bit) = place(hash);
        if self.filter[place] & bit == 0 {
            return None;
        }
        self.table.find(hash, |held| held.0 == number).map(|held| held.1)
    }

    /// The value of a word of any letters.
    pub(super) fn get_folded(&self, word: &str) -> Option<V> {
        self.get(Folded::of(word)?.bytes())
    }

    /// A digest of all words and of `meaning` of their values, independent of the order in which they were
    /// added.
    pub(super) fn digest(&self, meaning: impl Fn(V) -> u64) -> u64 {
        let mut words: Vec<_> = self.table.iter().map(|&(word, held)| (word, meaning(held))).collect();
        words.sort_unstable();
        let mut digest = Xxh3::new();
        for (word, meaning) in words {
            digest.update(&word.to_le_bytes());
            digest.update(&meaning.to_le_bytes());
        }
        digest.digest()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = V> {
        self.table.iter().map(|held| held.1)
    }
}

/// Shows the number of words and not the words: there may be thousands.
impl<V> fmt::Debug for Dictionary<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dictionary")
            .field("words", &self.table.len())
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

/// The word and the bit of the filter for a hash. The table uses the lowest and the highest bits.
#[inline]
fn place(hash: u64) -> (usize, u64) {
    let bit = hash >> 32 & ((1 << FILTER_BITS) - 1);
    ((bit >> 6) as usize, 1 << (bit & 63))
}
