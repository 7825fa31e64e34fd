//! Leaderboards: the first entries of a changing collection.
//!
//! This is the arithmetic of the *top* operator, which decides what is ranked and combines the boards of all
//! workers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::Key;

/// A place on a leaderboard, and the key in it: a row of the table that [`Layout::ranked`](crate::Layout::ranked)
/// describes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Ranked<K: Key> {
    /// The name of the leaderboard.
    pub board: Arc<str>,
    /// The place, from 1.
    pub rank: u32,
    /// The key in this place.
    pub key: K,
    /// The key's value, in the units of the board's metric.
    pub value: i64,
}

/// The first `size` entries of a changing collection, in their order: the least entry is first.
///
/// The collection may contain an entry several times; it is then ranked once. An entry whose count is not
/// positive is not ranked. All entries are kept in memory, since each may move up when another is removed.
///
/// ```
/// use telemetra_core::Leaderboard;
/// let mut board = Leaderboard::new(2);
/// for entry in ["b", "c", "d"] {
///     board.update(entry, 1);
/// }
/// board.settle_places(|_, _, _| {});
/// board.update("a", 1);
/// board.update("b", -1);
/// let mut changes = Vec::new();
/// board.settle_places(|rank, entry, diff| changes.push((rank, *entry, diff)));
/// assert_eq!(changes, [(1, "b", -1), (1, "a", 1)], "c is second, as it was");
/// ```
#[derive(Clone, Debug)]
pub struct Leaderboard<T> {
    size: usize,
    /// The count of each entry.
    entries: BTreeMap<T, isize>,
    /// The first entries, as of the last call of `settle`.
    board: Vec<T>,
    /// True if a change since then may affect the board.
    stale: bool,
}

impl<T: Clone + Ord> Leaderboard<T> {
    /// An empty board of `size` places.
    #[must_use]
    pub const fn new(size: usize) -> Self {
        Self { size, entries: BTreeMap::new(), board: Vec::new(), stale: false }
    }

    /// Adds `diff` to the count of an entry. Costs the logarithm of the number of entries.
    pub fn update(&mut self, entry: T, diff: isize) {
        // A change behind the last place of a full board does not affect it.
        let full = self.board.len() >= self.size;
        self.stale |= !full || self.board.last().is_some_and(|last| entry <= *last);
        match self.entries.entry(entry) {
            Entry::Vacant(entry) if diff != 0 => drop(entry.insert(diff)),
            Entry::Vacant(_) => {}
            Entry::Occupied(mut entry) => {
                *entry.get_mut() += diff;
                if *entry.get() == 0 {
                    entry.remove();
                }
            }
        }
    }

    /// Updates the board, and calls `emit` for each place that changed, counted from 1: with the old entry
    /// and `-1`, and with the new entry and `+1`. Costs the size of the board, or nothing if the board did
    /// not change.
    pub fn settle_places(&mut self, mut emit: impl FnMut(u32, &T, isize)) {
        let before = self.settle();
        for (rank, place) in (1..).zip(0..before.len().max(self.board.len())) {
            let (old, new) = (before.get(place), self.board.get(place));
            if old != new {
                old.into_iter().for_each(|entry| emit(rank, entry, -1));
                new.into_iter().for_each(|entry| emit(rank, entry, 1));
            }
        }
    }

    /// Updates the board, and calls `emit` in order for each entry that is no longer on it, with `-1`, or is
    /// new on it, with `+1`, whatever its place. Costs as much as [`settle_places`](Self::settle_places).
    pub fn settle_entries(&mut self, mut emit: impl FnMut(&T, isize)) {
        let before = self.settle();
        let (mut old, mut new) = (before.iter().peekable(), self.board.iter().peekable());
        loop {
            match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(left), Some(came)) if left == came => {
                    old.next();
                    new.next();
                }
                (Some(left), came) if came.is_none_or(|came| left < came) => {
                    old.next().into_iter().for_each(|left| emit(left, -1));
                }
                _ => new.next().into_iter().for_each(|came| emit(came, 1)),
            }
        }
    }

    /// Updates the board and returns the previous one.
    fn settle(&mut self) -> Vec<T> {
        if !std::mem::take(&mut self.stale) {
            return self.board.clone();
        }
        let there = self.entries.iter().filter(|(_, count)| **count > 0);
        let board = there.map(|(entry, _)| entry.clone()).take(self.size).collect();
        std::mem::replace(&mut self.board, board)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// The board, computed by its definition.
    fn first(entries: &BTreeMap<u8, isize>, size: usize) -> Vec<u8> {
        entries.iter().filter(|(_, count)| **count > 0).map(|(entry, _)| *entry).take(size).collect()
    }

    proptest! {
        #[test]
        fn changes_add_up_to_the_first_entries(
            size in 0usize..5,
            rounds in prop::collection::vec(prop::collection::vec((0u8..12, -2isize..3), 0..6), 0..20),
        ) {
            let mut entries: BTreeMap<u8, isize> = BTreeMap::new();
            let (mut places, mut members) = (Leaderboard::new(size), Leaderboard::new(size));
            let mut by_place: BTreeMap<(u32, u8), isize> = BTreeMap::new();
            let mut by_entry: BTreeMap<u8, isize> = BTreeMap::new();
            for round in rounds {
                let before = first(&entries, size);
                for (entry, diff) in round {
                    *entries.entry(entry).or_default() += diff;
                    places.update(entry, diff);
                    members.update(entry, diff);
                }
                let after = first(&entries, size);
                let mut emitted = 0;
                places.settle_places(|rank, entry, diff| {
                    emitted += 1;
                    *by_place.entry((rank, *entry)).or_default() += diff;
                });
                let mut changed = Vec::new();
                members.settle_entries(|entry, diff| {
                    changed.push(*entry);
                    *by_entry.entry(*entry).or_default() += diff;
                });
                let differs = |entry: &u8| before.contains(entry) != after.contains(entry);
                prop_assert_eq!(changed, (0..12).filter(differs).collect::<Vec<_>>(), "in order, and each once");
                prop_assert!(members.entries.values().all(|count| *count != 0), "what is not there takes no room");
                prop_assert!(before != after || emitted == 0, "an unchanged board emits nothing");
                by_place.retain(|_, count| *count != 0);
                by_entry.retain(|_, count| *count != 0);
                let expected = (1..).zip(&after).map(|(rank, entry)| ((rank, *entry), 1));
                let expected: BTreeMap<_, _> = expected.collect();
                prop_assert_eq!(&by_place, &expected);
                prop_assert_eq!(&by_entry, &after.iter().map(|entry| (*entry, 1)).collect());
            }
        }
    }
}
