//! Replays recorded lines at the pace of their event times, times a factor.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use telemetra_core::{
    Arena, Clock, ConfigError, Decoder, Event, EventTime, Events, ExternalError, Partition, Polled, Record,
    RecordBatch,
};

/// The longest pause before a paced partition checks the clock again, in milliseconds.
const LONGEST_PAUSE: u64 = 100;
/// The longest wait for a record, in milliseconds of processing time. The event time of a record that is
/// further ahead must be wrong; it is returned at once, so that it does not hold up those behind it.
const LONGEST_WAIT: u64 = 3_600_000;

type TimeOf = Arc<dyn Fn(Record<'_>) -> Option<EventTime> + Send + Sync>;

/// The speed at which [`Lines::paced`](crate::Lines::paced) replays recorded lines: the intervals of their event
/// times, divided by a factor.
///
/// The first record with an event time is due at once, whichever partition it is in. A later record is due
/// when the processing time passed since then, times the factor, equals the difference of the event times. A
/// record without an event time is due with the record before it. Clones share the starting point.
///
/// ```
/// use telemetra_core::{Clock, EventTime};
/// use telemetra_sinks::{Lines, Pace};
///
/// // Ten times as fast as recorded; the time is the line's first word.
/// let pace = Pace::new(10.0, Clock::system(), |record| {
///     let word = record.value.split(|b| *b == b' ').next()?;
///     std::str::from_utf8(word).ok()?.parse().ok().map(EventTime)
/// })?;
/// let source = Lines::file("recorded.log").paced(pace);
/// assert!(Pace::new(0.0, Clock::system(), |_| None).is_err());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Pace {
    factor: f64,
    clock: Clock,
    time_of: TimeOf,
    /// The event time of the first record and its due time on the monotonic clock, shared by all partitions.
    origin: Arc<OnceLock<(EventTime, Duration)>>,
}

impl Pace {
    /// Creates a pace of `factor` times the recorded one: 1 is the recorded pace, 10 is ten times as fast.
    /// `time_of` returns the event time of a record; use [`event_time_by`] to read it by a decoder. A record that
    /// would have to wait for more than an hour of processing time is returned at once, as its event time must be
    /// wrong.
    ///
    /// # Errors
    ///
    /// If the factor is not a finite number above zero.
    pub fn new(
        factor: f64,
        clock: Clock,
        time_of: impl Fn(Record<'_>) -> Option<EventTime> + Send + Sync + 'static,
    ) -> Result<Self, ConfigError> {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(ConfigError::new(
                "pace",
                format!("the factor {factor} is not a number above zero"),
                "make it a number above zero, 1 for the pace recorded",
            ));
        }
        Ok(Self { factor, clock, time_of: Arc::new(time_of), origin: Arc::default() })
    }

    /// Returns the milliseconds until a record of this time is due; 0 if it is due.
    fn wait(&self, time: EventTime) -> u64 {
        let now = self.clock.monotonic();
        let (event, due) = *self.origin.get_or_init(|| (time, now));
        let due = due.saturating_add(Duration::from_millis(((time - event) as f64 / self.factor) as u64));
        let wait = u64::try_from(due.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
        if wait > LONGEST_WAIT { 0 } else { wait }
    }
}

impl fmt::Debug for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pace").field("factor", &self.factor).finish_non_exhaustive()
    }
}

/// Returns a function that reads the event time of a record by a decoder: the time of its first event, or
/// `None` if it has none or is malformed. For [`Pace::new`]. Each record is then decoded twice, here and by the pipeline.
///
/// ```
/// use telemetra_core::{Clock, Event, EventTime, Record, SerdeJson};
/// use telemetra_sinks::{Lines, Pace, event_time_by};
///
/// #[derive(serde::Deserialize)]
/// struct Reading { device: String, time: EventTime }
/// impl Event for Reading {
///     type Key = String;
///     fn time(&self) -> EventTime { self.time }
///     fn key(&self) -> &str { &self.device }
/// }
///
/// let time_of = event_time_by::<Reading>(SerdeJson::new());
/// assert_eq!(time_of(Record::new(br#"{"device": "d1", "time": 5}"#)), Some(EventTime(5)));
/// assert_eq!(time_of(Record::new(b"no JSON")), None);
/// let pace = Pace::new(60.0, Clock::system(), time_of)?;
/// let source = Lines::file("recorded.jsonl").paced(pace);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub fn event_time_by<E: Events>(
    decoder: impl Decoder<E> + 'static,
) -> impl Fn(Record<'_>) -> Option<EventTime> + Send + Sync + 'static {
    move |record| {
        let arena = Arena::default();
        let mut events = Vec::<E::Of<'_>>::new();
        decoder.decode(record, &arena, &mut events).ok()?;
        events.first().map(Event::time)
    }
}

/// A partition that returns records when they are due.
pub(super) struct Paced {
    inner: Box<dyn Partition>,
    pace: Pace,
    /// Records that were read and are not due yet, from `next` on.
    ahead: RecordBatch,
    next: usize,
    done: bool,
}

impl Paced {
    pub(super) fn new(inner: Box<dyn Partition>, pace: Pace) -> Self {
        Self { inner, pace, ahead: RecordBatch::default(), next: 0, done: false }
    }
}

impl Partition for Paced {
    fn poll(&mut self, batch: &mut RecordBatch) -> Result<Polled, ExternalError> {
        if self.next == self.ahead.records().len() {
            if self.done {
                return Ok(Polled::Done);
            }
            self.ahead.clear();
            self.next = 0;
            let polled = self.inner.poll(&mut self.ahead)?;
            self.done = polled == Polled::Done;
            if self.ahead.is_empty() {
                return Ok(polled);
            }
        }
        batch.attach_from(&self.ahead);
        while let Some(place) = self.ahead.records().get(self.next) {
            let record = self.ahead.record(place, self.inner.topic());
            let wait = (self.pace.time_of)(record).map_or(0, |time| self.pace.wait(time));
            if wait > 0 {
                return Ok(Polled::Idle(Duration::from_millis(wait.min(LONGEST_PAUSE))));
            }
            match place.oversize {
                Some(length) => batch.push_oversize(record.value, length, place.offset),
                None => batch.push(record.value, place.offset),
            }
            self.next += 1;
        }
        Ok(Polled::Ready)
    }

    fn offset(&self) -> u64 {
        self.ahead.records().get(self.next).map_or_else(|| self.inner.offset(), |record| record.offset)
    }

    fn identity(&mut self, offset: u64) -> Option<u64> {
        self.inner.identity(offset)
    }

    fn topic(&self) -> &str {
        self.inner.topic()
    }

    fn committed(&mut self, offset: u64) {
        self.inner.committed(offset);
    }
}
