//! Opening: from sources to the partitions that a process reads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{ConfigError, Decoder, PartitionId, Source};

use crate::checkpoint::Restored;
use crate::cut::Cuts;
use crate::failure::{Failure, PipelineError};
use crate::ingress::{Ingress, IngressConfig, LaneCheckpoint, OpenLane};

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
        let opening = Opening { process: 0, processes: 1, restored: None, cuts, failure: Failure::default() };
        Self::open_with(config, sources, opening)
    }

    /// Opens the partitions that fall to this process, where the checkpoint left them.
    pub(crate) fn open_with(
        config: IngressConfig,
        sources: Sources,
        opening: Opening<'_>,
    ) -> Result<Self, PipelineError> {
        let Opening { process, processes, restored, cuts, failure } = opening;
        let kept: Vec<Vec<LaneCheckpoint>> =
            restored.map_or_else(Vec::new, |restored| restored.parts("partitions", &failure));
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let mut kept: Vec<LaneCheckpoint> = kept.into_iter().flatten().collect();
        let mut lanes = Vec::new();
        let mut names: BTreeSet<PartitionId> = BTreeSet::new();
        for (mut source, decoder) in sources {
            for id in source.partitions().map_err(PipelineError::Open)? {
                let mine = names.len() % processes == process;
                if !names.insert(id.clone()) {
                    let detail = format!("two partitions are called `{id}`");
                    return Err(ConfigError::new("source", detail, "give each a name of its own").into());
                }
                if !mine {
                    continue;
                }
                let kept = kept.iter().position(|lane| lane.id == id).map(|index| kept.swap_remove(index));
                let (offset, sequencer) = kept.map(|lane| (lane.offset, lane.sequencer)).unzip();
                let partition = source.open(&id, offset).map_err(PipelineError::Open)?;
                lanes.push(OpenLane { id, decoder: Arc::clone(&decoder), partition, sequencer });
            }
        }
        Ok(Self::new(config, lanes, cuts, failure))
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
