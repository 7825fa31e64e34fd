//! The decoder of Protocol Buffers.

use std::fmt;
use std::marker::PhantomData;

use prost::Message;
use telemetra_core::{Arena, DecodeError, Decoder, Event, Record};

use super::confluent;

/// A decoder of records that are Protobuf messages, for events that are types made by `prost`. A record is one
/// event.
///
/// A message identifies its fields by number, so it is decoded without the writer's schema: fields that the type does
/// not have are ignored, and fields that the message does not have get their default values, as Protobuf defines them
/// (0, empty, or `None`). So a record of quite another message type may decode without an error. The reason in the
/// dead letter of a malformed record is prost's error, which names message and field.
///
/// ```
/// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
/// # use telemetra_sinks::formats::Protobuf;
/// #[derive(Clone, PartialEq, prost::Message)]
/// struct Reading {
///     #[prost(string, tag = "1")]
///     device: String,
///     #[prost(uint64, tag = "2")]
///     millis: u64,
/// }
/// impl Event for Reading {
///     type Key = String;
///     fn time(&self) -> EventTime { EventTime(self.millis) }
///     fn key(&self) -> &str { &self.device }
/// }
/// let (decoder, arena, mut readings) = (Protobuf::<Reading>::new(), Arena::default(), Vec::new());
/// decoder.decode(Record::new(b"\x0a\x02d1\x10\x05"), &arena, &mut readings)?;
/// assert_eq!(readings, [Reading { device: "d1".into(), millis: 5 }]);
///
/// let error = decoder.decode(Record::new(b"\x0a\x02d1\x12\x05"), &arena, &mut readings).unwrap_err();
/// assert!(error.to_string().contains("Reading.millis"));
/// # Ok::<(), telemetra_core::DecodeError>(())
/// ```
pub struct Protobuf<E> {
    /// The place of the records' message in the schema's file, if each begins with an id of a schema.
    index: Option<Vec<u32>>,
    event: PhantomData<fn() -> E>,
}

impl<E> Protobuf<E> {
    /// Creates a decoder of records that are a message and nothing else.
    #[must_use]
    pub const fn new() -> Self {
        Self { index: None, event: PhantomData }
    }

    /// Creates a decoder of records in [Confluent's wire format](super): before the message are the id of its schema,
    /// and the index of the message's type in the schema's `.proto` file. The type must be the first of that file.
    ///
    /// No schema is fetched, as none is needed. A record of another message type is malformed.
    ///
    /// ```
    /// # use telemetra_core::{Arena, Decoder, Event, EventTime, Record};
    /// # use telemetra_sinks::formats::Protobuf;
    /// # #[derive(Clone, PartialEq, prost::Message)]
    /// # struct Reading {
    /// #     #[prost(string, tag = "1")]
    /// #     device: String,
    /// # }
    /// # impl Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> EventTime { EventTime(0) }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// let (arena, mut readings) = (Arena::default(), Vec::new());
    /// // Byte 0, schema 7, the first type of its file (written as an empty list), and the message.
    /// let record = Record::new(b"\0\0\0\0\x07\0\x0a\x02d1");
    /// Protobuf::<Reading>::confluent().decode(record, &arena, &mut readings)?;
    /// assert_eq!(readings[0].device, "d1");
    /// assert!(Protobuf::<Reading>::confluent_message([2]).decode(record, &arena, &mut readings).is_err());
    /// # Ok::<(), telemetra_core::DecodeError>(())
    /// ```
    #[must_use]
    pub fn confluent() -> Self {
        Self::confluent_message([0])
    }

    /// Creates a decoder like [`confluent`](Self::confluent) for a type that is not the first of its file.
    /// `[2]` is the third type of the file, and `[2, 0]` the first one that is declared within that.
    #[must_use]
    pub fn confluent_message(index: impl IntoIterator<Item = u32>) -> Self {
        Self { index: Some(index.into_iter().collect()), event: PhantomData }
    }
}

impl<E> Default for Protobuf<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for Protobuf<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Protobuf<{}>({:?})", std::any::type_name::<E>(), self.index)
    }
}

impl<E: Event + Message + Default + 'static> Decoder<E> for Protobuf<E> {
    fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<E>) -> Result<(), DecodeError> {
        let event = match &self.index {
            None => E::decode(record.value).map_err(DecodeError::because)?,
            Some(index) => {
                let (id, value) = confluent::split(record.value)?;
                message_of(value, index)
                    .and_then(|message| E::decode(message).map_err(DecodeError::because))
                    .map_err(|error| confluent::by_schema(id, error))?
            }
        };
        events.push(event);
        Ok(())
    }

    fn identity(&self) -> String {
        self.index.as_ref().map_or_else(String::new, |index| format!("confluent {index:?}"))
    }
}

/// The message behind the index of its type, which has to be this one.
fn message_of<'a>(value: &'a [u8], index: &[u32]) -> Result<&'a [u8], DecodeError> {
    let mut rest = value;
    let mut number = || {
        let varint = prost::encoding::decode_varint(&mut rest).ok();
        // Zigzag, as in Avro, and never negative.
        varint.filter(|n| n % 2 == 0).and_then(|n| u32::try_from(n / 2).ok())
    };
    let bad = DecodeError::new("the index of the message's type cannot be read");
    let count = number().ok_or_else(|| bad.clone())?;
    // The first type of a file, by far the most frequent, is written as an empty list.
    let written: Vec<u32> = match count {
        0 => vec![0],
        _ if count as usize > value.len() => return Err(bad),
        count => (0..count).map(|_| number()).collect::<Option<_>>().ok_or(bad)?,
    };
    if written != index {
        return Err(DecodeError::because(format_args!(
            "the record is the message {written:?} of its schema's file, not {index:?}"
        )));
    }
    Ok(rest)
}
