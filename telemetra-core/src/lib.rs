//! Words, contracts and arithmetic of Telemetra. Builds no dataflow.
#![forbid(missing_docs)]

pub mod accumulate;
pub mod checkpoint;
pub mod decode;
pub mod detect;
mod error;
mod event;
mod fate;
mod moment;
mod row;
mod sentiment;
mod sink;
pub mod source;
mod summary;
pub mod testkit;
mod time;
mod watermark;
mod window;

pub use accumulate::{Accumulate, Accumulator, Data, Refold, Rolling};
pub use decode::{Arena, BincodeDecoder, DecodeError, Decoder, JsonDecoder};
pub use detect::{Baseline, Detector, Micro, PowerSums, Samples, Verdict};
pub use error::{ConfigError, ExternalError, Retry};
pub use event::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, EventKind, Header, MAX_ID_BYTES, MAX_LIST_ITEMS,
    MAX_TEXT_BYTES, MetaType, SENTIMENT_SCALE, StreamMeta, Transaction, TransactionType, ViewerCount,
};
pub use fate::{Fate, Fates};
pub use moment::{Moment, MomentId, MomentRule, Silence};
pub use row::{
    Action, Batch, Change, DeadLetter, Row, StreamId, StreamRow, Summary, TransactionRow, ViewerRow,
};
pub use sentiment::Sentiment;
pub use sink::Sink;
pub use source::{Partition, PartitionId, Polled, Record, RecordBatch, Source};
pub use summary::{Counted, StreamSummary};
pub use time::{Clock, EventTime};
pub use watermark::{BoundedOutOfOrderness, WatermarkStrategy};
pub use window::{Window, WindowSpec};
