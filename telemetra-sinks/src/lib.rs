//! Telemetra's connectors: sources that read from external systems and sinks that write rows to them.
//!
//! Every connector implements [`Source`](telemetra_core::Source) or [`Sink`](telemetra_core::Sink) with the
//! public API only, so a connector of your own can do the same. The sinks know no domain: they write the rows
//! of whatever tables a pipeline declares.
//!
//! | connector | reads or writes | feature |
//! |---|---|---|
//! | [`Lines`] | source: lines of files, of standard input or of a pipe | none |
//! | [`Folder`] | source: lines of the files of a folder, as they come and grow | none |
//! | [`JsonLines`] | sink: JSON objects, one per line, in a folder | none |
//! | [`MemorySink`] | sink: rows in memory, for tests | none |
//! | [`LiveView`] | sink: current rows in memory, with queries and subscriptions | none |
//! | `Sqlite` | sink: tables of an SQLite database | `sqlite` |
//! | `KafkaSource`, `KafkaSink` | source and sink: topics | `kafka` |
//! | `Postgres`, `PostgresStore` | sink: tables; store: checkpoints | `postgres` |
//! | `HttpPush` | source: events that clients push, by a handler for axum | `http-push` |
//! | `SchemaRegistry` | schemas of records, for the decoders of [`formats`] | `schema-registry` |
//! | `RedisSink` | sink: current windows, moments, rows, leaderboards; a channel of changes | `redis` |
//! | `ClickHouse` | sink: tables | `clickhouse` |
//! | `Parquet` | sink: changes as Parquet files, by table and day | `parquet` |
//! | `ObjectCheckpoints` | store: checkpoints, in S3, Google Cloud Storage and Azure | `object-store` |
//! | `Webhook` | sink: changes, posted to a URL as signed JSON | `webhook` |
//!
//! All sinks are idempotent: when a restarted pipeline writes rows again, the target holds the same rows as
//! after an undisturbed run. Each sink's page says what it keeps, what it does after an error, and how it
//! goes on after a restart.
#![forbid(missing_docs)]

#[cfg(feature = "clickhouse")]
mod clickhouse;
mod disk;
pub mod formats;
#[cfg(any(feature = "webhook", feature = "clickhouse", feature = "object-store"))]
mod http;
#[cfg(feature = "http-push")]
mod http_push;
mod json_lines;
#[cfg(feature = "kafka")]
mod kafka;
mod lines;
mod live;
mod memory;
#[cfg(feature = "object-store")]
mod objects;
mod owner;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "postgres")]
mod postgres;
mod progress_file;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "schema-registry")]
mod registry;
mod run;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "clickhouse")]
pub use clickhouse::ClickHouse;
#[cfg(feature = "http-push")]
pub use http_push::HttpPush;
pub use json_lines::JsonLines;
#[cfg(feature = "kafka")]
pub use kafka::{
    CreateTopics, EmbeddedKafka, KafkaConfig, KafkaCounters, KafkaFault, KafkaRequest, KafkaSink,
    KafkaSource, OAuthToken, OnLost, Start,
};
pub use lines::{Folder, Lines, Pace, event_time_by};
pub use live::{Closed, LiveReader, LiveView, Notice, Published, SubjectView, Subscription, Update};
pub use memory::MemorySink;
#[cfg(feature = "object-store")]
pub use objects::{ObjectCheckpoints, ObjectStoreConfig};
#[cfg(feature = "parquet")]
pub use parquet::{Parquet, ParquetRows};
#[cfg(feature = "postgres")]
pub use postgres::{ChangeLog, Postgres, PostgresConfig, PostgresStore, TlsMode};
#[cfg(feature = "redis")]
pub use redis::{RedisKeys, RedisServer, RedisSink, RedisTable};
#[cfg(feature = "schema-registry")]
pub use registry::{RegisteredSchema, SchemaRegistry};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
#[cfg(feature = "webhook")]
pub use webhook::{Webhook, WebhookSecret};
