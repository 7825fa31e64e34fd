//! Compliance of decoders.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Arena, DecodeError, Decoder, Event, EventTime, Header, ViewerCount};

/// Checks the contract of [`Decoder`] on records that decode (`good`) and records that do not (`bad`), and on what
/// becomes of each when it is cut off at any byte, or any one bit of it is flipped.
///
/// Cost: about eight decodes for each byte given; a few records of some hundred bytes are plenty.
///
/// # Panics
///
/// If a clause does not hold; the message names the clause and shows the record.
///
/// ```
/// use telemetra_core::{JsonDecoder, testkit::decoder_compliance};
/// let good = br#"{"event_id":"e1","timestamp":"2026-01-01T00:00:00Z","stream_id":"s1","viewer_count":42}"#;
/// decoder_compliance(&JsonDecoder::mixed(), &[good, b" "], &[b"{}", b"not JSON"]);
/// ```
pub fn decoder_compliance(decoder: &dyn Decoder, good: &[&[u8]], bad: &[&[u8]]) {
    for record in good {
        if let Err(error) = check(decoder, record) {
            panic!("a good record does not decode: {error}; {}", shown(record));
        }
    }
    for record in bad {
        if check(decoder, record).is_ok() {
            panic!("a bad record decodes; {}", shown(record));
        }
    }
    for record in good.iter().chain(bad) {
        for end in 0..record.len() {
            let _ = check(decoder, &record[..end]);
        }
        let mut flipped = record.to_vec();
        for at in 0..record.len() {
            for bit in 0..8 {
                flipped[at] ^= 1 << bit;
                let _ = check(decoder, &flipped);
                flipped[at] ^= 1 << bit;
            }
        }
    }
}

/// Checks what must hold for any record; says whether it decodes.
fn check(decoder: &dyn Decoder, record: &[u8]) -> Result<(), DecodeError> {
    let before = record.to_vec();
    let arena = Arena::default();
    let mut events = vec![FIRST];
    let verdict = decode(decoder, record, &arena, &mut events);

    assert!(record == before, "input untouched: decoding changed the record; {}", shown(&before));
    assert!(
        events.first() == Some(&FIRST),
        "zero or more events: decoding removed or changed an event that was there; {}",
        shown(record)
    );
    assert!(
        verdict.is_ok() || events.len() == 1,
        "all or nothing: an error left {} events behind; {}",
        events.len() - 1,
        shown(record)
    );

    let arena = Arena::default();
    let mut again = Vec::new();
    let second = decode(decoder, record, &arena, &mut again);
    assert!(
        second == verdict && again == events[1..],
        "pure: decoding twice gives {verdict:?} with {:?}, then {second:?} with {again:?}; {}",
        &events[1..],
        shown(record)
    );
    verdict
}

/// What is in the vector before.
const FIRST: Event<'static> = Event::Viewer(ViewerCount {
    header: Header { event_id: "before", time: EventTime(1), stream_id: "before" },
    viewer_count: 1,
    unique_viewers: None,
    peak_viewers: None,
});

fn decode<'a>(
    decoder: &dyn Decoder,
    record: &'a [u8],
    arena: &'a Arena,
    events: &mut Vec<Event<'a>>,
) -> Result<(), DecodeError> {
    let outcome = catch_unwind(AssertUnwindSafe(|| decoder.decode(record, arena, events)));
    outcome.unwrap_or_else(|_| panic!("total: decoding panicked; {}", shown(record)))
}

fn shown(record: &[u8]) -> String {
    format!("the record is `{}`", record.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a decoder of a function, to break one clause each.
    struct Broken<F>(F);
    impl<F> Decoder for Broken<F>
    where
        F: for<'a> Fn(&'a [u8], &mut Vec<Event<'a>>) -> Result<(), DecodeError> + Send + Sync,
    {
        fn decode<'a>(
            &self,
            record: &'a [u8],
            _: &'a Arena,
            events: &mut Vec<Event<'a>>,
        ) -> Result<(), DecodeError> {
            (self.0)(record, events)
        }
    }

    const NO: Result<(), DecodeError> = Err(DecodeError::new("no"));

    fn ok_if_x(record: &[u8]) -> Result<(), DecodeError> {
        if record == b"x" { Ok(()) } else { NO }
    }

    #[test]
    fn accepts_what_complies() {
        decoder_compliance(&Broken(|r: &[u8], _: &mut Vec<Event<'_>>| ok_if_x(r)), &[b"x"], &[b"y"]);
    }

    #[test]
    #[should_panic(expected = "a good record does not decode: no; the record is `x`")]
    fn finds_good_records_refused() {
        decoder_compliance(&Broken(|_: &[u8], _: &mut Vec<Event<'_>>| NO), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "a bad record decodes; the record is `y`")]
    fn finds_bad_records_accepted() {
        decoder_compliance(&Broken(|_: &[u8], _: &mut Vec<Event<'_>>| Ok(())), &[], &[b"y"]);
    }

    #[test]
    #[should_panic(expected = "all or nothing: an error left 1 events behind")]
    fn finds_events_of_bad_records() {
        let half = |record: &[u8], events: &mut Vec<Event<'_>>| {
            events.push(FIRST);
            ok_if_x(record)
        };
        decoder_compliance(&Broken(half), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "zero or more events: decoding removed")]
    fn finds_events_removed() {
        let clears = |_: &[u8], events: &mut Vec<Event<'_>>| {
            events.clear();
            Ok(())
        };
        decoder_compliance(&Broken(clears), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "total: decoding panicked; the record is ``")]
    fn finds_panics_on_truncated_records() {
        let indexes = |record: &[u8], _: &mut Vec<Event<'_>>| {
            assert!(record[0] != 0);
            Ok(())
        };
        decoder_compliance(&Broken(indexes), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "pure: decoding twice gives")]
    fn finds_memory() {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let alternates = move |_: &[u8], _: &mut Vec<Event<'_>>| {
            if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2) {
                Ok(())
            } else {
                NO
            }
        };
        decoder_compliance(&Broken(alternates), &[b"x"], &[]);
    }
}
