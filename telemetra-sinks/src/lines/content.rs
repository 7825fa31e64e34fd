//! The content of a file from any position on, decompressed if needed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use telemetra_core::key_hash;

use super::packed::Packing;

/// The number of bytes at the beginning of a file, and before an offset, that identify it.
const SAMPLE: u64 = 4096;

/// An open file and its read position.
pub(super) struct Content {
    bytes: Bytes,
    position: u64,
}

/// The bytes of a file, plain or compressed.
enum Bytes {
    Plain(File),
    /// A compressed file. It is complete and does not grow, so its identity is the same at each offset.
    Packed {
        unpacked: Box<dyn Read + Send>,
        identity: u64,
    },
}

impl Content {
    /// Returns the content of this file, from its beginning.
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        let first = peek(&mut file, 0, Packing::MAGIC)?;
        let bytes = match Packing::of(&first) {
            Some(packing) => {
                let length = file.metadata()?.len();
                let identity = key_hash(&(length, sample(&mut file, length)?));
                file.rewind()?;
                Bytes::Packed { unpacked: packing.unpack(file)?, identity }
            }
            None => Bytes::Plain(file),
        };
        Ok(Self { bytes, position: 0 })
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the file, unless it is compressed.
    pub(super) fn plain(&mut self) -> Option<&mut File> {
        match &mut self.bytes {
            Bytes::Plain(file) => Some(file),
            Bytes::Packed { .. } => None,
        }
    }

    /// Skips forward to this position. Returns the position reached, which is less if a compressed file ends
    /// before.
    pub(super) fn skip_to(&mut self, position: u64) -> io::Result<u64> {
        match &mut self.bytes {
            Bytes::Plain(_) => self.position = position,
            Bytes::Packed { unpacked, .. } => {
                let ahead = position.saturating_sub(self.position);
                self.position += io::copy(&mut unpacked.take(ahead), &mut io::sink())?;
            }
        }
        Ok(self.position)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = loop {
            let result = match &mut self.bytes {
                Bytes::Plain(file) => {
                    file.seek(SeekFrom::Start(self.position)).and_then(|_| file.read(buffer))
                }
                Bytes::Packed { unpacked, .. } => unpacked.read(buffer),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.position += count as u64;
        Ok(count)
    }

    /// Returns a hash of the file's first bytes and of those before the offset, which stays the same when the
    /// file grows.
    pub(super) fn identity(&mut self, offset: u64) -> io::Result<u64> {
        match &mut self.bytes {
            Bytes::Plain(file) => Ok(key_hash(&sample(file, offset)?)),
            Bytes::Packed { identity, .. } => Ok(*identity),
        }
    }
}

/// Returns the first bytes of a file, and the last ones before `end`.
fn sample(file: &mut File, end: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let length = end.min(SAMPLE);
    Ok((peek(file, 0, length)?, peek(file, end - length, length)?))
}

/// Reads up to `most` bytes from a position on.
pub(super) fn peek(file: &mut File, at: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}
