//! Telemetra's connectors to the outside: where records come from and where rows go.
//!
//! Each is an ordinary [`Source`](telemetra_core::Source) or [`Sink`](telemetra_core::Sink) on the public contracts alone: what they can
//! do, yours can do. The sinks know no domain: they keep the rows of whatever tables a pipeline has.
#![forbid(missing_docs)]

mod json_lines;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
mod live;
mod memory;
mod owner;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use json_lines::JsonLines;
#[cfg(feature = "kafka")]
pub use kafka::{
    CreateTopics, EmbeddedKafka, KafkaConfig, KafkaCounters, KafkaFault, KafkaRequest, KafkaSink,
    KafkaSource, OAuthToken, OnLost, Start,
};
pub use lines::{Lines, Pace, event_time_by};
pub use live::{Closed, LiveReader, LiveView, Notice, Published, SubjectView, Subscription, Update};
pub use memory::MemorySink;
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresConfig, PostgresStore, TlsMode};
#[cfg(feature = "redis")]
pub use redis::{RedisKeys, RedisServer, RedisSink, RedisTable};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
