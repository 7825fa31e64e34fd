//! Words, contracts and arithmetic of Telemetra. Builds no dataflow.
#![forbid(missing_docs)]

pub mod accumulate;
mod board;
pub mod checkpoint;
mod config;
pub mod decode;
pub mod detect;
mod episodes;
mod error;
mod event;
mod fate;
pub mod generate;
mod ident;
mod metadata;
mod moment;
mod panes;
mod row;
mod sentiment;
mod sequence;
mod sink;
pub mod source;
mod summarize;
mod summary;
pub mod testkit;
mod time;
mod watermark;
mod window;

pub use accumulate::{
    Accumulate, Accumulator, Count, Data, Distinct, EventAccumulator, Frequent, HyperLogLog, Max, Mean, Min,
    Pick, Project, Refold, Rolling, Running, SpaceSaving, Sum, TopK, Unmerge,
};
pub use board::{Leaderboard, Ranked};
pub use config::TimeConfig;
pub use decode::{Arena, BincodeDecoder, DecodeError, Decoder, JsonDecoder};
pub use detect::{
    Baseline, Baselines, Detector, Ewma, Finding, Follower, Judge, Learning, Micro, Model, NoveltyGap,
    Observed, PowerSums, RobustZScore, Sample, Samples, Side, Silence, Tracker, Unseen, VarianceFloor,
    Verdict, ZScore,
};
pub use episodes::{EpisodesState, Hit, Hits, KeyEpisodes, WindowChange};
pub use error::{ConfigError, ExternalError, Retry};
pub use event::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, EventKind, Header, MAX_ID_BYTES, MAX_LIST_ITEMS,
    MAX_TEXT_BYTES, MetaType, SENTIMENT_SCALE, StreamMeta, Transaction, TransactionType, ViewerCount,
};
pub use fate::{Fate, Fates};
pub use ident::key_hash;
pub use metadata::{Fact, MetaPatch, Stamp, StreamProfile};
pub use moment::{Moment, MomentId, MomentRule};
pub use panes::{KeyState, KeyWindows, StateSize, WindowRules};
pub use row::{
    Action, Batch, Change, DeadLetter, Row, StreamId, StreamRow, Summary, TransactionRow, ViewerRow,
};
pub use sentiment::{Lexicon, Sentiment, Vader};
pub use sequence::{Placement, Sequencer, SequencerState};
pub use sink::{Shard, Sink};
pub use source::{Partition, PartitionId, Polled, Record, RecordBatch, Source};
pub use summarize::{StreamAccumulator, StreamRolling, default_rules};
pub use summary::{Counted, StreamSummary};
pub use time::{Clock, EventTime};
pub use watermark::{BoundedOutOfOrderness, WatermarkStrategy};
pub use window::{Window, WindowSpec};
