//! The keys of one operator that are on disk: their records, and the index to find them by.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::{EventTime, Key};

use crate::spill::Spill;
use crate::spill::index::{Entry, Index, ShortHash};
use crate::spill::segments::{Place, Segments};
use crate::support::failure::PipelineError;

/// Keys on disk.
#[derive(Debug)]
pub(crate) struct Cold {
    spill: Arc<Spill>,
    index: Index,
    segments: Segments,
    /// Room for a record, and for records that are read together.
    record: Vec<u8>,
    read: Vec<u8>,
    error: Option<PipelineError>,
}

/// A record is the checksum of the rest, the time at which the key is due, the length of the encoded key, the key, and the
/// state, of which a part is decoded much later, where there is no way to return an error.
const CHECKSUM: usize = size_of::<u32>();
const DUE: usize = CHECKSUM + size_of::<u64>();
const HEAD: usize = DUE + size_of::<u32>();

/// A key as it is on disk, with its state.
pub(crate) struct Record<'a, K> {
    pub(crate) key: K,
    pub(crate) due: EventTime,
    pub(crate) state: &'a [u8],
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a record is not what was written")
}

impl<'a, K: Key> Record<'a, K> {
    fn parse(record: &'a [u8]) -> io::Result<Self> {
        let (checksum, rest) = record.split_first_chunk().ok_or_else(damaged)?;
        if u32::from_le_bytes(*checksum) != crc32fast::hash(rest) {
            return Err(damaged());
        }
        let (due, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(damaged)?;
        let (key, state) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
        let key = bincode::deserialize(key).map_err(io::Error::other)?;
        Ok(Self { key, due: EventTime(u64::from_le_bytes(*due)), state })
    }
}

impl Cold {
    pub(crate) fn new(spill: Arc<Spill>) -> Self {
        let segments = Segments::new(Arc::clone(&spill));
        spill.join();
        let (index, record, read) = Default::default();
        Self { spill, index, segments, record, read, error: None }
    }

    /// The number of keys.
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// The least time at which a key is due, or was.
    pub(crate) fn next(&self) -> Option<EventTime> {
        self.index.next()
    }

    /// Removes a time from the calendar, and returns the hashes and places of the keys that are due at it.
    pub(crate) fn due(&mut self, time: EventTime) -> Vec<(Place, ShortHash)> {
        self.index.due(time)
    }

    /// The place of a key with this hash, to sort by; [nowhere](Place::NOWHERE) if there is none.
    pub(crate) fn place(&self, hash: ShortHash) -> Place {
        self.index.of(hash).next().map_or(Place::NOWHERE, |entry| entry.place())
    }

    /// The bytes of memory that this operator may use for keys in memory.
    pub(crate) fn room(&self) -> u64 {
        let own = self.index.memory() + self.segments.memory();
        let share = self.spill.share();
        // However many keys there are, those that change need some.
        share.saturating_sub(own as u64).max(share / 8)
    }

    /// Publishes the estimated bytes of memory of the keys in memory; `before` is what was published last.
    pub(crate) fn publish(&self, before: u64, now: u64) {
        let memory = &self.spill.counts().memory;
        memory.fetch_add(now, Ordering::Relaxed);
        memory.fetch_sub(before, Ordering::Relaxed);
    }

    /// Writes a key with its state, which `pack` appends. Returns whether it was written: otherwise it must stay in
    /// memory. `due` is [`EventTime::MAX`] if it never is; `is_kept` says whether each snapshot needs it.
    pub(crate) fn put<K: Key>(
        &mut self,
        (hash, key): (ShortHash, &K),
        (due, is_kept): (EventTime, bool),
        pack: impl FnOnce(&mut Vec<u8>) -> Result<bool, CodecError>,
    ) -> bool {
        if self.error.is_some() {
            return false;
        }
        let written = self.write(key, due, pack);
        let place = match written {
            Ok(Some(place)) => place,
            Ok(None) => return false,
            Err(source) => {
                self.fail(source);
                return false;
            }
        };
        self.index.insert(hash, due, place, is_kept);
        self.spill.written(place.length());
        true
    }

    fn write<K: Key>(
        &mut self,
        key: &K,
        due: EventTime,
        pack: impl FnOnce(&mut Vec<u8>) -> Result<bool, CodecError>,
    ) -> io::Result<Option<Place>> {
        let record = &mut self.record;
        record.clear();
        record.resize(HEAD, 0);
        record[CHECKSUM..DUE].copy_from_slice(&due.0.to_le_bytes());
        bincode::serialize_into(&mut *record, key).map_err(io::Error::other)?;
        let length = u32::try_from(record.len() - HEAD).map_err(io::Error::other)?;
        record[DUE..HEAD].copy_from_slice(&length.to_le_bytes());
        if !pack(record).map_err(io::Error::other)? {
            return Ok(None);
        }
        let checksum = crc32fast::hash(&record[CHECKSUM..]);
        record[..CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
        self.segments.append(record).map(Some)
    }

    /// Removes the keys with these hashes and gives them to `found`, in the order of their places.
    pub(crate) fn take<K: Key>(
        &mut self,
        hashes: &[ShortHash],
        mut found: impl FnMut(Record<'_, K>) -> Result<(), CodecError>,
    ) {
        let mut taken = Vec::with_capacity(hashes.len());
        hashes.iter().for_each(|hash| self.index.take(*hash, &mut taken));
        self.spill.read(taken.len());
        let read = self.each(taken, |cold, entry, record| {
            found(Record::parse(record)?).map_err(io::Error::other)?;
            cold.segments.free(entry.place());
            cold.spill.removed(1, entry.place().length());
            Ok(())
        });
        read.unwrap_or_else(|source| self.fail(source));
    }

    /// Gives the keys that a snapshot needs to `found`, in the order of their places: all if it is
    /// `whole`, otherwise those that were written since the last snapshot.
    pub(crate) fn for_snapshot<K: Key>(
        &mut self,
        whole: bool,
        mut found: impl FnMut(Record<'_, K>) -> Result<(), CodecError>,
    ) {
        let entries = self.index.take_changed(whole);
        self.spill.read(entries.len());
        let read = self.each(entries, |_, _, record| found(Record::parse(record)?).map_err(io::Error::other));
        read.unwrap_or_else(|source| self.fail(source));
    }

    /// Gives the keys that each snapshot needs to `found`.
    pub(crate) fn kept<K: Key>(&mut self, mut found: impl FnMut(Record<'_, K>) -> Result<(), CodecError>) {
        let entries = self.index.kept();
        self.spill.read(entries.len());
        let read = self.each(entries, |_, _, record| found(Record::parse(record)?).map_err(io::Error::other));
        read.unwrap_or_else(|source| self.fail(source));
    }

    /// Gives the records of some keys to `found`, in the order of their places.
    fn each(
        &mut self,
        mut entries: Vec<Entry>,
        mut found: impl FnMut(&mut Self, Entry, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        entries.sort_unstable_by_key(Entry::place);
        let mut read = std::mem::take(&mut self.read);
        let mut rest = &entries[..];
        while let Some(first) = rest.first() {
            let (near, others) = rest.split_at(self.segments.near(rest.iter().map(Entry::place)));
            rest = others;
            let (start, end) = (first.place(), near.last().unwrap_or(first).place());
            self.segments.read(start, end, &mut read)?;
            for entry in near {
                found(self, *entry, entry.place().of(start, &read)?)?;
            }
        }
        self.read = read;
        Ok(())
    }

    /// Moves the records of a segment that is mostly empty, so that its file can be closed.
    pub(crate) fn compact(&mut self) {
        let Some(segment) = self.segments.sparsest().filter(|_| self.error.is_none()) else { return };
        let moved = self.empty(segment);
        moved.unwrap_or_else(|source| self.fail(source));
    }

    fn empty(&mut self, segment: u16) -> io::Result<()> {
        let entries = self.index.in_segment(segment).collect();
        self.each(entries, |cold, entry, record| {
            let place = entry.place();
            let moved = cold.segments.append(record)?;
            cold.index.set_place(entry.hash, place, moved);
            cold.segments.free(place);
            Ok(())
        })
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
        self.spill.removed(self.index.len() as u64, self.index.bytes());
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

    fn put(cold: &mut Cold, hash: ShortHash, key: &str, due: u64, state: &[u8]) -> bool {
        let is_kept = state.is_empty();
        cold.put((hash, &key.to_owned()), (EventTime(due), is_kept), |into| {
            into.extend_from_slice(state);
            Ok(true)
        })
    }

    fn due(cold: &mut Cold, time: u64) -> Vec<ShortHash> {
        cold.due(EventTime(time)).into_iter().map(|(_, hash)| hash).collect()
    }

    fn taken(cold: &mut Cold, hashes: &[ShortHash]) -> Vec<(String, u64, Vec<u8>)> {
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
        assert_eq!(due(&mut cold, 10), [1]);
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
        assert_eq!(due(&mut cold, 20), [2]);
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
    fn a_record_that_is_not_what_was_written_is_an_error() {
        let folder = folder("damaged");
        let mut cold = cold(&folder);
        assert!(put(&mut cold, 1, "a", 10, b"state") && put(&mut cold, 2, "b", 10, b"state"));
        cold.segments.flip_last_bit();
        let mut found = Vec::new();
        cold.take(&[1, 2], |Record { key, .. }: Record<'_, String>| {
            found.push(key);
            Ok(())
        });
        let error = cold.take_error().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(found == ["a"] && error.contains("a record is not what was written"), "{error}");
    }

    #[test]
    fn records_near_each_other_are_those_that_were_written() {
        let folder = folder("near");
        let mut cold = cold(&folder);
        // The first are in the file, the last in the buffer; a gap is small, or more than a page.
        let state = |hash: ShortHash| vec![hash as u8; 100 + hash as usize % 50];
        let all = 0..12_000;
        all.clone().for_each(|hash| assert!(put(&mut cold, hash, &hash.to_string(), 1, &state(hash))));
        let gone: Vec<ShortHash> = all.clone().filter(|hash| hash % 3 == 0 || hash % 1_000 < 100).collect();
        assert_eq!(taken(&mut cold, &gone).len(), gone.len());
        let left: Vec<ShortHash> = all.filter(|hash| !gone.contains(hash)).collect();
        let expected: Vec<_> = left.iter().map(|hash| (hash.to_string(), 1, state(*hash))).collect();
        assert_eq!(taken(&mut cold, &left), expected);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }

    #[test]
    fn files_stay_within_three_times_of_what_they_hold() {
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
        assert!(cold.segments.count() < 35, "{} files", cold.segments.count());
        assert_eq!(taken(&mut cold, &(0..1_000).collect::<Vec<_>>()).len(), 1_000);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }
}
