//! Telemetra's operators on timely and differential dataflow, and the pipeline built on them.
//!
//! There are two ways in. [`Pipeline`] takes sources, an accumulator, rules, sinks and a checkpoint store, and runs them. Beneath
//! it is the graph API, shown here: operators as methods in a dataflow of one's own, which mix freely with timely's
//! and differential's.
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//!
//! use telemetra_core::source::Memory;
//! use telemetra_core::{
//!     Arena, Count, DecodeError, Decoder, Event, EventTime, Header, MomentRule, TimeConfig, ViewerCount, ZScore,
//! };
//! use telemetra_ops::{Ingest, Ingress, IngressConfig, Latest, Moments, Top, Windows};
//! use timely::dataflow::operators::Probe;
//!
//! /// Reads records like `ada 12000`: a stream, and the time of an event.
//! struct Words;
//! impl Decoder for Words {
//!     fn decode<'a>(&self, record: &'a [u8], _: &'a Arena, events: &mut Vec<Event<'a>>) -> Result<(), DecodeError> {
//!         let text = std::str::from_utf8(record).map_err(|_| DecodeError::new("not UTF-8"))?;
//!         let (stream_id, time) = text.split_once(' ').ok_or(DecodeError::new("no time"))?;
//!         let time = time.parse().map_err(|_| DecodeError::field("time", "not a number"))?;
//!         let header = Header { event_id: "", time: EventTime(time), stream_id };
//!         let count = ViewerCount { header, viewer_count: 1, unique_viewers: None, peak_viewers: None };
//!         events.push(Event::Viewer(count));
//!         Ok(())
//!     }
//! }
//!
//! // Two streams: one steady, one with a burst in the ninth minute.
//! let steady = (0..60).map(|n| format!("ada {}", n * 10_000));
//! let mut burst: Vec<_> = (0..60).map(|n| n * 10_000).chain((0..30).map(|n| 480_000 + n * 1_000)).collect();
//! burst.sort_unstable();
//! let source = Memory::default().partition("steady", steady);
//! let source = source.partition("burst", burst.iter().map(|time| format!("bob {time}")));
//!
//! let rules: Arc<[_]> = [MomentRule::count("burst", ZScore::new(3.0)?.samples(4..=8)?, |count: &u64| *count)].into();
//! let time = TimeConfig::default();
//! let windows = time.window_rules(8);
//! let config = IngressConfig { time, ..IngressConfig::default() };
//! let workers = 2;
//! let ingress = Ingress::open(config, vec![(Box::new(source), Arc::new(Words))], workers)?;
//!
//! let bursts = Arc::new(Mutex::new(Vec::new()));
//! let (shared, found) = (ingress.clone(), Arc::clone(&bursts));
//! let guards = timely::execute(timely::Config::process(workers), move |worker| {
//!     let index = worker.next_dataflow_index();
//!     let (rules, found) = (Arc::clone(&rules), Arc::clone(&found));
//!     let (board, moments) = worker.dataflow::<EventTime, _, _>(|scope| {
//!         let summaries = scope.ingest::<Count>(&shared).partials.windows(windows);
//!         let busiest = summaries.clone().latest(windows).top(1, "busiest", |count| *count as i64);
//!         let moments = summaries.moments(windows, rules).inspect(move |(moment, _, diff)| {
//!             if *diff > 0 {
//!                 found.lock().unwrap().push((moment.stream_id.to_string(), moment.started_at));
//!             }
//!         });
//!         (busiest.inner.probe().0, moments.inner.probe().0)
//!     });
//!     while !(board.done() && moments.done()) && !shared.has_failed() {
//!         worker.step_or_park(Some(Duration::from_millis(10)));
//!     }
//!     if shared.has_failed() {
//!         worker.drop_dataflow(index);
//!     }
//! })?;
//! for result in guards.join() {
//!     result?;
//! }
//! assert!(ingress.take_error().is_none());
//! assert_eq!(bursts.lock().unwrap()[0], ("bob".to_owned(), EventTime(480_000)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(missing_docs)]

mod buckets;
mod busy;
mod census;
mod checkpoint;
mod council;
mod courier;
mod cut;
mod deliver;
mod describe;
mod failure;
mod ingest;
mod ingress;
mod keyed;
mod latest;
mod metadata;
pub mod metric;
mod moments;
mod open;
mod outlet;
mod partial;
mod pipeline;
mod publish;
mod reader;
mod record;
mod scout;
pub mod spec;
mod standing;
mod top;
mod trouble;
mod waiting;
mod windows;
mod writer;

pub use checkpoint::{Durability, Restored};
pub use courier::Applied;
pub use describe::{Describe, Described};
pub use failure::{PipelineError, RestoreError};
pub use ingest::{Ingest, Ingested};
pub use ingress::{Ingress, IngressConfig, PartitionStatus};
pub use latest::Latest;
pub use metadata::StreamRows;
pub use moments::Moments;
pub use partial::Partial;
pub use pipeline::{Drain, Graph, Pipeline, PipelineStatus, Report, Running, SinkStatus};
pub use publish::Publish;
pub use top::Top;
pub use trouble::Failing;
pub use windows::{Summaries, Windows};
