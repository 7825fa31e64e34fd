//! The encoding of checkpoints: bincode behind a header with magic, version and checksum.

use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 4] = b"TLMC";
const VERSION: u16 = 4;
/// The oldest format that is read. Format 4 differs in what pipelines write in it: their state is compressed.
const OLDEST: u16 = 3;
/// The header's length: magic, version, two zero bytes, checksum, length of the body.
const HEADER: usize = 4 + 2 + 2 + 4 + 8;

/// The error of encoding or decoding state in a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The blob does not begin with a checkpoint's magic bytes: it is something else.
    #[error("this is not a checkpoint: it does not begin with the letters TLMC")]
    Magic,
    /// The blob has a format that this version of the library does not read.
    #[error(
        "the checkpoint has format {found}, this version reads formats {OLDEST} to {VERSION}; \
         restart with the version that wrote it, drain, and start afresh"
    )]
    Version {
        /// The format's number.
        found: u16,
    },
    /// The blob is shorter or longer than its header says, for example because it was cut off.
    #[error("the checkpoint is cut off: it should have {expected} bytes and has {found}")]
    Length {
        /// The length that the header gives.
        expected: u64,
        /// The length of the blob.
        found: u64,
    },
    /// The checksum does not match the content: the blob is damaged.
    #[error("the checkpoint is damaged: its checksum does not match")]
    Checksum,
    /// The content is of another type, or the value cannot be encoded.
    #[error("the checkpoint's content does not fit this pipeline: {0}")]
    Content(#[from] bincode::Error),
    /// A compressed part of the content is not what it should be.
    #[error("the checkpoint's content cannot be decompressed: {0}")]
    Compression(String),
    /// A value was decoded, and bytes are left after it: it is of another type.
    #[error("{bytes} bytes are left over: the state was written as another type")]
    Rest {
        /// The number of bytes.
        bytes: usize,
    },
}

/// Encodes a value by bincode behind a header with magic, version, checksum and length.
///
/// # Errors
///
/// If the value cannot be encoded: a map of unknown length, for instance.
///
/// ```
/// use telemetra_core::checkpoint::{decode, encode};
/// let mut blob = encode(&vec![1u64, 2, 3])?;
/// assert_eq!(decode::<Vec<u64>>(&blob)?, [1, 2, 3]);
/// *blob.last_mut().unwrap() ^= 1;
/// assert!(decode::<Vec<u64>>(&blob).unwrap_err().to_string().contains("damaged"));
/// # Ok::<(), telemetra_core::checkpoint::CodecError>(())
/// ```
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    let mut blob = vec![0; HEADER];
    bincode::serialize_into(&mut blob, value)?;
    let checksum = crc32fast::hash(&blob[HEADER..]);
    let length = (blob.len() - HEADER) as u64;
    blob[..4].copy_from_slice(MAGIC);
    blob[4..6].copy_from_slice(&VERSION.to_le_bytes());
    blob[8..12].copy_from_slice(&checksum.to_le_bytes());
    blob[12..20].copy_from_slice(&length.to_le_bytes());
    Ok(blob)
}

/// Decodes a blob that [`encode`] made. The value may borrow texts and bytes from the blob.
///
/// # Errors
///
/// If the blob is something else, incomplete, damaged, or of another type.
pub fn decode<'blob, T: Deserialize<'blob>>(blob: &'blob [u8]) -> Result<T, CodecError> {
    let found = blob.len() as u64;
    if blob.len() >= 4 && &blob[..4] != MAGIC {
        return Err(CodecError::Magic);
    }
    let Some((header, body)) = blob.split_at_checked(HEADER) else {
        return Err(CodecError::Length { expected: HEADER as u64, found });
    };
    let version = u16::from_le_bytes([header[4], header[5]]);
    if !(OLDEST..=VERSION).contains(&version) {
        return Err(CodecError::Version { found: version });
    }
    let checksum = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let mut length = [0; 8];
    length.copy_from_slice(&header[12..20]);
    let length = u64::from_le_bytes(length);
    if length != body.len() as u64 {
        return Err(CodecError::Length { expected: length.saturating_add(HEADER as u64), found });
    }
    if crc32fast::hash(body) != checksum {
        return Err(CodecError::Checksum);
    }
    Ok(bincode::deserialize(body)?)
}
