//! Telemetra's connectors to the outside: where records come from and where answers go.
//!
//! Each is an ordinary [`Source`](telemetra_core::Source) or [`Sink`](telemetra_core::Sink): whatever they do,
//! yours can do.
#![forbid(missing_docs)]

mod json_lines;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
mod memory;

pub use json_lines::JsonLines;
#[cfg(feature = "kafka")]
pub use kafka::{
    CreateTopics, EmbeddedKafka, KafkaConfig, KafkaCounters, KafkaFault, KafkaRequest, KafkaSink,
    KafkaSource, OAuthToken, OnLost, Start,
};
pub use lines::{Lines, Pace, event_time_by};
pub use memory::MemorySink;
