//! Kafka as source and as sink: against librdkafka's mock cluster, where faults are injected, and against a real broker, where the mock
//! knows too little.
#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod compacted;
mod compliance;
mod faults;
mod offsets;
mod partitions;
mod real;
mod records;
mod settings;
mod sink;
mod support;
mod tls;
mod topics;

#[path = "../../../tests/support/services.rs"]
mod services;
