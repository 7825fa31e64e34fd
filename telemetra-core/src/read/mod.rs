//! Reading: sources and their partitions, batches of records, decoders, events, and the placement of each
//! event in event time.

pub(crate) mod arena;
pub(crate) mod batch;
pub(crate) mod channel;
pub(crate) mod channel_handle;
pub(crate) mod dead_letter;
pub(crate) mod decode;
pub(crate) mod event;
pub(crate) mod fate;
pub(crate) mod format;
pub(crate) mod memory;
pub(crate) mod sequence;
pub(crate) mod serde_json;
pub(crate) mod source;
pub(crate) mod traceparent;
