//! Opening: from sources to the partitions that a process reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::{
    ConfigError, Decoder, EventTime, Events, ExternalError, Partition, PartitionId, Polled, RecordBatch,
    Source, WindowSpec,
};

use crate::checkpoint::restored::RestoredCheckpoint;
use crate::checkpoint::trigger::CheckpointTrigger;
use crate::cluster::progress::SourceProgress;
use crate::read::discovery::PartitionDiscovery;
use crate::read::ingress::{Floors, Ingress, IngressConfig, Shared};
use crate::read::partition::{OpenPartition, PartitionCheckpoint};
use crate::read::prepare::prepared;
use crate::support::failure::{Failure, PipelineError, RestoreError};
use crate::support::retry::RetryDeadline;
use crate::support::retry::RetryState;

/// The links of partitions to the rest of their pipeline.
pub(crate) struct Opening<'a> {
    /// The number of the process that reads them, of how many.
    pub(crate) process: usize,
    pub(crate) processes: usize,
    /// The positions at which they go on.
    pub(crate) restored: Option<&'a RestoredCheckpoint>,
    /// A pane that ended before this time cannot be revised.
    pub(crate) revisable_from: EventTime,
    pub(crate) trigger: CheckpointTrigger,
    pub(crate) floors: Option<Floors>,
    pub(crate) failure: Failure,
    /// The time for which transient failures are retried.
    pub(crate) deadline: RetryDeadline,
}

/// The result of opening.
pub(crate) struct Opened {
    pub(crate) ingress: Arc<Shared>,
    /// The searches for new partitions.
    pub(crate) discoveries: Vec<PartitionDiscovery>,
    /// The partitions of all processes, as the sources list them.
    pub(crate) partitions: Vec<String>,
}

impl IngressConfig {
    /// Checks that `workers` workers can read `sources` sources for baselines of `samples` windows.
    pub(crate) fn check(
        &self,
        samples: u32,
        sources: usize,
        workers: usize,
        panes: WindowSpec,
    ) -> Result<(), ConfigError> {
        self.time.check(samples)?;
        if sources == 0 {
            return Err(ConfigError::new("source", "the pipeline has no source", "add at least one"));
        }
        if workers == 0 {
            return Err(ConfigError::new("workers", "there are 0 workers", "give at least one"));
        }
        let slide = panes.slide();
        if self.max_watermark_drift.is_some() && self.drift() < 2 * slide {
            let detail = format!("{} ms is less than two slides of {slide} ms", self.drift());
            let hint = "reading could never get ahead; give more";
            return Err(ConfigError::new("max_watermark_drift", detail, hint));
        }
        Ok(())
    }
}

impl<E: Events> Ingress<E> {
    /// Opens all partitions of these sources, each from its beginning, to be read by the `workers` workers of
    /// this process. Each source comes with the decoder of its records. Partitions that are created later are
    /// not found; a [`Pipeline`](crate::Pipeline) does that.
    ///
    /// # Errors
    ///
    /// [`PipelineError::Config`] if a setting cannot work, there is no source or no worker, or two partitions
    /// have one name. [`PipelineError::Open`] if a source cannot be opened: it is tried once, whether the
    /// error is transient or not.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use std::sync::Arc;
    /// use telemetra_core::SerdeJson;
    /// use telemetra_core::source::Memory;
    /// use telemetra_ops::{Ingress, IngressConfig};
    ///
    /// let source = Memory::default().partition("log", ["{}", "{}"]);
    /// let sources = vec![(Box::new(source) as _, Arc::new(SerdeJson::new()) as _)];
    /// let ingress = Ingress::<Reading>::open(IngressConfig::default(), sources, 2)?;
    /// assert_eq!(ingress.status()[0].id.as_str(), "log");
    ///
    /// let none = Ingress::<Reading>::open(IngressConfig::default(), Vec::new(), 2);
    /// assert!(none.unwrap_err().to_string().contains("source"));
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    pub fn open(
        config: IngressConfig,
        sources: Vec<(Box<dyn Source>, Arc<dyn Decoder<E>>)>,
        workers: usize,
    ) -> Result<Self, PipelineError> {
        config.check(0, sources.len(), workers, config.time.windows)?;
        let trigger =
            CheckpointTrigger::new(None, Duration::ZERO, workers, config.time.windows.slide(), None);
        let failure = Failure::default();
        let deadline = RetryDeadline::new(Duration::ZERO, &failure);
        let (process, processes, restored, floors) = (0, 1, None, None);
        let revisable_from = EventTime::MIN;
        let opening =
            Opening { process, processes, restored, revisable_from, trigger, floors, failure, deadline };
        let (sources, decoders) = prepared(sources);
        Ok(Self { shared: open(config, sources, opening)?.ingress, decoders: decoders.into() })
    }

    /// Returns whether reading has failed permanently. Reading has then stopped without closing incomplete
    /// windows, so the dataflow does not end by itself: drop it, on every worker.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.shared.failure.is_set()
    }

    /// Removes and returns the first error; `None` if there is none, or it was taken before.
    /// [`has_failed`](Self::has_failed) stays true.
    #[must_use]
    pub fn take_error(&self) -> Option<PipelineError> {
        self.shared.failure.take()
    }
}

/// Opens the partitions that fall to this process, where the checkpoint left them.
pub(crate) fn open(
    config: IngressConfig,
    sources: Vec<Box<dyn Source>>,
    opening: Opening<'_>,
) -> Result<Opened, PipelineError> {
    let Opening { process, processes, restored, revisable_from, trigger, floors, failure, deadline } =
        opening;
    let kept: Vec<Vec<PartitionCheckpoint>> =
        restored.map_or_else(Vec::new, |restored| restored.parts("partitions", &failure));
    if let Some(error) = failure.take() {
        return Err(error);
    }
    let resume = restored.map(|restored| restored.boundary);
    let mut kept: BTreeMap<PartitionId, PartitionCheckpoint> =
        kept.into_iter().flatten().map(|reader| (reader.id.clone(), reader)).collect();
    let mut readers = Vec::new();
    let mut names: BTreeSet<PartitionId> = BTreeSet::new();
    let mut listing = Vec::new();
    let mut listed: Vec<(Box<dyn Source>, usize)> = Vec::new();
    for (decoder, mut source) in sources.into_iter().enumerate() {
        let list = deadline.wait("listing the partitions of a source", || source.partitions());
        for id in list.map_err(PipelineError::Open)? {
            let mine = names.len() % processes == process;
            if !names.insert(id.clone()) {
                let detail = format!("two partitions are called `{id}`");
                return Err(ConfigError::new("source", detail, "give each a name of its own").into());
            }
            listing.push(id.clone());
            let kept = kept.remove(&id);
            if !mine {
                continue;
            }
            let open = || match (&kept, resume) {
                // It came into being after the checkpoint.
                (None, Some(_)) => source.open_new(&id),
                (Some(kept), _) => {
                    let identity = kept.identity.filter(|_| !trigger.defects().forgets_identity);
                    source.resume(&id, kept.offset, identity)
                }
                (None, None) => source.open(&id, None),
            };
            let partition = deadline.wait(&format!("opening the partition `{id}`"), open);
            let partition = partition.map_err(PipelineError::Open)?;
            let sequencer = kept.map(|reader| reader.sequencer);
            readers.push(OpenPartition { id, decoder, partition, sequencer, ended: false });
        }
        listed.push((source, decoder));
    }
    if let (Some(boundary), Some(decoder)) = (resume, listed.first().map(|(_, decoder)| decoder)) {
        let decoder = *decoder;
        for (id, reader) in kept {
            let may_be_gone =
                |(source, _): &mut (Box<dyn Source>, usize)| source.may_be_gone(&id, reader.offset);
            if !reader.ended && !listed.iter_mut().any(may_be_gone) {
                return Err(RestoreError::Gone { boundary, partition: id }.into());
            }
            // What it counted stays counted, in one of the processes.
            if process == 0 {
                let (partition, sequencer) =
                    (Box::new(Gone { at: reader.offset, identity: reader.identity }), Some(reader.sequencer));
                readers.push(OpenPartition { id, decoder, partition, sequencer, ended: true });
            }
        }
    }
    let listing = listing.iter().map(ToString::to_string).collect();
    let place = (process, names.len().min(processes));
    let known = Arc::new(Mutex::new(names));
    let discovery = |(source, decoder): (Box<dyn Source>, usize)| {
        let every = source.refresh_every()?;
        let retry = RetryState::new("looking for new partitions".to_owned());
        Some(PartitionDiscovery { source, decoder, every, known: Arc::clone(&known), place, retry })
    };
    let discoveries = listed.into_iter().filter_map(discovery).collect();
    // Nobody rests before all others have said how they stand.
    let others = if processes > 1 { SourceProgress::UNKNOWN } else { SourceProgress::NONE };
    let ingress = Shared::new(config, readers, trigger, failure, (resume, revisable_from), others, floors);
    Ok(Opened { ingress, discoveries, partitions: listing })
}

/// A partition that was read to its end in an earlier run and is not there any more.
struct Gone {
    at: u64,
    identity: Option<u64>,
}

impl Partition for Gone {
    fn poll(&mut self, _: &mut RecordBatch) -> Result<Polled, ExternalError> {
        Ok(Polled::Done)
    }

    fn offset(&self) -> u64 {
        self.at
    }

    /// As it was: it may come back.
    fn identity(&mut self, _: u64) -> Option<u64> {
        self.identity
    }
}
