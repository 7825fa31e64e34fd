//! The thread of a sink: takes batches from a bounded queue, retries what may pass, and says what is durable.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use telemetra_core::{Batch, DeadLetter, EventTime, ExternalError, Retry, Sink};
use timely::scheduling::SyncActivator;

use crate::failure::{Failure, PipelineError, chain, panic_text};

/// How many jobs may wait for a sink before reading is held back.
const QUEUE: usize = 64;
/// How many batches a sink is given at once.
const MOST_AT_ONCE: usize = 16;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What a sink is given.
#[derive(Debug)]
pub(crate) enum Job<S> {
    Batch(Batch<S>),
    Letters(Vec<DeadLetter>),
}

/// How a sink stands.
#[derive(Debug, Default)]
pub(crate) struct SinkGauge {
    /// The last time that is durable; 0 for none, as nothing takes effect at the epoch.
    durable: AtomicU64,
    /// Jobs in the queue.
    pub(crate) queued: AtomicUsize,
    /// Tries that had to be repeated.
    pub(crate) retries: AtomicU64,
    /// Rows written.
    pub(crate) changes: AtomicU64,
}

/// The worker's end of a sink's queue.
#[derive(Debug)]
pub(crate) struct Courier<S> {
    jobs: SyncSender<Job<S>>,
    gauge: Arc<SinkGauge>,
    activator: Arc<Mutex<Option<SyncActivator>>>,
}

impl<S: Send + Sync + 'static> Courier<S> {
    /// Starts the thread of an open sink, which errors call `label`.
    pub(crate) fn start(
        mut sink: Box<dyn Sink<S>>,
        label: String,
        gauge: Arc<SinkGauge>,
        failure: Failure,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = sync_channel(QUEUE);
        let activator = Arc::new(Mutex::new(None));
        let courier = Self { jobs, gauge: Arc::clone(&gauge), activator: Arc::clone(&activator) };
        let thread = std::thread::Builder::new().name(format!("sink {}", sink.name())).spawn(move || {
            let mut route = Route { queue, gauge, failure, activator };
            // Without a word from this thread the workers would wait for the sink for ever.
            let run = AssertUnwindSafe(|| route.run(&mut *sink));
            let ended = catch_unwind(run).unwrap_or_else(|panic| {
                Err(ExternalError::permanent(format!("it panicked: {}", panic_text(&*panic))))
            });
            if let Err(source) = ended {
                route.failure.set(PipelineError::Sink { sink: label, source });
            }
        })?;
        Ok((courier, thread))
    }

    /// Queues a job, and gives it back if the queue is full.
    pub(crate) fn try_send(&self, job: Job<S>) -> Result<(), TrySendError<Job<S>>> {
        self.jobs.try_send(job)?;
        self.gauge.queued.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// The last time that is durable; the epoch if none is, at which nothing takes effect.
    pub(crate) fn durable(&self) -> EventTime {
        EventTime(self.gauge.durable.load(Ordering::Acquire))
    }

    /// Whom to wake when more is durable.
    pub(crate) fn wake_by(&mut self, activator: SyncActivator) {
        *self.activator.lock().unwrap_or_else(PoisonError::into_inner) = Some(activator);
    }
}

/// The thread's end.
struct Route<S> {
    queue: Receiver<Job<S>>,
    gauge: Arc<SinkGauge>,
    failure: Failure,
    activator: Arc<Mutex<Option<SyncActivator>>>,
}

impl<S> Route<S> {
    fn run(&mut self, sink: &mut dyn Sink<S>) -> Result<(), ExternalError> {
        let mut batches = Vec::new();
        let mut next = None;
        loop {
            let job = match next.take() {
                Some(job) => job,
                None => match self.queue.recv_timeout(Duration::from_millis(100)) {
                    Ok(job) => self.taken(job),
                    Err(RecvTimeoutError::Timeout) if self.failure.is_set() => return Ok(()),
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return sink.close(),
                },
            };
            match job {
                Job::Letters(letters) => self.persist(|| sink.dead_letters(&letters))?,
                Job::Batch(batch) => {
                    batches.push(batch);
                    while batches.len() < MOST_AT_ONCE {
                        match self.queue.try_recv().map(|job| self.taken(job)) {
                            Ok(Job::Batch(batch)) => batches.push(batch),
                            Ok(letters) => {
                                next = Some(letters);
                                break;
                            }
                            Err(_) => break,
                        }
                    }
                    self.persist(|| sink.apply(&batches))?;
                    let rows: usize = batches.iter().map(|batch| batch.changes.len()).sum();
                    self.gauge.changes.fetch_add(rows as u64, Ordering::Relaxed);
                    if let Some(last) = batches.last() {
                        self.gauge.durable.store(last.time.0, Ordering::Release);
                    }
                    batches.clear();
                    let activator = self.activator.lock().unwrap_or_else(PoisonError::into_inner);
                    if let Some(activator) = &*activator {
                        // It fails only when the worker has gone, who then does not need to know.
                        let _ = activator.activate();
                    }
                }
            }
        }
    }

    fn taken(&self, job: Job<S>) -> Job<S> {
        self.gauge.queued.fetch_sub(1, Ordering::Relaxed);
        job
    }

    /// Tries until it succeeds, fails for good, or the pipeline fails elsewhere.
    fn persist(&self, mut attempt: impl FnMut() -> Result<(), ExternalError>) -> Result<(), ExternalError> {
        let mut pause = Duration::from_millis(10);
        loop {
            match attempt() {
                Err(error) if error.retry() == Retry::Transient && !self.failure.is_set() => {
                    if self.gauge.retries.fetch_add(1, Ordering::Relaxed) == 0 {
                        tracing::warn!(error = chain(&error), "a sink failed, trying again");
                    }
                    std::thread::sleep(jittered(pause));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                done => return done,
            }
        }
    }
}

/// Between half a pause and all of it, so that many who lost the same server do not all return at once.
fn jittered(pause: Duration) -> Duration {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(pause) % 1000;
    pause / 2 + pause.mul_f64(random as f64 / 2000.0)
}
