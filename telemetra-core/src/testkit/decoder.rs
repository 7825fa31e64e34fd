//! The compliance suite of decoders.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::read::arena::Arena;
use crate::read::batch::Record;
use crate::read::decode::{DecodeError, Decoder};
use crate::read::event::Events;

/// Checks that a decoder keeps the contract of [`Decoder`], on records that can be decoded (`good`) and
/// records that cannot (`bad`), and on all of them after cutting them off at each byte and flipping each bit.
/// The first good record must contain an event.
///
/// The suite decodes about sixteen times for each byte, so a few records of some hundred bytes are enough.
///
/// # Panics
///
/// If the contract is broken. The message names the clause and shows the record.
///
/// ```
/// # #[derive(Debug, serde::Deserialize)] struct Reading { device: String }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { Default::default() }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::{SerdeJson, testkit::decoder_compliance};
/// decoder_compliance::<Reading>(&SerdeJson::new(), &[br#"{"device":"d1"}"#, b" "], &[b"{}", b"not JSON"]);
/// ```
pub fn decoder_compliance<E: Events>(decoder: &dyn Decoder<E>, good: &[&[u8]], bad: &[&[u8]])
where
    for<'a> E::Of<'a>: Debug,
{
    let first = *good.first().unwrap_or(&&b""[..]);
    for record in good {
        if let Err(error) = check(decoder, first, record) {
            panic!("a good record does not decode: {error}; {}", shown(record));
        }
    }
    for record in bad {
        if check(decoder, first, record).is_ok() {
            panic!("a bad record decodes; {}", shown(record));
        }
    }
    for record in good.iter().chain(bad) {
        for end in 0..record.len() {
            let _ = check(decoder, first, &record[..end]);
        }
        let mut flipped = record.to_vec();
        for at in 0..record.len() {
            for bit in 0..8 {
                flipped[at] ^= 1 << bit;
                let _ = check(decoder, first, &flipped);
                flipped[at] ^= 1 << bit;
            }
        }
    }
}

/// Checks the clauses that apply to any record, and returns whether it can be decoded. `first` is decoded
/// before it, into the same list.
fn check<E: Events>(decoder: &dyn Decoder<E>, first: &[u8], record: &[u8]) -> Result<(), DecodeError>
where
    for<'a> E::Of<'a>: Debug,
{
    let before = record.to_vec();
    let arena = Arena::default();
    let mut events = Vec::new();
    let _ = decode(decoder, first, &arena, &mut events);
    let there = events.iter().map(|event| format!("{event:?}")).collect::<Vec<_>>();
    let verdict = decode(decoder, record, &arena, &mut events);

    let after: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    assert!(record == before, "input untouched: decoding changed the record; {}", shown(&before));
    assert!(
        after.starts_with(&there),
        "zero or more events: decoding removed or changed an event that was there; {}",
        shown(record)
    );
    assert!(
        verdict.is_ok() || after.len() == there.len(),
        "all or nothing: an error left {} events behind; {}",
        after.len() - there.len(),
        shown(record)
    );

    let arena = Arena::default();
    let mut again = Vec::new();
    let second = decode(decoder, record, &arena, &mut again);
    let again: Vec<String> = again.iter().map(|event| format!("{event:?}")).collect();
    assert!(
        second == verdict && again == after[there.len()..],
        "pure: decoding twice gives {verdict:?} with {:?}, then {second:?} with {again:?}; {}",
        &after[there.len()..],
        shown(record)
    );
    verdict
}

fn decode<'a, E: Events>(
    decoder: &dyn Decoder<E>,
    record: &'a [u8],
    arena: &'a Arena,
    events: &mut Vec<E::Of<'a>>,
) -> Result<(), DecodeError> {
    let outcome = catch_unwind(AssertUnwindSafe(|| decoder.decode(Record::new(record), arena, events)));
    outcome.unwrap_or_else(|_| panic!("total: decoding panicked; {}", shown(record)))
}

fn shown(record: &[u8]) -> String {
    format!("the record is `{}`", record.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::event::Event;
    use crate::time::event_time::EventTime;

    #[derive(Clone, Debug, PartialEq)]
    struct Letter(u8);

    impl Event for Letter {
        type Key = u8;

        fn time(&self) -> EventTime {
            EventTime::MIN
        }

        fn key(&self) -> u8 {
            self.0
        }
    }

    /// A decoder made of a function that breaks one clause.
    struct Broken<F>(F);
    impl<F> Decoder<Letter> for Broken<F>
    where
        F: Fn(&[u8], &mut Vec<Letter>) -> Result<(), DecodeError> + Send + Sync,
    {
        fn decode<'a>(
            &self,
            record: Record<'a>,
            _: &'a Arena,
            events: &mut Vec<Letter>,
        ) -> Result<(), DecodeError> {
            (self.0)(record.value, events)
        }
    }

    const NO: Result<(), DecodeError> = Err(DecodeError::new("no"));

    fn ok_if_x(record: &[u8]) -> Result<(), DecodeError> {
        if record == b"x" { Ok(()) } else { NO }
    }

    #[test]
    fn accepts_what_complies() {
        decoder_compliance(&Broken(|r: &[u8], _: &mut Vec<Letter>| ok_if_x(r)), &[b"x"], &[b"y"]);
    }

    #[test]
    #[should_panic(expected = "a good record does not decode: no; the record is `x`")]
    fn finds_good_records_refused() {
        decoder_compliance(&Broken(|_: &[u8], _: &mut Vec<Letter>| NO), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "a bad record decodes; the record is `y`")]
    fn finds_bad_records_accepted() {
        decoder_compliance(&Broken(|_: &[u8], _: &mut Vec<Letter>| Ok(())), &[], &[b"y"]);
    }

    #[test]
    #[should_panic(expected = "all or nothing: an error left 1 events behind")]
    fn finds_events_of_bad_records() {
        let half = |record: &[u8], events: &mut Vec<Letter>| {
            events.push(Letter(1));
            ok_if_x(record)
        };
        decoder_compliance(&Broken(half), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "zero or more events: decoding removed")]
    fn finds_events_removed() {
        let clears = |record: &[u8], events: &mut Vec<Letter>| {
            match record {
                b"x" => events.push(Letter(1)),
                _ => events.clear(),
            }
            Ok(())
        };
        decoder_compliance(&Broken(clears), &[b"x", b"xy"], &[]);
    }

    #[test]
    #[should_panic(expected = "total: decoding panicked; the record is ``")]
    fn finds_panics_on_truncated_records() {
        let indexes = |record: &[u8], _: &mut Vec<Letter>| {
            assert!(record[0] != 0);
            Ok(())
        };
        decoder_compliance(&Broken(indexes), &[b"x"], &[]);
    }

    #[test]
    #[should_panic(expected = "pure: decoding twice gives")]
    fn finds_memory() {
        let calls = std::sync::atomic::AtomicUsize::new(0);
        let alternates = move |_: &[u8], _: &mut Vec<Letter>| {
            if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed).is_multiple_of(2) {
                Ok(())
            } else {
                NO
            }
        };
        decoder_compliance(&Broken(alternates), &[b"x"], &[]);
    }
}
