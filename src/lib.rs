//! Real-time analytics over event streams, on timely dataflow and differential dataflow.
#![forbid(missing_docs)]

pub use telemetra_core as core;
pub use telemetra_ops as ops;
pub use telemetra_sinks as sinks;

/// What most programs need.
pub mod prelude {
    pub use telemetra_core::{
        Accumulate, Accumulator, Clock, ConfigError, Decoder, Detector, Event, EventAccumulator, EventTime,
        Fate, Fates, Lexicon, Moment, MomentRule, Partition, Sink, Source, StreamAccumulator, StreamId,
        StreamSummary, Summary, TimeConfig, WindowSpec, ZScore, default_rules,
    };
    pub use telemetra_ops::{Drain, Graph, Pipeline, PipelineError, PipelineStatus, Report, Running};
}
