//! Compressed input: detection by its first bytes, and decompression while reading.

use std::io::{self, Read};

/// The first bytes of a gzip member with the deflate method, which is the only one.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
/// The first bytes of a zstd frame.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The compression of an input.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// The number of first bytes that identify the compression.
    pub(super) const MAGIC: u64 = 4;

    /// Returns the compression of an input with these first bytes; `None` if it is not compressed.
    pub(super) fn of(first: &[u8]) -> Option<Self> {
        match first {
            first if first.starts_with(&GZIP) => Some(Self::Gzip),
            first if first.starts_with(&ZSTD) => Some(Self::Zstd),
            _ => None,
        }
    }

    /// Returns a reader of the content. Several compressed files in a row are read as one.
    #[cfg(feature = "compression")]
    pub(super) fn unpack(self, input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(input)?),
        })
    }

    /// Returns an error, as this build has no decompression.
    #[cfg(not(feature = "compression"))]
    pub(super) fn unpack(self, _: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        let name = match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        };
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("it is compressed by {name}; decompress it, or build with the feature `compression`"),
        ))
    }
}

/// Returns a reader of an input that cannot be sought, decompressed if it is compressed.
pub(super) fn unpacked(mut input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut first = Vec::new();
    while (first.len() as u64) < Packing::MAGIC {
        let mut byte = [0];
        match input.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => first.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        // It waits for more bytes only as long as they can matter.
        if ![&GZIP[..], &ZSTD].iter().any(|magic| magic.starts_with(&first)) {
            break;
        }
    }
    let packing = Packing::of(&first);
    let input = io::Cursor::new(first).chain(input);
    match packing {
        Some(packing) => packing.unpack(input),
        None => Ok(Box::new(input)),
    }
}
