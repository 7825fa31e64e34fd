//! Telemetra's connectors: sources that read from external systems and sinks that write rows to them.
//!
//! Every connector implements [`Source`](telemetra_core::Source) or [`Sink`](telemetra_core::Sink) with the
//! public API only, so a connector of your own can do the same. The sinks know no domain: they write the rows
//! of whatever tables a pipeline declares.
//!
//! | connector | reads or writes | feature |
//! |---|---|---|
//! | [`Lines`] | source: lines of files, of standard input or of a pipe | none; `compression`, `csv` |
//! | [`Folder`] | source: lines of the files of a folder, as they come and grow | none; `compression`, `csv` |
//! | [`JsonLines`] | sink: JSON objects, one per line, in a folder | none |
//! | [`MemorySink`] | sink: rows in memory, for tests | none |
//! | [`LiveView`] | sink: current rows in memory, with queries and subscriptions | none |
//! | `Sqlite` | sink: tables of an SQLite database | `sqlite` |
//! | `KafkaSource`, `KafkaSink` | source and sink: topics | `kafka`; `kafka-tls`, `kafka-zstd` |
//! | `Postgres`, `PostgresStore` | sink: tables; store: checkpoints | `postgres` |
//! | `HttpPush` | source: events that clients push, by a handler for axum | `http-push` |
//! | `SchemaRegistry` | schemas of records, for the decoders of [`formats`] | `schema-registry` |
//! | `RedisSink` | sink: current windows, moments, rows, leaderboards; a channel of changes | `redis` |
//! | `ClickHouse` | sink: tables | `clickhouse` |
//! | `Parquet` | sink: changes as Parquet files, by table and day | `parquet` |
//! | `ObjectCheckpoints` | store: checkpoints, in S3, Google Cloud Storage and Azure | `object-store` |
//! | `Webhook` | sink: changes, posted to a URL as signed JSON | `webhook` |
//!
//! No feature is on by default. The decoders of [`formats`] have a feature each: `csv`, `msgpack`, `avro`, `protobuf`.
//! `kafka-tls-vendored` is `kafka-tls` with an OpenSSL that is compiled from source.
//!
//! A pipeline opens the connectors and calls them. Without one, as in a test, a source is read and a sink is written by
//! the methods of these traits:
//!
//! ```
//! use telemetra_core::{Batch, Column, ColumnKind, EventTime, Layout, RecordBatch, Sink, Source, Table, Value};
//! use telemetra_sinks::{Lines, MemorySink};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("devices.txt");
//! std::fs::write(&path, "d1\nd2\n")?;
//! let mut source = Lines::file(&path);
//! let id = source.partitions()?.remove(0);
//! let (mut partition, mut records) = (source.open(&id, None)?, RecordBatch::default());
//! partition.poll(&mut records)?;
//!
//! let table = Table::new("devices").key(Column::new("device", ColumnKind::Text));
//! let devices = Layout::new(table, |device: &String, put| put(Value::Text(device)));
//! let row = |place| String::from_utf8_lossy(records.bytes_of(place)).into_owned();
//! let changes = records.records().iter().map(|place| devices.upsert(row(place), 0)).collect();
//! let rows = MemorySink::new();
//! let mut sink = rows.clone();
//! sink.open(&[devices.table().clone()], None)?;
//! sink.apply(&[Batch { time: EventTime(59_999), changes }])?;
//! assert_eq!(rows.rows_of::<String>(), ["d1", "d2"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a restart writes again
//!
//! All sinks are idempotent: when a restarted pipeline writes rows again, the target holds the same rows as
//! after an undisturbed run. They differ in where they store their progress, which is the event time of the
//! last durable batch, and so in how much is written again:
//!
//! | sink | progress | after a restart |
//! |---|---|---|
//! | `Postgres`, `Sqlite` | in the transaction that writes the rows | nothing is written twice |
//! | [`JsonLines`], `Parquet` | in the folder or the object store | nothing is there twice |
//! | `ClickHouse` | in a table, written after the rows | the last insert may be repeated; duplicates are merged |
//! | `Webhook` | in a folder, written after the answers | the last event time may be posted again, with the same ids |
//! | `KafkaSink` | none | all current rows are written again, under the same message keys |
//! | `RedisSink` | in a key, written after the rows | all current rows are written again, unless the keys are newer |
//! | [`LiveView`] | none | the view is filled again from all current rows |
//!
//! "All current rows" are those that the pipeline still holds: all rows that it publishes if it starts without a
//! checkpoint, and the rows within the horizon if it starts from one. See [`Sink`](telemetra_core::Sink).
//!
//! # When a server cannot be reached
//!
//! Every connector classifies its errors as [transient or permanent](telemetra_core::Retry). The pipeline repeats a
//! call that failed with a transient error, with pauses that double: from 10 ms up to 10 s for a sink or a store of
//! checkpoints, and from 20 ms up to 5 s for a partition of a source. When it starts, it does so for up to 30 s
//! (`Pipeline::startup_timeout`), and then without limit. If a sink fails, batches queue up to a bound, and then
//! reading pauses; if a partition fails, the watermark waits for it. So nothing is lost and memory stays bounded. A
//! permanent error stops the pipeline.
//!
//! # Which sink to choose
//!
//! * For tables that SQL clients read: `Postgres`; `Sqlite` if one process writes, and readers are on the same
//!   machine; `ClickHouse` for analytical queries over long histories.
//! * For every version of each row, rather than the current one: `Parquet` for query engines, [`JsonLines`] for
//!   tools that read or follow lines of text.
//! * To pass changes on to other services: `KafkaSink` if they must be able to read again, `Webhook` if they only
//!   accept HTTP, `RedisSink` if they look up current values by key.
//! * To query current rows in the process of the pipeline: [`LiveView`]. [`MemorySink`] is for tests.
#![forbid(missing_docs)]

#[cfg(feature = "clickhouse")]
mod clickhouse;
mod disk;
pub mod formats;
#[cfg(any(feature = "webhook", feature = "clickhouse", feature = "object-store"))]
mod http;
#[cfg(any(
    feature = "webhook",
    feature = "clickhouse",
    feature = "object-store",
    feature = "schema-registry"
))]
mod http_error;
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

/// Runs the code of the README as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
