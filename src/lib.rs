//! Real-time analytics over event streams, on timely dataflow and differential dataflow.
//!
//! This example has an event type, a JSON source, one grouping with an aggregate of two parts, one moment
//! rule, a table and checkpoints:
//!
//! ```
//! use telemetra::prelude::*;
//!
//! #[derive(serde::Deserialize)]
//! struct Reading { device: String, time: EventTime, celsius: f64 }
//!
//! impl Event for Reading {
//!     type Key = String;
//!     fn time(&self) -> EventTime { self.time }
//!     fn key(&self) -> &str { &self.device }
//! }
//!
//! // A reading every ten seconds; in the twentieth minute the device is hot.
//! let celsius = |n: u64| if (120..126).contains(&n) { 80.0 } else { 20.0 + (n % 7) as f64 / 10.0 };
//! let lines = (0..150).map(|n| format!(r#"{{"device": "d1", "time": {}, "celsius": {}}}"#, n * 10_000, celsius(n)));
//! # let directory = tempfile::tempdir()?;
//! # let checkpoints = directory.path();
//!
//! let tables = MemorySink::new();
//! let report = Pipeline::<Reading>::new()
//!     .source(MemorySource::default().partition("readings", lines), SerdeJson::new())
//!     .group("device_minute", tumbling(minutes(1)), |a| (a.count("readings"), a.mean("celsius", |r| r.celsius)))
//!     .key_columns(["device"])
//!     .gauge_moments("departure", ZScore::new(3.0)?, Micro::SCALE, |(_, celsius)| celsius.rounded())
//!     .sink(tables.clone())
//!     .checkpoints(Directory::new(checkpoints), minutes(5))
//!     .start()?
//!     .wait()?;
//!
//! assert_eq!(report.fates.on_time, 150);
//! assert_eq!(tables.table("device_minute").len(), 25);
//! assert_eq!(tables.table("device_minute_moments").len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Event time is the timestamp of the dataflow, so the frontier is the watermark. The summaries of windows
//! are an ordinary differential collection, so everything derived from them is corrected when they change.
//! There are many events, so timely operators aggregate them early; there are few rows, and differential
//! dataflow corrects them and everything that depends on them.
//!
//! There are two APIs:
//!
//! * the **pipeline API**, [`Pipeline`](prelude::Pipeline): sources, groupings, rules, sinks and a checkpoint store,
//!   checked, run on threads or processes, and watched through a handle;
//! * the **graph API** beneath it, [`ops`]: operators as methods in a dataflow of your own.
//!
//! These are the crates and modules:
//!
//! * [`core`]: contracts and arithmetic, without a dataflow. [Events](core::Event) and [decoding](core::Decoder), time and windows,
//!   [aggregates](core::aggregate), [detectors](core::detect), [sources](core::source), and the
//!   [compliance suites](core::testkit) for parts of your own.
//! * [`ops`]: the operators, an extension trait each, and the pipeline built on them.
//! * [`sinks`]: connectors. Sources from Kafka, files and HTTP; sinks to Postgres, SQLite, ClickHouse, Redis, Kafka,
//!   Parquet, JSON lines, webhooks and a live view in the process; checkpoints in Postgres and object stores.
#![cfg_attr(
    feature = "livestream",
    doc = "* [`livestream`]: the domain that Telemetra comes with, and the worked example of how to bring your own."
)]
#![cfg_attr(feature = "http", doc = "* [`http`]: a router over a live view, to mount in your own service.")]
//!
//! # Features
//!
//! | feature | what it adds | what it needs |
//! |---|---|---|
//! | `livestream` (default) | the live-stream domain, [`livestream`] | nothing |
//! | `sqlite` | SQLite as sink and as checkpoint store | a C compiler |
//! | `kafka` | Kafka as source and as sink | a C compiler and `make` |
//! | `kafka-tls` | Kafka by TLS and SASL | `libssl-dev` |
//! | `postgres` | Postgres as sink and as checkpoint store | nothing |
//! | `redis` | Redis as sink | a C compiler |
//! | `http` | a router over a live view, to mount in a service on axum | nothing |
//! | `clickhouse` | ClickHouse as sink | a C compiler |
//! | `parquet` | Parquet files | nothing |
//! | `object-store` | checkpoints and Parquet files in S3, Google Cloud Storage and Azure Blob Storage | a C compiler |
//! | `webhook` | changes posted to a URL | a C compiler |
//! | `compression` | files compressed by gzip or zstd | a C compiler |
//! | `csv`, `msgpack`, `avro`, `protobuf` | formats of records: [`sinks::formats`] | nothing |
//! | `schema-registry` | writers' schemas from a schema registry | a C compiler |
//! | `http-push` | events pushed by HTTP: a handler for axum | nothing |
//! | `full` | all of these but `kafka-tls` | |
#![forbid(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub use differential_dataflow;
pub use timely;

pub use telemetra_core as core;
pub use telemetra_ops as ops;
pub use telemetra_sinks as sinks;

#[cfg(feature = "http")]
pub mod http;
#[cfg(feature = "livestream")]
pub mod livestream;

/// The types, traits and functions that most programs need.
///
/// Of the two types called `Memory` the source is [`MemorySource`](prelude::MemorySource) here, and the sink
/// [`MemorySink`](prelude::MemorySink).
pub mod prelude {
    pub use telemetra_core::checkpoint::Directory;
    pub use telemetra_core::source::{Channel, ChannelHandle, Memory as MemorySource};
    pub use telemetra_core::{
        Accumulate, Accumulator, Aggregate, Aggregates, Batch, Clock, Column, ColumnKind, ConfigError, Data,
        Decoder, Detector, Event, EventId, EventTime, Events, Ewma, ExternalError, Fate, Fates, Key, Layout,
        Micro, MissingWindow, Moment, MomentRule, Partition, PartitionId, Record, RobustZScore, Row,
        SerdeJson, Shard, Sink, Source, Summary, SummaryRow, Table, TimeConfig, Value, WindowSpec, ZScore,
    };
    pub use telemetra_ops::{
        CheckpointContext, Checkpointed, Drain, Enrich, Graph, GroupGraph, Inbox, Ingest, Ingress,
        IngressConfig, KeyedProcess, Latest, Moments, Pipeline, PipelineError, PipelineStatus, ProcessByKey,
        Report, Running, SpillConfig, StopHandle, StopSignal, Tactic, Top, Windows, hours, minutes, seconds,
        sessions, sliding, tumbling,
    };
    #[cfg(feature = "clickhouse")]
    pub use telemetra_sinks::ClickHouse;
    #[cfg(feature = "parquet")]
    pub use telemetra_sinks::Parquet;
    #[cfg(feature = "sqlite")]
    pub use telemetra_sinks::Sqlite;
    pub use telemetra_sinks::{Folder, JsonLines, Lines, LiveView, MemorySink};
    #[cfg(feature = "kafka")]
    pub use telemetra_sinks::{KafkaConfig, KafkaSink, KafkaSource};
    #[cfg(feature = "postgres")]
    pub use telemetra_sinks::{Postgres, PostgresConfig, PostgresStore};
    #[cfg(feature = "redis")]
    pub use telemetra_sinks::{RedisSink, RedisTable};
    #[cfg(feature = "webhook")]
    pub use telemetra_sinks::{Webhook, WebhookSecret};
}

/// Runs the code in the documents as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/connectors.md")]
    struct Connectors;
    #[doc = include_str!("../docs/moments.md")]
    struct Moments;
    #[doc = include_str!("../docs/operators.md")]
    struct Operators;
    #[doc = include_str!("../docs/testing.md")]
    struct Testing;
    #[doc = include_str!("../docs/time.md")]
    struct Time;
    #[doc = include_str!("../docs/your-events.md")]
    struct YourEvents;
}
