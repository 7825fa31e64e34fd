//! The builder of a pipeline: settings, sources, groupings and sinks.

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

/// The builder of a streaming job over events of type `E`: sources, groupings, rules, sinks and a checkpoint
/// store. Nothing runs before [`start`](Self::start), which returns a [`Running`](crate::Running) handle.
///
/// `L` is the type of the grouping that was added last. Methods such as [`key_columns`](Self::key_columns),
/// [`filter`](Self::filter) and [`rules`](Self::rules) configure that grouping, so they come directly after
/// [`group`](Self::group) or [`group_by`](Self::group_by). You do not need to name `L`.
///
/// Settings that cannot work are refused by [`start`](Self::start), before anything is read. The methods of
/// the builder do not fail.
///
/// ```
/// # #[derive(serde::Deserialize)]
/// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
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

/// The parts of a pipeline, all groupings included but the one that is still being configured.
pub(crate) struct Parts<E: Events> {
    pub(crate) ingress: IngressConfig,
    pub(crate) sources: Vec<(Box<dyn Source>, Arc<dyn Decoder<E>>)>,
    pub(crate) plans: Vec<Box<dyn Plan<E>>>,
    /// The declared tables of rows that the user's operators publish.
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) sinks: Vec<SinkPlan>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) savepoint: Option<SavepointStart>,
    /// Whether sinks that another pipeline writes to are left to it until they are taken over.
    pub(crate) stands_by: bool,
    pub(crate) cluster: Cluster,
    pub(crate) startup_timeout: Duration,
    pub(crate) drain_timeout: Duration,
    /// Receives the order to stop, before the start and while the pipeline runs.
    pub(crate) failure: Failure,
    pub(crate) name: String,
    pub(crate) operator_times: bool,
    pub(crate) slow_batch: Duration,
    pub(crate) defects: EngineDefects,
}

/// The checkpoint store, the distance between checkpoints in event time, and the least pause between them in
/// processing time.
pub(crate) struct Checkpoints {
    pub(crate) store: Box<dyn CheckpointStore>,
    pub(crate) every: Duration,
    pub(crate) pause: Duration,
}

/// The savepoint that a pipeline starts from, and the store that has it; `None` for its own.
pub(crate) struct SavepointStart {
    pub(crate) name: String,
    pub(crate) store: Option<Box<dyn CheckpointStore>>,
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
            savepoint: None,
            stands_by: false,
            cluster: Cluster { workers: 1, process: 0, addresses: Vec::new() },
            startup_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(8),
            failure: Failure::default(),
            name: "telemetra".to_owned(),
            operator_times: false,
            slow_batch: Duration::from_secs(10),
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
    /// Creates a pipeline with one worker, the default time settings, and no source, grouping or sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Settings, sources and sinks.
impl<E: Events, L> Pipeline<E, L> {
    /// Adds a source, whose records `decoder` turns into events. Call it once for each source; every source
    /// can have a format of its own. The watermark of the pipeline is the least one of all partitions of all
    /// sources.
    #[must_use]
    pub fn source(mut self, source: impl Source + 'static, decoder: impl Decoder<E> + 'static) -> Self {
        self.parts.sources.push((Box::new(source), Arc::new(decoder)));
        self
    }

    /// Sets the time settings: default windows, out-of-orderness, allowed lateness and horizon. Default:
    /// [`TimeConfig::default`].
    #[must_use]
    pub fn time(mut self, time: TimeConfig) -> Self {
        self.parts.ingress.time = time;
        self
    }

    /// Sets the watermark strategy of each partition, which `strategy` makes from the partition's id.
    /// Default: bounded out-of-orderness, by the [time settings](Self::time).
    #[must_use]
    pub fn watermarks(
        mut self,
        strategy: impl Fn(&PartitionId) -> Box<dyn WatermarkStrategy> + Send + Sync + 'static,
    ) -> Self {
        self.parts.ingress.watermarks = Some(Arc::new(strategy));
        self
    }

    /// Sets the clock that gives processing time. Default: the system's clock. Tests and replays pass a clock
    /// of their own.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.parts.ingress.clock = clock;
        self
    }

    /// Sets how far, in event time, a partition may be read ahead of the slowest partition and of the sinks.
    /// Default: two minutes, or two panes if that is longer. A small value bounds the memory that a slow sink
    /// or partition costs; a large value lets fast partitions go on meanwhile.
    #[must_use]
    pub fn max_watermark_drift(mut self, drift: Duration) -> Self {
        self.parts.ingress.max_watermark_drift = Some(drift);
        self
    }

    /// Adds a sink, which receives the rows of all tables. Call it once for each sink. Each sink runs on a
    /// thread of its own; in a cluster it runs in process 0.
    ///
    /// A sink that fails transiently holds back reading, by the [drift](Self::max_watermark_drift), until it
    /// works again. A permanent error of a sink stops the pipeline.
    #[must_use]
    pub fn sink(self, sink: impl Sink + 'static) -> Self {
        self.boxed_sink(Box::new(sink))
    }

    /// Adds a sink that was chosen at run time. Otherwise like [`sink`](Self::sink).
    #[must_use]
    pub fn boxed_sink(mut self, sink: Box<dyn Sink>) -> Self {
        self.parts.sinks.push(SinkPlan::whole(sink));
        self
    }

    /// Adds a sink of several shards, for a target that one connection cannot write to fast enough. The rows
    /// about one subject always go to the same shard.
    ///
    /// The shards are spread evenly over the workers of all processes. In each process, `make` is called for
    /// the shards that run there; each has a thread of its own. A time counts as durable when it is durable
    /// in every shard. The shard of a dead letter is chosen by the name of its partition. One shard is the
    /// same as a [`sink`](Self::sink).
    ///
    /// All processes must be given the same number of shards. The number may change from one run to the next.
    #[must_use]
    pub fn sharded_sink<K: Sink + 'static>(
        mut self,
        shards: usize,
        make: impl FnMut(Shard) -> K + Send + 'static,
    ) -> Self {
        self.parts.sinks.push(SinkPlan::sharded(shards, make));
        self
    }

    /// Declares the table of a row type that [`Graph::publish`] publishes, so that sinks can create it when
    /// they are opened.
    #[must_use]
    pub fn table<R: Row>(self) -> Self {
        self.table_of(R::table())
    }

    /// Declares a table of rows that [`Graph::publish_as`] publishes, for tables that are known only at run
    /// time.
    #[must_use]
    pub fn table_of(mut self, table: Table) -> Self {
        self.parts.tables.push(Arc::new(table));
        self
    }

    /// Takes a checkpoint for every `every` of event time, and starts from the newest complete one. Default:
    /// no checkpoints, so a restart reads all input again.
    ///
    /// `every` must be a multiple of the pane, which is the greatest common divisor of all slides. Short
    /// intervals make restarts faster and write more; one minute is a usual value.
    #[must_use]
    pub fn checkpoints(mut self, store: impl CheckpointStore + 'static, every: Duration) -> Self {
        let (store, pause) = (Box::new(store), Duration::ZERO);
        self.parts.checkpoints = Some(Checkpoints { store, every, pause });
        self
    }

    /// Sets the least processing time between two checkpoints, so that fast replays are not slowed by them.
    /// Default: zero. It has no effect without [`checkpoints`](Self::checkpoints), which must come before,
    /// and none in a cluster of processes.
    #[must_use]
    pub fn checkpoint_pause(mut self, pause: Duration) -> Self {
        if let Some(checkpoints) = &mut self.parts.checkpoints {
            checkpoints.pause = pause;
        }
        self
    }

    /// Sets the number of worker threads in this process. Default: 1. Results do not depend on it.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.parts.cluster.workers = workers;
        self
    }

    /// Runs this process as the one with index `process` of a cluster, whose `addresses` (`host:port`) all
    /// processes must be given in the same order. [`start`](Self::start) waits for the other processes. Sinks
    /// run in process 0, except [sinks of several shards](Self::sharded_sink). Default: one process.
    ///
    /// The processes talk to each other without authentication and encryption, so the network must be
    /// private.
    #[must_use]
    pub fn cluster(mut self, process: usize, addresses: Vec<String>) -> Self {
        self.parts.cluster.process = process;
        self.parts.cluster.addresses = addresses;
        self
    }

    /// Sets how long [`start`](Self::start) retries while a source, a sink or the checkpoint store fails
    /// transiently, so that services may come up in any order. Default: 30 s for all together. A permanent
    /// error is returned at once. Once the pipeline runs, transient errors are retried without limit.
    #[must_use]
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.parts.startup_timeout = timeout;
        self
    }

    /// Sets how long [draining](crate::Running::drain) may take in all. Default: 8 s, as container runtimes
    /// kill a process 10 s after the order to stop. If a sink or the checkpoint store is not done by then,
    /// draining is given up: the last complete checkpoint is kept, and
    /// [`Report::unfinished`](crate::Report::unfinished) says what is missing.
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.parts.drain_timeout = timeout;
        self
    }

    /// Returns a handle that stops the pipeline from another thread, also while [`start`](Self::start) waits
    /// for an external system.
    #[must_use]
    pub fn stop_signal(&self) -> StopSignal {
        StopSignal(self.parts.failure.clone())
    }
}

/// Groupings, and rows and streams made directly from events.
impl<E: Events, L: LastPlan<E>> Pipeline<E, L> {
    /// Adds a grouping: events are aggregated by their own key in windows, and each window is a row of the
    /// table `table`. `make` composes the aggregate from named parts, whose names become columns.
    ///
    /// The table has the key's columns (see [`key_columns`](Self::key_columns)), then `window_start`,
    /// `window_end`, the columns of the aggregate, `revision` and `updated_at`. A key has no row for a window
    /// without any of its events.
    #[must_use]
    pub fn group<A: Aggregate<E>>(
        self,
        table: &str,
        windows: WindowKind,
        make: impl FnOnce(Aggregates<E>) -> A,
    ) -> Pipeline<E, Group<E, E::Key, A, OwnKey>> {
        self.with_last(Group::new(table, OwnKey, windows, make(Aggregates::new())))
    }

    /// Adds a grouping by a key that a closure computes from the event. Otherwise like
    /// [`group`](Self::group). A pipeline may have any number of groupings; the input is read once.
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

    /// Writes events to a table of their own: those for which `pick` returns a row. Such rows are inserted
    /// once and never corrected. The row type's table is declared by this too.
    #[must_use]
    pub fn rows<R: Row, F>(self, pick: F) -> Pipeline<E>
    where
        F: for<'a> Fn(&E::Of<'a>) -> Option<R> + Send + Sync + 'static,
    {
        let mut pipeline = self.finish_last();
        pipeline.parts.plans.push(Box::new(Collect::rows(Layout::<R>::of_row(), pick)));
        pipeline
    }

    /// Builds operators on a stream of values that `pick` takes from events. `build` is called once on every
    /// worker, with the graph and the stream; each value has the effective time of its event. `name`
    /// identifies the stream in checkpoints, so it must be unique and stay the same from run to run.
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

    /// Returns the pipeline with another last grouping; the previous one is finished.
    fn with_last<N>(self, last: N) -> Pipeline<E, N> {
        Pipeline { parts: self.finish_last().parts, last }
    }

    /// Returns the pipeline with its last grouping added to the others.
    pub(crate) fn finish_last(mut self) -> Pipeline<E> {
        self.parts.plans.extend(self.last.finish());
        Pipeline { parts: self.parts, last: () }
    }
}
