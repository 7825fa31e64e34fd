//! The bincode format: compact and fast, for programs of the same version.

mod wire;

use ::bincode::{DefaultOptions, ErrorKind, Options};

use crate::core::{Arena, DecodeError, Decoder, Record};
use crate::livestream::LiveEvents;
use crate::livestream::event::Event;
use wire::Wire;

/// A decoder of live-stream events from records made by [`encode_bincode`], with one event each.
///
/// It makes the same checks as [`JsonDecoder`](super::JsonDecoder). A record contains its kind, so its topic
/// does not matter. An empty record has no event.
///
/// ```
/// use telemetra::core::{Arena, Decoder, EventTime, Record};
/// use telemetra::livestream::{BincodeDecoder, Event, Header, ViewerCount, encode_bincode};
///
/// let header = Header { event_id: "e1", time: EventTime(1_500), stream_id: "s1" };
/// let event = Event::Viewer(ViewerCount { header, viewer_count: 42, unique_viewers: None, peak_viewers: None });
/// let (mut record, arena, mut events) = (Vec::new(), Arena::default(), Vec::new());
/// encode_bincode(&event, &mut record);
/// BincodeDecoder.decode(Record::new(&record), &arena, &mut events)?;
/// assert_eq!(events, [event]);
/// # Ok::<(), telemetra::core::DecodeError>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct BincodeDecoder;

/// Appends an event to `out` in bincode 1.3's default encoding: fixed-width integers, little-endian. The
/// sentiment of a chat message is left out, as the reader computes it. [`BincodeDecoder`] has an example.
pub fn encode_bincode(event: &Event<'_>, out: &mut Vec<u8>) {
    let written = ::bincode::serialize_into(out, &Wire::from(event));
    debug_assert!(written.is_ok(), "writing to a vector does not fail: {written:?}");
}

impl Decoder<LiveEvents> for BincodeDecoder {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError> {
        if record.value.is_empty() {
            return Ok(());
        }
        let options = DefaultOptions::new().with_fixint_encoding().reject_trailing_bytes();
        let wire: Wire<'a, Vec<&'a str>> = options.deserialize(record.value).map_err(|e| reason(&e))?;
        events.push(wire.event(arena)?);
        Ok(())
    }
}

#[cold]
fn reason(error: &ErrorKind) -> DecodeError {
    DecodeError::new(match error {
        ErrorKind::Io(_) => "the record ends too early",
        ErrorKind::InvalidUtf8Encoding(_) => "a text is not valid UTF-8",
        ErrorKind::InvalidBoolEncoding(_) => "a flag is neither 0 nor 1",
        ErrorKind::InvalidTagEncoding(_) => "the tag of an optional field is neither 0 nor 1",
        _ => "the record is not one event in bincode; was it written by `encode_bincode` of this version?",
    })
}
