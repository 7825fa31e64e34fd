//! The contract of decoders, which turn records into events.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_path_to_error::Segment;

use crate::error::ExternalError;
use crate::read::arena::Arena;
use crate::read::batch::{Record, RecordBatch};
use crate::read::event::Events;

/// A decoder: turns one record into events of type `E`, like Flink's `DeserializationSchema`.
///
/// # Contract
///
/// * **Zero or more events.** A record may contain no event (a heartbeat) or several. They are appended to
///   `events`; earlier events stay.
/// * **All or nothing.** After an error `events` is unchanged: no event of a bad record counts.
/// * **Input untouched.** The record is not changed, so that a dead letter keeps the bytes that came.
/// * **Pure.** The same record gives the same events, on any thread, and after a restart. Otherwise results
///   would depend on restarts and on the number of workers.
/// * **Total.** No input makes it panic, hang, or take more than linear time.
///
/// The test kit's [`decoder_compliance`](crate::testkit::decoder_compliance) checks all clauses, except that
/// results are the same after a restart.
///
/// ```
/// use telemetra_core::testkit::decoder_compliance;
/// use telemetra_core::{Arena, DecodeError, Decoder, Event, EventTime, Record};
///
/// /// A request, read from `host millis`.
/// #[derive(Debug)]
/// struct Request { host: String, time: EventTime }
/// impl Event for Request {
///     type Key = String;
///     fn time(&self) -> EventTime { self.time }
///     fn key(&self) -> &str { &self.host }
/// }
///
/// struct Words;
/// impl Decoder<Request> for Words {
///     fn decode<'a>(&self, record: Record<'a>, _: &'a Arena, events: &mut Vec<Request>) -> Result<(), DecodeError> {
///         let text = std::str::from_utf8(record.value).map_err(|_| DecodeError::new("is not UTF-8"))?;
///         let (host, millis) = text.split_once(' ').ok_or(DecodeError::new("is not two words"))?;
///         let time = millis.parse().map_err(|_| DecodeError::field("time", "is not a number"))?;
///         events.push(Request { host: host.to_owned(), time: EventTime(time) });
///         Ok(())
///     }
/// }
///
/// decoder_compliance::<Request>(&Words, &[b"ada 1000", b"bob 2000"], &[b"", b"ada", b"ada noon"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decode events of `{E}`",
    note = "take `SerdeJson::new()` for JSON and a type that is `Deserialize`, or implement `Decoder<{E}>`"
)]
pub trait Decoder<E: Events>: Send + Sync {
    /// Appends the events of `record` to `events`. Strings that were unescaped, and lists, are allocated in
    /// `arena`.
    ///
    /// # Errors
    ///
    /// If the record has another format, or an event in it is not valid.
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<E::Of<'a>>,
    ) -> Result<(), DecodeError>;

    /// A text that identifies the decoder's settings: everything other than the record that its result
    /// depends on. A pipeline does not start from a checkpoint that was taken with another identity. Empty by
    /// default.
    fn identity(&self) -> String {
        String::new()
    }

    /// The bytes that a dead letter of `event` contains: by default the record's value.
    fn letter_bytes(&self, record: Record<'_>, event: &E::Of<'_>) -> Box<[u8]> {
        let _ = event;
        record.value.into()
    }

    /// Returns the part of the decoder that fetches what decoding needs from outside, such as schemas of a
    /// registry. A pipeline asks it about each batch before it takes the batch. `None`, the default: decoding
    /// needs nothing from outside.
    fn preparation(&self) -> Option<Arc<dyn Preparation>> {
        None
    }
}

/// The part of a [`Decoder`] that fetches from outside what decoding needs.
///
/// Decoding itself must not wait, and a record whose schema is not there yet is not malformed. So a partition
/// whose decoder has a preparation holds each batch back until all that it needs has been fetched; it counts
/// as [pending](crate::Polled::Pending) meanwhile, which is neither idle nor read. A transient error is
/// handled like one of the partition: it is tried again with backoff, and is in the status and the log.
///
/// # Contract
///
/// * **Never blocks.** It starts what takes time on a thread of its own.
/// * **Final.** Once a batch is prepared, decoding its records needs nothing else.
pub trait Preparation: Send + Sync {
    /// Starts to fetch what decoding these records needs, unless it is there. `topic` is that of their
    /// partition.
    ///
    /// # Errors
    ///
    /// Transient, if fetching failed and is tried again by the next call; permanent, if it cannot succeed,
    /// which stops the pipeline.
    fn prepare(&self, batch: &RecordBatch, topic: &str) -> Result<Prepared, ExternalError>;
}

/// The result of [`Preparation::prepare`]: whether decoding of the batch can begin.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Everything that decoding needs is there.
    Ready,
    /// Something is being fetched. Ask again after this pause.
    Pending(Duration),
}

impl<E: Events, D: Decoder<E> + ?Sized> Decoder<E> for Arc<D> {
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<E::Of<'a>>,
    ) -> Result<(), DecodeError> {
        (**self).decode(record, arena, events)
    }

    fn identity(&self) -> String {
        (**self).identity()
    }

    fn letter_bytes(&self, record: Record<'_>, event: &E::Of<'_>) -> Box<[u8]> {
        (**self).letter_bytes(record, event)
    }

    fn preparation(&self) -> Option<Arc<dyn Preparation>> {
        (**self).preparation()
    }
}

/// The error of a record that could not be decoded. The record becomes a dead letter with this reason, is
/// counted as malformed, and does not stop the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The name of the bad field, if one field is bad.
    pub field: Option<Cow<'static, str>>,
    /// The index of the byte at which the error was found, if known.
    pub at: Option<usize>,
    /// The description of the error.
    pub reason: Cow<'static, str>,
}

impl DecodeError {
    /// Creates an error of the record as a whole.
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        Self { field: None, at: None, reason: Cow::Borrowed(reason) }
    }

    /// Creates an error of one field.
    #[must_use]
    pub const fn field(field: &'static str, reason: &'static str) -> Self {
        Self { field: Some(Cow::Borrowed(field)), at: None, reason: Cow::Borrowed(reason) }
    }

    /// Creates an error of the record as a whole, described by another error, such as a parser's.
    #[must_use]
    pub fn because(reason: impl fmt::Display) -> Self {
        Self { field: None, at: None, reason: Cow::Owned(reason.to_string()) }
    }

    /// Returns the same error with the index of the byte at which it was found.
    #[must_use]
    pub const fn at(mut self, at: usize) -> Self {
        self.at = Some(at);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&self.reason)?;
        if let Some(at) = self.at {
            write!(f, " (at byte {at})")?;
        }
        Ok(())
    }
}
impl std::error::Error for DecodeError {}

/// Deserialises a value of any serde format for a [`Decoder`]. The error names the field that is wrong, like
/// `place.site` or `readings[3]`.
///
/// Keeping the path takes time, also of good values.
///
/// # Errors
///
/// If the deserializer fails.
///
/// ```
/// # use telemetra_core::deserialize_with_path;
/// #[derive(Debug, serde::Deserialize)]
/// struct Reading { celsius: f64 }
/// let mut json = serde_json::Deserializer::from_str(r#"{"celsius": "warm"}"#);
/// let error = deserialize_with_path::<Reading, _>(&mut json).unwrap_err();
/// assert_eq!(error.field.as_deref(), Some("celsius"));
/// ```
pub fn deserialize_with_path<'de, T, D>(deserializer: D) -> Result<T, DecodeError>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let mut path = error.path().to_string();
        // The input ended where a field's name was expected.
        if let Some(Segment::Unknown) = error.path().iter().next_back() {
            path.truncate(path.rfind('.').unwrap_or(0));
        }
        let mut decode = DecodeError::because(error.into_inner());
        decode.field = (!matches!(path.as_str(), "" | ".")).then(|| path.into());
        decode
    })
}
