//! Object stores: S3 and what speaks its protocol, Google Cloud Storage, Azure Blob Storage.

mod bucket;
mod checkpoints;
mod config;
mod http;

pub use checkpoints::ObjectCheckpoints;
pub use config::ObjectStoreConfig;

#[cfg(feature = "parquet")]
pub(crate) use bucket::{Bucket, Record};
