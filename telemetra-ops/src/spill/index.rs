//! The index of the keys of one operator that are on disk, by the hash of the key, and their calendar, by the time at
//! which they are due.
//!
//! A key on disk takes no other memory, and there may be many millions of them. So an entry is 20 bytes, and its hash
//! is half as long as elsewhere: of ten million keys, some twenty thousand share theirs with another, which is read
//! with them.

use std::collections::BTreeMap;

use hashbrown::HashTable;
use telemetra_core::EventTime;

use crate::spill::segments::Place;

/// The hash of a key in the index.
pub(crate) type ShortHash = u32;

/// The upper half of a [hash](telemetra_core::key_hash): the lower one selects the worker.
pub(crate) fn short_hash(hash: u64) -> ShortHash {
    (hash >> ShortHash::BITS) as ShortHash
}

/// The place of a key's record, and what is known of the key without reading it.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) hash: ShortHash,
    /// The number in the calendar of the time at which it is due; [`NEVER`] if it never is.
    due: u32,
    // The fields of a `Place`, which would be followed by two unused bytes.
    offset: u32,
    length: u32,
    segment: u16,
    /// True if each snapshot needs it.
    pub(crate) is_kept: bool,
    /// True if it was written since the last snapshot.
    is_changed: bool,
}

const _: () = assert!(size_of::<Entry>() == 20);

impl Entry {
    pub(crate) fn place(&self) -> Place {
        Place { segment: self.segment, offset: self.offset, length: self.length }
    }

    fn set_place(&mut self, place: Place) {
        (self.segment, self.offset, self.length) = (place.segment, place.offset, place.length);
    }
}

/// The keys that are due at one time.
#[derive(Debug)]
struct DueKeys {
    /// The number of the time.
    number: u32,
    /// The hashes of the keys, and perhaps of some that are not due any more.
    hashes: Vec<ShortHash>,
}

/// The number of no time.
const NEVER: u32 = 0;
/// The bytes of memory of a key in the calendar, with the room of a list that has just grown.
const IN_CALENDAR: usize = 2 * size_of::<ShortHash>();

/// The index and the calendar. Several entries may have the same hash.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: HashTable<Entry>,
    calendar: BTreeMap<EventTime, DueKeys>,
    /// The number that was given last. After 4 billion the numbers begin anew: then a key may be found due that is
    /// not, and is read for nothing.
    last: u32,
}

/// The hash in the table, which needs all bits of a `u64`.
fn spread(entry: &Entry) -> u64 {
    in_table(entry.hash)
}

fn in_table(hash: ShortHash) -> u64 {
    u64::from(hash).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Index {
    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.entries.allocation_size() + self.len() * IN_CALENDAR
    }

    /// The bytes of all records.
    pub(crate) fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.place().length()).sum()
    }

    /// The least time at which a key is due, or was.
    pub(crate) fn next(&self) -> Option<EventTime> {
        self.calendar.keys().next().copied()
    }

    /// Removes a time from the calendar, and returns the hashes and places of the keys that are due at it.
    pub(crate) fn due(&mut self, time: EventTime) -> Vec<(Place, ShortHash)> {
        let Some(DueKeys { number, hashes }) = self.calendar.remove(&time) else { return Vec::new() };
        let entries = hashes.into_iter().flat_map(|hash| self.of(hash));
        entries.filter(|entry| entry.due == number).map(|entry| (entry.place(), entry.hash)).collect()
    }

    /// The entries of a hash.
    pub(crate) fn of(&self, hash: ShortHash) -> impl Iterator<Item = Entry> {
        self.entries.iter_hash(in_table(hash)).filter(move |entry| entry.hash == hash).copied()
    }

    /// The entries whose record is in a segment.
    pub(crate) fn in_segment(&self, segment: u16) -> impl Iterator<Item = Entry> {
        self.entries.iter().filter(move |entry| entry.segment == segment).copied()
    }

    /// Adds a key that is due at a time, [`EventTime::MAX`] if it never is.
    pub(crate) fn insert(&mut self, hash: ShortHash, due: EventTime, place: Place, is_kept: bool) {
        let due = if due < EventTime::MAX {
            let Self { calendar, last, .. } = self;
            let keys = calendar.entry(due).or_insert_with(|| {
                *last = last.wrapping_add(1).max(NEVER + 1);
                DueKeys { number: *last, hashes: Vec::new() }
            });
            keys.hashes.push(hash);
            keys.number
        } else {
            NEVER
        };
        let Place { segment, offset, length } = place;
        let entry = Entry { hash, due, offset, length, segment, is_kept, is_changed: true };
        self.entries.insert_unique(spread(&entry), entry, spread);
    }

    /// Removes the entries of a hash, and adds them to `taken`.
    pub(crate) fn take(&mut self, hash: ShortHash, taken: &mut Vec<Entry>) {
        while let Ok(entry) = self.entries.find_entry(in_table(hash), |entry| entry.hash == hash) {
            taken.push(entry.remove().0);
        }
    }

    /// Sets the place of a key whose record was moved.
    pub(crate) fn set_place(&mut self, hash: ShortHash, before: Place, now: Place) {
        if let Some(entry) = self.entries.find_mut(in_table(hash), |entry| entry.place() == before) {
            entry.set_place(now);
        }
    }

    /// The entries of the keys that were written since this was called last, or of all.
    pub(crate) fn take_changed(&mut self, all: bool) -> Vec<Entry> {
        let entries = self.entries.iter_mut();
        entries.filter_map(|entry| (std::mem::take(&mut entry.is_changed) || all).then_some(*entry)).collect()
    }

    /// The entries of the keys that each snapshot needs.
    pub(crate) fn kept(&self) -> Vec<Entry> {
        self.entries.iter().filter(|entry| entry.is_kept).copied().collect()
    }
}
