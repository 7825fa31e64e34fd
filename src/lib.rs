//! Real-time analytics over event streams, on timely dataflow and differential dataflow.
//!
//! The idea: event time is the timestamp of the dataflow, so the frontier is the watermark, and the summaries of
//! windows are an ordinary differential collection, so whatever is built from them is corrected when they are. Events are many
//! and are folded early, by timely operators; facts are few and change, and their consequences follow by themselves.
//!
//! There are two ways in:
//!
//! * the **pipeline API**, [`Pipeline`](prelude::Pipeline): sources, an accumulator, rules, sinks and a checkpoint store,
//!   checked, run on threads or processes, and watched through a handle;
//! * the **graph API** beneath it, [`ops`]: operators as methods in a dataflow of one's own.
//!
//! ```
//! use telemetra::prelude::*;
//!
//! // One message every ten seconds, and fifty within ten seconds of the twentieth minute.
//! let steady = (0..150).map(|n| n * 10_000);
//! let mut times: Vec<u64> = steady.chain((0..50).map(|n| 1_200_000 + n * 200)).collect();
//! times.sort_unstable();
//! let records = times.iter().enumerate().map(|(n, &time)| {
//!     let timestamp = EventTime(time);
//!     format!(
//!         r#"{{"event_id": "{n}", "timestamp": "{timestamp}", "stream_id": "ada",
//!             "user_id": "u{n}", "username": "U", "message": "hello"}}"#
//!     )
//! });
//!
//! let tables = MemorySink::new();
//! let running = Pipeline::<StreamAccumulator>::new()
//!     .source(MemorySource::default().partition("chat", records), JsonDecoder::mixed())
//!     .rules(default_rules(3.0)?)
//!     .sink(tables.clone())
//!     .start()?;
//! let report = running.wait()?;
//!
//! assert!(report.fates.is_balanced());
//! let moments = tables.moments();
//! assert_eq!(moments.len(), 1);
//! assert_eq!(&*moments[0].moment_type, "chat_spike");
//! assert_eq!(moments[0].started_at, EventTime(1_200_000));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is where:
//!
//! * [`core`]: words, contracts and arithmetic, without a dataflow. Events and decoding, time and windows,
//!   [accumulators](core::accumulate), [detectors](core::detect), [sources](core::source), the
//!   [compliance suites](core::testkit) for parts of your own, and a [generator](core::generate) of events.
//! * [`ops`]: the operators, an extension trait each, and the pipeline built on them.
//! * [`sinks`]: connectors to the outside.
#![forbid(missing_docs)]

pub use telemetra_core as core;
pub use telemetra_ops as ops;
pub use telemetra_sinks as sinks;

/// What most programs need.
///
/// Of the two types called `Memory` the source is [`MemorySource`](prelude::MemorySource) here, and the sink
/// [`MemorySink`](prelude::MemorySink).
pub mod prelude {
    pub use telemetra_core::checkpoint::Directory;
    pub use telemetra_core::source::{Channel, ChannelHandle, Memory as MemorySource};
    pub use telemetra_core::{
        Accumulate, Accumulator, Clock, ConfigError, Decoder, Detector, Event, EventAccumulator, EventTime,
        ExternalError, Fate, Fates, JsonDecoder, Lexicon, Moment, MomentRule, Partition, Sink, Source,
        StreamAccumulator, StreamId, StreamSummary, Summary, TimeConfig, Vader, WindowSpec, ZScore,
        default_rules,
    };
    pub use telemetra_ops::{
        Describe, Drain, Graph, Ingest, Ingress, IngressConfig, Latest, Moments, Pipeline, PipelineError,
        PipelineStatus, Publish, Report, Running, StreamRows, Top, Windows,
    };
    pub use telemetra_sinks::{JsonLines, Lines, LiveView, Memory as MemorySink, Sqlite};
}

/// The code in the documents runs as tests.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../README.md")]
    struct Readme;
    #[doc = include_str!("../docs/moments.md")]
    struct Moments;
    #[doc = include_str!("../docs/operators.md")]
    struct Operators;
    #[doc = include_str!("../docs/time.md")]
    struct Time;
}
