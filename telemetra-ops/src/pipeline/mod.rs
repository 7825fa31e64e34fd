//! The pipeline: sources, an accumulator, rules, sinks and a checkpoint store, checked, run and watched.
//!
//! Built on the graph API and on nothing a user cannot reach: [`Ingress`](crate::Ingress), [`Ingest`](crate::Ingest),
//! [`Windows`](crate::Windows), [`Moments`](crate::Moments), [`Publish`](crate::Publish) and threads.

mod graph;
mod handle;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{
    Clock, ConfigError, Decoder, EventAccumulator, EventTime, MomentRule, Sentiment, Sink, Source, TimeConfig,
};

pub use graph::Graph;
pub use handle::{Drain, PipelineStatus, Report, Running, SinkStatus};

use crate::checkpoint::Restored;
use crate::courier::{Courier, SinkGauge};
use crate::cut::Cuts;
use crate::failure::{Failure, PipelineError};
use crate::ingress::{Ingress, IngressConfig};
use crate::open::Opening;
use crate::writer::{CheckpointGauge, Stored, Writer};

/// A hook that adds operators to every worker's graph.
type Extension<A> = Arc<dyn for<'scope> Fn(&Graph<'scope, A>) + Send + Sync>;

/// What a pipeline is made of. Nothing runs before [`start`](Self::start).
///
/// See the facade crate for a whole example.
pub struct Pipeline<A: EventAccumulator> {
    ingress: IngressConfig,
    sources: Vec<(Box<dyn Source>, Arc<dyn Decoder>)>,
    rules: Vec<MomentRule<A::Output>>,
    sinks: Vec<Box<dyn Sink<A::Output>>>,
    checkpoints: Option<Checkpoints>,
    extensions: Vec<Extension<A>>,
    cluster: Cluster,
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

    /// Keeps this sink in step with the answer. May be called for several sinks; each runs on a thread of its own.
    #[must_use]
    pub fn sink(self, sink: impl Sink<A::Output> + 'static) -> Self {
        self.boxed_sink(Box::new(sink))
    }

    /// The same for a sink chosen at run time.
    #[must_use]
    pub fn boxed_sink(mut self, sink: Box<dyn Sink<A::Output>>) -> Self {
        self.sinks.push(sink);
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
    /// authentication nor encryption. Sinks live in process 0.
    #[must_use]
    pub fn cluster(mut self, process: usize, addresses: Vec<String>) -> Self {
        self.cluster.process = process;
        self.cluster.addresses = addresses;
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

    /// Checks the settings, opens sources and sinks, restores the newest checkpoint, and starts the workers.
    ///
    /// # Errors
    ///
    /// If a setting cannot work, or something outside cannot be reached.
    pub fn start(mut self) -> Result<Running, PipelineError> {
        let samples = self.check()?;
        let cluster = self.cluster.clone();
        let processes = cluster.addresses.len().max(1);
        let peers = processes * cluster.workers;
        let failure = Failure::default();
        let fingerprint = self.fingerprint();
        let restored = match &mut self.checkpoints {
            Some(checkpoints) => Restored::read(&mut *checkpoints.store, &fingerprint)?,
            None => None,
        };
        let resume = restored.as_ref().map(|restored| restored.boundary);

        let (interval, pause) = match &self.checkpoints {
            Some(checkpoints) if processes == 1 => (Some(checkpoints.every), checkpoints.pause),
            Some(checkpoints) => (Some(checkpoints.every), Duration::ZERO),
            None => (None, Duration::ZERO),
        };
        let cuts = Cuts::new(interval, pause, cluster.workers, self.ingress.time.windows.slide(), resume);
        let windows = self.ingress.time.window_rules(samples);
        let opening = Opening {
            process: cluster.process,
            processes,
            restored: restored.as_ref(),
            cuts,
            failure: failure.clone(),
        };
        let sources = std::mem::take(&mut self.sources);
        let ingress = Ingress::open_with(self.ingress.clone(), sources, opening)?;

        let mut threads = Vec::new();
        let mut outlets = Vec::new();
        let mut gauges = Vec::new();
        for (number, mut sink) in self.sinks.drain(..).enumerate() {
            let name = sink.name().to_owned();
            // All processes build the same graph; the sinks themselves live in the first.
            let mut outlet = graph::Outlet { home: number % cluster.workers, courier: None, durable: None };
            if cluster.process == 0 {
                let failed = |source| PipelineError::Sink { sink: name.clone(), source };
                outlet.durable = sink.open(resume.map(|boundary| boundary.minus(1))).map_err(failed)?;
                let gauge = Arc::new(SinkGauge::default());
                let started = Courier::start(sink, Arc::clone(&gauge), failure.clone());
                let (courier, thread) = started.map_err(|error| PipelineError::Worker(error.to_string()))?;
                outlet.courier = Some(courier);
                threads.push(thread);
                gauges.push((name, gauge));
            }
            outlets.push(outlet);
        }

        let gauge = Arc::new(CheckpointGauge::default());
        let mut recorder = None;
        let stored: Vec<Stored> = (0..cluster.workers).map(|_| Stored::default()).collect();
        if let Some(Checkpoints { store, .. }) = self.checkpoints.take() {
            let (parts, messages) = channel();
            let writer = Writer {
                store,
                first_worker: cluster.process * cluster.workers,
                stored: stored.clone(),
                process: cluster.process,
                processes,
                peers,
                fingerprint,
                ingress: ingress.clone(),
                gauge: Arc::clone(&gauge),
                failure: failure.clone(),
            };
            threads.push(writer.start(messages).map_err(|error| PipelineError::Worker(error.to_string()))?);
            recorder = Some(parts);
        }

        let blueprint = graph::Blueprint {
            ingress: ingress.clone(),
            windows,
            rules: self.rules.into(),
            outlets: std::sync::Mutex::new(outlets),
            extensions: self.extensions,
            restored: restored.map(Arc::new),
            recorder: std::sync::Mutex::new(recorder),
            stored,
            failure: failure.clone(),
            frontier: Arc::default(),
            halt: Arc::default(),
            cluster: (cluster.process, cluster.workers),
            processes,
        };
        handle::run(blueprint, cluster.timely(), ingress, gauges, gauge, failure, threads)
    }

    /// Checks the settings, and returns the number of windows of the longest baseline.
    fn check(&self) -> Result<u32, PipelineError> {
        let samples = self.rules.iter().map(|rule| rule.detector.max_samples()).max().unwrap_or(0);
        self.ingress.check(samples, self.sources.len(), self.cluster.workers)?;
        let processes = self.cluster.addresses.len();
        if self.cluster.process >= processes.max(1) {
            let detail = format!("there is no process {} of {processes}", self.cluster.process);
            return Err(ConfigError::new("process", detail, "processes count from 0").into());
        }
        let slide = self.ingress.time.windows.slide();
        if let Some(Checkpoints { every, .. }) = &self.checkpoints
            && (*every == 0 || every % slide != 0)
        {
            let detail = format!("{every} ms is not a multiple of the slide of {slide} ms");
            return Err(ConfigError::new("checkpoints", detail, "cuts are made between panes").into());
        }
        for (index, rule) in self.rules.iter().enumerate() {
            if self.rules[..index].iter().any(|other| other.moment_type == rule.moment_type) {
                let detail = format!("two rules make moments of the type `{}`", rule.moment_type);
                return Err(ConfigError::new("rules", detail, "give each a type of its own").into());
            }
        }
        Ok(samples)
    }

    /// What state depends on: a checkpoint made with other settings does not fit.
    fn fingerprint(&self) -> String {
        let TimeConfig { windows, allowed_lateness, out_of_orderness, deduplicate, horizon, .. } =
            &self.ingress.time;
        let rules: Vec<_> = self.rules.iter().map(|rule| &rule.moment_type).collect();
        format!(
            "size {} slide {} lateness {allowed_lateness} disorder {out_of_orderness} horizon {horizon:?} deduplicate {deduplicate} rules {rules:?} of {}",
            windows.size(),
            windows.slide(),
            std::any::type_name::<A>(),
        )
    }
}

impl Cluster {
    fn timely(&self) -> timely::Config {
        if self.addresses.len() < 2 {
            return timely::Config::process(self.workers);
        }
        timely::Config {
            communication: timely::CommunicationConfig::Cluster {
                threads: self.workers,
                process: self.process,
                addresses: self.addresses.clone(),
                report: false,
                zerocopy: false,
            },
            worker: timely::WorkerConfig::default(),
        }
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
