//! Standing by: a sink that another pipeline writes to is watched, until it is to be taken over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use telemetra_core::{DeadLetter, EventTime, ExternalError, Sink, SinkProgress, Table};

use crate::deliver::missed::Missed;
use crate::deliver::sink_thread::{Job, SinkLoop};
use crate::support::retry::RetryError;

/// The time between two looks at a sink that another pipeline writes to.
pub(super) const WATCH: Duration = Duration::from_millis(50);
/// The time between two looks at whether such a sink is to be taken over: a part of the time for which nobody writes.
pub(super) const HEED: Duration = Duration::from_millis(5);

/// The state of a shard of a sink that stands by, and its progress.
#[derive(Debug, Default)]
pub(crate) struct StandbyGauge {
    stands_by: AtomicBool,
    takes_over: AtomicBool,
    /// True if the sink is open and keeps to itself what it is given.
    holds: AtomicBool,
    /// The last time that is computed.
    ready: AtomicU64,
    /// The time up to which the other pipeline has written.
    other: AtomicU64,
}

impl StandbyGauge {
    pub(crate) fn begin(&self, other: Option<EventTime>) {
        self.follow(other);
        self.stands_by.store(true, Ordering::Release);
    }

    /// Begins to stand by with a sink that is open and holds what it is given.
    pub(crate) fn begin_holding(&self, other: Option<EventTime>) {
        self.holds.store(true, Ordering::Release);
        self.begin(other);
    }

    /// Takes note of how far the other pipeline has written.
    pub(crate) fn follow(&self, other: Option<EventTime>) {
        self.other.store(other.unwrap_or_default().0, Ordering::Release);
    }

    /// Returns whether the sink is open and keeps to itself what it is given.
    pub(crate) fn holds(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }

    /// The time up to which the other pipeline has written.
    pub(crate) fn other(&self) -> EventTime {
        EventTime(self.other.load(Ordering::Acquire))
    }

    pub(crate) fn end(&self) {
        self.stands_by.store(false, Ordering::Release);
    }

    /// Returns whether the sink is another pipeline's still.
    pub(crate) fn stands_by(&self) -> bool {
        self.stands_by.load(Ordering::Acquire)
    }

    /// Orders the sink to be taken over.
    pub(crate) fn take_over(&self) {
        self.takes_over.store(true, Ordering::Release);
    }

    pub(crate) fn takes_over(&self) -> bool {
        self.takes_over.load(Ordering::Acquire)
    }

    /// Says that everything up to a time is computed.
    pub(crate) fn computed(&self, time: EventTime) {
        self.ready.fetch_max(time.0, Ordering::AcqRel);
    }

    /// The time up to which everything is computed, and ready to be written where the other pipeline has not.
    pub(crate) fn ready(&self) -> EventTime {
        EventTime(self.ready.load(Ordering::Acquire))
    }
}

/// The arguments that a sink that stands by will be opened with, and the jobs that wait until then.
#[derive(Debug)]
pub(crate) struct Standby {
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) resume: Option<EventTime>,
    /// The time up to which the other pipeline was seen to have written.
    pub(crate) seen: Option<EventTime>,
    pub(crate) missed: Missed,
    pub(crate) held: VecDeque<Job>,
    /// The number of jobs with dead letters that the other pipeline has seen to.
    pub(crate) letters: u64,
    /// Dead letters among these that it may not have yet, as they were found in a partition that is ahead, each with when that
    /// is over. They are written when the sink is taken over, even if the checkpoint of this pipeline is past them by then.
    ahead: Vec<(Vec<DeadLetter>, EventTime)>,
}

impl Standby {
    pub(crate) fn new(
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
        seen: Option<EventTime>,
        missed: Missed,
    ) -> Self {
        let (held, ahead) = (VecDeque::new(), Vec::new());
        Self { tables: tables.to_vec(), resume, seen, missed, held, letters: 0, ahead }
    }

    /// Holds a job until the sink is taken over, or has what is in it from the other pipeline.
    pub(crate) fn hold(&mut self, job: Job, gauge: &StandbyGauge) {
        if let Job::Batch(delivery) = &job {
            gauge.computed(delivery.batch.time);
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
            Job::Letters(..) => false,
        };
        let known = self.held.iter().rposition(has).map_or(0, |last| last + 1);
        for job in self.held.drain(..known) {
            match job {
                Job::Batch(delivery) => self.missed.keep(delivery.batch),
                Job::Letters(letters, found) => {
                    self.letters += 1;
                    self.ahead.push((letters, found));
                }
                Job::FlushLetters => {}
            }
        }
        // Who has come past that time has come as far in the letters' partition.
        self.ahead.retain(|(_, found)| Some(*found) > durable);
        Ok(())
    }
}

impl SinkLoop {
    /// Watches a sink that another pipeline writes to, until it is to be taken over, and takes it over. Returns the number of
    /// jobs with dead letters that the other pipeline has seen to.
    pub(super) fn stand_by(&mut self, sink: &mut dyn Sink, mut standby: Standby) -> Result<u64, RetryError> {
        let mut looked = Instant::now();
        loop {
            if self.failure.is_down() {
                return Err(RetryError::Down);
            }
            match self.queue.recv_timeout(HEED) {
                Ok(job) => standby.hold(self.taken(job), &self.gauge.standby),
                Err(RecvTimeoutError::Timeout) => {}
                // The other pipeline has written everything to the end of the input, or this one goes down.
                Err(RecvTimeoutError::Disconnected) => {
                    if !self.failure.is_down() {
                        self.gauge.standby.end();
                    }
                    return Err(RetryError::Down);
                }
            }
            let takes_over = self.gauge.standby.takes_over();
            if !takes_over && looked.elapsed() < WATCH {
                continue;
            }
            looked = Instant::now();
            let durable = if takes_over {
                let (tables, resume) = (standby.tables.clone(), standby.resume);
                let mut durable = None;
                self.persist(|| {
                    durable = sink.open(&tables, resume)?;
                    Ok(())
                })?;
                durable
            } else {
                self.progress_of(sink)?
            };
            standby.reached(durable).map_err(RetryError::Failed)?;
            if takes_over && !standby.ahead.is_empty() {
                let letters: Vec<_> = standby.ahead.drain(..).flat_map(|(letters, _)| letters).collect();
                self.persist(|| sink.dead_letters(&letters).and_then(|()| sink.apply(&[])))?;
            }
            self.gauge.standby.follow(durable);
            self.gauge.durable.store(durable.unwrap_or_default().0, Ordering::Release);
            self.settled(standby.letters);
            if takes_over {
                self.gauge.standby.end();
                (self.held, self.missed) = (standby.held, standby.missed);
                return Ok(standby.letters);
            }
        }
    }

    /// The time up to which the other pipeline has written a sink.
    fn progress_of(&self, sink: &mut dyn Sink) -> Result<Option<EventTime>, RetryError> {
        let mut progress = SinkProgress::NotShared;
        self.persist(|| {
            progress = sink.progress()?;
            Ok(())
        })?;
        Ok(match progress {
            SinkProgress::Until(durable) | SinkProgress::Rewritten(durable) => durable,
            SinkProgress::NotShared => None,
        })
    }

    /// Looks after a sink that holds what it is given: follows the other pipeline, or takes its place if it is to. Returns
    /// whether it holds still.
    pub(super) fn holds(&self, sink: &mut dyn Sink, looked: &mut Instant) -> Result<bool, RetryError> {
        let standby = &self.gauge.standby;
        if standby.takes_over() {
            sink.hold(false);
            self.persist(|| sink.apply(&[]))?;
            standby.end();
            return Ok(false);
        }
        if looked.elapsed() >= WATCH {
            *looked = Instant::now();
            standby.follow(self.progress_of(sink)?);
        }
        Ok(true)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]
mod tests {
    use telemetra_core::Batch;
    use tracing::Span;

    use super::*;
    use crate::deliver::slow::Delivery;

    fn batch(time: u64) -> Job {
        let batch = Batch { time: EventTime(time), changes: Vec::new() };
        Job::Batch(Delivery::new(batch, Span::none()))
    }

    fn standby(jobs: Vec<Job>) -> Standby {
        let mut standby = Standby::new(&[], None, Some(EventTime(10)), Missed::default());
        let gauge = StandbyGauge::default();
        jobs.into_iter().for_each(|job| standby.hold(job, &gauge));
        standby
    }

    #[test]
    fn a_dead_letter_is_kept_until_the_other_pipeline_has_come_past_where_it_was_found() {
        // The letters were found before the batch of 20, when a partition that is ahead was at 25 and at 30.
        let letters = |found| Job::Letters(Vec::new(), EventTime(found));
        let mut standby = standby(vec![letters(25), letters(30), batch(20), letters(50), batch(40)]);
        let mut reached = |time| {
            standby.reached(Some(EventTime(time))).unwrap();
            (standby.letters, standby.ahead.len(), standby.held.len())
        };
        assert_eq!(reached(19), (0, 0, 5));
        assert_eq!(reached(20), (2, 2, 2));
        assert_eq!(reached(25), (2, 1, 2));
        assert_eq!(reached(40), (3, 1, 0));
        assert_eq!(reached(50), (3, 0, 0));
    }

    #[test]
    fn a_sink_that_goes_back_is_an_error() {
        let error = standby(vec![batch(20)]).reached(Some(EventTime(9))).unwrap_err();
        assert!(error.to_string().contains("start from the savepoint again"), "{error}");
    }
}
