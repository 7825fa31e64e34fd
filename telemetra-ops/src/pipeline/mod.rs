//! The pipeline: sources, an accumulator, rules, sinks and a checkpoint store, checked, run and watched.
//!
//! Built on the graph API and on nothing a user cannot reach: [`Ingress`](crate::Ingress), [`Ingest`](crate::Ingest),
//! [`Windows`](crate::Windows), [`Moments`](crate::Moments), [`Publish`](crate::Publish) and threads.

mod check;
mod graph;
mod handle;
mod meter;
mod start;
mod status;

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{
    Clock, Decoder, EventAccumulator, EventTime, MomentRule, Sentiment, Shard, Sink, Source, TimeConfig,
};

pub use graph::Graph;
pub use handle::{Drain, Report, Running};
pub use status::{PipelineStatus, SinkStatus};

use crate::ingress::IngressConfig;
use crate::outlet::SinkPlan;

/// A hook that adds operators to every worker's graph.
type Extension<A> = Arc<dyn for<'scope> Fn(&Graph<'scope, A>) + Send + Sync>;

/// What a pipeline is made of. Nothing runs before [`start`](Self::start).
///
/// See the facade crate for a whole example.
pub struct Pipeline<A: EventAccumulator> {
    ingress: IngressConfig,
    sources: Vec<(Box<dyn Source>, Arc<dyn Decoder>)>,
    rules: Vec<MomentRule<A::Output>>,
    sinks: Vec<SinkPlan<A::Output>>,
    checkpoints: Option<Checkpoints>,
    extensions: Vec<Extension<A>>,
    cluster: Cluster,
    patience: Duration,
    name: String,
    operator_times: bool,
    accumulator: PhantomData<A>,
}

struct Checkpoints {
    store: Box<dyn CheckpointStore>,
    every: u64,
    pause: Duration,
}

/// The threads and processes that a pipeline runs on.
#[derive(Clone, Debug)]
struct Cluster {
    workers: usize,
    process: usize,
    addresses: Vec<String>,
}

impl<A: EventAccumulator> Default for Pipeline<A> {
    fn default() -> Self {
        Self {
            ingress: IngressConfig::default(),
            sources: Vec::new(),
            rules: Vec::new(),
            sinks: Vec::new(),
            checkpoints: None,
            extensions: Vec::new(),
            cluster: Cluster { workers: 1, process: 0, addresses: Vec::new() },
            patience: Duration::from_secs(30),
            name: "telemetra".to_owned(),
            operator_times: false,
            accumulator: PhantomData,
        }
    }
}

impl<A: EventAccumulator> std::fmt::Debug for Pipeline<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("ingress", &self.ingress)
            .field("rules", &self.rules)
            .field("cluster", &self.cluster)
            .finish_non_exhaustive()
    }
}

impl<A: EventAccumulator> Pipeline<A> {
    /// A pipeline of one worker with the default settings of time, no source and no sink.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads from this source, its records decoded by `decoder`. May be called for several sources.
    #[must_use]
    pub fn source(mut self, source: impl Source + 'static, decoder: impl Decoder + 'static) -> Self {
        self.sources.push((Box::new(source), Arc::new(decoder)));
        self
    }

    /// The settings of time.
    #[must_use]
    pub fn time(mut self, time: TimeConfig) -> Self {
        self.ingress.time = time;
        self
    }

    /// Where processing time comes from; by default the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.ingress.clock = clock;
        self
    }

    /// How the mood of chat messages is scored; by default not at all.
    #[must_use]
    pub fn sentiment(mut self, sentiment: Arc<dyn Sentiment>) -> Self {
        self.ingress.sentiment = Some(sentiment);
        self
    }

    /// How far, in milliseconds of event time, reading may be ahead of the slowest partition and of the sinks; by default two
    /// minutes. It bounds memory when a sink is slow.
    #[must_use]
    pub fn lead(mut self, lead: u64) -> Self {
        self.ingress.lead = lead;
        self
    }

    /// Watches summaries by these rules, besides those given before.
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = MomentRule<A::Output>>) -> Self {
        self.rules.extend(rules);
        self
    }

    /// Keeps this sink in step with the answer. May be called for several sinks; each runs on a thread of its own, in a
    /// cluster in process 0.
    #[must_use]
    pub fn sink(self, sink: impl Sink<A::Output> + 'static) -> Self {
        self.boxed_sink(Box::new(sink))
    }

    /// The same for a sink chosen at run time.
    #[must_use]
    pub fn boxed_sink(mut self, sink: Box<dyn Sink<A::Output>>) -> Self {
        self.sinks.push(SinkPlan::whole(sink));
        self
    }

    /// Keeps a store in step by several sinks that share its rows, where one does not write fast enough. The rows of a stream go to
    /// one shard. Shards live evenly on the workers of all processes; `make` is called in a process for those that live
    /// there, and they are opened there, each on a thread of its own. A time is durable when it is in every shard.
    ///
    /// Dead letters go to the shard that the name of their partition falls to. One shard is the same as a
    /// [`sink`](Self::sink). All processes must be given the same number; from one life to the next it may change.
    ///
    /// ```
    /// # use telemetra_core::{Batch, Count, EventTime, ExternalError, Shard, Sink};
    /// use telemetra_ops::Pipeline;
    ///
    /// struct Table(Shard);
    /// impl Sink<u64> for Table {
    /// #   fn name(&self) -> &str {
    /// #       "table"
    /// #   }
    /// #   fn open(&mut self, _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
    /// #       Ok(None)
    /// #   }
    ///     fn apply(&mut self, batches: &[Batch<u64>]) -> Result<(), ExternalError> {
    ///         // Has the streams of which `Shard::index_of(stream, self.0.of)` is `self.0.index`.
    /// #       Ok(())
    ///     }
    /// }
    /// let pipeline = Pipeline::<Count>::new().sharded_sink(4, Table);
    /// ```
    #[must_use]
    pub fn sharded_sink<K: Sink<A::Output> + 'static>(
        mut self,
        shards: usize,
        make: impl FnMut(Shard) -> K + Send + 'static,
    ) -> Self {
        self.sinks.push(SinkPlan::sharded(shards, make));
        self
    }

    /// Takes a checkpoint every `every` milliseconds of event time, but not more often than every `pause` of processing time, and
    /// starts from the newest complete one. In a cluster of processes, `pause` is passed over and all
    /// processes need the same store.
    #[must_use]
    pub fn checkpoints(mut self, store: impl CheckpointStore + 'static, every: u64, pause: Duration) -> Self {
        self.checkpoints = Some(Checkpoints { store: Box::new(store), every, pause });
        self
    }

    /// Runs on this many threads of this process.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.cluster.workers = workers;
        self
    }

    /// Runs as one process of a cluster: the one with index `process` in the list of their addresses (`host:port`), which
    /// all must be given alike. Start-up waits for the others. The network must be private: there is neither
    /// authentication nor encryption. Sinks live in process 0, but for [those of several shards](Self::sharded_sink).
    #[must_use]
    pub fn cluster(mut self, process: usize, addresses: Vec<String>) -> Self {
        self.cluster.process = process;
        self.cluster.addresses = addresses;
        self
    }

    /// How long [`start`](Self::start) tries again when a source, a sink or the checkpoint store fails for the moment, so that
    /// services may come up in any order; by default 30 seconds in all. An error that trying again does not cure is
    /// returned at once. Once the pipeline runs, what fails for the moment is tried again without end.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// What the [metrics](crate::metric) call it, by default `telemetra`. Of the pipelines of one process each needs its own.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Measures the time that is spent in each operator, by timely's own event log, for the metric
    /// `telemetra_operator_busy_seconds_total`; by default off, as the clock is then read at every step.
    #[must_use]
    pub fn operator_times(mut self, measured: bool) -> Self {
        self.operator_times = measured;
        self
    }

    /// Adds operators of one's own to every worker's graph, downstream of the library's.
    #[must_use]
    pub fn extend(
        mut self,
        extension: impl for<'scope> Fn(&Graph<'scope, A>) + Send + Sync + 'static,
    ) -> Self {
        self.extensions.push(Arc::new(extension));
        self
    }
}

/// How far everything is durable, for reports.
#[derive(Debug, Default)]
pub(crate) struct Frontier(std::sync::atomic::AtomicU64);

impl Frontier {
    pub(crate) fn set(&self, time: EventTime) {
        self.0.store(time.0, std::sync::atomic::Ordering::Release);
    }

    pub(crate) fn get(&self) -> EventTime {
        EventTime(self.0.load(std::sync::atomic::Ordering::Acquire))
    }
}
