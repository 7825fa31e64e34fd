//! The JSON format of topics and files.
//!
//! Decoding has three separate steps: `reader` handles syntax and knows no fields, `fields` locates and
//! parses fields and knows no events, and `kinds` makes events and knows no syntax.

mod decimal;
mod encode;
mod field;
mod fields;
mod kinds;
mod reader;
mod scan;
mod unescape;

pub(in crate::livestream) use encode::integer;
pub use encode::{encode_json, encode_json_with_topic};

use crate::core::{Arena, DecodeError, Decoder, Record};
use crate::livestream::LiveEvents;
use crate::livestream::event::{Event, EventKind};
use fields::Fields;

/// A decoder of live-stream events from records that are one JSON object each.
///
/// The first of these that is known determines the kind of a record's event:
///
/// 1. the decoder, if it was made by [`of`](Self::of);
/// 2. the topic of the record, if its last part is that of a [kind's topic](EventKind::from_topic);
/// 3. the record's field `topic`, which must then name a kind;
/// 4. the fields that a kind requires, in this order: `amount`, `currency` and `transaction_type`; `message`
///    and `user_id`; `event_type`; `viewer_count`. Further fields make no difference: a chat message with a
///    `viewer_count` is a chat message.
///
/// It accepts, beyond the fields of each kind:
///
/// * Fields in any order. Unknown fields are skipped, but must be valid JSON, nested at most 128 levels. If a
///   field occurs twice, the last one counts.
/// * `null`, which is treated as an absent field. Ids, `timestamp`, `username`, the `message` of a chat,
///   `viewer_count`, `amount` and the enumerations are required; an absent flag is false, and an absent list
///   is empty.
/// * Ids of 1 to [`MAX_ID_BYTES`](crate::livestream::MAX_ID_BYTES) bytes, other texts of at most
///   [`MAX_TEXT_BYTES`](crate::livestream::MAX_TEXT_BYTES), lists of at most
///   [`MAX_LIST_ITEMS`](crate::livestream::MAX_LIST_ITEMS).
/// * NUL, which databases do not store, and half of a surrogate pair (`\ud83d` alone), which is not a
///   character: in a text both are replaced by U+FFFD. In an id they are an error, as two ids that differ
///   must not become equal.
/// * A byte order mark before the object.
/// * Counts as numbers whose *value* is a non-negative integer below 2⁶⁴: `12`, `12.0` and `1.2e1` are the
///   same number in JSON, and some producers write all their numbers with a point.
/// * `amount` as a number, or as a string that contains one, not negative. It is converted to fixed point
///   ([`AMOUNT_SCALE`](crate::livestream::AMOUNT_SCALE)) exactly; digits beyond the sixth decimal are rounded
///   half to even.
/// * Times in the forms of [`parse_timestamp`](crate::core::parse_timestamp).
///
/// A record of white space has no event. Time is linear in the length of the record. Only lists and texts
/// with escapes are allocated, in the [`Arena`].
///
/// ```
/// use telemetra::core::{Arena, Decoder, Record};
/// use telemetra::livestream::{Event, JsonDecoder};
///
/// let record = br#"{"event_id": "e1", "timestamp": "2026-01-01T12:00:00Z", "stream_id": "s1", "viewer_count": 42}"#;
/// let (arena, mut events) = (Arena::default(), Vec::new());
/// JsonDecoder::mixed().decode(Record::new(record), &arena, &mut events)?;
/// let Event::Viewer(viewers) = events[0] else { panic!("not a viewer count") };
/// assert_eq!((viewers.header.stream_id, viewers.viewer_count), ("s1", 42));
///
/// let error = JsonDecoder::mixed().decode(Record::new(&record[..90]), &arena, &mut events).unwrap_err();
/// assert_eq!(error.to_string(), "the JSON ends too early (at byte 90)");
/// # Ok::<(), telemetra::core::DecodeError>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct JsonDecoder {
    kind: Option<EventKind>,
}

impl JsonDecoder {
    /// Creates a decoder of records of any kind, which their topic or their fields determine.
    #[must_use]
    pub const fn mixed() -> Self {
        Self { kind: None }
    }

    /// Creates a decoder of records that are all of one kind, whatever their topic.
    #[must_use]
    pub const fn of(kind: EventKind) -> Self {
        Self { kind: Some(kind) }
    }
}

impl Decoder<LiveEvents> for JsonDecoder {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError> {
        let mut fields = Fields::new(record.value, arena)?;
        if !fields.find()? {
            return Ok(());
        }
        let kind = match self.kind.or_else(|| EventKind::from_topic(record.topic)) {
            Some(kind) => kind,
            None => kinds::kind_of(&fields)?,
        };
        events.push(kinds::event(kind, &fields)?);
        Ok(())
    }
}
