//! Telemetra's operators on timely and differential dataflow, and the pipeline built on them.
#![forbid(missing_docs)]

mod buckets;
mod checkpoint;
mod courier;
mod cut;
mod deliver;
mod failure;
mod ingest;
mod ingress;
mod keyed;
mod metadata;
mod moments;
mod pipeline;
mod publish;
mod record;
pub mod spec;
mod windows;
mod writer;

pub use checkpoint::{Durability, RestoreError, Restored};
pub use failure::PipelineError;
pub use ingest::{Ingest, Ingested};
pub use ingress::{Ingress, IngressConfig, PartitionStatus};
pub use metadata::StreamRows;
pub use moments::Moments;
pub use pipeline::{Drain, Graph, Pipeline, PipelineStatus, Report, Running, SinkStatus};
pub use publish::Publish;
pub use windows::{Partial, Summaries, Windows};
