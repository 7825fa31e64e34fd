//! The keys of one operator that are on disk: an index by the hash of the key, and a calendar of the times at
//! which they are due.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hashbrown::HashTable;
use telemetra_core::checkpoint::CodecError;
use telemetra_core::{EventTime, Key};

use crate::spill::Spill;
use crate::spill::segments::{Place, Segments};
use crate::support::failure::PipelineError;

/// Keys on disk. In memory each takes its entry in the index and one in the calendar, some 60 bytes.
#[derive(Debug)]
pub(crate) struct Cold {
    spill: Arc<Spill>,
    /// Two keys may have the same hash: then both are read.
    index: HashTable<Entry>,
    /// The hashes of the keys that are due at each time, perhaps some that are not any more.
    calendar: BTreeMap<EventTime, Vec<u64>>,
    segments: Segments,
    /// Room for a record, and for records that are read together.
    record: Vec<u8>,
    read: Vec<u8>,
    error: Option<PipelineError>,
}

#[derive(Copy, Clone, Debug)]
struct Entry {
    hash: u64,
    due: EventTime,
    place: Place,
    /// True if each snapshot needs it.
    is_kept: bool,
    /// True if it was written since the last snapshot.
    is_changed: bool,
}

/// A record is the hash of the key, the length of the encoded key, the key, and the state.
const LENGTH: usize = size_of::<u32>();
const HEAD: usize = size_of::<u64>() + LENGTH;
/// The bytes of memory of a key: its entry, with the room of a table that has just grown, and its due time.
const ENTRY: usize = size_of::<Entry>() * 3 / 2 + 2 * size_of::<u64>();

/// A key as it is on disk, with its state.
pub(crate) struct Record<'a, K> {
    pub(crate) key: K,
    pub(crate) due: EventTime,
    pub(crate) state: &'a [u8],
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record is not what was written")
}

/// Parses a record: the key, and its state.
fn parse<K: Key>(record: &[u8]) -> io::Result<(K, &[u8])> {
    let length = record.get(HEAD - LENGTH..HEAD).and_then(|length| length.try_into().ok());
    let end = HEAD + length.map(u32::from_le_bytes).ok_or_else(damaged)? as usize;
    let (key, state) = record.split_at_checked(end).ok_or_else(damaged)?;
    let key = bincode::deserialize(&key[HEAD..]).map_err(io::Error::other)?;
    Ok((key, state))
}

impl Cold {
    pub(crate) fn new(spill: Arc<Spill>) -> Self {
        let segments = Segments::new(Arc::clone(&spill));
        let (index, calendar) = Default::default();
        spill.join();
        Self { spill, index, calendar, segments, record: Vec::new(), read: Vec::new(), error: None }
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The least time at which a key is due, or was.
    pub(crate) fn next(&self) -> Option<EventTime> {
        self.calendar.keys().next().copied()
    }

    /// Removes and returns the hashes of the keys that are due at a time.
    pub(crate) fn due(&mut self, time: EventTime) -> Vec<u64> {
        let mut due = self.calendar.remove(&time).unwrap_or_default();
        let index = &self.index;
        due.retain(|hash| index.find(*hash, |entry| entry.hash == *hash && entry.due == time).is_some());
        due
    }

    /// The place of a key with this hash, to sort by; [nowhere](Place::NOWHERE) if there is none.
    pub(crate) fn place(&self, hash: u64) -> Place {
        self.index.find(hash, |entry| entry.hash == hash).map_or(Place::NOWHERE, |entry| entry.place)
    }

    /// The bytes of memory that this operator may use for keys in memory.
    pub(crate) fn room(&self) -> u64 {
        let own = self.index.len() * ENTRY + self.segments.memory();
        let share = self.spill.share();
        // However many keys there are, those that change need some.
        share.saturating_sub(own as u64).max(share / 8)
    }

    /// Publishes the estimated bytes of memory of the keys that are not here; `before` is what was published
    /// last.
    pub(crate) fn publish(&self, before: u64, now: u64) {
        let memory = &self.spill.counts().memory;
        memory.fetch_add(now, Ordering::Relaxed);
        memory.fetch_sub(before, Ordering::Relaxed);
    }

    /// Writes a key with its state, which `pack` appends. Returns whether it was written: otherwise it must stay in
    /// memory. `due` is [`EventTime::MAX`] if it never is; `is_kept` says whether each snapshot needs it.
    pub(crate) fn put<K: Key>(
        &mut self,
        (hash, key): (u64, &K),
        (due, is_kept): (EventTime, bool),
        pack: impl FnOnce(&mut Vec<u8>) -> Result<bool, CodecError>,
    ) -> bool {
        if self.error.is_some() {
            return false;
        }
        let written = self.write(hash, key, pack);
        let place = match written {
            Ok(Some(place)) => place,
            Ok(None) => return false,
            Err(source) => {
                self.fail(source);
                return false;
            }
        };
        self.index
            .insert_unique(hash, Entry { hash, due, place, is_kept, is_changed: true }, |entry| entry.hash);
        if due < EventTime::MAX {
            self.calendar.entry(due).or_default().push(hash);
        }
        self.spill.written(place.length());
        true
    }

    fn write<K: Key>(
        &mut self,
        hash: u64,
        key: &K,
        pack: impl FnOnce(&mut Vec<u8>) -> Result<bool, CodecError>,
    ) -> io::Result<Option<Place>> {
        let record = &mut self.record;
        record.clear();
        record.extend_from_slice(&hash.to_le_bytes());
        record.extend_from_slice(&[0; LENGTH]);
        bincode::serialize_into(&mut *record, key).map_err(io::Error::other)?;
        let length = u32::try_from(record.len() - HEAD).map_err(io::Error::other)?;
        record[HEAD - LENGTH..HEAD].copy_from_slice(&length.to_le_bytes());
        if !pack(record).map_err(io::Error::other)? {
            return Ok(None);
        }
        self.segments.append(record).map(Some)
    }

    /// Removes the keys with these hashes and gives them to `found`, in the order of their places.
    pub(crate) fn take<K: Key>(
        &mut self,
        hashes: &[u64],
        mut found: impl FnMut(Record<'_, K>) -> Result<(), CodecError>,
    ) {
        let taken = self.each(hashes, true, |_, record| found(record));
        taken.unwrap_or_else(|source| self.fail(source));
    }

    /// Gives the keys that a snapshot needs to `found`, in the order of their places: all if it is
    /// `whole`, otherwise those that were written since the last snapshot.
    pub(crate) fn for_snapshot<K: Key>(
        &mut self,
        whole: bool,
        mut found: impl FnMut(Record<'_, K>) -> Result<(), CodecError>,
    ) {
        let mut changed = Vec::new();
        for entry in self.index.iter_mut() {
            if std::mem::take(&mut entry.is_changed) || whole {
                changed.push(entry.hash);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        let read = self.each(&changed, false, |_, record| found(record));
        read.unwrap_or_else(|source| self.fail(source));
    }

    /// Gives the keys that each snapshot needs to `found`.
    pub(crate) fn kept<K: Key>(&mut self, mut found: impl FnMut(Record<'_, K>) -> Result<(), CodecError>) {
        let mut kept: Vec<u64> =
            self.index.iter().filter(|entry| entry.is_kept).map(|entry| entry.hash).collect();
        kept.sort_unstable();
        kept.dedup();
        let read = self.each(&kept, false, |is_kept, record| if is_kept { found(record) } else { Ok(()) });
        read.unwrap_or_else(|source| self.fail(source));
    }

    fn each<K: Key>(
        &mut self,
        hashes: &[u64],
        removes: bool,
        mut found: impl FnMut(bool, Record<'_, K>) -> Result<(), CodecError>,
    ) -> io::Result<()> {
        let index = &self.index;
        let mut entries: Vec<Entry> = hashes
            .iter()
            .flat_map(|hash| index.iter_hash(*hash).filter(move |entry| entry.hash == *hash))
            .copied()
            .collect();
        entries.sort_unstable_by_key(|entry| entry.place);
        let mut read = std::mem::take(&mut self.read);
        let mut rest = &entries[..];
        while let Some(first) = rest.first() {
            let (near, others) = rest.split_at(self.segments.near(rest.iter().map(|entry| entry.place)));
            rest = others;
            self.segments.read(first.place, near.last().map_or(first.place, |last| last.place), &mut read)?;
            for Entry { hash, due, place, is_kept, .. } in near {
                let (key, state) = parse(place.of(first.place, &read)?)?;
                found(*is_kept, Record { key, due: *due, state }).map_err(io::Error::other)?;
                if removes {
                    self.remove(*hash, *place);
                }
            }
            self.spill.counts().reads.fetch_add(near.len() as u64, Ordering::Relaxed);
        }
        self.read = read;
        Ok(())
    }

    fn remove(&mut self, hash: u64, place: Place) {
        if let Ok(entry) = self.index.find_entry(hash, |entry| entry.place == place) {
            entry.remove();
            self.segments.free(place);
            self.spill.removed(1, place.length());
        }
    }

    /// Moves the records of a segment that is mostly empty, so that its file can be closed.
    pub(crate) fn compact(&mut self) {
        let Some(segment) = self.segments.sparsest().filter(|_| self.error.is_none()) else { return };
        let moved = self.empty(segment);
        moved.unwrap_or_else(|source| self.fail(source));
    }

    fn empty(&mut self, segment: u32) -> io::Result<()> {
        let mut places: Vec<(Place, u64)> = self
            .index
            .iter()
            .filter(|entry| Segments::is_in(entry.place, segment))
            .map(|entry| (entry.place, entry.hash))
            .collect();
        places.sort_unstable();
        for (place, hash) in places {
            self.segments.read(place, place, &mut self.record)?;
            let moved = self.segments.append(&self.record)?;
            if let Some(entry) = self.index.find_mut(hash, |entry| entry.place == place) {
                entry.place = moved;
            }
            self.segments.free(place);
        }
        Ok(())
    }

    fn fail(&mut self, source: io::Error) {
        let folder = self.spill.folder().to_owned();
        self.error.get_or_insert(PipelineError::Spill { folder, source });
    }

    /// Returns whether state could not be written or read: what the operator computes is not complete any
    /// more.
    pub(crate) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// The first error, once.
    pub(crate) fn take_error(&mut self) -> Option<PipelineError> {
        self.error.take()
    }
}

impl Drop for Cold {
    fn drop(&mut self) {
        let bytes = self.index.iter().map(|entry| entry.place.length()).sum();
        self.spill.removed(self.index.len() as u64, bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::SpillConfig;

    fn cold(folder: &std::path::Path) -> Cold {
        Cold::new(Spill::open(SpillConfig::new(folder)).expect("the folder can be used"))
    }

    fn folder(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("telemetra-{name}-{}", std::process::id()))
    }

    fn put(cold: &mut Cold, hash: u64, key: &str, due: u64, state: &[u8]) -> bool {
        let is_kept = state.is_empty();
        cold.put((hash, &key.to_owned()), (EventTime(due), is_kept), |into| {
            into.extend_from_slice(state);
            Ok(true)
        })
    }

    fn taken(cold: &mut Cold, hashes: &[u64]) -> Vec<(String, u64, Vec<u8>)> {
        let mut found = Vec::new();
        cold.take(hashes, |Record { key, due, state }| {
            found.push((key, due.0, state.to_vec()));
            Ok(())
        });
        assert!(cold.take_error().is_none());
        found
    }

    #[test]
    fn keys_are_found_again_by_hash_and_by_time_also_two_of_one_hash() {
        let folder = folder("cold");
        let mut cold = cold(&folder);
        assert!(put(&mut cold, 1, "a", 10, b"x") && put(&mut cold, 1, "b", 20, b"yy"));
        assert!(put(&mut cold, 2, "c", 20, b""));
        assert_eq!((cold.len(), cold.next()), (3, Some(EventTime(10))));
        assert_eq!(cold.due(EventTime(10)), [1]);
        let mut kept = Vec::new();
        cold.kept(|Record { key, .. }: Record<'_, String>| {
            kept.push(key);
            Ok(())
        });
        assert_eq!(kept, ["c"]);
        let both = [("a".to_owned(), 10, b"x".to_vec()), ("b".to_owned(), 20, b"yy".to_vec())];
        assert_eq!(taken(&mut cold, &[1]), both);
        assert!(taken(&mut cold, &[1]).is_empty());
        // What has left is not due any more.
        assert_eq!(cold.due(EventTime(20)), [2]);
        assert_eq!(cold.len(), 1);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }

    #[test]
    fn a_snapshot_is_given_what_was_written_since_the_last_or_all() {
        let folder = folder("changed");
        let mut cold = cold(&folder);
        let given = |cold: &mut Cold, whole| {
            let mut given = Vec::new();
            cold.for_snapshot(whole, |Record { key, .. }: Record<'_, String>| {
                given.push(key);
                Ok(())
            });
            given.concat()
        };
        put(&mut cold, 1, "a", 10, b"x");
        put(&mut cold, 2, "b", 10, b"x");
        assert_eq!(given(&mut cold, false), "ab");
        assert_eq!(given(&mut cold, false), "");
        put(&mut cold, 3, "c", 10, b"x");
        taken(&mut cold, &[1]);
        assert_eq!(given(&mut cold, false), "c");
        assert_eq!(given(&mut cold, true), "bc");
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }

    #[test]
    fn records_near_each_other_are_those_that_were_written() {
        let folder = folder("near");
        let mut cold = cold(&folder);
        // The first are in the file, the last in the buffer; a gap is small, or more than a page.
        let state = |hash: u64| vec![hash as u8; 100 + hash as usize % 50];
        let all = 0..12_000;
        all.clone().for_each(|hash| assert!(put(&mut cold, hash, &hash.to_string(), 1, &state(hash))));
        let gone: Vec<u64> = all.clone().filter(|hash| hash % 3 == 0 || hash % 1_000 < 100).collect();
        assert_eq!(taken(&mut cold, &gone).len(), gone.len());
        let left: Vec<u64> = all.filter(|hash| !gone.contains(hash)).collect();
        let expected: Vec<_> = left.iter().map(|hash| (hash.to_string(), 1, state(*hash))).collect();
        assert_eq!(taken(&mut cold, &left), expected);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }

    #[test]
    fn files_stay_within_twice_of_what_they_hold() {
        let folder = folder("compact");
        let mut cold = cold(&folder);
        cold.segments.set_size(1 << 20);
        let state = [7; 10_000];
        for round in 0..20 {
            for hash in 0..1_000 {
                // One key in ten stays where it is.
                if round == 0 || hash % 10 != 0 {
                    let found = taken(&mut cold, &[hash]);
                    assert!(
                        found.len() == usize::from(round > 0) && found.iter().all(|(.., all)| *all == state)
                    );
                    assert!(put(&mut cold, hash, &format!("k{hash}"), 1, &state));
                }
            }
            cold.compact();
        }
        // 10 MB are in use.
        assert!(cold.segments.count() < 30, "{} files", cold.segments.count());
        assert_eq!(taken(&mut cold, &(0..1_000).collect::<Vec<_>>()).len(), 1_000);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }
}
