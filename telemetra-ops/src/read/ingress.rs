//! The partitions of one process, shared by all its workers.
//!
//! Any worker may read any partition of its process, a batch at a time. Decoding and folding a batch can be done by
//! anyone at any time; only the *sequencing* between them, which decides each event's fate, has to go in the
//! partition's order. So one file, or one Kafka partition, is decoded by all workers, and what counts as late is the
//! same as with one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use telemetra_core::engine::millis;
use telemetra_core::{Clock, EventTime, Events, Fates, PartitionId, TimeConfig, WatermarkStrategy};

use crate::checkpoint::floor_log::FloorLog;
use crate::checkpoint::floors::{Raises, RestoredFloors};
use crate::checkpoint::trigger::CheckpointTrigger;
use crate::cluster::progress::SourceProgress;
use crate::observe::traces::TraceLog;
use crate::read::fold::Decoders;
use crate::read::partition::{Beginning, OpenPartition, PartitionCheckpoint, PartitionReader};
use crate::read::shared_list::SharedList;
use crate::support::failure::Failure;
use crate::support::retry::Failing;

/// The settings of reading for dataflows of your own, which [`Ingress::open`] takes: time, clock, watermark
/// strategies, and how far to read ahead. A [`Pipeline`](crate::Pipeline) has a method for each of them.
///
/// ```
/// use std::time::Duration;
/// use telemetra_core::{Clock, EventTime};
/// use telemetra_ops::IngressConfig;
///
/// // A replay: no partition is taken for idle, and the clock stands still.
/// let mut config = IngressConfig { clock: Clock::fixed(EventTime(0)), ..IngressConfig::default() };
/// config.time.idle_after = None;
/// config.time.max_future_skew = None;
/// config.max_watermark_drift = Some(Duration::from_secs(600));
/// assert!(config.watermarks.is_none(), "bounded out-of-orderness, of 10 s");
/// ```
#[derive(Clone)]
pub struct IngressConfig {
    /// The settings of event time. Default: [`TimeConfig::default`].
    pub time: TimeConfig,
    /// The clock of processing time, for idle partitions and events from the future. Default: the system's
    /// clock.
    pub clock: Clock,
    /// The event time by which a partition may be read ahead of the slowest partition of this process; in a
    /// pipeline, of the slowest sink too. `None`, the default, means two minutes, or two panes if these are
    /// longer. [`Ingress::open`] refuses less than two panes.
    pub max_watermark_drift: Option<Duration>,
    /// The watermark strategy of each partition. `None`, the default, means bounded out-of-orderness by
    /// `time`, for all.
    pub watermarks: Option<Watermarks>,
}

/// The drift in milliseconds where none is set and panes are short.
const DRIFT: u64 = 120_000;

/// A function that makes the watermark strategy of a partition from the partition's id, as
/// [`IngressConfig::watermarks`] takes it.
pub type Watermarks = Arc<dyn Fn(&PartitionId) -> Box<dyn WatermarkStrategy> + Send + Sync>;

impl IngressConfig {
    /// The strategy of a partition.
    pub(crate) fn strategy(&self, id: &PartitionId) -> Box<dyn WatermarkStrategy> {
        self.watermarks.as_ref().map_or_else(|| self.time.strategy(), |make| make(id))
    }

    /// The drift in milliseconds.
    pub(crate) fn drift(&self) -> u64 {
        match self.max_watermark_drift {
            Some(drift) => millis::of(drift),
            None => DRIFT.max(2 * self.time.windows.slide()),
        }
    }
}

impl Default for IngressConfig {
    fn default() -> Self {
        Self {
            time: TimeConfig::default(),
            clock: Clock::system(),
            max_watermark_drift: None,
            watermarks: None,
        }
    }
}

impl std::fmt::Debug for IngressConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngressConfig")
            .field("time", &self.time)
            .field("max_watermark_drift", &self.max_watermark_drift)
            .finish_non_exhaustive()
    }
}

/// The open partitions of one process and their decoders, which all its workers read together, for dataflows
/// of your own. Clones are handles on the same partitions.
///
/// Open it once, give each worker a clone for [`ingest`](crate::Ingest::ingest), and keep one to read counts
/// and errors from. A dataflow of your own has no sinks, checkpoints, clusters or partition discovery; a
/// [`Pipeline`](crate::Pipeline) has.
///
/// # Errors while reading
///
/// Transient errors of a partition are retried without limit, and are in its
/// [status](PartitionStatus::failing). After a permanent error, [`has_failed`](Self::has_failed) is true and
/// nothing more is read; the dataflow then does not end by itself. So the loop of each worker must check it
/// and drop the dataflow:
///
/// ```no_run
/// # fn step<E: telemetra_core::Events>(
/// #     worker: &mut timely::worker::Worker, dataflow: usize, ingress: &telemetra_ops::Ingress<E>,
/// #     probe: &timely::dataflow::operators::probe::Handle<telemetra_core::EventTime>,
/// # ) {
/// while !probe.done() && !ingress.has_failed() {
///     worker.step_or_park(Some(std::time::Duration::from_millis(10)));
/// }
/// if ingress.has_failed() {
///     worker.drop_dataflow(dataflow);
/// }
/// # }
/// ```
pub struct Ingress<E: Events> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) decoders: Decoders<E>,
}

impl<E: Events> Clone for Ingress<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), decoders: Arc::clone(&self.decoders) }
    }
}

impl<E: Events> std::fmt::Debug for Ingress<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shared.fmt(f)
    }
}

impl<E: Events> Ingress<E> {
    /// Returns the number of events by fate (on time, late, too late, malformed, from the future, duplicate),
    /// over all partitions of this process.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.shared.fates()
    }

    /// Returns the status of each partition, in the order in which they were opened. It takes one lock for
    /// each partition.
    #[must_use]
    pub fn status(&self) -> Vec<PartitionStatus> {
        self.shared.status()
    }
}

pub(crate) struct Shared {
    pub(crate) config: IngressConfig,
    /// The fates in the checkpoint.
    pub(crate) fates_before: Fates,
    pub(super) readers: SharedList<Arc<PartitionReader>>,
    pub(crate) trigger: CheckpointTrigger,
    pub(crate) failure: Failure,
    /// The traces of records.
    pub(crate) traces: Arc<TraceLog>,
    /// The state of reading: one of the constants of [`Reading`].
    pub(super) reading: AtomicU8,
    /// The greatest floor that any partition has had before its end.
    greatest_floor: AtomicU64,
    /// The progress of the partitions of all other processes.
    pub(super) others: Mutex<SourceProgress>,
    /// The offsets of each checkpoint that is under way.
    offsets: Mutex<BTreeMap<EventTime, Vec<u64>>>,
    /// The log of raised floors, if there are checkpoints to go on from.
    pub(super) floors: Option<Floors>,
    /// The boundary of the checkpoint that this run goes on from.
    resume: Option<EventTime>,
    /// A pane that ended before this time cannot be revised.
    revisable_from: EventTime,
    begun: OnceLock<()>,
}

/// The floors that earlier runs raised, and the log of this one.
pub(crate) struct Floors {
    pub(crate) log: Arc<FloorLog>,
    pub(crate) restored: RestoredFloors,
    /// The time for which a partition may be silent before what sinks had from it is given up for lost.
    pub(crate) patience: Duration,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The status of one partition that this process reads: its offset, watermark, lag and failures, for
/// monitoring.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionStatus {
    /// The partition's id: its name, unique in the pipeline.
    pub id: PartitionId,
    /// The offset of the next record to be read.
    pub offset: u64,
    /// The watermark: by default the greatest event time seen, less the out-of-orderness. [`EventTime::MIN`]
    /// before the first event.
    pub watermark: EventTime,
    /// The distance, in milliseconds of event time, of this partition's watermark from the greatest watermark
    /// of the partitions that this process reads. A partition that stays far behind holds back all windows.
    pub behind: u64,
    /// The number of records that the source has beyond `offset`; `None` if the source does not know.
    pub lag: Option<u64>,
    /// The number of records that were deleted at the source before they could be read, and were skipped.
    /// Each is a loss of data: lengthen the source's retention.
    pub lost: u64,
    /// The number of reads that failed transiently and were tried again, in this run.
    pub retries: u64,
    /// The current failure of reading this partition, which is being retried; `None` if reading works.
    pub failing: Option<Failing>,
    /// The floor: the watermark rounded down to a pane boundary, which holds back the frontier.
    /// [`EventTime::MAX`] once the partition has ended.
    pub floor: EventTime,
    /// True if the partition is idle: it had nothing to read for [`idle_after`](TimeConfig::idle_after), and
    /// does not hold back the others.
    pub idle: bool,
    /// The time for which the partition has had nothing to read, by a monotonic clock. `None` if it had something at
    /// the last poll, or is not polled now, for example because it is read ahead too far. Times in which the
    /// pipeline did not poll do not count.
    pub silent: Option<Duration>,
    /// The number of the partition's events by fate. Events read before a restart from a checkpoint are
    /// included.
    pub fates: Fates,
}

/// The states of reading: more is read, or no more.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reading {
    /// As long as there is something.
    Goes,
    /// No more, as if all partitions had ended.
    Ends,
    /// No more in this run.
    Rests,
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A worker that panicked has failed the pipeline; what it left is only read for reports.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Shares these partitions among the workers of a process. `resume` is the boundary of the checkpoint that they go on from, and the
    /// time that panes must not have ended before to be revised;
    /// `others` is how the partitions of other processes stand.
    pub(crate) fn new(
        config: IngressConfig,
        partitions: Vec<OpenPartition>,
        trigger: CheckpointTrigger,
        failure: Failure,
        (resume, revisable_from): (Option<EventTime>, EventTime),
        others: SourceProgress,
        floors: Option<Floors>,
    ) -> Arc<Self> {
        // What is sent from here on takes effect after the checkpoint, what is read from a partition that it does not know too.
        let least = config.time.windows.pane_start(resume.unwrap_or(EventTime::MIN));
        let reader =
            |open: OpenPartition| Arc::new(PartitionReader::new(open, &config, least, revisable_from));
        let readers: Vec<_> = partitions.into_iter().map(reader).collect();
        let fates_before = readers.iter().fold(Fates::default(), |sum, reader| sum + reader.fates());
        let open = readers.iter().map(|reader| reader.floor()).filter(|floor| *floor < EventTime::MAX);
        let greatest_floor = open.max().unwrap_or(least);
        Arc::new(Self {
            config,
            fates_before,
            readers: SharedList::new(readers, least),
            trigger,
            failure,
            traces: Arc::default(),
            reading: AtomicU8::new(Reading::Goes as u8),
            greatest_floor: AtomicU64::new(greatest_floor.0),
            others: Mutex::new(others),
            offsets: Mutex::new(BTreeMap::new()),
            floors,
            resume,
            revisable_from,
            begun: OnceLock::new(),
        })
    }

    /// The fates of all events read in this process, those before a restart included.
    pub(crate) fn fates(&self) -> Fates {
        let readers = self.readers();
        readers.iter().fold(Fates::default(), |sum, reader| sum + reader.fates())
    }

    /// The status of each partition.
    pub(crate) fn status(&self) -> Vec<PartitionStatus> {
        let mut all: Vec<_> = self.readers().iter().map(|reader| reader.status()).collect();
        let greatest = all.iter().map(|one| one.watermark).max().unwrap_or_default();
        all.iter_mut().for_each(|one| one.behind = greatest - one.watermark);
        all
    }
}

impl Shared {
    /// The partitions as of now.
    fn readers(&self) -> Vec<Arc<PartitionReader>> {
        self.readers.read().clone()
    }

    /// Brings a worker's copy of the list up to date. Cheap where nothing is new.
    pub(crate) fn refresh(&self, known: &mut Vec<Arc<PartitionReader>>) {
        self.readers.refresh(known);
    }

    /// Adds a partition while it runs. Nothing that is read from it takes effect before the floor that any worker was given, so
    /// no capability has been given up that it needs. `false` if all have been, as all partitions had ended.
    pub(crate) fn add(&self, open: OpenPartition) -> bool {
        self.readers.add(|least| {
            let reader = PartitionReader::new(open, &self.config, least, self.revisable_from);
            self.note_floor(least);
            if let Some(floors) = &self.floors {
                reader.join(&floors.log);
            }
            Arc::new(reader)
        })
    }

    /// Sets where partitions begin if some sink has everything up to `durable`: it is not given those times again, so what had a part in them has the
    /// same, and what had none takes effect behind them. To be called before anything is read; workers wait for the first of them.
    pub(crate) fn begin_after(&self, durable: EventTime) {
        self.begun.get_or_init(|| self.begin(durable));
    }

    fn begin(&self, durable: EventTime) {
        let windows = self.config.time.windows;
        let after_sinks = if durable > EventTime::MIN { windows.pane_end(durable) } else { EventTime::MIN };
        // Before the list is read: who adds a partition sees this, or has added it by then.
        self.readers.give_up(after_sinks);
        let Some(Floors { log, restored, .. }) = &self.floors else { return };
        let explains = restored.explains(durable);
        let logged = restored.exact_after.unwrap_or(EventTime::MIN);
        let exact_after = if explains { logged } else { logged.max(durable) };
        let exact_until = if explains { windows.pane_start(durable.plus(1)) } else { EventTime::MIN };
        let joins = self.resume.is_some() || restored.is_known;
        let beginning = Beginning { log, restored, joins, after_sinks, exact_until };
        let readers = self.readers();
        let mut own = Raises::new();
        for reader in &readers {
            let (floor, raises) = reader.begin(&beginning);
            self.note_floor(floor);
            own.extend(raises.map(|raises| (reader.id.clone(), raises)));
        }
        let of_others = restored.raises.keys().filter(|id| readers.iter().all(|reader| reader.id != **id));
        let others = of_others.filter_map(|id| Some((id.clone(), restored.of(id, None, after_sinks)?)));
        let version = log.begin(exact_after, own, others.collect());
        readers.iter().for_each(|reader| lock(&reader.state).floors.wait_for(version));
    }

    /// The least floor of all partitions; [`EventTime::MAX`] once all have ended. Who asks may let go of what lies before it.
    pub(crate) fn floor(&self) -> EventTime {
        self.readers.floor(|reader| reader.floor())
    }

    /// The greatest floor that any partition has had before its end. Final once the floor of all is [`EventTime::MAX`].
    pub(crate) fn greatest_floor(&self) -> EventTime {
        EventTime(self.greatest_floor.load(Ordering::Acquire))
    }

    /// Notes the floor of a partition.
    pub(super) fn note_floor(&self, floor: EventTime) {
        self.greatest_floor.fetch_max(floor.0, Ordering::AcqRel);
    }

    /// Sets whether reading goes on or stops.
    pub(crate) fn set_reading(&self, reading: Reading) {
        self.reading.store(reading as u8, Ordering::Release);
    }

    /// The state of the partitions for a checkpoint. Call it while no batch is between take and sequence.
    pub(crate) fn keep(&self, cut: EventTime) -> Vec<PartitionCheckpoint> {
        let kept: Vec<_> = self.readers().iter().map(|reader| reader.keep()).collect();
        lock(&self.offsets).insert(cut, kept.iter().map(|reader| reader.offset).collect());
        if let Some(floors) = &self.floors {
            floors.log.cut(cut, kept.iter().map(|reader| (reader.id.clone(), reader.offset)));
        }
        kept
    }

    /// Returns whether the log of floors has something to write; said once.
    pub(crate) fn takes_floors(&self) -> bool {
        self.floors.as_ref().is_some_and(|floors| floors.log.take_request())
    }

    /// Notifies each partition that a checkpoint is complete.
    pub(crate) fn commit(&self, cut: EventTime) {
        let mut offsets = lock(&self.offsets);
        if let Some(committed) = offsets.remove(&cut) {
            // Those that were added since lie behind.
            for (reader, offset) in self.readers().iter().zip(committed) {
                lock(&reader.state).partition.committed(offset);
            }
        }
        offsets.retain(|other, _| *other > cut);
    }
}
