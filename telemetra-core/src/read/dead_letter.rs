//! Dead letters: records that were not counted, for side outputs.

use serde::{Deserialize, Serialize};

use crate::read::fate::Fate;
use crate::read::source::PartitionId;

/// A record that was not counted, with its bytes, place and reason. The place is its identity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The partition it was read from.
    pub partition: PartitionId,
    /// Its offset there.
    pub offset: u64,
    /// Which of several events in the record, from 0.
    pub index: u32,
    /// Why it was not counted: malformed, from the future, too late, or a duplicate.
    pub fate: Fate,
    /// The reason in words.
    pub reason: Box<str>,
    /// The record as it came; only its beginning where it was longer than a record may be.
    pub bytes: Box<[u8]>,
}
