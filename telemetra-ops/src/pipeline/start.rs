//! Starting: from settings to threads at work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use telemetra_core::EventAccumulator;

use super::graph::Blueprint;
use super::handle::{self, Parts};
use super::meter::Monitored;
use super::{Checkpoints, Cluster, Pipeline, Running};
use crate::checkpoint::Restored;
use crate::council::Pledge;
use crate::cut::Cuts;
use crate::failure::{Failure, PipelineError, RestoreError};
use crate::ingress::Ingress;
use crate::metric::Value;
use crate::open::{Opened, Opening};
use crate::outlet::{self, Outlets};
use crate::trouble::Patience;
use crate::writer::{CheckpointGauge, Stored, Writer};

impl<A: EventAccumulator> Pipeline<A> {
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
        let name = Value::from(self.name.as_str());
        let patience = Patience::new(self.patience);
        let fingerprint = self.fingerprint();
        let restored = match &mut self.checkpoints {
            Some(Checkpoints { store, .. }) => {
                let claim = || store.claim(cluster.process, processes);
                patience.wait("claiming the checkpoint store", claim).map_err(RestoreError::Store)?;
                Restored::read(&mut **store, &fingerprint, patience)?
            }
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
            patience,
        };
        let sources = std::mem::take(&mut self.sources);
        let Opened { ingress, scouts, partitions } =
            Ingress::open_with(self.ingress.clone(), sources, opening)?;
        let shards = self.sinks.iter().map(|sink| sink.shards).collect();
        let place = (cluster.process, processes, cluster.workers);
        let Outlets { outlets, handles, mut threads } = outlet::open(
            self.sinks,
            &name,
            place,
            resume.map(|boundary| boundary.minus(1)),
            patience,
            &failure,
        )?;

        let durable = handles.iter().map(|sink| sink.gauge.durable()).max().unwrap_or_default();
        let pledge = Pledge { resume, settings: fingerprint.clone(), shards, partitions, durable };

        let gauge = Arc::new(CheckpointGauge::default());
        let mut recorder = None;
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
                pipeline: Arc::clone(&name),
                efforts: BTreeMap::new(),
                ingress: ingress.clone(),
                gauge: Arc::clone(&gauge),
                failure: failure.clone(),
            };
            threads.push(writer.start(messages).map_err(|error| PipelineError::Worker(error.to_string()))?);
            recorder = Some(parts);
        }

        let monitored = (0..cluster.workers).map(|_| Monitored::default()).collect::<Arc<[_]>>();
        let blueprint = Blueprint {
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
            cluster: (cluster.process, cluster.workers),
            processes,
            pledge,
            monitored: Arc::clone(&monitored),
            operator_times: self.operator_times,
        };
        let parts = Parts {
            name,
            monitored,
            has_checkpoints,
            ingress,
            sinks: handles,
            checkpoints: gauge,
            failure,
            threads,
            scouts,
        };
        handle::run(blueprint, cluster.timely(), parts)
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
