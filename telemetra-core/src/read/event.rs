//! Events: values of the user's own type, with a time, a key, and an id where duplicates are looked for.

use std::fmt;

use crate::ident::{id_of, pack};
use crate::key::Key;
use crate::time::event_time::EventTime;

/// One decoded value of your own type.
///
/// # Contract
///
/// * **Pure.** Time, key and id depend on the event alone: an event that is read again after a restart must fall to the same
///   key and pane.
/// * **An id is unique** among the events of a partition within the allowed lateness.
///
/// Checked by [`event_compliance`](crate::testkit::event_compliance).
///
/// ```
/// use serde::Deserialize;
/// use telemetra_core::{Event, EventTime};
///
/// #[derive(Deserialize)]
/// struct Reading { device: String, site: u32, time: EventTime, celsius: f64 }
///
/// impl Event for Reading {
///     type Key = String;
///     fn time(&self) -> EventTime { self.time }
///     fn key(&self) -> &str { &self.device }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    note = "implement `Event` for it: `type Key`, `fn time(&self) -> EventTime` and `fn key(&self)`"
)]
pub trait Event {
    /// What aggregates are by.
    type Key: Key;

    /// When it happened.
    fn time(&self) -> EventTime;

    /// Whom it is about, in the borrowed form of the key: `&str` for a `String`, the number itself for a number.
    fn key(&self) -> <Self::Key as Key>::Ref<'_>;

    /// The id that duplicates are found by, `None` if it has none. Asked for only where
    /// [duplicates are dropped](crate::TimeConfig::deduplicate).
    fn id(&self) -> Option<EventId> {
        None
    }
}

/// A family of event types, one for each lifetime: what a pipeline is generic over.
///
/// An event that owns its fields is its own family: `Pipeline::<Reading>`. Events that borrow from the record they were decoded
/// from need a type that stands for all of them:
///
/// ```
/// use telemetra_core::{Event, EventTime, Events};
///
/// struct Line<'a> { time: EventTime, host: &'a str }
/// impl Event for Line<'_> {
///     type Key = String;
///     fn time(&self) -> EventTime { self.time }
///     fn key(&self) -> &str { self.host }
/// }
///
/// struct Lines;
/// impl Events for Lines {
///     type Key = String;
///     type Of<'a> = Line<'a>;
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an event nor a family of events",
    note = "implement `Event` for a type that owns its fields; for one that borrows, implement `Events` for a type that stands for it"
)]
pub trait Events: 'static {
    /// What aggregates are by.
    type Key: Key;

    /// The event that borrows for `'a`.
    type Of<'a>: Event<Key = Self::Key>;
}

impl<E: Event + 'static> Events for E {
    type Key = E::Key;
    type Of<'a> = E;
}

/// An event's id as a number of 128 bits: exact for texts of up to 15 bytes, a hash of 124 bits beyond.
///
/// ```
/// use telemetra_core::EventId;
/// assert_eq!(EventId::of("e-17"), EventId::of("e-17"));
/// assert_ne!(EventId::of_kind(1, "7"), EventId::of_kind(2, "7"), "ids are unique within a kind");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u128);

impl EventId {
    /// The id of that text.
    #[must_use]
    #[inline]
    pub fn of(text: &str) -> Self {
        Self(id_of(text))
    }

    /// The id of that text among the events of one kind, of at most 8 kinds: where each kind counts its own ids.
    #[must_use]
    #[inline]
    pub fn of_kind(kind: u8, text: &str) -> Self {
        let kind = u128::from(kind & 7) << 124;
        match pack(text.as_bytes()) {
            Some(packed) => Self(packed | kind),
            None => Self((id_of(text) & !(7 << 124)) | kind),
        }
    }
}

impl From<u64> for EventId {
    fn from(id: u64) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.to_le_bytes();
        let length = usize::from(bytes[15] & 0x0f);
        match std::str::from_utf8(&bytes[..length]) {
            Ok(text) if self.0 >> 127 == 0 && length > 0 => f.write_str(text),
            _ => write!(f, "{:032x}", self.0),
        }
    }
}
