//! The wire format of Confluent's serialisers: the id of a record's schema before its value.

use std::borrow::Cow;

use telemetra_core::{Arena, DecodeError, Decoder, Events, Preparation, Record};

/// Splits a record into the id of its schema and the value behind.
pub(super) fn split(record: &[u8]) -> Result<(u32, &[u8]), DecodeError> {
    match record {
        [0, a, b, c, d, value @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), value)),
        [0, ..] => Err(DecodeError::new("the record ends within the id of its schema")),
        _ => Err(DecodeError::new(
            "the record does not begin with byte 0 and the id of its schema: it was written without a schema \
             registry",
        )
        .at(0)),
    }
}

/// The same error, with the id of the schema by which the record was written.
pub(super) fn by_schema(id: u32, mut error: DecodeError) -> DecodeError {
    error.reason = Cow::Owned(format!("{} (schema {id})", error.reason));
    // The place is counted from behind the id; a dead letter has the whole record.
    error.at = error.at.map(|at| at + PREFIX);
    error
}

/// The length of what stands before the value.
const PREFIX: usize = 5;

/// A wrapper of another decoder, for records in the wire format of Confluent's serialisers: byte 0, the id of the
/// schema in four bytes (big-endian), and a value that can be decoded without its schema, such as JSON with a JSON
/// Schema. It removes the first five bytes, passes the value to the inner decoder, and adds the id to the inner
/// decoder's errors. No registry is needed, and the value is not validated against the schema. A record that does
/// not begin with byte 0 and an id is malformed.
///
/// Do not wrap the decoders of Avro and Protobuf: `Avro::from_registry` reads this format itself, as it needs the
/// schema, and so does `Protobuf::confluent`, as more bytes precede a Protobuf message.
///
/// ```
/// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record, SerdeJson};
/// # use telemetra_sinks::formats::Confluent;
/// # #[derive(serde::Deserialize)]
/// # struct Reading { device: String }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { EventTime(0) }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// let (decoder, arena, mut readings) = (Confluent::new(SerdeJson::<Reading>::new()), Arena::default(), Vec::new());
/// decoder.decode(Record::new(b"\0\0\0\0\x07{\"device\": \"d1\"}"), &arena, &mut readings)?;
/// assert_eq!(readings[0].device, "d1");
/// let error = decoder.decode(Record::new(b"\0\0\0\0\x07{}"), &arena, &mut readings).unwrap_err();
/// assert!(error.to_string().contains("schema 7"));
/// # Ok::<(), telemetra_core::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Confluent<D>(D);

impl<D> Confluent<D> {
    /// Wraps a decoder, which receives the bytes after the schema's id, with the key, headers and topic of the record.
    pub const fn new(inner: D) -> Self {
        Self(inner)
    }
}

impl<E: Events, D: Decoder<E>> Decoder<E> for Confluent<D> {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<E::Of<'a>>,
    ) -> Result<(), DecodeError> {
        let (id, value) = split(record.value)?;
        self.0.decode(record.with_value(value), arena, events).map_err(|error| by_schema(id, error))
    }

    fn identity(&self) -> String {
        format!("confluent {}", self.0.identity())
    }

    fn preparation(&self) -> Option<std::sync::Arc<dyn Preparation>> {
        self.0.preparation()
    }
}
