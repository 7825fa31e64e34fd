//! Telemetra's operators on timely and differential dataflow, and the pipeline built on them.
//!
//! There are two ways in. [`Pipeline`] takes sources, groupings, rules, sinks and a checkpoint store, and runs them. Beneath
//! it is the graph API, shown here: operators as methods in a dataflow of your own, which mix freely with timely's
//! and differential's.
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
