//! Opening: from sources to the partitions that a process reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::{
    ConfigError, Decoder, ExternalError, Partition, PartitionId, Polled, RecordBatch, Source,
};

use crate::checkpoint::Restored;
use crate::cut::Cuts;
use crate::failure::{Failure, PipelineError, RestoreError};
use crate::ingress::{Ingress, IngressConfig, LaneCheckpoint, OpenLane};
use crate::scout::Scout;
use crate::standing::Standing;
use crate::trouble::Patience;

/// Sources, each with what decodes its records.
pub(crate) type Sources = Vec<(Box<dyn Source>, Arc<dyn Decoder>)>;

/// What ties partitions to the rest of their pipeline.
pub(crate) struct Opening<'a> {
    /// Which of how many processes reads them.
    pub(crate) process: usize,
    pub(crate) processes: usize,
    /// Where they go on.
    pub(crate) restored: Option<&'a Restored>,
    pub(crate) cuts: Cuts,
    pub(crate) failure: Failure,
    /// How long to try again what fails for the moment.
    pub(crate) patience: Patience,
}

/// What opening makes.
pub(crate) struct Opened {
    pub(crate) ingress: Ingress,
    /// What looks for new partitions.
    pub(crate) scouts: Vec<Scout>,
    /// The partitions of all processes, as the sources list them.
    pub(crate) partitions: Vec<String>,
}

impl IngressConfig {
    /// Checks that `workers` workers can read `sources` sources for baselines of `samples` windows.
    pub(crate) fn check(&self, samples: u32, sources: usize, workers: usize) -> Result<(), ConfigError> {
        self.time.check(samples)?;
        if sources == 0 {
            return Err(ConfigError::new("source", "there is none", "give at least one"));
        }
        if workers == 0 {
            return Err(ConfigError::new("workers", "there are none", "give at least one"));
        }
        let slide = self.time.windows.slide();
        if self.lead < 2 * slide {
            let detail = format!("{} ms is less than two slides of {slide} ms", self.lead);
            return Err(ConfigError::new("lead", detail, "reading could never get ahead; give more"));
        }
        Ok(())
    }
}

impl Ingress {
    /// Opens all partitions of these sources, each from its beginning, to be read by the `workers` workers of this process.
    /// Each source comes with what decodes its records.
    ///
    /// Partitions that come into being later are not looked for; a [`Pipeline`](crate::Pipeline) does that.
    ///
    /// Open it once, before the workers start, and give each a clone to [`ingest`](crate::Ingest::ingest).
    ///
    /// # Errors
    ///
    /// If a setting cannot work, there is no source, two partitions have one name, or a source cannot be opened.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use telemetra_core::source::Memory;
    /// use telemetra_core::{Arena, DecodeError, Decoder, Event};
    /// use telemetra_ops::{Ingress, IngressConfig};
    ///
    /// struct Nothing;
    /// impl Decoder for Nothing {
    ///     fn decode<'a>(&self, _: &'a [u8], _: &'a Arena, _: &mut Vec<Event<'a>>) -> Result<(), DecodeError> {
    ///         Ok(())
    ///     }
    /// }
    /// let source = Memory::default().partition("log", ["one", "two"]);
    /// let ingress = Ingress::open(IngressConfig::default(), vec![(Box::new(source), Arc::new(Nothing))], 2)?;
    /// assert_eq!(ingress.status()[0].id.as_str(), "log");
    ///
    /// let none = Ingress::open(IngressConfig::default(), Vec::new(), 2);
    /// assert!(none.unwrap_err().to_string().contains("source"));
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    pub fn open(
        config: IngressConfig,
        sources: Vec<(Box<dyn Source>, Arc<dyn Decoder>)>,
        workers: usize,
    ) -> Result<Self, PipelineError> {
        config.check(0, sources.len(), workers)?;
        let cuts = Cuts::new(None, Duration::ZERO, workers, config.time.windows.slide(), None);
        let failure = Failure::default();
        let patience = Patience::new(Duration::ZERO);
        let opening = Opening { process: 0, processes: 1, restored: None, cuts, failure, patience };
        Ok(Self::open_with(config, sources, opening)?.ingress)
    }

    /// Opens the partitions that fall to this process, where the checkpoint left them.
    pub(crate) fn open_with(
        config: IngressConfig,
        sources: Sources,
        opening: Opening<'_>,
    ) -> Result<Opened, PipelineError> {
        let Opening { process, processes, restored, cuts, failure, patience } = opening;
        let kept: Vec<Vec<LaneCheckpoint>> =
            restored.map_or_else(Vec::new, |restored| restored.parts("partitions", &failure));
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let resume = restored.map(|restored| restored.boundary);
        let mut kept: BTreeMap<PartitionId, LaneCheckpoint> =
            kept.into_iter().flatten().map(|lane| (lane.id.clone(), lane)).collect();
        let mut lanes = Vec::new();
        let mut names: BTreeSet<PartitionId> = BTreeSet::new();
        let mut listing = Vec::new();
        let mut listed: Sources = Vec::new();
        for (mut source, decoder) in sources {
            let list = patience.wait("listing the partitions of a source", || source.partitions());
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
                    (kept, _) => source.open(&id, kept.as_ref().map(|lane| lane.offset)),
                };
                let partition = patience.wait(&format!("opening the partition `{id}`"), open);
                let partition = partition.map_err(PipelineError::Open)?;
                let sequencer = kept.map(|lane| lane.sequencer);
                let decoder = Arc::clone(&decoder);
                lanes.push(OpenLane { id, decoder, partition, sequencer, ended: false });
            }
            listed.push((source, decoder));
        }
        if let (Some(boundary), Some((_, decoder))) = (resume, listed.first()) {
            for (id, lane) in kept {
                if !lane.ended {
                    return Err(RestoreError::Gone { boundary, partition: id }.into());
                }
                // What it counted stays counted, in one of the processes.
                if process == 0 {
                    let (partition, sequencer) = (Box::new(Gone(lane.offset)), Some(lane.sequencer));
                    lanes.push(OpenLane {
                        id,
                        decoder: Arc::clone(decoder),
                        partition,
                        sequencer,
                        ended: true,
                    });
                }
            }
        }
        let listing = listing.iter().map(ToString::to_string).collect();
        let place = (process, names.len().min(processes));
        let known = Arc::new(Mutex::new(names));
        let scout = |(source, decoder): (Box<dyn Source>, _)| {
            let every = source.refresh_every()?;
            Some(Scout { source, decoder, every, known: Arc::clone(&known), place })
        };
        let scouts = listed.into_iter().filter_map(scout).collect();
        // Nobody rests before all others have said how they stand.
        let others = if processes > 1 { Standing::UNKNOWN } else { Standing::NONE };
        let ingress = Self::new(config, lanes, cuts, failure, resume, others);
        Ok(Opened { ingress, scouts, partitions: listing })
    }

    /// Whether reading has failed for good. It then stops without closing the windows that are not complete, so the graph
    /// does not come to an end: drop it, on every worker.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.failure.is_set()
    }

    /// Takes the first error, if it was not taken before.
    #[must_use]
    pub fn take_error(&self) -> Option<PipelineError> {
        self.0.failure.take()
    }
}

/// A partition that was read to its end in an earlier life and is not there any more.
struct Gone(u64);

impl Partition for Gone {
    fn poll(&mut self, _: &mut RecordBatch) -> Result<Polled, ExternalError> {
        Ok(Polled::Done)
    }

    fn offset(&self) -> u64 {
        self.0
    }
}
