//! Splits blocks of bytes into records that are not lines: the rows of CSV, the elements of a JSON array.

use std::io;
#[cfg(feature = "csv")]
use std::sync::Arc;

use telemetra_core::RecordBatch;

use super::elements::Elements;
#[cfg(feature = "csv")]
use super::rows::{Header, Rows};

/// The meaning of a byte for the records.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The byte is in no record.
    Between,
    /// The byte is in the record.
    Within,
    /// The byte is the last one of the record.
    Last,
    /// The byte ends the record, and is not in it.
    Behind,
}

/// Finds the records, byte after byte.
#[derive(Debug)]
enum Scan {
    Elements(Elements),
    #[cfg(feature = "csv")]
    Rows(Rows),
}

/// Splits blocks into records, wherever the blocks end. Bytes are copied twice: of the record that is being
/// scanned nothing is known but what is held here.
#[derive(Debug)]
pub(super) struct Framed {
    scan: Scan,
    /// The offset behind the last record that was returned.
    position: u64,
    /// The offset of the next byte.
    next: u64,
    /// The offset of the record that is being scanned.
    start: u64,
    /// The record, or the beginning of it if it is too long.
    held: Vec<u8>,
    /// The length of the record.
    length: u64,
    limit: usize,
    #[cfg(feature = "csv")]
    header: Option<Arc<Header>>,
}

impl Framed {
    fn new(scan: Scan, offset: u64) -> Self {
        Self {
            scan,
            position: offset,
            next: offset,
            start: offset,
            held: Vec::new(),
            length: 0,
            limit: RecordBatch::MAX_RECORD_BYTES,
            #[cfg(feature = "csv")]
            header: None,
        }
    }

    /// Splits a JSON array. Where reading goes on behind an element, it is `inside`.
    pub(super) fn elements(offset: u64, inside: bool) -> Self {
        Self::new(Scan::Elements(Elements::new(inside)), offset)
    }

    /// Splits CSV. Without a header the first row is one.
    #[cfg(feature = "csv")]
    pub(super) fn rows(delimiter: u8, offset: u64, header: Option<Arc<Header>>) -> Self {
        let framed = Self::new(Scan::Rows(Rows::new(delimiter)), offset);
        Self { header, ..framed }
    }

    /// The header, once it was read.
    #[cfg(feature = "csv")]
    pub(super) fn header(&self) -> Option<Arc<Header>> {
        self.header.clone()
    }

    /// The offset behind the last record that was returned.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Lets `read` append a block to the buffer, and splits it. Returns the result of `read`: the number of
    /// bytes, 0 at the end.
    pub(super) fn advance(
        &mut self,
        batch: &mut RecordBatch,
        read: impl FnOnce(&mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut block = Vec::new();
        let result = read(&mut block);
        block.truncate(result.as_ref().map_or(0, |count| *count));
        for byte in block {
            let step = match &mut self.scan {
                Scan::Elements(elements) => elements.step(byte),
                #[cfg(feature = "csv")]
                Scan::Rows(rows) => Ok(rows.step(byte)),
            };
            let step = step.map_err(|why| invalid(format!("{why} at byte {}", self.next)))?;
            if self.length == 0 {
                self.start = self.next;
            }
            self.next += 1;
            if matches!(step, Step::Within | Step::Last) {
                self.length += 1;
                if self.held.len() <= self.limit {
                    self.held.push(byte);
                }
            }
            if matches!(step, Step::Last | Step::Behind) {
                self.give(batch)?;
            }
        }
        result
    }

    /// Ends the input: returns a last record that has no end.
    pub(super) fn finish(&mut self, batch: &mut RecordBatch) -> io::Result<()> {
        self.give(batch)?;
        match &self.scan {
            Scan::Elements(elements) if !elements.may_end() => {
                Err(invalid("the JSON array has no end: the file was cut off".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// Adds the record that was scanned to the batch.
    fn give(&mut self, batch: &mut RecordBatch) -> io::Result<()> {
        #[cfg(feature = "csv")]
        if let Scan::Rows(_) = self.scan
            && self.length == self.held.len() as u64
            && self.held.last() == Some(&b'\r')
        {
            self.held.pop();
            self.length -= 1;
        }
        let length = std::mem::take(&mut self.length);
        if length == 0 {
            // Whoever goes on here reads what stands between records again, such as the end of an array.
            return Ok(());
        }
        self.position = self.next;
        #[cfg(feature = "csv")]
        if let Scan::Rows(rows) = &self.scan {
            match &self.header {
                Some(header) => batch.attach(Arc::clone(header) as _),
                None => {
                    let header = Header::of(&self.held, rows.delimiter()).map_err(invalid)?;
                    self.header = header.map(Arc::new);
                    self.held.clear();
                    return Ok(());
                }
            }
        }
        if length > self.limit as u64 {
            let prefix = &self.held[..self.held.len().min(RecordBatch::OVERSIZE_PREFIX)];
            batch.push_oversize(prefix, length, self.start);
        } else {
            batch.push(&self.held, self.start);
        }
        self.held.clear();
        Ok(())
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
