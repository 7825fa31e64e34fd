//! Telemetra's connectors to the outside: where records come from and where answers go.
//!
//! Each is an ordinary [`Source`](telemetra_core::Source) or [`Sink`](telemetra_core::Sink): whatever they do,
//! yours can do.
#![forbid(missing_docs)]

mod json_lines;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
mod live;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;
mod tabular;

pub use json_lines::JsonLines;
#[cfg(feature = "kafka")]
pub use kafka::{
    CreateTopics, EmbeddedKafka, KafkaConfig, KafkaCounters, KafkaFault, KafkaRequest, KafkaSink,
    KafkaSource, OAuthToken, OnLost, Start,
};
pub use lines::{Lines, Pace, event_time_by};
pub use live::{Closed, LiveReader, LiveView, Notice, Published, StreamView, Subscription, Update};
pub use memory::Memory;
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresConfig, PostgresStore, TlsMode};
#[cfg(feature = "redis")]
pub use redis::{RedisKeys, RedisServer, RedisSink};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use tabular::{Column, ColumnKind, Decimal, Layout, RowKey, Tabular, Value};
