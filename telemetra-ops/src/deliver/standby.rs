//! Standing by: a sink that another pipeline writes to is watched, until it is to be taken over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use telemetra_core::{EventTime, ExternalError, Table};

use crate::deliver::missed::Missed;
use crate::deliver::sink_thread::Job;

/// Whether a shard of a sink stands by, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct StandbyGauge {
    stands_by: AtomicBool,
    takes_over: AtomicBool,
    /// The time of the last batch that is ready.
    ready: AtomicU64,
}

impl StandbyGauge {
    pub(crate) fn begin(&self) {
        self.stands_by.store(true, Ordering::Release);
    }

    pub(crate) fn end(&self) {
        self.stands_by.store(false, Ordering::Release);
    }

    /// Whether the sink is another pipeline's still.
    pub(crate) fn stands_by(&self) -> bool {
        self.stands_by.load(Ordering::Acquire)
    }

    /// Has the sink be taken over.
    pub(crate) fn take_over(&self) {
        self.takes_over.store(true, Ordering::Release);
    }

    pub(crate) fn takes_over(&self) -> bool {
        self.takes_over.load(Ordering::Acquire)
    }

    /// The time of the last batch that is ready to be written.
    pub(crate) fn ready(&self) -> EventTime {
        EventTime(self.ready.load(Ordering::Acquire))
    }
}

/// What a sink that stands by is opened with, and what waits for that.
#[derive(Debug)]
pub(crate) struct Standby {
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) resume: Option<EventTime>,
    /// How far the other pipeline was seen to have written.
    pub(crate) seen: Option<EventTime>,
    pub(crate) missed: Missed,
    pub(crate) held: VecDeque<Job>,
    /// The number of jobs with dead letters that the other pipeline has seen to.
    pub(crate) letters: u64,
}

impl Standby {
    pub(crate) fn new(
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
        seen: Option<EventTime>,
        missed: Missed,
    ) -> Self {
        Self { tables: tables.to_vec(), resume, seen, missed, held: VecDeque::new(), letters: 0 }
    }

    /// Holds a job until the sink is taken over, or has what is in it from the other pipeline.
    pub(crate) fn hold(&mut self, job: Job, gauge: &StandbyGauge) {
        if let Job::Batch(delivery) = &job {
            gauge.ready.store(delivery.batch.time.0, Ordering::Release);
        }
        self.held.push_back(job);
    }

    /// Takes note of how far the sink has been written, and lets go of what it has.
    ///
    /// # Errors
    ///
    /// If it has less than it had before: what was let go of would be missing.
    pub(crate) fn reached(&mut self, durable: Option<EventTime>) -> Result<(), ExternalError> {
        if durable < self.seen {
            let (had, has) = (self.seen.unwrap_or_default(), durable.unwrap_or_default());
            return Err(ExternalError::permanent(format!(
                "it had everything up to {had} and now has everything up to {has} only, so rows between would be \
                 missing; start from the savepoint again"
            )));
        }
        self.seen = durable;
        // Dead letters are flushed without a batch before a time that the sink had at the start.
        let has = |job: &Job| match job {
            Job::Batch(delivery) => Some(delivery.batch.time) <= durable,
            Job::FlushLetters => true,
            Job::Letters(_) => false,
        };
        let known = self.held.iter().rposition(has).map_or(0, |last| last + 1);
        for job in self.held.drain(..known) {
            match job {
                Job::Batch(delivery) => self.missed.keep(delivery.batch),
                Job::Letters(_) => self.letters += 1,
                Job::FlushLetters => {}
            }
        }
        Ok(())
    }
}
