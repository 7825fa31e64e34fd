//! The JSON decoder for every event type that serde can deserialise.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::read::arena::Arena;
use crate::read::batch::Record;
use crate::read::decode::{DecodeError, Decoder, deserialize_with_path};
use crate::read::event::Event;

/// A decoder of records that are JSON values, for events that implement `Deserialize`. A record contains one
/// event, or none if it is blank.
///
/// The reason in the dead letter of a malformed record is the error of `serde_json`, behind the field that it
/// is about. Decoding costs as much as `serde_json` and the allocations of the event's fields; a malformed
/// record is read a second time to find the field.
///
/// ```
/// # use serde::Deserialize;
/// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record, SerdeJson};
/// #[derive(Debug, PartialEq, Deserialize)]
/// struct Reading { device: String, time: EventTime, celsius: f64 }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// let (decoder, arena, mut readings) = (SerdeJson::<Reading>::new(), Arena::default(), Vec::new());
/// let record = br#"{"device": "d1", "time": "2026-01-01T00:00:00Z", "celsius": -12.5}"#;
/// decoder.decode(Record::new(record), &arena, &mut readings)?;
/// assert_eq!(readings[0].celsius, -12.5);
///
/// let error = decoder.decode(Record::new(br#"{"device": "d1"}"#), &arena, &mut readings).unwrap_err();
/// assert_eq!(error.to_string(), "missing field `time` at line 1 column 16");
/// let warm = Record::new(br#"{"device": "d1", "time": 0, "celsius": "warm"}"#);
/// let error = decoder.decode(warm, &arena, &mut readings).unwrap_err();
/// assert_eq!(error.field.as_deref(), Some("celsius"));
/// # Ok::<(), telemetra_core::DecodeError>(())
/// ```
pub struct SerdeJson<E>(PhantomData<fn() -> E>);

impl<E> SerdeJson<E> {
    /// Creates the decoder.
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<E> Default for SerdeJson<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for SerdeJson<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerdeJson<{}>", std::any::type_name::<E>())
    }
}

impl<E: Event + DeserializeOwned + 'static> Decoder<E> for SerdeJson<E> {
    fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<E>) -> Result<(), DecodeError> {
        // The mark that some programs write before UTF-8 text.
        let value = record.value.strip_prefix("\u{feff}".as_bytes()).unwrap_or(record.value);
        if value.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        events.push(::serde_json::from_slice(value).map_err(|error| with_field::<E>(value, error))?);
        Ok(())
    }
}

/// The error with the field that it is about, which only a second, slower reading knows.
#[cold]
fn with_field<E: DeserializeOwned>(value: &[u8], error: ::serde_json::Error) -> DecodeError {
    let mut again = ::serde_json::Deserializer::from_slice(value);
    // A value followed by something else is itself a good one.
    deserialize_with_path::<E, _>(&mut again).err().unwrap_or_else(|| DecodeError::because(error))
}
