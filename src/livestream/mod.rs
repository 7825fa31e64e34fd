//! The live-stream domain, a ready-made pipeline for chat messages, viewer counts, transactions and metadata of live
//! streams: it aggregates them by stream and minute, and finds the moments in which a metric departs from its baseline.
//! Start with [`pipeline()`], and with [`generate`] for events to try it.
//!
//! The domain is also the example of how to write one of your own: it uses the public API and nothing else. A domain
//! consists of these parts:
//!
//! | contract | implementation in this domain |
//! |---|---|
//! | [`Event`](crate::core::Event), [`Events`](crate::core::Events) | the enum [`Event`], borrowed from its record, and its family [`LiveEvents`] |
//! | [`Key`](crate::core::Key) | [`StreamId`] |
//! | [`Decoder`](crate::core::Decoder) | [`JsonDecoder`], [`BincodeDecoder`], and [`Scored`], which adds the sentiment of a message |
//! | [`Aggregate`](crate::core::Aggregate), [`Accumulator`](crate::core::Accumulator) | [`chat_aggregate`], [`StreamAccumulator`]; [`pick`] has parts for accumulators of your own |
//! | [`MomentRule`](crate::core::MomentRule) | the five [`default_rules`] |
//! | [`Row`](crate::core::Row), [`Layout`](crate::core::Layout) | [`StreamRow`], [`ViewerRow`], [`TransactionRow`], [`summary_layout`], [`moment_layout`] |
//! | [`Tactic`](crate::ops::Tactic) | [`StreamRows`]: an operator with state in checkpoints |
//! | [`Pipeline`](crate::ops::Pipeline) | [`pipeline`] |
//! | [`Source`](crate::core::Source) | [`generate`]: generated streams, with a record of what is planted in them |
//!
//! This example goes from a record to the values of a row:
//!
//! ```
//! use telemetra::core::{Accumulator, Aggregate, Arena, Decoder, EventTime, Record, Value, Window};
//! use telemetra::livestream::{JsonDecoder, LiveEvents, chat_aggregate};
//!
//! let record = br#"{"event_id": "e1", "timestamp": "2026-01-01T12:00:00Z", "stream_id": "ada", "viewer_count": 42}"#;
//! let (arena, mut events) = (Arena::default(), Vec::new());
//! let record = Record::new(record).of_topic("telemetra.events.viewer");
//! JsonDecoder::mixed().decode(record, &arena, &mut events)?;
//!
//! let aggregate = chat_aggregate();
//! let mut pane = Default::default();
//! for event in &events {
//!     Aggregate::<LiveEvents>::add(&aggregate, &mut pane, event);
//! }
//! let summary = pane.finish();
//! assert_eq!(summary.peak_viewers, Some(42));
//!
//! let (start, mut values) = (EventTime(1_767_268_800_000), Vec::new());
//! let window = Window { start: start.into(), end: start.plus(60_000) };
//! summary.values(window, &mut |value| values.push(format!("{value:?}")));
//! assert_eq!(values[7..10], ["Float(42)", "Unsigned(42)", "Unsigned(1)"]);
//! # Ok::<(), telemetra::core::DecodeError>(())
//! ```

mod decode;
mod event;
pub mod generate;
mod key;
pub mod pick;
mod pipeline;
mod profile;
#[cfg(feature = "redis")]
mod redis;
mod rows;
mod sentiment;
mod stream_rows;
mod summarize;
mod summary;
mod tables;
pub mod testkit;

pub use decode::{
    BincodeDecoder, JsonDecoder, Scored, WithSentiment, encode_bincode, encode_json, encode_json_with_topic,
};
pub use event::{
    AMOUNT_SCALE, ChatMessage, Currency, Event, EventKind, Header, LiveEvents, MAX_ID_BYTES, MAX_LIST_ITEMS,
    MAX_TEXT_BYTES, MetaType, SENTIMENT_SCALE, StreamMeta, Transaction, TransactionType, ViewerCount,
};
pub use key::StreamId;
pub use pipeline::{LiveOptions, LiveStreams, pipeline, pipeline_with, pipeline_with_short_bursts};
pub use profile::{StreamPatch, StreamProfile, Version};
#[cfg(feature = "redis")]
pub use redis::redis_keys;
pub use rows::{StreamRow, TransactionRow, ViewerRow};
pub use sentiment::{Lexicon, Sentiment, Vader};
pub use stream_rows::StreamRows;
pub use summarize::{
    ChatAggregate, StreamAccumulator, StreamSliding, chat_aggregate, chat_migration, default_rules,
};
pub use summary::{StreamSummary, Words};
pub use tables::{moment_layout, summary_layout};
