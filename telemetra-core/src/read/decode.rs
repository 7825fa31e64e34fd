//! Decoding: from a record to events.

use std::borrow::Cow;
use std::fmt;

use crate::read::arena::Arena;
use crate::read::batch::Record;
use crate::read::event::Events;

/// Turns one record into events of the family `E`.
///
/// # Contract
///
/// * **Zero or more events.** A record may hold none (a heartbeat) or several. They are appended to `events`; what was there
///   stays.
/// * **All or nothing.** On an error `events` is as it was: no event of a bad record counts.
/// * **Input untouched.** The record is not changed, so that a bad one can be kept as it came.
/// * **Pure.** The same record gives the same events, on any thread, now or after a restart. Not checked, and without it
///   neither restarts nor numbers of workers would give equal answers.
/// * **Total.** No input panics, hangs, or takes more than linear time.
///
/// The test kit's [`decoder_compliance`](crate::testkit::decoder_compliance) checks all but purity across restarts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decode events of `{E}`",
    note = "take `SerdeJson::new()` for JSON and a type that is `Deserialize`, or implement `Decoder<{E}>`"
)]
pub trait Decoder<E: Events>: Send + Sync {
    /// Appends the events of `record` to `events`. Strings that had to be unescaped, and lists, go to `arena`.
    ///
    /// # Errors
    ///
    /// If the record is not what this decoder reads, or an event in it is not valid.
    fn decode<'a>(
        &self,
        record: Record<'a>,
        arena: &'a Arena,
        events: &mut Vec<E::Of<'a>>,
    ) -> Result<(), DecodeError>;

    /// What its answers depend on besides the record: settings of its own, say. A checkpoint of a pipeline whose decoders had another
    /// identity is refused. By default empty.
    fn identity(&self) -> String {
        String::new()
    }

    /// The bytes that a dead letter of `event` keeps; by default those of the record's value.
    fn letter_bytes(&self, record: Record<'_>, event: &E::Of<'_>) -> Box<[u8]> {
        let _ = event;
        record.value.into()
    }
}

impl<E: Events, D: Decoder<E> + ?Sized> Decoder<E> for std::sync::Arc<D> {
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
}

/// Why a record could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The field at fault, if it is one field's.
    pub field: Option<Cow<'static, str>>,
    /// The byte of the record at which it was noticed, if known.
    pub at: Option<usize>,
    /// What is wrong.
    pub reason: Cow<'static, str>,
}

impl DecodeError {
    /// An error of the record as a whole.
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        Self { field: None, at: None, reason: Cow::Borrowed(reason) }
    }

    /// An error of one field.
    #[must_use]
    pub const fn field(field: &'static str, reason: &'static str) -> Self {
        Self { field: Some(Cow::Borrowed(field)), at: None, reason: Cow::Borrowed(reason) }
    }

    /// An error whose reason is made at run time: the text of a parser, say.
    #[must_use]
    pub fn because(reason: impl fmt::Display) -> Self {
        Self { field: None, at: None, reason: Cow::Owned(reason.to_string()) }
    }

    /// Adds the byte at which it was noticed.
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
