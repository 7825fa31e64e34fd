//! Stream processing by event time on timely and differential dataflow: windows, sessions, anomaly detection,
//! leaderboards and joins over event streams, with checkpoints and exactly-once tables.
//!
//! The crate has two interfaces:
//!
//! * [`Pipeline`] is a builder: it takes sources, groupings, rules, sinks and a checkpoint store, and runs
//!   them on worker threads of its own. Use it for services. Its page has an example.
//! * The graph interface consists of the operators themselves, as extension traits of timely streams and
//!   differential collections: [`Ingest`], [`Windows`], [`Latest`], [`Top`], [`Moments`], [`Enrich`],
//!   [`Changes`], [`ProcessByKey`] and [`Checkpointed`]. Use it inside a pipeline, by [`Pipeline::extend`]
//!   and [`Pipeline::collect`], or in a dataflow of your own, as in the example below, which has no
//!   checkpoints and no sinks.
//!
//! # Terms
//!
//! | term | meaning |
//! |---|---|
//! | event time | milliseconds since the Unix epoch (UTC), from the event itself; the timely timestamp, [`EventTime`](telemetra_core::EventTime) |
//! | partition | a replayable sequence of records with offsets, such as a Kafka partition or a file |
//! | pane | an interval `[start, end)` as long as the slide; a window consists of `size / slide` panes |
//! | partial | the accumulator of one key in one pane |
//! | watermark | for each partition, the greatest event time less the out-of-orderness |
//! | floor | for each partition, its watermark rounded down to a pane boundary |
//! | late | an event whose pane ended at or before the floor of its partition; *too late* beyond the allowed lateness |
//! | effective time | the timestamp at which an event counts: the last instant of its pane or, if it is late, of the pane that starts at the floor |
//! | frontier | timely's: no message with an earlier time can come any more; it takes the place of Flink's operator watermark |
//! | fate | what happened to a record: on time, late, or one of the reasons for a dead letter |
//! | summary | the result of one key in one window or session |
//! | horizon | how long a summary stays in its collection after the end of its window |
//! | moment | a run of anomalous windows of one key, which a rule has found |
//! | revision | how often a row was published before; a late event makes a new revision |
//! | boundary | the event time of a checkpoint: its state holds all that took effect earlier |
//!
//! # A dataflow of your own
//!
//! ```
//! use std::sync::{Arc, Mutex};
//! use std::time::Duration;
//!
//! use serde::Deserialize;
//! use telemetra_core::source::Memory;
//! use telemetra_core::{Aggregates, Event, EventTime, MomentRule, SerdeJson, TimeConfig, ZScore};
//! use telemetra_ops::{CheckpointContext, Ingest, Ingress, IngressConfig, Latest, Moments, Top, Windows};
//! use timely::dataflow::operators::Probe;
//!
//! /// A request to a host.
//! #[derive(Deserialize)]
//! struct Request { host: String, time: EventTime }
//! impl Event for Request {
//!     type Key = String;
//!     fn time(&self) -> EventTime { self.time }
//!     fn key(&self) -> &str { &self.host }
//! }
//!
//! // Two hosts: one steady, one with a burst in the ninth minute.
//! let request = |host: &str, time: u64| format!(r#"{{"host": "{host}", "time": {time}}}"#);
//! let steady = (0..60).map(|n| request("ada", n * 10_000));
//! let mut burst: Vec<_> = (0..60).map(|n| n * 10_000).chain((0..30).map(|n| 480_000 + n * 1_000)).collect();
//! burst.sort_unstable();
//! let source = Memory::default().partition("steady", steady);
//! let source = source.partition("burst", burst.iter().map(|time| request("bob", *time)));
//!
//! let rules: Arc<[_]> = [MomentRule::count("burst", ZScore::new(3.0)?.samples(4..=8)?, |count: &u64| *count)].into();
//! let time = TimeConfig::default();
//! let windows = time.window_rules(8);
//! let config = IngressConfig { time, ..IngressConfig::default() };
//! let workers = 2;
//! let sources = vec![(Box::new(source) as _, Arc::new(SerdeJson::new()) as _)];
//! let ingress = Ingress::<Request>::open(config, sources, workers)?;
//!
//! let bursts = Arc::new(Mutex::new(Vec::new()));
//! let (shared, found) = (ingress.clone(), Arc::clone(&bursts));
//! let guards = timely::execute(timely::Config::process(workers), move |worker| {
//!     let index = worker.next_dataflow_index();
//!     let (rules, found) = (Arc::clone(&rules), Arc::clone(&found));
//!     let (board, moments) = worker.dataflow::<EventTime, _, _>(|scope| {
//!         let context = CheckpointContext::none(scope);
//!         let requests = Aggregates::<Request>::new().count("requests");
//!         let summaries = scope.ingest(&shared, requests).partials.windows(windows, "windows", &context);
//!         let busiest = summaries.clone().latest(windows).top(1, "busiest", |count| *count as i64);
//!         let moments = summaries.moments(windows, rules, "moments", &context).inspect(move |(moment, _, diff)| {
//!             if *diff > 0 {
//!                 found.lock().unwrap().push((moment.key.clone(), moment.started_at));
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
//! assert!(bursts.lock().unwrap().contains(&("bob".to_owned(), EventTime(480_000))));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(missing_docs)]

mod checkpoint;
mod cluster;
mod deliver;
mod observe;
mod operators;
mod pipeline;
mod read;
mod spill;
mod support;
pub mod testkit;

pub use checkpoint::savepoint::{Savepoint, Savepoints};
pub use checkpoint::state::CheckpointContext;
pub use cluster::addresses::free_addresses;
pub use deliver::sink_thread::Applied;
pub use observe::comparison::MomentsStatus;
pub use observe::metrics as metric;
pub use observe::status::{PipelineStatus, SinkStatus};
pub use operators::changes::{Changes, RowChange};
pub use operators::checkpointed::{Checkpointed, Inbox, Tactic};
pub use operators::enrich::{Enrich, Enriched};
pub use operators::keyed_process::{KeyedProcess, ProcessByKey};
pub use operators::latest::Latest;
pub use operators::moments::{FoundMoments, Moments};
pub use operators::top::Top;
pub use operators::windows::{Summaries, Windows};
pub use pipeline::builder::Pipeline;
pub use pipeline::finish::{Drain, StopHandle, StopSignal};
pub use pipeline::graph::Graph;
pub use pipeline::group::{Group, OutputOf};
pub use pipeline::group_graph::GroupGraph;
pub use pipeline::handle::Running;
#[doc(hidden)]
pub use pipeline::key_of::{ByKey, KeyOf, OwnKey};
#[doc(hidden)]
pub use pipeline::plan::LastPlan;
pub use pipeline::report::Report;
pub use pipeline::windows::{WindowKind, hours, minutes, seconds, sessions, sliding, tumbling};
pub use read::ingest::{Ingest, Ingested};
pub use read::ingress::{Ingress, IngressConfig, PartitionStatus, Watermarks};
pub use read::partial::Partial;
pub use spill::{SpillConfig, SpillReport};
pub use support::failure::{PipelineError, RestoreError};
pub use support::restore_plan::{RestoreAction, RestorePlan, RestoreStep};
pub use support::retry::Failing;
