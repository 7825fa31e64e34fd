//! Object stores: checkpoints, and the places of Parquet files, in S3, Google Cloud Storage and Azure Blob
//! Storage.
//!
//! Calls are blocking, on the thread of the sink or store. What must not be written by two processes at once
//! is one object that is replaced by a conditional put; all other objects are written once, under names of
//! their own, before that one names them.

mod bucket;
mod checkpoints;
mod config;
mod http;

pub use checkpoints::ObjectCheckpoints;
pub use config::ObjectStoreConfig;

#[cfg(feature = "parquet")]
pub(crate) use bucket::{Bucket, Record};
