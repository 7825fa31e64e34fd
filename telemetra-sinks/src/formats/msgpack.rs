//! The decoder of MessagePack.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use telemetra_core::{Arena, DecodeError, Decoder, Event, Record, deserialize_with_path};

/// A decoder of records that are MessagePack values, for events that implement `Deserialize`. A record
/// contains one event: a map by the names of the fields, or an array in their order.
///
/// Times, UUIDs and the like are read as in JSON: an [`EventTime`](telemetra_core::EventTime) from milliseconds
/// or a text in RFC 3339. MessagePack's timestamp extension is not supported. A record with bytes after the value is
/// malformed. The reason in the dead letter of a malformed record names the field.
///
/// ```
/// # use serde::Deserialize;
/// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
/// # use telemetra_sinks::formats::MsgPack;
/// #[derive(Debug, PartialEq, Deserialize)]
/// struct Reading { device: String, time: EventTime }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// let (decoder, arena, mut readings) = (MsgPack::<Reading>::new(), Arena::default(), Vec::new());
/// // {"device": "d1", "time": 5}
/// decoder.decode(Record::new(b"\x82\xa6device\xa2d1\xa4time\x05"), &arena, &mut readings)?;
/// assert_eq!(readings, [Reading { device: "d1".into(), time: EventTime(5) }]);
///
/// let error = decoder.decode(Record::new(b"\x82\xa6device\xa2d1\xa4time\xc0"), &arena, &mut readings);
/// assert!(error.unwrap_err().to_string().starts_with("`time`: "));
/// # Ok::<(), telemetra_core::DecodeError>(())
/// ```
pub struct MsgPack<E>(PhantomData<fn() -> E>);

impl<E> MsgPack<E> {
    /// Creates the decoder. It has no settings.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> Default for MsgPack<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for MsgPack<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MsgPack<{}>", std::any::type_name::<E>())
    }
}

impl<E: Event + DeserializeOwned + 'static> Decoder<E> for MsgPack<E> {
    fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<E>) -> Result<(), DecodeError> {
        let mut bytes = record.value;
        // Other languages write times and ids as they do in JSON.
        let mut deserializer = rmp_serde::Deserializer::new(&mut bytes).with_human_readable();
        let event = deserialize_with_path(&mut deserializer)?;
        if !bytes.is_empty() {
            let at = record.value.len() - bytes.len();
            return Err(DecodeError::new("there are bytes behind the value").at(at));
        }
        events.push(event);
        Ok(())
    }
}
