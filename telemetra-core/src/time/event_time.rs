//! Event time, which is also the timestamp of every dataflow, and the clock of processing time.
//!
//! If the timestamp of a dataflow is event time, a timely frontier *is* a watermark. So one type is both the
//! time of an event and the timestamp of the dataflow.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use differential_dataflow::lattice::{Lattice, Maximum};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use timely::order::{PartialOrder, TotalOrder};
use timely::progress::timestamp::{PathSummary, Refines, Timestamp};

use crate::time::millis;

/// A point in event time: milliseconds since the Unix epoch, UTC. It is the timestamp of all dataflows.
///
/// ```
/// use telemetra_core::EventTime;
/// let t = EventTime(1_767_225_600_000);
/// assert_eq!(t.to_string(), "2026-01-01T00:00:00.000Z");
/// assert_eq!(t.plus(1_500) - t, 1_500);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(pub u64);

/// Written as RFC 3339 in human-readable formats, and as a number of milliseconds in others.
impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

/// Read from RFC 3339 or a number of milliseconds in human-readable formats, and from a number of
/// milliseconds in others.
impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(TimeVisitor)
        } else {
            u64::deserialize(deserializer).map(Self)
        }
    }
}

impl EventTime {
    /// Reads a number of microseconds since the epoch and drops what is beyond the millisecond. For fields of other
    /// producers' events, like those of Avro's logical type `timestamp-micros`.
    ///
    /// # Errors
    ///
    /// If it is not a number, is before the epoch, or is after [`LATEST`](Self::LATEST).
    ///
    /// ```
    /// # use telemetra_core::EventTime;
    /// #[derive(serde::Deserialize)]
    /// struct Reading {
    ///     #[serde(deserialize_with = "EventTime::from_micros")]
    ///     time: EventTime,
    /// }
    /// let reading: Reading = serde_json::from_str(r#"{"time": 1767225600000999}"#)?;
    /// assert_eq!(reading.time, EventTime(1_767_225_600_000));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn from_micros<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        TimeVisitor.visit_u64(u64::deserialize(deserializer)? / 1000)
    }
}

struct TimeVisitor;

impl Visitor<'_> for TimeVisitor {
    type Value = EventTime;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as RFC 3339 text or in milliseconds since the Unix epoch")
    }

    fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<EventTime, E> {
        let time = EventTime(millis);
        if time > EventTime::LATEST {
            return Err(E::custom("a time after the year 9999 cannot be used"));
        }
        Ok(time)
    }

    fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<EventTime, E> {
        match u64::try_from(millis) {
            Ok(millis) => self.visit_u64(millis),
            Err(_) => Err(E::custom("a time before 1970 cannot be used")),
        }
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EventTime, E> {
        crate::time::rfc3339::parse_timestamp(text.as_bytes())
            .map_err(|error| E::custom(format_args!("the time `{text}` {error}")))
    }
}

impl EventTime {
    /// The least time: the epoch.
    pub const MIN: Self = Self(0);
    /// The greatest time. A floor of `MAX` means that no event will come any more.
    pub const MAX: Self = Self(u64::MAX);
    /// The latest time that a text or JSON may have: the last millisecond of the year 9999.
    pub const LATEST: Self = Self(253_402_300_799_999);

    /// The time `millis` later, at most [`MAX`](Self::MAX).
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// The time `millis` earlier, at least [`MIN`](Self::MIN).
    ///
    /// ```
    /// use telemetra_core::EventTime;
    /// assert_eq!(EventTime(1_500).minus(500), EventTime(1_000));
    /// assert_eq!(EventTime(1_500).minus(2_000), EventTime::MIN, "no event time is before 1970");
    /// ```
    #[must_use]
    pub const fn minus(self, millis: u64) -> Self {
        Self(self.0.saturating_sub(millis))
    }
}

/// The milliseconds from `rhs` to this time; 0 if `rhs` is later.
impl std::ops::Sub for EventTime {
    type Output = u64;
    fn sub(self, rhs: Self) -> u64 {
        self.0.saturating_sub(rhs.0)
    }
}

/// The time later by a duration, to the millisecond, as by [`plus`](EventTime::plus).
impl std::ops::Add<Duration> for EventTime {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        self.plus(millis::of(span))
    }
}

/// The time earlier by a duration, to the millisecond, as by [`minus`](EventTime::minus).
impl std::ops::Sub<Duration> for EventTime {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        self.minus(millis::of(span))
    }
}

/// Displayed as RFC 3339 in UTC with milliseconds; times after the year 9999 as a number of milliseconds.
impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0) {
            Ok(millis) => write_utc(f, millis),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Writes milliseconds since 1970 as RFC 3339 in UTC; times before the year 0 and after the year 9999 as a number of
/// milliseconds.
pub(crate) fn write_utc(f: &mut fmt::Formatter<'_>, millis: i64) -> fmt::Result {
    /// The first millisecond of the year 0.
    const FIRST: i64 = -62_167_219_200_000;
    if !(FIRST..=EventTime::LATEST.0 as i64).contains(&millis) {
        return write!(f, "{millis}ms");
    }
    let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000) as u64);
    let (y, m, d) = civil_from_days(days);
    let (secs, ms) = (in_day / 1000, in_day % 1000);
    let (h, min, s) = (secs / 3600, secs / 60 % 60, secs % 60);
    // Each row has several times in it: digits by hand are a fifth of what formatting them costs.
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, digits: usize, mut n: u64| {
        for digit in text[at..at + digits].iter_mut().rev() {
            *digit = b'0' + (n % 10) as u8;
            n /= 10;
        }
    };
    [(0, 4, y), (5, 2, m), (8, 2, d), (11, 2, h), (14, 2, min), (17, 2, s), (20, 3, ms)]
        .into_iter()
        .for_each(|(at, digits, n)| put(at, digits, n));
    f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
}

/// The year, month and day of a day that is counted from 1970-01-01, negative before it, in the proleptic Gregorian
/// calendar. Correct from the year 0 on.
///
/// Follows "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant.
#[must_use]
pub fn civil_from_days(days: i64) -> (u64, u64, u64) {
    // From the first of March of the year 0; two months that come before it are those of an era of 400 years earlier.
    let z = (days + 719_468 + 146_097) as u64;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let d = doy - (153 * mp + 2) / 5 + 1;
    let m = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + u64::from(m <= 2) - 400, m, d)
}

impl PartialOrder for EventTime {
    fn less_equal(&self, other: &Self) -> bool {
        self.0 <= other.0
    }
}
impl TotalOrder for EventTime {}

impl Timestamp for EventTime {
    type Summary = Self;
    fn minimum() -> Self {
        Self::MIN
    }
}
impl PathSummary<Self> for EventTime {
    fn results_in(&self, src: &Self) -> Option<Self> {
        self.0.checked_add(src.0).map(Self)
    }
    fn followed_by(&self, other: &Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}
impl Refines<()> for EventTime {
    fn to_inner((): ()) -> Self {
        Self::MIN
    }
    fn to_outer(self) {}
    fn summarize(_: Self) {}
}
impl Lattice for EventTime {
    fn join(&self, other: &Self) -> Self {
        *self.max(other)
    }
    fn meet(&self, other: &Self) -> Self {
        *self.min(other)
    }
}
impl Maximum for EventTime {
    fn maximum() -> Self {
        Self::MAX
    }
}

/// The clock of processing time. Only [`Clock::system`] reads the system's clock; tests set their own.
///
/// ```
/// use telemetra_core::{Clock, EventTime};
/// let clock = Clock::fixed(EventTime(5_000));
/// assert_eq!(clock.now(), EventTime(5_000));
/// assert!(Clock::system().now() > EventTime(1_700_000_000_000));
/// assert!(Clock::system().monotonic() <= Clock::system().monotonic());
/// ```
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> EventTime + Send + Sync>,
    monotonic: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Clock {
    /// The clock of the system.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "only this function reads the system's clock")]
    pub fn system() -> Self {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let clock = Self::from_fn(|| {
            let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            EventTime(since_epoch.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
        });
        clock.with_monotonic(|| ORIGIN.get_or_init(Instant::now).elapsed())
    }

    /// A clock that always shows the same time, for tests.
    #[must_use]
    pub fn fixed(now: EventTime) -> Self {
        Self::from_fn(move || now)
    }

    /// A clock that calls a function, for instance one that a test moves. [`monotonic`](Self::monotonic) also
    /// uses it.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> EventTime + Send + Sync + 'static) -> Self {
        let now = Arc::new(now);
        let same = Arc::clone(&now);
        Self { now, monotonic: Arc::new(move || Duration::from_millis(same().0)) }
    }

    /// The same clock with another function for [`monotonic`](Self::monotonic): a test can then set one while
    /// the other continues.
    #[must_use]
    pub fn with_monotonic(self, monotonic: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self { monotonic: Arc::new(monotonic), ..self }
    }

    /// The present processing time. It moves in either direction when the system's clock is set.
    #[must_use]
    pub fn now(&self) -> EventTime {
        (self.now)()
    }

    /// The time since some moment in the past, which is the same for all clocks of a process. Setting the
    /// system's clock does not change it, so lengths of time are measured by it.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        (self.monotonic)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microseconds_have_the_limit_of_other_times() {
        let read = |micros: u64| {
            let text = micros.to_string();
            EventTime::from_micros(&mut serde_json::Deserializer::from_str(&text)).map_err(|e| e.to_string())
        };
        let last = EventTime::LATEST.0 * 1000 + 999;
        assert_eq!(read(last), Ok(EventTime::LATEST));
        for micros in [last + 1, u64::MAX] {
            assert_eq!(read(micros), Err("a time after the year 9999 cannot be used".to_owned()));
        }
    }
}
