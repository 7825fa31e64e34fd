//! Kafka: a source and a sink of topics, and an embedded cluster for tests.
//!
//! Offsets are part of the pipeline's checkpoints, not of a consumer group. Partitions are assigned
//! explicitly, and each is read from exactly the offset that the checkpoint holds. The committed offsets of
//! the group only serve tools that monitor lag.

mod config;
mod embedded;
mod error;
mod faults;
mod properties;
mod report;
mod sink;
mod source;

pub use config::{KafkaConfig, OAuthToken};
pub use embedded::EmbeddedKafka;
pub use faults::{KafkaFault, KafkaRequest};
pub use sink::{CreateTopics, KafkaSink};
pub use source::{KafkaCounters, KafkaSource, OnLost, Start};
