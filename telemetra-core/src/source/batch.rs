use std::ops::Range;

/// Records in one buffer, each with its place.
///
/// A partition appends to it, so that thousands of records cost one allocation, reused for the next batch.
///
/// ```
/// let mut batch = telemetra_core::RecordBatch::default();
/// batch.push(b"one", 0);
/// batch.push(b"two", 1);
/// let all: Vec<&[u8]> = batch.records().iter().map(|r| batch.bytes_of(r)).collect();
/// assert_eq!(all, [b"one", b"two"]);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// The place of one record in a [`RecordBatch`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its bytes in the batch's buffer.
    pub range: Range<usize>,
    /// Its offset in the partition.
    pub offset: u64,
    /// The record's length where it was too long to be taken; `range` then holds its first bytes only.
    /// Such a record is malformed and is not decoded.
    pub oversize: Option<u64>,
    /// Whether it has no value, not even an empty one: in Kafka a tombstone. Such a record is malformed and is not decoded.
    pub tombstone: bool,
}

impl RecordBatch {
    /// The number of bytes after which a batch is full. Chosen by measurement: the buffer and the events
    /// decoded from it stay within a core's cache.
    pub const TARGET_BYTES: usize = 64 * 1024;
    /// The longest record in bytes. A longer one is malformed; its first [`OVERSIZE_PREFIX`](Self::OVERSIZE_PREFIX)
    /// bytes are kept.
    pub const MAX_RECORD_BYTES: usize = 1024 * 1024;
    /// How much is kept of a record that is too long.
    pub const OVERSIZE_PREFIX: usize = 1024;

    /// Appends a record by copying it; one longer than [`MAX_RECORD_BYTES`](Self::MAX_RECORD_BYTES) is cut and marked.
    pub fn push(&mut self, record: &[u8], offset: u64) {
        if record.len() > Self::MAX_RECORD_BYTES {
            self.push_oversize(&record[..Self::OVERSIZE_PREFIX], record.len() as u64, offset);
        } else {
            let start = self.bytes.len();
            self.bytes.extend_from_slice(record);
            self.mark(start..self.bytes.len(), offset);
        }
    }

    /// Appends the beginning of a record of `length` bytes that was too long to be taken.
    pub fn push_oversize(&mut self, prefix: &[u8], length: u64, offset: u64) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(prefix);
        let range = start..self.bytes.len();
        self.records.push(Record { range, offset, oversize: Some(length), tombstone: false });
    }

    /// Appends a record that has no value.
    pub fn push_tombstone(&mut self, offset: u64) {
        let end = self.bytes.len();
        self.records.push(Record { range: end..end, offset, oversize: None, tombstone: true });
    }

    /// The buffer, for a partition that reads straight into it and then [marks](Self::mark) the records.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Declares that these bytes of the buffer are a record.
    pub fn mark(&mut self, range: Range<usize>, offset: u64) {
        debug_assert!(range.end <= self.bytes.len());
        self.records.push(Record { range, offset, oversize: None, tombstone: false });
    }

    /// The records, in order.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The bytes of a record of this batch.
    ///
    /// # Panics
    ///
    /// If the record is of another batch and beyond this one's buffer.
    #[must_use]
    pub fn bytes_of(&self, record: &Record) -> &[u8] {
        &self.bytes[record.range.clone()]
    }

    /// Whether the batch is large enough to be handed over.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= Self::TARGET_BYTES
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Forgets the records and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.records.clear();
    }
}
