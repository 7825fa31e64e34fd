//! The trace context of a record: the header `traceparent` of the W3C recommendation.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::read::batch::Record;

/// The name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// The flags that the recommendation gives a meaning: sampled, and that the trace id is random.
const KNOWN_FLAGS: u8 = 0b11;

/// The place of a record or a span in a distributed trace, as the header `traceparent` of the
/// [W3C recommendation](https://www.w3.org/TR/trace-context-2/) holds it: the ids of the trace and of the span, and
/// flags.
///
/// It is read by [`parse`](Self::parse), and written by `Display` in version `00`, the only one there is. Flags
/// without a meaning in that version are not passed on, as the recommendation demands.
///
/// ```
/// use telemetra_core::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent = TraceParent::parse(text.as_bytes()).unwrap();
/// assert_eq!(parent.to_string(), text);
/// assert!(parent.is_sampled());
/// assert_eq!(TraceParent::parse(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01"), None);
/// ```
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceParent {
    /// Creates one of the ids of a trace and of a span, which must not be zero, and flags; `None` if one is zero.
    #[must_use]
    pub fn new(trace: u128, span: u64, flags: u8) -> Option<Self> {
        (trace != 0 && span != 0).then_some(Self { trace, span, flags: flags & KNOWN_FLAGS })
    }

    /// Reads the value of a header; `None` if it is not valid: a version of `ff`, digits that are not lower-case
    /// hexadecimal, ids of zero, or another length. What a later version has after the flags is passed over.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (fixed, rest) = value.split_at_checked(55)?;
        let version = u8::try_from(hex(&fixed[..2])?).ok()?;
        let dashes = [2, 35, 52].iter().all(|at| fixed[*at] == b'-');
        let ends = rest.is_empty() || (version > 0 && rest[0] == b'-');
        if version == 0xff || !dashes || !ends {
            return None;
        }
        let span = u64::try_from(hex(&fixed[36..52])?).ok()?;
        let flags = u8::try_from(hex(&fixed[53..])?).ok()?;
        Self::new(hex(&fixed[3..35])?, span, flags)
    }

    /// Returns that of a record; `None` if it has no such header, more than one, or one that is not valid.
    #[must_use]
    pub fn of(record: &Record<'_>) -> Option<Self> {
        let mut found = record.headers().filter(|(name, _)| *name == TRACEPARENT);
        let (_, value) = found.next()?;
        if found.next().is_some() {
            return None;
        }
        Self::parse(value?)
    }

    /// Returns the id of the trace.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace
    }

    /// Returns the id of the span.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span
    }

    /// Returns the flags: 1 for sampled, 2 for a random trace id.
    #[must_use]
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Returns whether the caller that began the trace records it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }

    /// Returns that of the span that the calling thread is in; `None` unless the program has said by
    /// [`set_current`](Self::set_current) how to find it. A sink that can pass it on calls this in
    /// [`apply`](crate::Sink::apply), where it is the span of what is applied.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.get().and_then(|current| current())
    }

    /// Sets how to find the span that a thread is in, for the whole process; the first call counts. Whoever sends spans
    /// somewhere knows their ids; the library does not.
    ///
    /// ```
    /// use telemetra_core::TraceParent;
    /// TraceParent::set_current(|| TraceParent::new(1, 2, 1));
    /// assert_eq!(TraceParent::current().unwrap().span_id(), 2);
    /// ```
    pub fn set_current(current: fn() -> Option<Self>) {
        // A second one is not taken: two would have to agree on what a span is.
        let _ = CURRENT.set(current);
    }
}

static CURRENT: OnceLock<fn() -> Option<TraceParent>> = OnceLock::new();

/// The number that lower-case hexadecimal digits stand for, of which there are no more than 32.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text.as_bytes()).ok_or(InvalidTraceParent)
    }
}

/// The error of a text that is no valid [`TraceParent`].
#[derive(Copy, Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is not a `traceparent` of the form 00-32 hexadecimal digits-16 hexadecimal digits-2 hexadecimal digits"
)]
pub struct InvalidTraceParent;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(text: &str) -> Option<String> {
        TraceParent::parse(text.as_bytes()).map(|parent| parent.to_string())
    }

    #[test]
    fn what_the_recommendation_calls_valid_is_read_and_nothing_else() {
        assert_eq!(parse(GOOD).as_deref(), Some(GOOD));
        assert_eq!(parse(&GOOD.replace("-01", "-00")).as_deref(), Some(&*GOOD.replace("-01", "-00")));
        // Flags without a meaning are read and not passed on.
        assert_eq!(parse(&GOOD.replace("-01", "-ff")).as_deref(), Some(&*GOOD.replace("-01", "-03")));
        // A later version may have more at its end, and is passed on as the one that is known.
        for later in
            ["cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", &format!("01{}-more", &GOOD[2..])]
        {
            assert_eq!(parse(later).as_deref(), Some(GOOD), "{later}");
        }
        let wrong = [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-more"),
            format!("{GOOD}0"),
            format!(" {GOOD}"),
            format!("01{}0", &GOOD[2..]),
            format!("ff{}", &GOOD[2..]),
            format!("0x{}", &GOOD[2..]),
            GOOD.to_uppercase(),
            GOOD.replace("00f067aa0ba902b7", "0000000000000000"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("4736-00f0", "4736_00f0"),
            GOOD.replace("b7-01", "b7-0g"),
            "é".repeat(28),
        ];
        for text in wrong {
            assert_eq!(parse(&text), None, "{text}");
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent));
        }
        assert_eq!(TraceParent::new(0, 1, 0), None);
        assert_eq!(TraceParent::new(1, 0, 0), None);
    }

    #[test]
    fn its_parts_are_those_of_the_text() {
        let good: TraceParent = GOOD.parse().unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(good.trace_id(), 0x4bf92f3577b34da6a3ce929d0e0e4736);
        assert_eq!((good.span_id(), good.flags(), good.is_sampled()), (0x00f067aa0ba902b7, 1, true));
        let other = TraceParent::new(1, 2, 0b10);
        assert_eq!(other.map(|other| (other.flags(), other.is_sampled())), Some((0b10, false)));
        assert_eq!(TraceParent::new(1, 2, 0).map(|none| none.is_sampled()), Some(false));
        TraceParent::set_current(|| TraceParent::new(3, 4, 1));
        TraceParent::set_current(|| None);
        assert_eq!(TraceParent::current(), TraceParent::new(3, 4, 1), "the first one stays");
    }

    #[test]
    fn a_record_has_the_one_header_that_it_has() {
        let of = |headers: &[(&str, Option<&[u8]>)]| {
            let mut batch = crate::RecordBatch::default();
            batch.push(b"value", 0);
            batch.annotate(None, None, headers.iter().copied());
            let found = batch.records().iter().map(|place| TraceParent::of(&batch.record(place, "t")));
            found.collect::<Vec<_>>()[0]
        };
        let good = Some(GOOD.as_bytes());
        assert_eq!(of(&[("other", good)]), None);
        assert_eq!(of(&[("other", None), (TRACEPARENT, good)]), GOOD.parse().ok());
        assert_eq!(of(&[(TRACEPARENT, None)]), None);
        assert_eq!(of(&[(TRACEPARENT, Some(b"00-\xff\xfe"))]), None);
        assert_eq!(of(&[(TRACEPARENT, good), (TRACEPARENT, good)]), None, "which of them?");
    }
}
