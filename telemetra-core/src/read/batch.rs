//! Batches of records that share one buffer.

use std::any::Any;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::time::event_time::EventTime;

/// One record as a decoder sees it: a value, and the key, headers, timestamp and topic that its source has,
/// like Kafka's `ConsumerRecord`.
///
/// ```
/// use telemetra_core::{EventTime, RecordBatch};
/// let mut batch = RecordBatch::default();
/// batch.push(b"21.5", 7);
/// batch.annotate(Some(b"sensor-1"), Some(EventTime(1_000)), [("unit", Some(&b"C"[..]))]);
/// let record = batch.record(&batch.records()[0], "readings");
/// assert_eq!((record.value, record.key, record.offset), (&b"21.5"[..], Some(&b"sensor-1"[..]), 7));
/// assert_eq!(record.header("unit"), Some(&b"C"[..]));
/// ```
#[derive(Copy, Clone)]
#[non_exhaustive]
pub struct Record<'a> {
    /// The value.
    pub value: &'a [u8],
    /// The key, if the source has keys, as Kafka does.
    pub key: Option<&'a [u8]>,
    /// The timestamp, if the source has timestamps: in Kafka the producer's or the broker's.
    pub timestamp: Option<EventTime>,
    /// The topic; empty if the source has no topics.
    pub topic: &'a str,
    /// The offset in the partition.
    pub offset: u64,
    headers: Headers<'a>,
    attached: Option<(&'a (dyn Any + Send + Sync), usize)>,
}

#[derive(Copy, Clone)]
struct Headers<'a> {
    bytes: &'a [u8],
    headers: &'a [Header],
}

impl<'a> Record<'a> {
    /// A record with a value and nothing else.
    #[must_use]
    pub const fn new(value: &'a [u8]) -> Self {
        let headers = Headers { bytes: &[], headers: &[] };
        Self { value, key: None, timestamp: None, topic: "", offset: 0, headers, attached: None }
    }

    /// The same record with another topic.
    #[must_use]
    pub const fn of_topic(mut self, topic: &'a str) -> Self {
        self.topic = topic;
        self
    }

    /// The same record with another value, as for a decoder that has removed what stood around it.
    #[must_use]
    pub const fn with_value(mut self, value: &'a [u8]) -> Self {
        self.value = value;
        self
    }

    /// The names and values of the headers, in order. The value of a header without one is `None`.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + 'a {
        let Headers { bytes, headers } = self.headers;
        headers.iter().map(move |header| {
            let name = std::str::from_utf8(&bytes[header.name.clone()]).unwrap_or_default();
            (name, header.value.clone().map(|value| &bytes[value]))
        })
    }

    /// The value of the last header with that name; `None` if there is no such header, or it has no value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().filter(|(found, _)| *found == name).last().and_then(|(_, value)| value)
    }

    /// The value that the source [attached](RecordBatch::attach) to the batch, and the number of this record
    /// in the batch. Sources of typed values use it instead of bytes.
    #[must_use]
    pub fn attached<T: 'static>(&self) -> Option<(&'a T, usize)> {
        let (attached, number) = self.attached?;
        Some((attached.downcast_ref()?, number))
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("topic", &self.topic)
            .field("offset", &self.offset)
            .field("value", &format_args!("{}", self.value.escape_ascii()))
            .finish_non_exhaustive()
    }
}

/// A buffer of records that a partition appends to. Thousands of records share one allocation, which is
/// reused for the next batch.
///
/// ```
/// let mut batch = telemetra_core::RecordBatch::default();
/// batch.push(b"one", 0);
/// batch.push(b"two", 1);
/// let all: Vec<&[u8]> = batch.records().iter().map(|r| batch.bytes_of(r)).collect();
/// assert_eq!(all, [b"one", b"two"]);
/// ```
#[derive(Clone, Default)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    records: Vec<RecordPlace>,
    extras: Vec<Extras>,
    headers: Vec<Header>,
    attached: Option<Arc<dyn Any + Send + Sync>>,
}

/// The place of one record in a [`RecordBatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    /// The range of its value in the batch's buffer.
    pub range: Range<usize>,
    /// The offset in the partition.
    pub offset: u64,
    /// The length of a record that is longer than allowed; `range` then covers only its first bytes. Such a
    /// record is malformed and is not decoded.
    pub oversize: Option<u64>,
    /// True if the record has no value, not even an empty one: a tombstone in Kafka. Such a record is
    /// malformed and is not decoded.
    pub tombstone: bool,
    /// The index of its extras, or [`NO_EXTRAS`].
    extras: u32,
    /// The number of the record in the batch.
    number: u32,
}

const NO_EXTRAS: u32 = u32::MAX;

/// The key, timestamp and headers of a record that has any of them.
#[derive(Clone, Debug)]
struct Extras {
    key: Option<Range<usize>>,
    timestamp: Option<EventTime>,
    headers: Range<usize>,
}

#[derive(Clone, Debug)]
struct Header {
    name: Range<usize>,
    value: Option<Range<usize>>,
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch").field("records", &self.records).finish_non_exhaustive()
    }
}

impl RecordBatch {
    /// The number of bytes at which a batch is full. It was chosen by measurement: the buffer and the events
    /// decoded from it fit into a core's cache.
    pub const TARGET_BYTES: usize = 64 * 1024;
    /// The greatest length of a record in bytes. A longer record is malformed; its first
    /// [`OVERSIZE_PREFIX`](Self::OVERSIZE_PREFIX) bytes are kept.
    pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
    /// The number of bytes that are kept of a record that is too long.
    pub const OVERSIZE_PREFIX: usize = 1024;
    /// The number of records at which a batch is full, whatever their size.
    const MOST_RECORDS: usize = 4096;

    /// Appends a copy of a record. A record longer than [`MAX_RECORD_BYTES`](Self::MAX_RECORD_BYTES) is cut
    /// and marked as oversize.
    pub fn push(&mut self, record: &[u8], offset: u64) {
        if record.len() > Self::MAX_RECORD_BYTES {
            self.push_oversize(&record[..Self::OVERSIZE_PREFIX], record.len() as u64, offset);
        } else {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(record);
            self.mark(start..self.bytes.len(), offset);
        }
    }

    /// Appends the first bytes of a record of `length` bytes that is too long.
    pub fn push_oversize(&mut self, prefix: &[u8], length: u64, offset: u64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(prefix);
        self.place(start..self.bytes.len(), offset, Some(length), false);
    }

    /// Appends a record that has no value.
    pub fn push_tombstone(&mut self, offset: u64) {
        let end = self.bytes.len();
        self.place(end..end, offset, None, true);
    }

    /// Sets the key, timestamp and headers of the record that was appended last. Does nothing if the batch is
    /// empty.
    pub fn annotate<'h>(
        &mut self,
        key: Option<&[u8]>,
        timestamp: Option<EventTime>,
        headers: impl IntoIterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) {
        if self.records.is_empty() {
            return;
        }
        let first = self.headers.len();
        let key = key.map(|key| self.keep(key));
        for (name, value) in headers {
            let name = self.keep(name.as_bytes());
            let value = value.map(|value| self.keep(value));
            self.headers.push(Header { name, value });
        }
        let extras = Extras { key, timestamp, headers: first..self.headers.len() };
        if let Some(last) = self.records.last_mut() {
            last.extras = self.extras.len() as u32;
            self.extras.push(extras);
        }
    }

    /// Attaches a value to the batch, which the decoder gets by [`Record::attached`]. A batch has one such
    /// value.
    pub fn attach(&mut self, value: Arc<dyn Any + Send + Sync>) {
        self.attached = Some(value);
    }

    /// Attaches the value that is attached to another batch, if there is one, for a partition that copies records.
    /// It has to be one that does not depend on the number of the record.
    pub fn attach_from(&mut self, other: &Self) {
        if let Some(attached) = &other.attached {
            self.attached = Some(Arc::clone(attached));
        }
    }

    /// The value that was attached to the batch, if it has that type.
    pub(super) fn attached<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(self.attached.as_ref()?).downcast().ok()
    }

    /// Appends all records of another batch, and leaves that empty. A batch without records takes over the
    /// other's memory; otherwise the records are copied, and the value [attached](Self::attach) to the other
    /// batch is not, as a batch has one.
    pub fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
        } else {
            let (at, number) = (self.bytes.len(), self.records.len() as u32);
            let (extras, headers) = (self.extras.len(), self.headers.len());
            let moved = |range: &Range<usize>| range.start + at..range.end + at;
            self.bytes.extend_from_slice(&other.bytes);
            self.records.extend(other.records.iter().map(|place| RecordPlace {
                range: moved(&place.range),
                extras: if place.extras == NO_EXTRAS { NO_EXTRAS } else { place.extras + extras as u32 },
                number: place.number + number,
                ..place.clone()
            }));
            self.extras.extend(other.extras.iter().map(|extra| Extras {
                key: extra.key.as_ref().map(moved),
                timestamp: extra.timestamp,
                headers: extra.headers.start + headers..extra.headers.end + headers,
            }));
            self.headers.extend(
                other.headers.iter().map(|header| Header {
                    name: moved(&header.name),
                    value: header.value.as_ref().map(moved),
                }),
            );
        }
        other.clear();
    }

    /// Copies bytes into the buffer.
    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// The buffer, for a partition that reads directly into it and then [marks](Self::mark) the records.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Adds a record whose value is this range of the [buffer](Self::buffer_mut). The length is not limited here:
    /// use [`push_oversize`](Self::push_oversize) for a record longer than
    /// [`MAX_RECORD_BYTES`](Self::MAX_RECORD_BYTES).
    ///
    /// # Panics
    ///
    /// In debug builds, if the range ends beyond the buffer; otherwise reading the record panics.
    #[inline]
    pub fn mark(&mut self, range: Range<usize>, offset: u64) {
        debug_assert!(range.end <= self.bytes.len());
        self.place(range, offset, None, false);
    }

    #[inline]
    fn place(&mut self, range: Range<usize>, offset: u64, oversize: Option<u64>, tombstone: bool) {
        let number = self.records.len() as u32;
        self.records.push(RecordPlace { range, offset, oversize, tombstone, extras: NO_EXTRAS, number });
    }

    /// The places of the records, in order.
    #[must_use]
    pub fn records(&self) -> &[RecordPlace] {
        &self.records
    }

    /// The bytes of a record's value.
    ///
    /// # Panics
    ///
    /// If the record is of another batch and beyond this one's buffer.
    #[must_use]
    pub fn bytes_of(&self, place: &RecordPlace) -> &[u8] {
        &self.bytes[place.range.clone()]
    }

    /// A record as a decoder sees it.
    ///
    /// # Panics
    ///
    /// If the record is of another batch and beyond this one's buffer.
    #[must_use]
    #[inline]
    pub fn record<'a>(&'a self, place: &RecordPlace, topic: &'a str) -> Record<'a> {
        let mut record = Record::new(self.bytes_of(place)).of_topic(topic);
        record.offset = place.offset;
        record.attached = self.attached.as_deref().map(|attached| (attached, place.number as usize));
        if let Some(extras) = self.extras.get(place.extras as usize) {
            record.key = extras.key.clone().map(|key| &self.bytes[key]);
            record.timestamp = extras.timestamp;
            record.headers = Headers { bytes: &self.bytes, headers: &self.headers[extras.headers.clone()] };
        }
        record
    }

    /// Returns whether the batch is so large that a partition should stop appending: at
    /// [`TARGET_BYTES`](Self::TARGET_BYTES), 64 KiB, or at 4,096 records.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= Self::TARGET_BYTES || self.records.len() >= Self::MOST_RECORDS
    }

    /// Returns whether the batch has no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Returns whether any of its records has a header.
    #[must_use]
    pub fn has_headers(&self) -> bool {
        !self.headers.is_empty()
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
        self.extras.clear();
        self.headers.clear();
        self.attached = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two records: one with all that a record can have, and a tombstone.
    fn two(name: &str) -> RecordBatch {
        let mut batch = RecordBatch::default();
        batch.push(name.as_bytes(), 1);
        let (header, time) = (format!("header of {name}"), EventTime(name.len() as u64));
        batch.annotate(
            Some(name.as_bytes()),
            Some(time),
            [(&*header, Some(name.as_bytes())), ("none", None)],
        );
        batch.push_tombstone(2);
        batch.attach(Arc::new(7_u32));
        batch
    }

    #[test]
    fn records_that_were_appended_have_all_that_they_had() {
        let (mut all, mut other) = (two("one"), two("another"));
        all.append(&mut other);
        assert!(other.is_empty() && !other.has_headers());
        let records: Vec<_> = all.records().iter().map(|place| all.record(place, "topic")).collect();
        for (record, name) in records.iter().step_by(2).zip(["one", "another"]) {
            assert_eq!((record.value, record.key), (name.as_bytes(), Some(name.as_bytes())));
            assert_eq!(record.timestamp, Some(EventTime(name.len() as u64)));
            assert_eq!(record.header(&format!("header of {name}")), Some(name.as_bytes()));
            assert_eq!(record.headers().map(|(_, value)| value.is_some()).collect::<Vec<_>>(), [true, false]);
        }
        assert!(records.iter().skip(1).step_by(2).all(|record| record.key.is_none()));
        assert!(all.records().iter().map(|place| place.tombstone).eq([false, true, false, true]));
        let numbers = records.iter().filter_map(|record| record.attached::<u32>());
        assert_eq!(numbers.collect::<Vec<_>>(), [(&7, 0), (&7, 1), (&7, 2), (&7, 3)]);
    }

    #[test]
    fn a_copy_has_what_is_attached_to_the_batch() {
        let (mut copy, other) = (RecordBatch::default(), two("one"));
        copy.attach_from(&RecordBatch::default());
        assert_eq!(copy.attached::<u32>(), None);
        copy.attach_from(&other);
        copy.attach_from(&RecordBatch::default());
        assert_eq!(copy.attached::<u32>().as_deref(), Some(&7));
    }
}
