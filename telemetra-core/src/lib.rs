//! The types, traits and arithmetic of Telemetra that need no dataflow: event time and windows, sources and
//! decoders, aggregates, anomaly detectors, rows and sinks, checkpoint stores.
//!
//! The operators of `telemetra-ops` and the connectors of `telemetra-sinks` are written on this crate. It
//! contains nothing that belongs to one domain: events, keys, aggregates and tables are the user's.
//!
//! The folders follow the flow of the data: time, reading ([`source`] and decoding), [`aggregate`],
//! [`detect`], writing (rows, tables and sinks), [`checkpoint`], and the compliance suites of [`testkit`].
#![forbid(missing_docs)]

pub mod aggregate;
pub mod checkpoint;
mod codec;
mod column;
mod data;
pub mod detect;
mod error;
mod ident;
pub mod json;
mod key;
mod lazy;
mod micro;
mod migration;
mod read;
mod room;
pub mod testkit;
mod time;
mod write;

pub use aggregate::leaderboard::{Leaderboard, Ranked};
pub use aggregate::{
    Accumulate, Accumulator, Aggregate, Aggregates, Count, Counted, Distinct, Frequent, HyperLogLog, Max,
    MaybeNumber, Mean, Min, Number, Pick, PowerSums, Project, Quantiles, Sliding, SpaceSaving, Subtract,
    SubtractOnEvict, Sum, Summary, TopK, TwoStacks,
};
pub use column::{Column, ColumnKind, Decimal, Value};
pub use data::Data;
pub use detect::moment::{EventsOf, Moment, MomentId, MomentRule};
pub use detect::{
    AnyDetector, Baseline, Baselines, Detector, EventSums, Ewma, Finding, Learning, MeanOf, Means,
    MissingWindow, Model, NormalScores, NoveltyGap, Observed, RobustZScore, Sample, Samples, Side, Tracker,
    Unseen, VarianceFloor, Verdict, ZScore,
};
pub use error::{ConfigError, ExternalError, Retry};
pub use key::{Key, key_hash};
pub use micro::Micro;
pub use read::arena::Arena;
pub use read::batch::{Record, RecordBatch, RecordPlace};
pub use read::dead_letter::DeadLetter;
pub use read::decode::{DecodeError, Decoder, Preparation, Prepared, deserialize_with_path};
pub use read::event::{Event, EventId, Events};
pub use read::fate::{Fate, Fates};
pub use read::serde_json::SerdeJson;
pub use read::source::{Partition, PartitionId, Polled, Source};
pub use read::traceparent::{InvalidTraceParent, TRACEPARENT, TraceParent};
pub use time::config::TimeConfig;
pub use time::event_time::{Clock, EventTime};
pub use time::rfc3339::{TimeError, parse_timestamp};
pub use time::signed_time::SignedTime;
pub use time::watermark::{BoundedOutOfOrderness, WatermarkStrategy};
pub use time::window::{Window, WindowRules, WindowSpec};
pub use write::change::{Action, AnyRow, Batch, Change};
pub use write::layout::Layout;
pub use write::row::{KeyPart, Row, RowKey};
pub use write::rows::SummaryRow;
pub use write::sink::{Shard, Sink, SinkProgress};
pub use write::table::{Index, Shape, Table};

/// Sources: their partitions, the batches of records that partitions fill, and the built-in sources.
pub mod source {
    pub use crate::read::batch::{Record, RecordBatch, RecordPlace};
    pub use crate::read::channel::{Channel, Typed};
    pub use crate::read::channel_handle::{ChannelHandle, PushError};
    pub use crate::read::memory::{Memory, MemoryHandle, MemoryStep};
    pub use crate::read::source::{Partition, PartitionId, Polled, Source};
}

/// The parts that only Telemetra's own operators use: window and moment state of one key, event placement, id
/// hashing. Not a part of the public interface: it may change in any release.
#[doc(hidden)]
pub mod engine {
    pub use crate::aggregate::key_state::KeyState;
    pub use crate::aggregate::panes::{KeyWindows, StateSize};
    pub use crate::aggregate::sessions::{KeySessions, Segment, Segments, SessionRules};
    pub use crate::aggregate::window_state::WindowState;
    pub use crate::codec::CodecError;
    pub use crate::detect::any_detector::DetectorState;
    pub use crate::detect::chance::{Calibration, Comparison, ComparisonState, Level, Looks, Rates};
    pub use crate::detect::episodes::{
        AnomalousWindow, AnomalousWindows, CountLooks, EpisodesState, KeyEpisodes, WindowChange,
    };
    pub use crate::detect::tail::upcrossings;
    pub use crate::ident::{id_of, mix, pack};
    pub use crate::read::format::format_of;
    pub use crate::read::sequence::{Placement, Sequencer, SequencerState};
    pub use crate::time::event_time::civil_from_days;
    pub use crate::time::millis;
}
