//! Compressed input: told by its first bytes, and decompressed while it is read.

use std::io::{self, Read};

/// The first bytes of a member of gzip, with the only method there is.
const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
/// The first bytes of a frame of zstd.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How an input is compressed.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

impl Packing {
    /// How many of its first bytes tell.
    pub(super) const MAGIC: u64 = 4;

    /// How something that begins like this is compressed, if it is.
    pub(super) fn of(first: &[u8]) -> Option<Self> {
        match first {
            first if first.starts_with(&GZIP) => Some(Self::Gzip),
            first if first.starts_with(&ZSTD) => Some(Self::Zstd),
            _ => None,
        }
    }

    /// What gives the content. Several compressed files one after another are read as one.
    #[cfg(feature = "compression")]
    pub(super) fn unpack(self, input: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::new(input)?),
        })
    }

    /// An error: this build cannot do it.
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

/// The content of an input that cannot be sought: decompressed if it begins like something compressed.
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
        // More is waited for only while it can tell.
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
