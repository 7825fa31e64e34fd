//! The pipeline builder: settings, sources, groupings and sinks, collected as plans.
//!
//! Every method moves the builder and returns it; nothing is opened, allocated for state or started here. A
//! grouping is kept apart (the type parameter `L`) until the next one is added, as long as its own settings
//! may follow; then it becomes one of the plans. [`start`](Pipeline::start) checks the whole, opens sources
//! and sinks, and has every worker build the same dataflow from the same plans.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{Decoder, Events, Row, Source, Table};

use crate::deliver::placement::SinkPlan;
use crate::pipeline::finish::StopSignal;
use crate::pipeline::plan::Plan;
use crate::read::ingress::IngressConfig;
use crate::spill::SpillConfig;
use crate::support::defects::EngineDefects;
use crate::support::failure::Failure;

/// The builder of a streaming job over events of type `E`: sources, groupings, rules, sinks and a checkpoint
/// store. Nothing runs before [`start`](Self::start), which returns a [`Running`](crate::Running) handle.
///
/// `L` is the type of the grouping that was added last. Methods such as [`key_columns`](Self::key_columns),
/// [`filter`](Self::filter) and [`rules`](Self::rules) configure that grouping, so they come directly after
/// [`group`](Self::group) or [`group_by`](Self::group_by). You do not need to name `L`:
/// [`finish_group`](Self::finish_group) makes it `()` again.
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
///
/// # Data flow
///
/// Each partition of each source is read by one process, decoded by any of its workers, and folded in place
/// into one partial aggregate per key, pane and grouping. Partials cross to the worker of their key, which
/// merges them into windows; windows that close or are corrected become rows, and the rows of one event time
/// reach each sink as one batch. Guides are in the documents of the crate
/// [`telemetra`](https://docs.rs/telemetra).
///
/// # Cost
///
/// The input is read and decoded once, however many groupings there are. A grouping costs each event one hash
/// look-up and one `add` of its aggregate. Its state, for each key, is the panes of `window size + allowed
/// lateness`, and the finished values of the windows within the [horizon](telemetra_core::TimeConfig::horizon).
///
/// Threads: one for each worker and for each shard of a sink, one for the checkpoint store, one for
/// [metrics](crate::metric), and one for each source that looks for new partitions. The library uses no
/// asynchronous runtime.
///
/// # Restarts
///
/// With [`checkpoints`](Self::checkpoints) a restart continues from the last complete checkpoint, and each
/// sink skips the batches up to the event time that it has already: the tables equal those of a run without
/// interruption. The state in a checkpoint is found by name: the table of a grouping, or its
/// [`state_name`](Self::state_name). A grouping whose name changed starts empty. Use
/// [`check_restore`](Self::check_restore) to see, without starting, what a changed pipeline would keep of a
/// checkpoint.
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
    pub(crate) spill: Option<SpillConfig>,
    pub(crate) savepoint: Option<SavepointStart>,
    /// True if sinks that another pipeline writes to are left to it until they are taken over.
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
            spill: None,
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
    /// Creates a pipeline named `telemetra` with one worker, the default [time settings](telemetra_core::TimeConfig), and no
    /// source, grouping, sink or checkpoint store. At least one source must be added before
    /// [`start`](Self::start).
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// Tables, state on disk, workers and processes.
impl<E: Events, L> Pipeline<E, L> {
    /// Declares the table of a row type that [`Graph::publish`](crate::Graph::publish) publishes, so that
    /// sinks can create it when they are opened. Groupings, [`rows`](Self::rows) and
    /// [`publish`](Self::publish) declare their tables themselves.
    ///
    /// [`start`](Self::start) fails if the table's definition is not valid or another one has the same name.
    #[must_use]
    pub fn table<R: Row>(self) -> Self {
        self.table_of(R::table())
    }

    /// Declares a table of rows that [`Graph::publish_as`](crate::Graph::publish_as) publishes, for tables
    /// that are known only at run time. Otherwise like [`table`](Self::table).
    #[must_use]
    pub fn table_of(mut self, table: Table) -> Self {
        self.parts.tables.push(Arc::new(table));
        self
    }

    /// Moves the state of keys to files on disk when it exceeds a limit of memory. Default: all state is in
    /// memory.
    ///
    /// It applies to the windows of sliding and tumbling groupings and to their moments; sessions, early
    /// results and operators of your own stay in memory. The results are the same. Keys without recent events
    /// are written first, and are read again when an event arrives or they are due. The limit applies to this
    /// process and is divided evenly among its operators and workers. While a snapshot for a checkpoint is
    /// taken, its content is in memory too.
    ///
    /// Use it when most keys have no events for long times. A key that is read and written again costs the
    /// disk twice its encoded state.
    ///
    /// [`start`](Self::start) refuses a folder that it cannot write to. A disk that is full or fails later
    /// ends the pipeline with [`PipelineError::Spill`](crate::PipelineError::Spill).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, SpillConfig, minutes, tumbling};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let lines = (0..1000).map(|n| format!(r#"{{"device": "d{n}", "time": {}}}"#, n * 1000));
    /// let report = Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .spill(SpillConfig::new(folder.path()).memory(10_000))
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?
    ///     .wait()?;
    /// assert!(report.spill.is_some_and(|spill| spill.writes > 0), "10 kB hold less than 1000 keys");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn spill(mut self, spill: SpillConfig) -> Self {
        self.parts.spill = Some(spill);
        self
    }

    /// Sets the number of worker threads in this process. Default: 1. Results do not depend on it, and it may
    /// differ from one run to the next. In a cluster all processes must have the same number.
    ///
    /// Keys are spread over the workers by hash, and any worker decodes any batch, so more workers help with
    /// one partition too. [`start`](Self::start) refuses 0.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.parts.cluster.workers = workers;
        self
    }

    /// Runs this process as the one with index `process` of a cluster, whose `addresses` (`host:port`) all
    /// processes must be given in the same order. Default: one process.
    ///
    /// [`start`](Self::start) waits for the other processes until a [`StopSignal`] ends this, beyond the
    /// [startup timeout](Self::startup_timeout) too. The processes then compare their
    /// pipelines. If the settings or checkpoints differ, none reads anything, and
    /// [`wait`](crate::Running::wait) returns
    /// [`PipelineError::Disagreement`](crate::PipelineError::Disagreement).
    ///
    /// Sinks run in process 0, except [sinks of several shards](Self::sharded_sink). If one process fails,
    /// the others end with [`PipelineError::Peer`](crate::PipelineError::Peer); start all of them again. The
    /// checkpoint store must be one that all processes reach.
    ///
    /// The connections have no authentication and no encryption, so the network must be private.
    #[must_use]
    pub fn cluster(mut self, process: usize, addresses: Vec<String>) -> Self {
        self.parts.cluster.process = process;
        self.parts.cluster.addresses = addresses;
        self
    }

    /// Sets how long [`start`](Self::start) retries while a source, a sink or the checkpoint store fails
    /// transiently, so that services may come up in any order. Default: 30 s for all together.
    ///
    /// A permanent error is returned at once. Zero means one try. Once the pipeline runs, transient errors
    /// are retried without limit.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use std::time::Duration;
    /// use telemetra_core::{ExternalError, Partition, PartitionId, SerdeJson, Source};
    /// use telemetra_ops::{Pipeline, PipelineError};
    ///
    /// /// A source whose server is not up yet.
    /// struct Down;
    ///
    /// impl Source for Down {
    ///     fn partitions(&mut self) -> Result<Vec<PartitionId>, ExternalError> {
    ///         Err(ExternalError::transient("connection refused"))
    ///     }
    ///     # fn open(&mut self, _: &PartitionId, _: Option<u64>) -> Result<Box<dyn Partition>, ExternalError> { unreachable!() }
    /// }
    ///
    /// let pipeline = Pipeline::<Reading>::new().source(Down, SerdeJson::new());
    /// let started = pipeline.startup_timeout(Duration::from_millis(50)).start();
    /// assert!(matches!(started, Err(PipelineError::Open(_))));
    /// ```
    #[must_use]
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.parts.startup_timeout = timeout;
        self
    }

    /// Sets how long [draining](crate::Running::drain) may take until it is given up. Default: 8 s, as
    /// container runtimes kill a process 10 s after the order to stop.
    ///
    /// Draining is given up if a sink or the checkpoint store is not done by then. The last complete
    /// checkpoint is kept, [`Report::unfinished`](crate::Report::unfinished) says what is not durable, and
    /// the next start reads and writes it again. Calls of sinks and of the store that are then under way have
    /// another eighth of this time to return, 1 s by default.
    ///
    /// After an order to [stop](crate::Running::stop), such calls have the whole of this time to return.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use std::{sync::Arc, time::Duration};
    /// use telemetra_core::{Batch, EventTime, ExternalError, SerdeJson, Sink, Table, source::Memory};
    /// use telemetra_ops::{Drain, Pipeline, minutes, tumbling};
    ///
    /// /// A sink that cannot write now.
    /// struct Down;
    ///
    /// impl Sink for Down {
    ///     fn apply(&mut self, _: &[Batch]) -> Result<(), ExternalError> {
    ///         Err(ExternalError::transient("connection refused"))
    ///     }
    ///     # fn name(&self) -> &str { "down" }
    ///     # fn open(&mut self, _: &[Arc<Table>], _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> { Ok(None) }
    /// }
    ///
    /// let lines = [r#"{"device": "d1", "time": 1000}"#];
    /// let running = Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .sink(Down)
    ///     .drain_timeout(Duration::from_millis(500))
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?;
    /// while running.fates().read < 1 {
    ///     std::thread::yield_now();
    /// }
    /// let report = running.drain(Drain::CloseWindows)?;
    /// assert!(report.unfinished.expect("the sink has nothing").contains("the sink `down` is away"));
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.parts.drain_timeout = timeout;
        self
    }

    /// Returns a handle that stops the pipeline from another thread, also while [`start`](Self::start) waits
    /// for an external system. Take it before `start`, which consumes the builder; for a pipeline that runs
    /// already, and for draining, use [`Running::stop_handle`](crate::Running::stop_handle).
    #[must_use]
    pub fn stop_signal(&self) -> StopSignal {
        StopSignal(self.parts.failure.clone())
    }
}
