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
const WATCH: Duration = Duration::from_millis(50);
/// The time between two looks at whether such a sink is to be taken over: a part of the time for which nobody writes.
pub(super) const HEED: Duration = Duration::from_millis(5);

/// Whether a shard of a sink stands by, and how far it has come.
#[derive(Debug, Default)]
pub(crate) struct StandbyGauge {
    stands_by: AtomicBool,
    takes_over: AtomicBool,
    /// Whether the sink is open and keeps to itself what it is given.
    holds: AtomicBool,
    /// The last time that is computed.
    ready: AtomicU64,
    /// How far the other pipeline has written.
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

    /// Whether the sink is open and keeps to itself what it is given.
    pub(crate) fn holds(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }

    /// How far the other pipeline has written.
    pub(crate) fn other(&self) -> EventTime {
        EventTime(self.other.load(Ordering::Acquire))
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

    /// Says that everything up to a time is computed.
    pub(crate) fn computed(&self, time: EventTime) {
        self.ready.fetch_max(time.0, Ordering::AcqRel);
    }

    /// Up to when everything is computed, and ready to be written where the other pipeline has not.
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
    /// The last batch that the other pipeline has, and up to when it has everything, dead letters too.
    passed: EventTime,
    settled: EventTime,
}

impl Standby {
    pub(crate) fn new(
        tables: &[Arc<Table>],
        resume: Option<EventTime>,
        seen: Option<EventTime>,
        missed: Missed,
    ) -> Self {
        let (held, passed) = (VecDeque::new(), seen.unwrap_or_default());
        Self { tables: tables.to_vec(), resume, seen, missed, held, letters: 0, passed, settled: passed }
    }

    /// Holds a job until the sink is taken over, or has what is in it from the other pipeline.
    pub(crate) fn hold(&mut self, job: Job, gauge: &StandbyGauge) {
        let is_known = match &job {
            Job::Batch(batch) => {
                gauge.computed(batch.time);
                Some(batch.time) <= self.seen
            }
            Job::FlushLetters => true,
            Job::Letters(..) => false,
        };
        self.held.push_back(job);
        if is_known {
            self.let_go();
        }
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
        self.let_go();
        Ok(())
    }

    /// Lets go of what the other pipeline has written. It has a dead letter that was found here before a batch only if it has
    /// come as far in the letter's partition, which may be ahead of the others.
    fn let_go(&mut self) {
        let mut keeps_letters = false;
        for job in std::mem::take(&mut self.held) {
            match job {
                Job::Batch(batch) if Some(batch.time) <= self.seen => {
                    self.passed = batch.time.max(self.passed);
                    if !keeps_letters {
                        self.settled = self.passed;
                    }
                    self.missed.keep(batch);
                }
                // In their order, as they are counted.
                Job::Letters(_, found) if !keeps_letters && Some(found) <= self.seen => self.letters += 1,
                Job::FlushLetters if !keeps_letters => {}
                job => {
                    keeps_letters |= matches!(job, Job::Letters(..));
                    self.held.push_back(job);
                }
            }
        }
        if !keeps_letters {
            self.settled = self.passed;
        }
    }

    /// Takes out the dead letters that the other pipeline may not have, and that were found before what it has not.
    fn first_letters(&mut self) -> Vec<DeadLetter> {
        let mut letters = Vec::new();
        while !matches!(self.held.front(), None | Some(Job::Batch(_))) {
            if let Some(Job::Letters(these, _)) = self.held.pop_front() {
                self.letters += 1;
                letters.extend(these);
            }
        }
        letters
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
            if takes_over {
                let letters = standby.first_letters();
                if !letters.is_empty() {
                    self.persist(|| sink.dead_letters(&letters).and_then(|()| sink.apply(&[])))?;
                }
                standby.settled = standby.passed;
            }
            self.gauge.standby.follow(durable);
            self.gauge.durable.store(standby.settled.0, Ordering::Release);
            self.settled(standby.letters);
            if takes_over {
                self.gauge.standby.end();
                (self.held, self.missed) = (standby.held, standby.missed);
                return Ok(standby.letters);
            }
        }
    }

    /// How far a sink has been written by the other pipeline.
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

    use super::*;

    fn batch(time: u64) -> Job {
        Job::Batch(Batch { time: EventTime(time), changes: Vec::new() })
    }

    fn standby(jobs: Vec<Job>) -> Standby {
        let mut standby = Standby::new(&[], None, Some(EventTime(10)), Missed::default());
        let gauge = StandbyGauge::default();
        jobs.into_iter().for_each(|job| standby.hold(job, &gauge));
        standby
    }

    #[test]
    fn a_dead_letter_is_held_until_the_other_pipeline_has_come_past_where_it_was_found() {
        // The letters were found before the batch of 20, in a partition that was ahead, at 25 and at 30.
        let letters = |found| Job::Letters(Vec::new(), EventTime(found));
        let mut standby = standby(vec![letters(25), letters(30), batch(20), batch(30), batch(40)]);
        standby.reached(Some(EventTime(20))).unwrap();
        assert_eq!((standby.letters, standby.settled, standby.held.len()), (0, EventTime(10), 4));
        standby.reached(Some(EventTime(25))).unwrap();
        assert_eq!((standby.letters, standby.settled, standby.held.len()), (1, EventTime(10), 3));
        standby.reached(Some(EventTime(30))).unwrap();
        assert_eq!((standby.letters, standby.settled, standby.held.len()), (2, EventTime(30), 1));
    }

    #[test]
    fn what_is_known_already_is_let_go_at_once() {
        let standby = standby(vec![batch(5), Job::FlushLetters, batch(10)]);
        assert!(standby.held.is_empty());
        assert_eq!(standby.settled, EventTime(10));
    }

    #[test]
    fn a_sink_that_goes_back_is_an_error() {
        let error = standby(vec![batch(20)]).reached(Some(EventTime(9))).unwrap_err();
        assert!(error.to_string().contains("start from the savepoint again"), "{error}");
    }
}
