//! From the bytes of a record to events.

mod arena;
mod bincode;
mod json;
mod timestamp;
mod valid;

pub use arena::Arena;
pub use bincode::{BincodeDecoder, encode_bincode};
pub(crate) use json::integer;
pub use json::{JsonDecoder, encode_json, encode_json_with_topic};
pub use timestamp::parse_timestamp;

use std::fmt;

use crate::Event;

/// Turns the bytes of one record into events.
///
/// # Contract
///
/// * **Zero or more events.** A record may hold none (a heartbeat) or several. They are appended to
///   `events`; what was there stays.
/// * **All or nothing.** On an error `events` is as it was: no event of a bad record counts.
/// * **Input untouched.** The record is not changed, so that a bad one can be kept as it came.
/// * **Pure.** The same record gives the same events, on any thread, now or after a restart. Not checked,
///   and without it neither restarts nor numbers of workers would give equal answers.
/// * **Total.** No input panics, hangs, or takes more than linear time.
///
/// The test kit's [`decoder_compliance`](crate::testkit::decoder_compliance) checks all but purity across restarts.
pub trait Decoder: Send + Sync {
    /// Appends the events of `record` to `events`. Strings that had to be unescaped, and lists, go to `arena`.
    ///
    /// # Errors
    ///
    /// If the record is not what this decoder reads, or an event in it is not valid.
    fn decode<'a>(
        &self,
        record: &'a [u8],
        arena: &'a Arena,
        events: &mut Vec<Event<'a>>,
    ) -> Result<(), DecodeError>;
}

/// Why a record could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodeError {
    /// The field at fault, if it is one field's.
    pub field: Option<&'static str>,
    /// The byte of the record at which it was noticed, if known.
    pub at: Option<usize>,
    /// What is wrong.
    pub reason: &'static str,
}

impl DecodeError {
    /// An error of the record as a whole.
    #[must_use]
    pub const fn new(reason: &'static str) -> Self {
        Self { field: None, at: None, reason }
    }

    /// An error of one field.
    #[must_use]
    pub const fn field(field: &'static str, reason: &'static str) -> Self {
        Self { field: Some(field), at: None, reason }
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
        if let Some(field) = self.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(self.reason)?;
        if let Some(at) = self.at {
            write!(f, " (at byte {at})")?;
        }
        Ok(())
    }
}
impl std::error::Error for DecodeError {}
