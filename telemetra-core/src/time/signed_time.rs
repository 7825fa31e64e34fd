//! Times that may be before 1970: the starts of windows.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::event_time::{EventTime, write_utc};
use crate::time::rfc3339::{TimeError, signed_millis};

/// A point in time that may be before 1970: milliseconds since the Unix epoch, UTC, negative before it.
///
/// The time of an event is an [`EventTime`], which has no sign. A window that contains an event of January 1970 may
/// begin before that year, so the start of a [`Window`](crate::Window) has this type.
///
/// ```
/// use telemetra_core::{EventTime, SignedTime};
/// let start = SignedTime(-50_000);
/// assert_eq!(start.to_string(), "1969-12-31T23:59:10.000Z");
/// assert!(start < EventTime(0));
/// assert_eq!(EventTime(10_000) - start, 60_000);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignedTime(pub i64);

impl SignedTime {
    /// Returns the same time, or 1970 if it is before.
    ///
    /// ```
    /// use telemetra_core::{EventTime, SignedTime};
    /// assert_eq!(SignedTime(5).or_epoch(), EventTime(5));
    /// assert_eq!(SignedTime(-5).or_epoch(), EventTime::MIN);
    /// ```
    #[must_use]
    pub const fn or_epoch(self) -> EventTime {
        EventTime(if self.0 < 0 { 0 } else { self.0 as u64 })
    }
}

/// The same time. Times later than 2⁶³ milliseconds after 1970, such as [`EventTime::MAX`], become the greatest
/// `SignedTime`.
impl From<EventTime> for SignedTime {
    fn from(time: EventTime) -> Self {
        Self(i64::try_from(time.0).unwrap_or(i64::MAX))
    }
}

impl PartialEq<EventTime> for SignedTime {
    fn eq(&self, other: &EventTime) -> bool {
        u64::try_from(self.0) == Ok(other.0)
    }
}

impl PartialOrd<EventTime> for SignedTime {
    fn partial_cmp(&self, other: &EventTime) -> Option<Ordering> {
        Some(u64::try_from(self.0).map_or(Ordering::Less, |millis| millis.cmp(&other.0)))
    }
}

/// The distance in milliseconds; 0 if `rhs` is later.
impl std::ops::Sub<SignedTime> for EventTime {
    type Output = u64;
    fn sub(self, rhs: SignedTime) -> u64 {
        if rhs.0 < 0 {
            self.0.saturating_add(rhs.0.unsigned_abs())
        } else {
            self.0.saturating_sub(rhs.0 as u64)
        }
    }
}

/// Displayed as RFC 3339 in UTC with milliseconds, like an [`EventTime`]; times before the year 0 and after the year
/// 9999 as a number of milliseconds.
impl fmt::Display for SignedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_utc(f, self.0)
    }
}

/// Parsed from an RFC 3339 time, like an [`EventTime`].
///
/// ```
/// use telemetra_core::SignedTime;
/// assert_eq!("1969-12-31T23:59:59Z".parse(), Ok(SignedTime(-1_000)));
/// ```
impl FromStr for SignedTime {
    type Err = TimeError;
    fn from_str(text: &str) -> Result<Self, TimeError> {
        signed_millis(text.as_bytes()).map(Self)
    }
}

/// Written as RFC 3339 in human-readable formats, and as a number of milliseconds in others.
impl Serialize for SignedTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

/// Read from RFC 3339 in human-readable formats, and from a number of milliseconds in others.
impl<'de> Deserialize<'de> for SignedTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
            text.parse().map_err(|error| serde::de::Error::custom(format_args!("the time `{text}` {error}")))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn texts_of_all_years_are_read_back() {
        // A prime number of milliseconds, some 200 days.
        let first: SignedTime = "0001-01-01T00:00:00.000Z".parse().unwrap();
        let last: SignedTime = EventTime::LATEST.into();
        assert_eq!(last.to_string(), "9999-12-31T23:59:59.999Z");
        let times = (first.0..=last.0).step_by(17_179_869_143).map(SignedTime);
        let mut before = String::new();
        for time in
            times.chain([SignedTime(-1), SignedTime(0), last]).collect::<std::collections::BTreeSet<_>>()
        {
            let text = time.to_string();
            assert_eq!(text.parse(), Ok(time), "{text}");
            assert!(before < text, "{before} is before {text}");
            if time >= EventTime::MIN {
                assert_eq!(text, time.or_epoch().to_string());
            }
            before = text;
        }
    }

    #[test]
    fn times_with_and_without_a_sign_are_compared_and_subtracted_as_numbers() {
        let times = [0, 1, i64::MAX as u64, 1 << 63, u64::MAX];
        for (signed, time) in [i64::MIN, -1, 0, 1, i64::MAX].into_iter().flat_map(|s| times.map(|t| (s, t))) {
            let by_number = i128::from(signed).cmp(&i128::from(time));
            assert_eq!(SignedTime(signed).partial_cmp(&EventTime(time)), Some(by_number));
            assert_eq!(SignedTime(signed) == EventTime(time), by_number.is_eq());
            let distance = (i128::from(time) - i128::from(signed)).clamp(0, u64::MAX.into());
            assert_eq!(i128::from(EventTime(time) - SignedTime(signed)), distance);
        }
    }

    #[test]
    fn the_bytes_of_a_time_after_1970_are_those_without_a_sign() {
        let time = EventTime(1_767_225_600_123);
        let signed = SignedTime::from(time);
        assert_eq!(bincode::serialize(&signed).unwrap(), bincode::serialize(&time).unwrap());
        assert_eq!(serde_json::to_string(&signed).unwrap(), serde_json::to_string(&time).unwrap());
        let before = SignedTime(-1);
        assert_eq!(
            bincode::deserialize::<SignedTime>(&bincode::serialize(&before).unwrap()).unwrap(),
            before
        );
        assert_eq!(serde_json::from_str::<SignedTime>(r#""1969-12-31T23:59:59.999Z""#).unwrap(), before);
        let error = serde_json::from_str::<SignedTime>(r#""yesterday""#).unwrap_err();
        assert!(error.to_string().starts_with("the time `yesterday` is not"), "{error}");
    }
}
