//! The thread of a sink: it takes batches from a bounded queue, retries transient failures, and reports which
//! event time is durable.
//!
//! A worker that finds the queue full keeps its batch and holds back its frontier, which stops reading.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, Sink};
use timely::scheduling::SyncActivator;

use crate::deliver::missed::Missed;
use crate::deliver::slow::{Delivery, SlowBatches};
use crate::deliver::standby::{HEED, Standby, StandbyGauge};
use crate::observe::metrics::{self as metric, Value};
use crate::observe::spans;
use crate::support::failure::{Failure, PipelineError, panic_text};
use crate::support::retry::{RetryError, RetryState, retry_until};

/// The number of jobs that may be queued for a sink before reading is held back.
const QUEUE: usize = 64;
/// The most batches in one call of a sink.
const MOST_AT_ONCE: usize = 16;

/// A job for a sink: a batch, dead letters, or a flush of dead letters.
#[derive(Debug)]
pub(crate) enum Job {
    Batch(Delivery),
    /// With the greatest floor when they were found.
    Letters(Vec<DeadLetter>, EventTime),
    /// Makes the dead letters sent before durable, without a batch.
    FlushLetters,
}

/// The state of a shard of a sink, for metrics and status.
#[derive(Debug)]
pub(crate) struct SinkGauge {
    /// The last durable time; 0 if there is none, as nothing takes effect at the epoch.
    pub(super) durable: AtomicU64,
    /// The number of jobs with dead letters that are durable.
    settled: AtomicU64,
    /// The number of queued batches.
    pub(crate) queued: AtomicUsize,
    /// The number of changes that were written.
    pub(crate) changes: AtomicU64,
    /// The last successful call.
    last: Mutex<Option<Applied>>,
    pub(crate) retry: RetryState,
    pub(crate) standby: StandbyGauge,
    /// The pipeline, the sink and the shard, as labels of metrics.
    pub(crate) labels: [Value; 3],
}

/// The size and duration of one successful call of a sink, as [`SinkStatus::last`](crate::SinkStatus::last)
/// reports it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The number of batches in the call.
    pub batches: usize,
    /// The number of changes in these batches.
    pub changes: usize,
    /// The duration of the successful attempt; failed attempts are not included.
    pub took: Duration,
}

impl SinkGauge {
    /// Creates the gauge of a sink that is durable up to `durable`; logs name it `label`, and metrics
    /// `labels`.
    pub(crate) fn new(label: &str, labels: [Value; 3], durable: Option<EventTime>) -> Self {
        Self {
            durable: AtomicU64::new(durable.unwrap_or_default().0),
            settled: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            last: Mutex::new(None),
            retry: RetryState::new(format!("the sink `{label}`")),
            standby: StandbyGauge::default(),
            labels,
        }
    }

    /// Returns the last durable time; the epoch if there is none.
    pub(crate) fn durable(&self) -> EventTime {
        EventTime(self.durable.load(Ordering::Acquire))
    }

    /// Returns the last successful call.
    pub(crate) fn last(&self) -> Option<Applied> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker's end of a sink's queue.
#[derive(Debug)]
pub(crate) struct SinkQueue {
    jobs: SyncSender<Job>,
    gauge: Arc<SinkGauge>,
    activator: Arc<Mutex<Option<SyncActivator>>>,
}

impl SinkQueue {
    /// Starts the thread of an open sink, which errors name `label`.
    pub(crate) fn start(
        mut sink: Box<dyn Sink>,
        label: String,
        gauge: Arc<SinkGauge>,
        failure: Failure,
        standby: Option<Standby>,
        slow: SlowBatches,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = sync_channel(QUEUE);
        let activator = Arc::new(Mutex::new(None));
        let worker_end = Self { jobs, gauge: Arc::clone(&gauge), activator: Arc::clone(&activator) };
        let thread = std::thread::Builder::new().name(format!("sink {}", sink.name())).spawn(move || {
            let (held, missed) = (VecDeque::new(), Missed::default());
            let name = label.clone();
            let mut route = SinkLoop { name, queue, gauge, failure, activator, held, missed, slow };
            // If the thread did not report a panic, the workers would wait for the sink for ever.
            let run = AssertUnwindSafe(|| route.run(&mut *sink, standby));
            let ended = catch_unwind(run).unwrap_or_else(|panic| {
                let what = format!("it panicked: {}", panic_text(&*panic));
                Err(RetryError::Failed(ExternalError::permanent(what)))
            });
            if let Err(RetryError::Failed(source)) = ended {
                route.failure.set(PipelineError::Sink { sink: label, source });
            }
        })?;
        Ok((worker_end, thread))
    }

    /// Queues a job, or returns it if the queue is full.
    pub(crate) fn try_send(&self, job: Job) -> Result<(), TrySendError<Job>> {
        let is_batch = usize::from(matches!(job, Job::Batch(_)));
        // Counted before it is queued, as the thread that takes it counts it down.
        self.gauge.queued.fetch_add(is_batch, Ordering::Relaxed);
        self.jobs.try_send(job).inspect_err(|_| {
            self.gauge.queued.fetch_sub(is_batch, Ordering::Relaxed);
        })
    }

    /// Returns the pipeline, the sink and the shard.
    pub(crate) fn labels(&self) -> [&str; 3] {
        self.gauge.labels.each_ref().map(|label| &**label)
    }

    /// Returns the last durable time; the epoch if there is none.
    pub(crate) fn durable(&self) -> EventTime {
        self.gauge.durable()
    }

    /// Says that a time was computed that the sink had when it was opened, so that no batch is queued for it.
    pub(crate) fn known(&self, time: EventTime) {
        self.gauge.standby.computed(time);
    }

    /// Returns the number of jobs with dead letters that are durable.
    pub(crate) fn settled(&self) -> u64 {
        self.gauge.settled.load(Ordering::Acquire)
    }

    /// Sets the activator of the operator to wake when more is durable.
    pub(crate) fn wake_by(&mut self, activator: SyncActivator) {
        *self.activator.lock().unwrap_or_else(PoisonError::into_inner) = Some(activator);
    }
}

/// The thread's end of the queue.
pub(super) struct SinkLoop {
    /// The sink, as errors name it.
    name: String,
    pub(super) queue: Receiver<Job>,
    pub(super) gauge: Arc<SinkGauge>,
    pub(super) failure: Failure,
    activator: Arc<Mutex<Option<SyncActivator>>>,
    /// The jobs that wait for the sink to be taken over.
    pub(super) held: VecDeque<Job>,
    pub(super) missed: Missed,
    slow: SlowBatches,
}

/// The time between two looks at whether the pipeline goes down.
const LOOK: Duration = Duration::from_millis(100);

impl SinkLoop {
    /// The next job, if there is one.
    fn poll(&mut self) -> Option<Job> {
        self.held.pop_front().or_else(|| self.queue.try_recv().ok().map(|job| self.taken(job)))
    }

    /// Runs until the queue is closed and empty, or until the pipeline goes down. Jobs that are queued then
    /// are not durable and come again after a restart.
    fn run(&mut self, sink: &mut dyn Sink, standby: Option<Standby>) -> Result<(), RetryError> {
        let (mut batches, mut sent) = (Vec::new(), Vec::new());
        let mut next = None;
        let mut letters = match standby {
            Some(standby) => self.stand_by(sink, standby)?,
            None => 0,
        };
        let (mut holds, mut looked) = (self.gauge.standby.holds(), Instant::now());
        while !self.failure.is_down() {
            holds = holds && self.holds(sink, &mut looked)?;
            let job = match next.take().or_else(|| self.held.pop_front()) {
                Some(job) => job,
                None => match self.queue.recv_timeout(if holds { HEED } else { LOOK }) {
                    Ok(job) => self.taken(job),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match job {
                Job::Letters(these, _) => {
                    self.persist(|| sink.dead_letters(&these))?;
                    letters += 1;
                }
                Job::FlushLetters => {
                    self.persist(|| sink.apply(&[]))?;
                    self.settled(letters);
                }
                Job::Batch(mut first) => {
                    self.missed.add_to(&mut first.batch);
                    let mut take = |delivery: Delivery| {
                        let queued = spans::micros(delivery.since.elapsed());
                        delivery.span.record("queued_us", queued);
                        sent.push((delivery.span, delivery.since));
                        batches.push(delivery.batch);
                        batches.len() < MOST_AT_ONCE
                    };
                    let mut has_room = take(first);
                    while has_room {
                        match self.poll() {
                            Some(Job::Batch(delivery)) => has_room = take(delivery),
                            Some(other) => {
                                next = Some(other);
                                break;
                            }
                            None => break,
                        }
                    }
                    let span = spans::apply(&sent[0].0, self.gauge.labels[1].as_ref(), &batches);
                    for (other, _) in &sent[1..] {
                        span.follows_from(other);
                    }
                    let took = span.in_scope(|| self.persist(|| sink.apply(&batches)))?;
                    drop(span);
                    let mut after = self.gauge.durable();
                    for (batch, (span, since)) in batches.iter().zip(sent.drain(..)) {
                        let delivered = (batch.time, batch.changes.len(), since);
                        self.slow.judge(&self.name, after, delivered, &span);
                        after = batch.time;
                    }
                    self.applied(&batches, took);
                    self.settled(letters);
                    batches.clear();
                }
            }
        }
        sink.close().map_err(RetryError::Failed)
    }

    /// Counts a job out of the queue.
    pub(super) fn taken(&self, job: Job) -> Job {
        self.gauge.queued.fetch_sub(usize::from(matches!(job, Job::Batch(_))), Ordering::Relaxed);
        job
    }

    /// Reports that these batches are durable.
    fn applied(&self, batches: &[Batch], took: Duration) {
        let changes = batches.iter().map(|batch| batch.changes.len()).sum();
        self.gauge.changes.fetch_add(changes as u64, Ordering::Relaxed);
        let labels = self.gauge.labels.each_ref();
        metric::SINK_ROWS.record(&labels, changes as f64);
        metric::SINK_SECONDS.record(&labels, took.as_secs_f64());
        let applied = Applied { batches: batches.len(), changes, took };
        *self.gauge.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(applied);
        if let Some(last) = batches.last() {
            self.gauge.durable.store(last.time.0, Ordering::Release);
        }
    }

    /// Reports that this number of jobs with dead letters is durable, and wakes the worker.
    pub(super) fn settled(&self, letters: u64) {
        self.gauge.settled.store(letters, Ordering::Release);
        let activator = self.activator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(activator) = &*activator {
            // Sending fails only if the worker has ended, which then does not need to know.
            let _ = activator.activate();
        }
    }

    /// Calls the sink until it succeeds, fails permanently, or the pipeline goes down. Returns how long the
    /// last attempt took.
    pub(super) fn persist(
        &self,
        mut attempt: impl FnMut() -> Result<(), ExternalError>,
    ) -> Result<Duration, RetryError> {
        retry_until(&self.gauge.retry, &self.failure, None, || {
            let begun = Instant::now();
            attempt().map(|()| begun.elapsed())
        })
    }
}
