//! Kafka: topics as sources, topics as sinks, and a broker inside the process.
//!
//! The idea: offsets belong to the checkpoint, not to a consumer group. So partitions are assigned by hand, each is read
//! from exactly where the checkpoint left it, and the group's committed offsets are no more than news for lag monitors.

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
