//! The parts of a worker's operators in a checkpoint, as they are stored: compressed by LZ4, each on its own, so that
//! a worker decompresses what it restores and nobody else.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Serialize, Serializer};
use serde_bytes::ByteBuf;
use telemetra_core::checkpoint::{self, CodecError};

/// The number of bytes that are compressed together. LZ4 looks back 64 KiB, so more gains nothing, and no length nears
/// the limits of its format.
const CHUNK: usize = 1 << 24;

/// The beginning of a blob with compressed parts. Before them, a blob began with the number of its parts.
const COMPRESSED: u64 = u64::MAX;

/// The parts of one worker in one checkpoint, by operator, as they are written.
#[derive(Debug)]
pub(crate) struct WorkerParts {
    pub(crate) parts: Vec<(String, Vec<u8>)>,
}

impl Serialize for WorkerParts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let chunks = |part: &[u8]| -> Vec<ByteBuf> {
            part.chunks(CHUNK).map(|chunk| ByteBuf::from(lz4_flex::block::compress(chunk))).collect()
        };
        let parts: Vec<_> =
            self.parts.iter().map(|(operator, part)| (operator, part.len() as u64, chunks(part))).collect();
        (COMPRESSED, parts).serialize(serializer)
    }
}

/// The parts of one worker in one checkpoint, as they were read: megabytes, which nobody copies.
#[derive(Debug)]
pub(crate) struct StoredParts {
    blob: Vec<u8>,
    parts: Vec<(String, Stored)>,
}

/// The place of an operator's part in the blob.
#[derive(Debug)]
enum Stored {
    Plain(Range<usize>),
    Compressed { length: usize, chunks: Vec<Range<usize>> },
}

impl StoredParts {
    /// Finds the parts in a blob.
    ///
    /// # Errors
    ///
    /// If it is damaged, or not one of a worker.
    pub(crate) fn of_blob(blob: Vec<u8>) -> Result<Self, CodecError> {
        let begin = blob.as_ptr().addr();
        let place = |bytes: &[u8]| {
            let start = bytes.as_ptr().addr() - begin;
            start..start + bytes.len()
        };
        let first: u64 = checkpoint::decode(&blob)?;
        let parts = if first == COMPRESSED {
            let (_, parts): (u64, Vec<(&str, u64, Vec<&[u8]>)>) = checkpoint::decode(&blob)?;
            let stored = |length: u64, chunks: Vec<&[u8]>| {
                let chunks: Vec<_> = chunks.into_iter().map(place).collect();
                // Before the memory for it is asked for.
                match usize::try_from(length).ok().filter(|length| length.div_ceil(CHUNK) == chunks.len()) {
                    Some(length) => Ok(Stored::Compressed { length, chunks }),
                    None => {
                        Err(CodecError::Compression(format!("{} chunks of {length} bytes", chunks.len())))
                    }
                }
            };
            let parts = parts.into_iter().map(|(operator, length, chunks)| {
                Ok::<_, CodecError>((operator.to_owned(), stored(length, chunks)?))
            });
            parts.collect::<Result<_, _>>()?
        } else {
            let plain: Vec<(&str, &[u8])> = checkpoint::decode(&blob)?;
            plain
                .into_iter()
                .map(|(operator, part)| (operator.to_owned(), Stored::Plain(place(part))))
                .collect()
        };
        Ok(Self { blob, parts })
    }

    /// The parts of an operator, decompressed.
    pub(crate) fn of<'a>(
        &'a self,
        operator: &str,
    ) -> impl Iterator<Item = Result<Cow<'a, [u8]>, CodecError>> {
        let parts = self.parts.iter().filter(move |(name, _)| name == operator);
        parts.map(|(_, stored)| self.read(stored))
    }

    fn read(&self, stored: &Stored) -> Result<Cow<'_, [u8]>, CodecError> {
        let (length, chunks) = match stored {
            Stored::Plain(place) => return Ok(Cow::Borrowed(&self.blob[place.clone()])),
            Stored::Compressed { length, chunks } => (*length, chunks),
        };
        let mut part = vec![0; length];
        for (chunk, room) in chunks.iter().zip(part.chunks_mut(CHUNK)) {
            let written = lz4_flex::block::decompress_into(&self.blob[chunk.clone()], room)
                .map_err(|error| CodecError::Compression(error.to_string()))?;
            if written != room.len() {
                let why = format!("a chunk has {written} bytes instead of {}", room.len());
                return Err(CodecError::Compression(why));
            }
        }
        Ok(Cow::Owned(part))
    }
}

#[cfg(test)]
impl StoredParts {
    /// All parts, decompressed.
    pub(crate) fn all(&self) -> Vec<(String, Vec<u8>)> {
        let read = |(name, stored): &(String, Stored)| {
            (name.clone(), self.read(stored).expect("it is whole").into_owned())
        };
        self.parts.iter().map(read).collect()
    }
}
