//! The partitions of one process, shared by all its workers.
//!
//! Any worker may read any partition of its process, a batch at a time. Decoding and folding a batch can be done by
//! anyone at any time; only the *sequencing* between them, which decides each event's fate, has to go in the
//! partition's order. So one file, or one Kafka partition, is decoded by all workers, and what counts as late is the
//! same as with one.

mod lane;
mod take;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use telemetra_core::{Clock, EventTime, Fates, PartitionId, Sentiment, TimeConfig};

pub(crate) use self::lane::{Lane, LaneCheckpoint, OpenLane};
pub(crate) use self::take::Take;
use crate::cut::Cuts;
use crate::failure::Failure;
use crate::standing::Standing;
use crate::trouble::Failing;

/// How reading goes, beyond the settings of time.
#[derive(Clone)]
pub struct IngressConfig {
    /// The settings of time.
    pub time: TimeConfig,
    /// Where processing time comes from.
    pub clock: Clock,
    /// How messages are scored; `None`: not at all.
    pub sentiment: Option<Arc<dyn Sentiment>>,
    /// How far, in milliseconds of event time, reading may be ahead of the slowest partition and of the sinks.
    pub lead: u64,
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self { time: TimeConfig::default(), clock: Clock::system(), sentiment: None, lead: 120_000 }
    }
}

impl std::fmt::Debug for IngressConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngressConfig")
            .field("time", &self.time)
            .field("lead", &self.lead)
            .field("sentiment", &self.sentiment.is_some())
            .finish_non_exhaustive()
    }
}

/// The partitions of one process. Clones share them.
#[derive(Clone, Debug)]
pub struct Ingress(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: IngressConfig,
    /// Partitions are added while it runs, and none is removed. Nothing else is locked while this is.
    lanes: RwLock<Vec<Arc<Lane>>>,
    /// How many there are.
    count: AtomicUsize,
    /// The greatest floor that anyone was told: a worker may have let its capabilities go that far.
    given_up: AtomicU64,
    pub(crate) cuts: Cuts,
    pub(crate) failure: Failure,
    /// How reading goes on: one of the constants of [`Reading`].
    reading: AtomicU8,
    /// The greatest boundary at which anything takes effect.
    greatest_effective: AtomicU64,
    /// How the partitions of all other processes stand.
    others: Mutex<Standing>,
    /// The offsets of each checkpoint that is under way.
    offsets: Mutex<BTreeMap<EventTime, Vec<u64>>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// How a partition stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Its name.
    pub id: PartitionId,
    /// The offset of the next record.
    pub offset: u64,
    /// The watermark.
    pub watermark: EventTime,
    /// How far, in milliseconds of event time, its watermark is behind the greatest of the partitions that this process reads.
    pub behind: u64,
    /// How many records it has that were not read, if it knows.
    pub lag: Option<u64>,
    /// How many records were gone before they could be read, and were passed over.
    pub lost: u64,
    /// Reads that failed and were tried again.
    pub retries: u64,
    /// Whether reading it fails now, and is tried again.
    pub failing: Option<Failing>,
    /// The floor; [`EventTime::MAX`] once it has ended.
    pub floor: EventTime,
    /// Whether it has nothing to read and does not hold back the others.
    pub idle: bool,
    /// What became of its events.
    pub fates: Fates,
}

/// Whether more is read.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reading {
    /// As long as there is something.
    Goes,
    /// No more, as if all partitions had ended.
    Ends,
    /// No more in this life.
    Rests,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A worker that panicked has failed the pipeline; what it left is only read for reports.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ingress {
    /// Shares these partitions among the workers of a process. `resume` is the boundary of the checkpoint that they go on from;
    /// `others` is how the partitions of other processes stand.
    pub(crate) fn new(
        config: IngressConfig,
        partitions: Vec<OpenLane>,
        cuts: Cuts,
        failure: Failure,
        resume: Option<EventTime>,
        others: Standing,
    ) -> Self {
        // What is sent from here on takes effect after the checkpoint, what is read from a partition that it does not know too.
        let least = config.time.windows.pane_start(resume.unwrap_or(EventTime::MIN));
        let lane = |open: OpenLane| {
            let joins = resume.is_some() && open.sequencer.is_none();
            Arc::new(Lane::new(open, &config.time, least, joins))
        };
        let lanes: Vec<_> = partitions.into_iter().map(lane).collect();
        Self(Arc::new(Shared {
            config,
            count: AtomicUsize::new(lanes.len()),
            lanes: RwLock::new(lanes),
            given_up: AtomicU64::new(least.0),
            cuts,
            failure,
            reading: AtomicU8::new(Reading::Goes as u8),
            greatest_effective: AtomicU64::new(0),
            others: Mutex::new(others),
            offsets: Mutex::new(BTreeMap::new()),
        }))
    }

    /// What became of all events read in this process, those before a restart included.
    #[must_use]
    pub fn fates(&self) -> Fates {
        let lanes = self.0.lanes();
        lanes.iter().fold(Fates::default(), |sum, lane| sum + lane.fates())
    }

    /// How each partition stands.
    #[must_use]
    pub fn status(&self) -> Vec<PartitionStatus> {
        let mut all: Vec<_> = self.0.lanes().iter().map(|lane| lane.status()).collect();
        let greatest = all.iter().map(|one| one.watermark).max().unwrap_or_default();
        all.iter_mut().for_each(|one| one.behind = greatest - one.watermark);
        all
    }
}

impl Shared {
    /// The partitions as of now.
    fn lanes(&self) -> Vec<Arc<Lane>> {
        self.read_lanes().clone()
    }

    fn read_lanes(&self) -> RwLockReadGuard<'_, Vec<Arc<Lane>>> {
        self.lanes.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a worker's copy of the list up to date. Cheap where nothing is new.
    pub(crate) fn refresh(&self, known: &mut Vec<Arc<Lane>>) {
        if self.count.load(Ordering::Acquire) > known.len() {
            known.extend_from_slice(&self.read_lanes()[known.len()..]);
        }
    }

    /// Adds a partition while it runs. Nothing that is read from it takes effect before the floor that any worker was told, so
    /// no capability has been given up that it needs. `false` if all have been, as all partitions had ended.
    pub(crate) fn add(&self, open: OpenLane) -> bool {
        let mut lanes = self.lanes.write().unwrap_or_else(PoisonError::into_inner);
        // Nobody is told a floor without this partition any more.
        let least = EventTime(self.given_up.load(Ordering::Acquire));
        if least == EventTime::MAX {
            return false;
        }
        lanes.push(Arc::new(Lane::new(open, &self.config.time, least, true)));
        self.count.store(lanes.len(), Ordering::Release);
        true
    }

    /// Has partitions that join others take effect after `durable`, up to which some sink has everything: it is not given
    /// those times again, and they had no part in them.
    pub(crate) fn begin_after(&self, durable: EventTime) {
        if durable > EventTime::MIN {
            let least = self.config.time.windows.pane_end(durable);
            // Before the list is read: who adds a partition sees this, or has added it by then.
            self.given_up.fetch_max(least.0, Ordering::AcqRel);
            self.lanes().iter().for_each(|lane| lane.begin_at(least));
        }
    }

    /// The least floor of all partitions; [`EventTime::MAX`] once all have ended. Who asks may let go of what lies before it.
    pub(crate) fn floor(&self) -> EventTime {
        let lanes = self.read_lanes();
        let floor = lanes.iter().map(|lane| lane.floor()).min().unwrap_or(EventTime::MAX);
        // Under the lock: who adds a partition sees it.
        self.given_up.fetch_max(floor.0, Ordering::AcqRel);
        floor
    }

    /// The greatest boundary at which anything takes effect. Final once the floor is [`EventTime::MAX`].
    pub(crate) fn greatest_effective(&self) -> EventTime {
        EventTime(self.greatest_effective.load(Ordering::Acquire))
    }

    /// Counts what was restored in what takes effect.
    pub(crate) fn note_effective(&self, end: EventTime) {
        self.greatest_effective.fetch_max(end.0, Ordering::AcqRel);
    }

    /// Has reading go on or stop.
    pub(crate) fn set_reading(&self, reading: Reading) {
        self.reading.store(reading as u8, Ordering::Release);
    }

    /// What a checkpoint keeps of the partitions. Call it while no batch is between take and sequence.
    pub(crate) fn keep(&self, cut: EventTime) -> Vec<LaneCheckpoint> {
        let kept: Vec<_> = self.lanes().iter().map(|lane| lane.keep()).collect();
        lock(&self.offsets).insert(cut, kept.iter().map(|lane| lane.offset).collect());
        kept
    }

    /// Tells each partition that a checkpoint is complete.
    pub(crate) fn commit(&self, cut: EventTime) {
        let mut offsets = lock(&self.offsets);
        if let Some(committed) = offsets.remove(&cut) {
            // Those that were added since lie behind.
            for (lane, offset) in self.lanes().iter().zip(committed) {
                lock(&lane.state).partition.committed(offset);
            }
        }
        offsets.retain(|other, _| *other > cut);
    }
}
