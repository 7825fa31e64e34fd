//! Kafka as source and as sink, against librdkafka's mock cluster.
#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used)]

mod compliance;
mod support;
