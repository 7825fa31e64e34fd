//! The builder of a pipeline.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{
    Aggregate, Aggregates, Clock, Decoder, EventTime, Events, Key, Layout, PartitionId, Row, Shard, Sink,
    Source, Table, TimeConfig, WatermarkStrategy,
};
use timely::ExchangeData;
use timely::dataflow::StreamVec;

use crate::deliver::placement::SinkPlan;
use crate::pipeline::finish::StopSignal;
use crate::pipeline::graph::Graph;
use crate::pipeline::group::Group;
use crate::pipeline::kept::Collect;
use crate::pipeline::key_of::{ByKey, OwnKey};
use crate::pipeline::plan::{LastPlan, Plan};
use crate::pipeline::windows::WindowKind;
use crate::read::ingress::IngressConfig;
use crate::support::defects::EngineDefects;
use crate::support::failure::Failure;

/// What a pipeline over events of the family `E` is made of. Nothing runs before [`start`](Self::start).
///
/// `L` is the grouping that was added last: [`key_columns`](Self::key_columns), [`rules`](Self::rules) and other methods are about it.
///
/// ```
/// # #[derive(serde::Deserialize)] struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::source::Memory;
/// use telemetra_core::{Micro, SerdeJson, ZScore};
/// use telemetra_ops::{Pipeline, hours, minutes, sliding, tumbling};
///
/// let lines = ["{\"device\": \"d1\", \"site\": 4, \"time\": \"2026-01-01T00:00:00Z\", \"celsius\": 20.5}"];
/// let report = Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .group("device_minute", tumbling(minutes(1)), |a| (a.count("readings"), a.mean("celsius", |r| r.celsius)))
///     .key_columns(["device"])
///     .gauge_moments("departure", ZScore::new(3.0)?, Micro::SCALE, |(_, celsius)| celsius.rounded())
///     .group_by("site_hour", |r| r.site, sliding(hours(1), minutes(5)), |a| a.count("readings"))
///     .start()?
///     .wait()?;
/// assert_eq!(report.fates.on_time, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline<E: Events, L = ()> {
    pub(crate) parts: Parts<E>,
    pub(crate) last: L,
}

/// The parts of a pipeline whose groupings are complete.
pub(crate) struct Parts<E: Events> {
    pub(crate) ingress: IngressConfig,
    pub(crate) sources: Vec<(Box<dyn Source>, Arc<dyn Decoder<E>>)>,
    pub(crate) plans: Vec<Box<dyn Plan<E>>>,
    /// Tables of operators of the user's.
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) sinks: Vec<SinkPlan>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) cluster: Cluster,
    pub(crate) startup_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    /// Hears the order to stop, before the start and later.
    pub(crate) failure: Failure,
    pub(crate) name: String,
    pub(crate) operator_times: bool,
    pub(crate) defects: EngineDefects,
}

pub(crate) struct Checkpoints {
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) every: Duration,
    pub(crate) pause: Duration,
}

/// The threads and processes that a pipeline runs on.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) workers: usize,
    pub(crate) process: usize,
    pub(crate) addresses: Vec<String>,
}

impl<E: Events> Default for Pipeline<E> {
    fn default() -> Self {
        let parts = Parts {
            ingress: IngressConfig::default(),
            sources: Vec::new(),
            plans: Vec::new(),
            tables: Vec::new(),
            sinks: Vec::new(),
            checkpoints: None,
            cluster: Cluster { workers: 1, process: 0, addresses: Vec::new() },
            startup_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(8),
            failure: Failure::default(),
            name: "telemetra".to_owned(),
            operator_times: false,
            defects: EngineDefects::default(),
        };
        Self { parts, last: () }
    }
}

impl<E: Events, L> std::fmt::Debug for Pipeline<E, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", &self.parts.name)
            .field("ingress", &self.parts.ingress)
            .field("cluster", &self.parts.cluster)
            .finish_non_exhaustive()
    }
}

impl<E: Events> Pipeline<E> {
    /// A pipeline of one worker with the default settings of time, without source, grouping and sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Settings, sources and sinks.
impl<E: Events, L> Pipeline<E, L> {
    /// Reads from this source, its records decoded by `decoder`. May be called for several sources, each with a format of its own.
    #[must_use]
    pub fn source(mut self, source: impl Source + 'static, decoder: impl Decoder<E> + 'static) -> Self {
        self.parts.sources.push((Box::new(source), Arc::new(decoder)));
        self
    }

    /// The settings of time.
    #[must_use]
    pub fn time(mut self, time: TimeConfig) -> Self {
        self.parts.ingress.time = time;
        self
    }

    /// The watermark strategy of each partition, instead of the bounded out-of-orderness of the settings of time.
    #[must_use]
    pub fn watermarks(
        mut self,
        strategy: impl Fn(&PartitionId) -> Box<dyn WatermarkStrategy> + Send + Sync + 'static,
    ) -> Self {
        self.parts.ingress.watermarks = Some(Arc::new(strategy));
        self
    }

    /// Where processing time comes from; by default the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.parts.ingress.clock = clock;
        self
    }

    /// How far, in event time, reading may be ahead of the slowest partition and of the sinks; by default two minutes, or two panes if these
    /// are longer. It bounds memory when a sink is slow.
    #[must_use]
    pub fn max_watermark_drift(mut self, drift: Duration) -> Self {
        self.parts.ingress.max_watermark_drift = Some(drift);
        self
    }

    /// Keeps this sink in step with all tables. May be called for several sinks; each runs on a thread of its own, in a
    /// cluster in process 0.
    #[must_use]
    pub fn sink(self, sink: impl Sink + 'static) -> Self {
        self.boxed_sink(Box::new(sink))
    }

    /// Keeps a sink in step that was chosen at run time.
    #[must_use]
    pub fn boxed_sink(mut self, sink: Box<dyn Sink>) -> Self {
        self.parts.sinks.push(SinkPlan::whole(sink));
        self
    }

    /// Keeps a store in step by several sinks that share its rows, where one does not write fast enough. The rows about a subject go to
    /// one shard. Shards live evenly on the workers of all processes; `make` is called in a process for those that live
    /// there, and they are opened there, each on a thread of its own. A time is durable when it is in every shard.
    ///
    /// Dead letters go to the shard that the name of their partition falls to. One shard is the same as a
    /// [`sink`](Self::sink). All processes must be given the same number; from one run to the next it may change.
    #[must_use]
    pub fn sharded_sink<K: Sink + 'static>(
        mut self,
        shards: usize,
        make: impl FnMut(Shard) -> K + Send + 'static,
    ) -> Self {
        self.parts.sinks.push(SinkPlan::sharded(shards, make));
        self
    }

    /// Declares the table of rows that [`Graph::publish`] publishes: sinks are told of it when they are opened.
    #[must_use]
    pub fn table<R: Row>(self) -> Self {
        self.table_of(R::table())
    }

    /// Declares a table of rows that [`Graph::publish_as`] publishes.
    #[must_use]
    pub fn table_of(mut self, table: Table) -> Self {
        self.parts.tables.push(Arc::new(table));
        self
    }

    /// Takes a checkpoint every `every` of event time, and starts from the newest complete one. `every` must be a multiple of the panes:
    /// of the greatest common divisor of all slides.
    #[must_use]
    pub fn checkpoints(mut self, store: impl CheckpointStore + 'static, every: Duration) -> Self {
        let (store, pause) = (Box::new(store), Duration::ZERO);
        self.parts.checkpoints = Some(Checkpoints { store, every, pause });
        self
    }

    /// Takes checkpoints not more often than every `pause` of processing time, so that a replay is not slowed by them. In a cluster of
    /// processes it has no effect.
    #[must_use]
    pub fn checkpoint_pause(mut self, pause: Duration) -> Self {
        if let Some(checkpoints) = &mut self.parts.checkpoints {
            checkpoints.pause = pause;
        }
        self
    }

    /// Runs on this many threads of this process.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.parts.cluster.workers = workers;
        self
    }

    /// Runs as one process of a cluster: the one with index `process` in the list of their addresses (`host:port`), which
    /// all must be given alike. Start-up waits for the others. The network must be private: there is neither
    /// authentication nor encryption. Sinks live in process 0, but for [those of several shards](Self::sharded_sink).
    #[must_use]
    pub fn cluster(mut self, process: usize, addresses: Vec<String>) -> Self {
        self.parts.cluster.process = process;
        self.parts.cluster.addresses = addresses;
        self
    }

    /// How long [`start`](Self::start) retries when a source, a sink or the checkpoint store fails transiently, so that
    /// services may come up in any order; by default 30 seconds in all. A permanent error is returned at once. Once the pipeline
    /// runs, transient errors are retried without end.
    #[must_use]
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.parts.startup_timeout = timeout;
        self
    }

    /// How long [draining](crate::Running::drain) may take in all, by default 8 seconds, as containers are killed 10 seconds after the
    /// order to stop. What is not durable by then, since a sink or the checkpoint store is away or slow, is given up: the last
    /// complete checkpoint stands, and [`Report::unfinished`](crate::Report::unfinished) says so.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.parts.drain_timeout = timeout;
        self
    }

    /// A handle that stops it from another thread, also while [`start`](Self::start) waits for something outside.
    #[must_use]
    pub fn stop_signal(&self) -> StopSignal {
        StopSignal(self.parts.failure.clone())
    }

    /// The name of the pipeline in [metrics](crate::metric), by default `telemetra`. Of the pipelines of one process each needs its own.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.parts.name = name.into();
        self
    }

    /// Measures the time that is spent in each operator, by timely's own event log, for the metric
    /// `telemetra_operator_busy_seconds_total`; by default off, as the clock is then read at every step.
    #[must_use]
    pub fn operator_times(mut self, measured: bool) -> Self {
        self.parts.operator_times = measured;
        self
    }
}

/// Groupings, and what else is made of events.
impl<E: Events, L: LastPlan<E>> Pipeline<E, L> {
    /// Aggregates events by their own key, in windows, into a table of that name. `make` composes the aggregate, whose names are columns.
    ///
    /// The table's columns are the key's (see [`key_columns`](Self::key_columns)), `window_start`, `window_end`, the aggregate's, `revision`
    /// and `updated_at`. A window without any event of its key has no row.
    #[must_use]
    pub fn group<A: Aggregate<E>>(
        self,
        table: &str,
        windows: WindowKind,
        make: impl FnOnce(Aggregates<E>) -> A,
    ) -> Pipeline<E, Group<E, E::Key, A, OwnKey>> {
        self.with_last(Group::new(table, OwnKey, windows, make(Aggregates::new())))
    }

    /// Aggregates events by a key that a closure makes.
    #[must_use]
    pub fn group_by<K: Key, A: Aggregate<E>, F>(
        self,
        table: &str,
        key: F,
        windows: WindowKind,
        make: impl FnOnce(Aggregates<E>) -> A,
    ) -> Pipeline<E, Group<E, K, A, ByKey<F>>>
    where
        F: for<'a> Fn(&E::Of<'a>) -> K + Send + Sync + 'static,
    {
        self.with_last(Group::new(table, ByKey(key), windows, make(Aggregates::new())))
    }

    /// Keeps events as rows of their own table: those that `pick` makes a row of. Such rows are never corrected.
    #[must_use]
    pub fn rows<R: Row, F>(self, pick: F) -> Pipeline<E>
    where
        F: for<'a> Fn(&E::Of<'a>) -> Option<R> + Send + Sync + 'static,
    {
        let mut pipeline = self.finish_last();
        pipeline.parts.plans.push(Box::new(Collect::rows(Layout::<R>::of_row(), pick)));
        pipeline
    }

    /// Picks values out of events, as a stream on every worker on which `build` builds: each value at the effective time of its event.
    /// `name` is what checkpoints know it by.
    #[must_use]
    pub fn collect<D: ExchangeData, F>(
        self,
        name: &str,
        pick: F,
        build: impl for<'scope> Fn(&Graph<'scope>, StreamVec<'scope, EventTime, D>) + Send + Sync + 'static,
    ) -> Pipeline<E>
    where
        F: for<'a> Fn(&E::Of<'a>) -> Option<D> + Send + Sync + 'static,
    {
        let mut pipeline = self.finish_last();
        let (name, tables) = (name.to_owned(), Vec::new());
        let collect = Collect { name, tables, pick: Arc::new(pick), build: Arc::new(build) };
        pipeline.parts.plans.push(Box::new(collect));
        pipeline
    }

    fn with_last<N>(self, last: N) -> Pipeline<E, N> {
        Pipeline { parts: self.finish_last().parts, last }
    }

    /// The pipeline with its last grouping among the others.
    pub(crate) fn finish_last(mut self) -> Pipeline<E> {
        self.parts.plans.extend(self.last.finish());
        Pipeline { parts: self.parts, last: () }
    }
}
