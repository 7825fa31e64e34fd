//! The thread of a sink: takes batches from a bounded queue, retries what may pass, and says what is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, Sink};
use timely::scheduling::SyncActivator;

use crate::observe::metrics::{self as metric, Value};
use crate::support::failure::{Failure, PipelineError, panic_text};
use crate::support::retry::{RetryError, RetryState, retry_until};

/// How many jobs may wait for a sink before reading is held back.
const QUEUE: usize = 64;
/// How many batches a sink is given at once.
const MOST_AT_ONCE: usize = 16;

/// What a sink is given.
#[derive(Debug)]
pub(crate) enum Job {
    Batch(Batch),
    Letters(Vec<DeadLetter>),
    /// Make the letters given before durable, without a batch.
    FlushLetters,
}

/// How a sink stands.
#[derive(Debug)]
pub(crate) struct SinkGauge {
    /// The last time that is durable; 0 for none, as nothing takes effect at the epoch.
    durable: AtomicU64,
    /// How many jobs of letters are durable.
    settled: AtomicU64,
    /// Batches in the queue.
    pub(crate) queued: AtomicUsize,
    /// Rows written.
    pub(crate) changes: AtomicU64,
    /// The last call that succeeded.
    last: Mutex<Option<Applied>>,
    pub(crate) retry: RetryState,
    /// The pipeline, the sink and the shard, as metrics have them.
    pub(crate) labels: [Value; 3],
}

/// One call of a sink that succeeded.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// How many batches it was given.
    pub batches: usize,
    /// How many changes they held.
    pub changes: usize,
    /// How long it took, without tries that failed.
    pub took: Duration,
}

impl SinkGauge {
    /// That of a sink which logs call `label` and metrics `labels`, and which has everything up to `durable`.
    pub(crate) fn new(label: &str, labels: [Value; 3], durable: Option<EventTime>) -> Self {
        Self {
            durable: AtomicU64::new(durable.unwrap_or_default().0),
            settled: AtomicU64::new(0),
            queued: AtomicUsize::new(0),
            changes: AtomicU64::new(0),
            last: Mutex::new(None),
            retry: RetryState::new(format!("the sink `{label}`")),
            labels,
        }
    }

    /// The last time that is durable; the epoch if none is, at which nothing takes effect.
    pub(crate) fn durable(&self) -> EventTime {
        EventTime(self.durable.load(Ordering::Acquire))
    }

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
    /// Starts the thread of an open sink, which errors call `label`.
    pub(crate) fn start(
        mut sink: Box<dyn Sink>,
        label: String,
        gauge: Arc<SinkGauge>,
        failure: Failure,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = sync_channel(QUEUE);
        let activator = Arc::new(Mutex::new(None));
        let worker_end = Self { jobs, gauge: Arc::clone(&gauge), activator: Arc::clone(&activator) };
        let thread = std::thread::Builder::new().name(format!("sink {}", sink.name())).spawn(move || {
            let mut route = SinkLoop { queue, gauge, failure, activator };
            // Without a word from this thread the workers would wait for the sink for ever.
            let run = AssertUnwindSafe(|| route.run(&mut *sink));
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

    /// Queues a job, and gives it back if the queue is full.
    pub(crate) fn try_send(&self, job: Job) -> Result<(), TrySendError<Job>> {
        let is_batch = usize::from(matches!(job, Job::Batch(_)));
        // Before it is there: the thread that takes it counts it out.
        self.gauge.queued.fetch_add(is_batch, Ordering::Relaxed);
        self.jobs.try_send(job).inspect_err(|_| {
            self.gauge.queued.fetch_sub(is_batch, Ordering::Relaxed);
        })
    }

    /// The last time that is durable; the epoch if none is, at which nothing takes effect.
    pub(crate) fn durable(&self) -> EventTime {
        self.gauge.durable()
    }

    /// How many of the jobs of letters are durable.
    pub(crate) fn settled(&self) -> u64 {
        self.gauge.settled.load(Ordering::Acquire)
    }

    /// Whom to wake when more is durable.
    pub(crate) fn wake_by(&mut self, activator: SyncActivator) {
        *self.activator.lock().unwrap_or_else(PoisonError::into_inner) = Some(activator);
    }
}

/// The thread's end.
struct SinkLoop {
    queue: Receiver<Job>,
    gauge: Arc<SinkGauge>,
    failure: Failure,
    activator: Arc<Mutex<Option<SyncActivator>>>,
}

impl SinkLoop {
    /// Ends when nobody can send any more and everything was taken, or when the pipeline goes down: what is in the queue then
    /// is not durable, and comes again after a restart.
    fn run(&mut self, sink: &mut dyn Sink) -> Result<(), RetryError> {
        let mut batches = Vec::new();
        let mut next = None;
        let mut letters = 0;
        while !self.failure.is_down() {
            let job = match next.take() {
                Some(job) => job,
                None => match self.queue.recv_timeout(Duration::from_millis(100)) {
                    Ok(job) => self.taken(job),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break,
                },
            };
            match job {
                Job::Letters(these) => {
                    self.persist(|| sink.dead_letters(&these))?;
                    letters += 1;
                }
                Job::FlushLetters => {
                    self.persist(|| sink.apply(&[]))?;
                    self.settled(letters);
                }
                Job::Batch(batch) => {
                    batches.push(batch);
                    while batches.len() < MOST_AT_ONCE {
                        match self.queue.try_recv().map(|job| self.taken(job)) {
                            Ok(Job::Batch(batch)) => batches.push(batch),
                            Ok(other) => {
                                next = Some(other);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    let took = self.persist(|| sink.apply(&batches))?;
                    self.applied(&batches, took);
                    self.settled(letters);
                    batches.clear();
                }
            }
        }
        sink.close().map_err(RetryError::Failed)
    }

    fn taken(&self, job: Job) -> Job {
        self.gauge.queued.fetch_sub(usize::from(matches!(job, Job::Batch(_))), Ordering::Relaxed);
        job
    }

    /// Says that these batches are durable.
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

    /// Says that so many jobs of letters are durable, and wakes the worker.
    fn settled(&self, letters: u64) {
        self.gauge.settled.store(letters, Ordering::Release);
        let activator = self.activator.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(activator) = &*activator {
            // It fails only when the worker has gone, who then does not need to know.
            let _ = activator.activate();
        }
    }

    /// Tries until it succeeds, fails for good, or the pipeline goes down. Returns how long the last try took.
    fn persist(
        &self,
        mut attempt: impl FnMut() -> Result<(), ExternalError>,
    ) -> Result<Duration, RetryError> {
        retry_until(&self.gauge.retry, &self.failure, None, || {
            let begun = Instant::now();
            attempt().map(|()| begun.elapsed())
        })
    }
}
