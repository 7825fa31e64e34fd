//! How a running pipeline stands, for operators and monitors.

use std::sync::atomic::Ordering;
use std::time::Duration;

use telemetra_core::{EventTime, Fates, Shard};

use crate::deliver::placement::SinkHandle;
use crate::deliver::sink_thread::Applied;
use crate::observe::comparison::MomentsStatus;
use crate::read::ingress::PartitionStatus;
use crate::support::retry::Failing;

/// How a pipeline stands.
#[derive(Clone, Debug)]
pub struct PipelineStatus {
    /// What became of the events read in this process, those before a restart included.
    pub fates: Fates,
    /// Up to here everything is durable in all sinks; [`EventTime::MAX`] at the end.
    pub durable: EventTime,
    /// How each partition stands that this process reads.
    pub partitions: Vec<PartitionStatus>,
    /// How each shard of each sink stands that runs in this process.
    pub sinks: Vec<SinkStatus>,
    /// The boundary of the last complete checkpoint.
    pub checkpoint: Option<EventTime>,
    /// How many checkpoints were completed in this run, the bytes written for them, and the time that took.
    pub checkpoints: (u64, u64, Duration),
    /// Whether the checkpoint store is failing now, and is tried again.
    pub store_failing: Option<Failing>,
    /// How many moments were found, and how many are expected to be chance, by grouping with rules.
    pub moments: Vec<MomentsStatus>,
    /// The first error, in words.
    pub failure: Option<String>,
}

/// How a shard of a sink stands.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// Its name.
    pub name: String,
    /// Which shard of it.
    pub shard: Shard,
    /// The last time that is durable in it; `None` if none is.
    pub durable: Option<EventTime>,
    /// Batches that wait for it.
    pub queued: usize,
    /// Changes it has applied in this run.
    pub changes: u64,
    /// The last call that it answered: how much it was given, and how long it took.
    pub last: Option<Applied>,
    /// Tries that had to be repeated.
    pub retries: u64,
    /// Whether it is failing now, and is tried again.
    pub failing: Option<Failing>,
}

impl SinkStatus {
    pub(crate) fn of(SinkHandle { name, shard, gauge }: &SinkHandle) -> Self {
        let durable = gauge.durable();
        Self {
            name: name.clone(),
            shard: *shard,
            durable: (durable > EventTime::MIN).then_some(durable),
            queued: gauge.queued.load(Ordering::Relaxed),
            changes: gauge.changes.load(Ordering::Relaxed),
            last: gauge.last(),
            retries: gauge.retry.retries(),
            failing: gauge.retry.failing(),
        }
    }
}
