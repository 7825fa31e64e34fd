//! The files of one operator: records are appended to segments, and a segment is closed when no record in it is
//! needed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use crate::spill::Spill;

/// The place of a record.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) segment: u16,
    pub(crate) offset: u32,
    pub(crate) length: u32,
}

impl Place {
    /// A place after all others, of no record.
    pub(crate) const NOWHERE: Self = Self { segment: u16::MAX, offset: u32::MAX, length: 0 };

    pub(crate) fn length(self) -> u64 {
        self.length.into()
    }

    fn end(self) -> u64 {
        u64::from(self.offset) + u64::from(self.length)
    }

    /// The record at this place, in what was [read](Segments::read) from `first` on.
    pub(crate) fn of(self, first: Self, read: &[u8]) -> io::Result<&[u8]> {
        let start = self.offset.checked_sub(first.offset).map(|start| start as usize);
        let record = start.and_then(|start| read.get(start..start + self.length as usize));
        record.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// The size from which a segment gets no more records.
const SEGMENT: u32 = 256 << 20;
/// The size of the write buffer, and about the largest read, in bytes.
const BUFFER: usize = 1 << 20;
/// Records are read together if no more than these bytes are between two: the system reads whole pages anyway.
const GAP: u64 = 4096;

/// The ratio of the bytes in the files to those that are needed, above which a segment is emptied: the lower, the more
/// records are moved.
const MOST_WRITTEN: u64 = 3;

/// A file of records.
#[derive(Debug)]
struct Segment {
    file: File,
    /// The bytes that were written.
    written: u32,
    /// The bytes of the records that are needed.
    live: u32,
}

/// The segments of one operator.
#[derive(Debug)]
pub(crate) struct Segments {
    spill: Arc<Spill>,
    segments: BTreeMap<u16, Segment>,
    /// The newest segment, and what is not yet written to it.
    newest: u16,
    buffer: Vec<u8>,
    size: u32,
}

impl Segments {
    pub(crate) fn new(spill: Arc<Spill>) -> Self {
        Self { spill, segments: BTreeMap::new(), newest: 0, buffer: Vec::new(), size: SEGMENT }
    }

    /// Adds a record.
    pub(crate) fn append(&mut self, record: &[u8]) -> io::Result<Place> {
        let too_long = |_| io::Error::other("the state of a key takes more than 4 GiB");
        let length = u32::try_from(record.len()).map_err(too_long)?;
        let end = self.segments.get(&self.newest).map(|newest| newest.written + self.buffer.len() as u32);
        let offset = match end.filter(|end| *end < self.size && end.checked_add(length).is_some()) {
            Some(end) => end,
            None => {
                self.begin()?;
                0
            }
        };
        self.buffer.extend_from_slice(record);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        if let Some(newest) = self.segments.get_mut(&self.newest) {
            newest.live += length;
        }
        Ok(Place { segment: self.newest, offset, length })
    }

    /// The number of the first of these places, in order, that are near enough to be [read](Self::read) together.
    pub(crate) fn near(&self, mut places: impl Iterator<Item = Place>) -> usize {
        let Some(first) = places.next() else { return 0 };
        let mut last = first;
        let is_near = |place: &Place| {
            let is_near = place.segment == first.segment
                && u64::from(place.offset) <= last.end() + GAP
                && place.end() - u64::from(first.offset) <= BUFFER as u64
                && self.buffered(*place).is_some() == self.buffered(first).is_some();
            last = *place;
            is_near
        };
        1 + places.take_while(is_near).count()
    }

    /// The place of a record in the buffer; `None` if it is in a file.
    fn buffered(&self, place: Place) -> Option<usize> {
        let newest = self.segments.get(&self.newest).filter(|_| place.segment == self.newest)?;
        place.offset.checked_sub(newest.written).map(|start| start as usize)
    }

    /// Reads two records and all between them.
    pub(crate) fn read(&mut self, first: Place, last: Place, read: &mut Vec<u8>) -> io::Result<()> {
        let length = (last.end() - u64::from(first.offset)) as usize;
        read.clear();
        if let Some(start) = self.buffered(first) {
            let bytes = self.buffer.get(start..start + length);
            read.extend_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            return Ok(());
        }
        let segment = self.segments.get_mut(&first.segment).ok_or(io::ErrorKind::NotFound)?;
        read.resize(length, 0);
        segment.file.seek(SeekFrom::Start(first.offset.into()))?;
        segment.file.read_exact(read)
    }

    /// The record at a place is not needed any more.
    pub(crate) fn free(&mut self, place: Place) {
        let Some(segment) = self.segments.get_mut(&place.segment) else { return };
        segment.live -= place.length;
        if segment.live == 0 && place.segment != self.newest {
            self.segments.remove(&place.segment);
        }
    }

    /// The segment that should be emptied by moving its records, if most of what the files contain is not
    /// needed.
    pub(crate) fn sparsest(&self) -> Option<u16> {
        let (mut written, mut live) = (0, 0);
        for segment in self.segments.values() {
            written += u64::from(segment.written);
            live += u64::from(segment.live);
        }
        if written <= MOST_WRITTEN * (live + u64::from(self.size)) {
            return None;
        }
        let full = self.segments.iter().filter(|(number, _)| **number != self.newest);
        full.min_by_key(|(_, segment)| segment.live).map(|(number, _)| *number)
    }

    /// The bytes of memory.
    pub(crate) fn memory(&self) -> usize {
        self.buffer.capacity()
    }

    /// Begins a new segment.
    fn begin(&mut self) -> io::Result<()> {
        self.flush()?;
        let file = self.spill.file()?;
        if self.segments.get(&self.newest).is_some_and(|last| last.live == 0) {
            self.segments.remove(&self.newest);
        }
        let mut free = (0..Place::NOWHERE.segment).filter(|number| !self.segments.contains_key(number));
        self.newest = free.next().ok_or_else(|| io::Error::other("there are too many files of state"))?;
        self.segments.insert(self.newest, Segment { file, written: 0, live: 0 });
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(newest) = self.segments.get_mut(&self.newest) else { return Ok(()) };
        newest.file.seek(SeekFrom::Start(newest.written.into()))?;
        newest.file.write_all(&self.buffer)?;
        newest.written += self.buffer.len() as u32;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
impl Segments {
    pub(crate) fn set_size(&mut self, size: u32) {
        self.size = size;
    }

    /// Damages the record that was added last.
    pub(crate) fn flip_last_bit(&mut self) {
        self.buffer.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1);
    }

    pub(crate) fn count(&self) -> usize {
        self.segments.len()
    }
}
