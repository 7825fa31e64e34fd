//! The start of a pipeline: checks, opening of sources and sinks, restoring, and the start of its threads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::{EventTime, Events};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::trigger::CheckpointTrigger;
use crate::checkpoint::writer::{Stored, Writer};
use crate::cluster::coordinator::StartState;
use crate::deliver::placement::{self, OpenSinks, SinkStart};
use crate::deliver::slow::SlowBatches;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::exporter::Monitored;
use crate::observe::metrics::Value;
use crate::pipeline::builder::{Checkpoints, Cluster, Parts, Pipeline};
use crate::pipeline::checks::Checked;
use crate::pipeline::finish::Finish;
use crate::pipeline::handle::{self, RunParts, Running};
use crate::pipeline::plan::LastPlan;
use crate::pipeline::restore::{Restored, forget_after, report};
use crate::pipeline::worker::Blueprint;
use crate::read::ingress::{Floors, Ingress};
use crate::read::prepare::prepared;
use crate::read::sources::{self, Opened, Opening};
use crate::spill::Spill;
use crate::support::failure::{PipelineError, RestoreError};
use crate::support::retry::RetryDeadline;

impl<E: Events, L: LastPlan<E>> Pipeline<E, L> {
    /// Starts the pipeline: checks the settings, reads the newest checkpoint, opens sources and sinks, and
    /// starts the workers. It returns the handle of the running pipeline when the workers run; in a cluster,
    /// when all processes are connected.
    ///
    /// While an external system fails transiently, it retries for the [startup
    /// timeout](Self::startup_timeout). This blocks the calling thread, so in asynchronous code call it on a
    /// thread for blocking work, as `tokio::task::spawn_blocking` provides.
    ///
    /// # Errors
    ///
    /// * [`PipelineError::Config`] for settings that cannot work; the error says what to change.
    /// * [`PipelineError::Restore`] if the checkpoint store cannot be used, or its checkpoint does not fit
    ///   this pipeline; [`check_restore`](Self::check_restore) tests that beforehand.
    /// * [`PipelineError::Open`] or [`PipelineError::Sink`] if a source or a sink cannot be opened in time.
    /// * [`PipelineError::Worker`] if a thread cannot be started, or the address of this process in a cluster
    ///   cannot be used.
    /// * [`PipelineError::Stopped`] if the pipeline was stopped by its [`StopSignal`](crate::StopSignal)
    ///   before it ran.
    ///
    /// No event has been read when one of these is returned. Errors after the workers have started are
    /// returned by [`Running::wait`].
    pub fn start(self) -> Result<Running, PipelineError> {
        let parts = self.finish_group().parts;
        let failure = parts.failure.clone();
        match parts.run() {
            // An error after the order to stop was caused by it, or does not matter any more.
            Err(_) if failure.is_halted() => Err(PipelineError::Stopped),
            started => started,
        }
    }
}

impl<E: Events> Parts<E> {
    fn run(mut self) -> Result<Running, PipelineError> {
        let checked = self.check()?;
        let spill = self.spill.take().map(Spill::open).transpose()?;
        let cluster = self.cluster.clone();
        let processes = cluster.addresses.len().max(1);
        let peers = processes * cluster.workers;
        let failure = self.failure.clone();
        let name = Value::from(self.name.as_str());
        let deadline = RetryDeadline::new(self.startup_timeout, &failure);
        let fingerprint = self.fingerprint();
        let Restored { checkpoint: restored, floors, definition, plan, goes_back } =
            self.restore(&checked, (cluster.process, processes), &deadline)?;
        let Checked { time, pane, horizon, tables, every } = checked;
        if let Some(plan) = &plan {
            report(plan);
        }
        let (log, patience) = (Arc::new(FloorLog::new(self.floor_settings(pane))), self.startup_timeout);
        let floors = floors.map(|restored| Floors { log: Arc::clone(&log), restored, patience });
        let ingest_time = telemetra_core::TimeConfig { windows: pane, ..time.clone() };
        let resume = restored.as_ref().map(|restored| restored.boundary);

        let (interval, pause) = match &self.checkpoints {
            Some(checkpoints) if processes == 1 => (every, checkpoints.pause),
            _ => (every, Duration::ZERO),
        };
        let trigger = CheckpointTrigger::new(interval, pause, cluster.workers, pane.slide(), resume);
        let trigger = trigger.with_cut_at_the_end(processes == 1).with_defects(self.defects);
        let opening = Opening {
            process: cluster.process,
            processes,
            restored: restored.as_ref(),
            revisable_from: definition.revisable_from,
            trigger,
            floors,
            failure: failure.clone(),
            deadline: deadline.clone(),
        };
        let (sources, decoders) = prepared(std::mem::take(&mut self.sources));
        let ingress_config =
            crate::read::ingress::IngressConfig { time: ingest_time, ..self.ingress.clone() };
        let Opened { ingress: shared, discoveries, partitions } =
            sources::open(ingress_config, sources, opening)?;
        let ingress = Ingress { shared: Arc::clone(&shared), decoders: decoders.into() };
        let changed: BTreeSet<String> =
            plan.iter().flat_map(|plan| plan.changed_tables.iter().cloned()).collect();
        let changed = Arc::new(changed);
        let shards = self.sinks.iter().map(|sink| sink.shards).collect();
        let place = (cluster.process, processes, cluster.workers);
        let OpenSinks { placements, handles, mut threads } = placement::open(
            self.sinks,
            &name,
            place,
            &SinkStart {
                tables: &tables,
                resume: resume.map(|boundary| boundary.minus(1)),
                changed: &changed,
                stands_by: self.stands_by,
                slow: &SlowBatches::new(self.slow_batch, &shared.traces),
            },
            &deadline,
            &failure,
        )?;

        let ahead =
            handles.iter().find(|sink| resume.is_some_and(|boundary| sink.gauge.durable() >= boundary));
        if let Some((sink, plan)) = ahead.zip(plan.as_ref())
            && let Some(change) = &plan.moves_times
        {
            // The threads of the sinks end with the queues, which are dropped here.
            let (boundary, durable) = (plan.boundary, sink.gauge.durable());
            let (sink, change) = (sink.name.clone(), change.clone());
            return Err(RestoreError::Ahead { boundary, sink, durable, change }.into());
        }
        if let Some((boundary, checkpoints)) = goes_back.zip(self.checkpoints.as_mut()) {
            forget_after(&mut *checkpoints.store, boundary, &deadline)?;
        }
        let durable = handles.iter().map(|sink| sink.gauge.durable()).max().unwrap_or_default();
        let start_state = StartState { resume, settings: fingerprint.clone(), shards, partitions, durable };

        let gauge = Arc::new(CheckpointGauge::default());
        let (mut messages_to_writer, mut messages_to_savepoints) = (None, None);
        let stored: Vec<Stored> = (0..cluster.workers).map(|_| Stored::default()).collect();
        let has_checkpoints = self.checkpoints.is_some();
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
                definition,
                pipeline: Arc::clone(&name),
                newest: resume.unwrap_or(EventTime::MIN),
                efforts: BTreeMap::new(),
                commit: {
                    let shared = Arc::clone(&shared);
                    Box::new(move |boundary| shared.commit(boundary))
                },
                floors: log,
                gauge: Arc::clone(&gauge),
                failure: failure.clone(),
            };
            threads.push(writer.start(messages).map_err(|error| PipelineError::Worker(error.to_string()))?);
            messages_to_savepoints = (cluster.process == 0).then(|| parts.clone());
            messages_to_writer = Some(parts);
        }

        let monitored = (0..cluster.workers).map(|_| Monitored::default()).collect::<Arc<[_]>>();
        let blueprint = Blueprint {
            ingress,
            time,
            horizon,
            plans: self.plans,
            tables: Arc::new(tables.iter().map(|table| table.name().to_owned()).collect()),
            placements: Mutex::new(placements),
            restored: {
                let handles =
                    restored.map(|restored| std::iter::repeat_n(Arc::new(restored), cluster.workers));
                Mutex::new(handles.into_iter().flatten().collect())
            },
            messages: Mutex::new(messages_to_writer),
            stored,
            failure: failure.clone(),
            finish: Arc::new(Finish::new(cluster.workers, Arc::clone(&gauge), self.drain_timeout)),
            checkpoints: Arc::clone(&gauge),
            frontier: Arc::default(),
            cluster: (cluster.process, cluster.workers),
            processes,
            start_state,
            monitored: Arc::clone(&monitored),
            operator_times: self.operator_times,
            defects: self.defects,
            spill: spill.clone(),
        };
        let parts = RunParts {
            name,
            spill,
            monitored,
            has_checkpoints,
            ingress: shared,
            sinks: handles,
            checkpoints: gauge,
            failure,
            threads,
            discoveries,
            plan,
            messages: messages_to_savepoints,
        };
        handle::run(blueprint, cluster.timely(), parts)
    }
}

impl Cluster {
    /// Returns timely's configuration of threads and processes.
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
