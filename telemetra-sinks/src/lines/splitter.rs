//! Splits blocks of bytes into lines, including lines that span blocks or exceed the longest record.

use std::io;

use memchr::memchr;
use telemetra_core::RecordBatch;

/// Up to this length, the beginning of an unfinished line is copied before the next block, so that the line
/// is contiguous. A longer beginning is kept aside until its end arrives, as it would be copied once per
/// block.
const SHORT_TAIL: usize = 8 * 1024;

/// The byte order mark that some programs write before UTF-8 text.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// Splits blocks into lines, wherever the blocks end.
#[derive(Debug)]
pub(super) struct Splitter {
    /// The position of the first line that was not returned yet.
    position: u64,
    /// The beginning of that line, without an end of line.
    tail: Vec<u8>,
    /// Takes the place of the tail if the line is too long.
    skipped: Option<Skipped>,
    /// The greatest length of a record.
    limit: usize,
}

/// A line that is too long, as far as it was read.
#[derive(Debug)]
struct Skipped {
    prefix: Vec<u8>,
    length: u64,
    last: u8,
}

impl Splitter {
    pub(super) fn new(position: u64) -> Self {
        Self::with_limit(position, RecordBatch::MAX_RECORD_BYTES)
    }

    fn with_limit(position: u64, limit: usize) -> Self {
        Self { position, tail: Vec::new(), skipped: None, limit }
    }

    /// Returns the position of the first line that was not returned yet.
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
        let buffer = batch.buffer_mut();
        let start = buffer.len();
        let laid = self.skipped.is_none() && self.tail.len() <= SHORT_TAIL;
        if laid {
            buffer.append(&mut self.tail);
        }
        let fresh = buffer.len();
        let result = read(buffer);
        let count = result.as_ref().map_or(0, |count| *count);
        buffer.truncate(fresh + count);
        let Some(first) = memchr(b'\n', &buffer[fresh..]) else {
            if laid {
                self.hold(&buffer[start..]);
            } else {
                self.hold(&buffer[fresh..]);
            }
            batch.buffer_mut().truncate(start);
            return result;
        };
        if laid {
            self.cut(batch, start, fresh + first);
            return result;
        }
        // The first line that ends in this block began in an earlier one.
        let block = buffer.split_off(start);
        match self.skipped.take() {
            Some(skipped) => {
                self.push_skipped(batch, skipped, &block[..first], 1);
                let start = batch.buffer_mut().len();
                batch.buffer_mut().extend_from_slice(&block[first + 1..]);
                self.cut_from(batch, start, start);
            }
            None => {
                let tail = std::mem::take(&mut self.tail);
                let end = start + tail.len() + first;
                buffer.extend_from_slice(&tail);
                buffer.extend_from_slice(&block);
                self.cut(batch, start, end);
            }
        }
        result
    }

    /// Ends the input: returns a last line without an end of line.
    pub(super) fn finish(&mut self, batch: &mut RecordBatch) {
        if let Some(skipped) = self.skipped.take() {
            self.push_skipped(batch, skipped, &[], 0);
        } else if !self.tail.is_empty() {
            let start = batch.buffer_mut().len();
            batch.buffer_mut().append(&mut self.tail);
            let end = batch.buffer_mut().len();
            self.give(batch, start, end, 0);
        }
    }

    /// Splits the buffer from `start` on; the first line ends at `end`.
    fn cut(&mut self, batch: &mut RecordBatch, start: usize, end: usize) {
        let next = self.give(batch, start, end, 1);
        self.cut_from(batch, next, next);
    }

    /// Splits the buffer from `line` on; there is no end of line before `search`.
    fn cut_from(&mut self, batch: &mut RecordBatch, mut line: usize, mut search: usize) {
        while let Some(at) = memchr(b'\n', &batch.buffer_mut()[search..]) {
            line = self.give(batch, line, search + at, 1);
            search = line;
        }
        let buffer = batch.buffer_mut();
        self.hold(&buffer[line..]);
        buffer.truncate(line);
    }

    /// Adds the line from `start` to `end` to the batch. Returns where the next line begins.
    fn give(&mut self, batch: &mut RecordBatch, start: usize, end: usize, newline: usize) -> usize {
        let buffer = batch.buffer_mut();
        let offset = self.position;
        self.position += (end - start + newline) as u64;
        let stripped = if buffer[start..end].ends_with(b"\r") { end - 1 } else { end };
        let length = stripped - start;
        if length > self.limit {
            // Only its beginning is kept, and the bytes behind it move up.
            let rest = buffer.split_off((end + newline).min(buffer.len()));
            let line = buffer.split_off(start);
            batch.push_oversize(prefix_of(&line[..length], self.limit), length as u64, offset);
            let next = batch.buffer_mut().len();
            batch.buffer_mut().extend_from_slice(&rest);
            return next;
        }
        let text = match buffer[start..stripped].strip_prefix(&BYTE_ORDER_MARK) {
            Some(_) if offset == 0 => start + BYTE_ORDER_MARK.len(),
            _ => start,
        };
        if text < stripped {
            batch.mark(text..stripped, offset);
        }
        end + newline
    }

    /// Keeps the beginning of a line, or counts its bytes if it is too long.
    fn hold(&mut self, bytes: &[u8]) {
        let Some(&last) = bytes.last() else { return };
        if let Some(skipped) = &mut self.skipped {
            skipped.length += bytes.len() as u64;
            skipped.last = last;
            return;
        }
        self.tail.extend_from_slice(bytes);
        let length = self.tail.len();
        // One more byte may be a `\r`, which does not count.
        if length > self.limit + 1 || (length > self.limit && last != b'\r') {
            let prefix = prefix_of(&self.tail, self.limit).to_vec();
            self.skipped = Some(Skipped { prefix, length: length as u64, last });
            self.tail = Vec::new();
        }
    }

    fn push_skipped(&mut self, batch: &mut RecordBatch, skipped: Skipped, rest: &[u8], newline: u64) {
        let raw = skipped.length + rest.len() as u64;
        let last = rest.last().copied().unwrap_or(skipped.last);
        let length = raw - u64::from(last == b'\r');
        batch.push_oversize(&skipped.prefix, length, self.position);
        self.position += raw + newline;
    }
}

/// Returns the part of a too long line that is kept, once more than `limit` bytes of it are known.
fn prefix_of(line: &[u8], limit: usize) -> &[u8] {
    &line[..limit.min(RecordBatch::OVERSIZE_PREFIX)]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    type Line = (Vec<u8>, u64, Option<u64>);

    fn naive(content: &[u8], from: usize, limit: usize) -> Vec<Line> {
        let mut at = from;
        let mut lines = Vec::new();
        for raw in content[from..].split(|b| *b == b'\n') {
            let line = raw.strip_suffix(b"\r").unwrap_or(raw);
            if line.len() > limit {
                lines.push((prefix_of(line, limit).to_vec(), at as u64, Some(line.len() as u64)));
            } else if !line.is_empty() {
                lines.push((line.to_vec(), at as u64, None));
            }
            at += raw.len() + 1;
        }
        lines
    }

    /// Feeds `content` in blocks of the given sizes, a batch each; gives the lines, and where each batch could be resumed.
    fn split(content: &[u8], from: usize, limit: usize, sizes: &[usize]) -> (Vec<Line>, Vec<(u64, usize)>) {
        let mut splitter = Splitter::with_limit(from as u64, limit);
        let (mut lines, mut resumes) = (Vec::new(), Vec::new());
        let (mut rest, mut sizes) = (&content[from..], sizes.iter().cycle());
        let mut batch = RecordBatch::default();
        loop {
            batch.clear();
            batch.buffer_mut().extend_from_slice(b"what was there");
            let block = rest.split_off(..rest.len().min(*sizes.next().unwrap())).unwrap();
            splitter
                .advance(&mut batch, |buffer| {
                    buffer.extend_from_slice(block);
                    Ok(block.len())
                })
                .unwrap();
            if block.is_empty() {
                splitter.finish(&mut batch);
            }
            lines.extend(batch.records().iter().map(|r| (batch.bytes_of(r).to_vec(), r.offset, r.oversize)));
            resumes.push((splitter.position(), lines.len()));
            if block.is_empty() {
                return (lines, resumes);
            }
        }
    }

    fn content() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => Just(b"\n".to_vec()),
            2 => Just(b"\r\n".to_vec()),
            1 => Just(b"\r".to_vec()),
            6 => proptest::collection::vec(any::<u8>(), 0..12),
            1 => (0..40_usize).prop_map(|n| vec![b'x'; n]),
        ];
        proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_blocks_give_the_lines_of_a_naive_split(
            content in content(),
            limit in 1..30_usize,
            sizes in proptest::collection::vec(1..40_usize, 1..8),
        ) {
            let (lines, resumes) = split(&content, 0, limit, &sizes);
            prop_assert_eq!(&lines, &naive(&content, 0, limit));
            for (position, given) in resumes {
                let (rest, _) = split(&content, position.min(content.len() as u64) as usize, limit, &sizes);
                prop_assert_eq!(&rest, &lines[given..]);
            }
        }

        #[test]
        fn long_tails_are_put_together(
            lengths in proptest::collection::vec(0..40_000_usize, 1..6),
            size in 5_000..20_000_usize,
        ) {
            let lines: Vec<_> = lengths.iter().map(|n| "y".repeat(*n)).collect();
            let content = lines.join("\n").into_bytes();
            prop_assert_eq!(split(&content, 0, 30_000, &[size]).0, naive(&content, 0, 30_000));
        }
    }

    #[test]
    fn a_failed_read_loses_nothing() {
        let mut splitter = Splitter::new(0);
        let mut batch = RecordBatch::default();
        let mut feed = |splitter: &mut Splitter, block: io::Result<&[u8]>| {
            let _ = splitter.advance(&mut batch, |buffer| {
                block.map(|block| buffer.extend_from_slice(block)).map(|()| buffer.len())
            });
            batch.records().len()
        };
        assert_eq!(feed(&mut splitter, Ok(b"be")), 0);
        assert_eq!(feed(&mut splitter, Err(io::ErrorKind::TimedOut.into())), 0);
        splitter.finish(&mut batch);
        assert_eq!(batch.bytes_of(&batch.records()[0]), b"be");
    }
}
