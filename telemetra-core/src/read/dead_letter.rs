//! Dead letters: the records and events that were not counted, as side outputs get them.

use serde::{Deserialize, Serialize};

use crate::read::fate::Fate;
use crate::read::source::PartitionId;
use crate::read::traceparent::TraceParent;
use crate::time::event_time::EventTime;

/// A record or event that was not counted, with its bytes, its place and the reason, like a message in a
/// dead-letter queue. Partition, offset and index identify it.
///
/// A pipeline passes it to [`Sink::dead_letters`](crate::Sink::dead_letters) of every sink, and counts it by its
/// fate whether a sink keeps it or not. It does not stop the pipeline. After a restart the same letter may come
/// again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The partition of the record.
    pub partition: PartitionId,
    /// The offset of the record.
    pub offset: u64,
    /// The number of the event within the record, from 0.
    pub index: u32,
    /// The event's time; `None` if it is not known, as the record could not be decoded.
    pub time: Option<EventTime>,
    /// The fate of the event: malformed, from the future, too late, or a duplicate.
    pub fate: Fate,
    /// The reason in words, for a person: for a malformed record the decoder's error.
    pub reason: Box<str>,
    /// The bytes of the record; only its first bytes if it was too long.
    pub bytes: Box<[u8]>,
    /// The trace that the record is part of: its header `traceparent`, if it has one that is valid.
    pub traceparent: Option<TraceParent>,
}
