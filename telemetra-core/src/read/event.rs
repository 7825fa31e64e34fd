//! Events: decoded values of the user's own type, with a time, a key, and optionally an id.

use std::fmt;

use crate::ident::{id_of, pack};
use crate::key::Key;
use crate::time::event_time::EventTime;

/// An event: a decoded value of your own type that has an event time and a key.
///
/// # Contract
///
/// * **Pure.** Time, key and id depend on the event alone, so that an event that is read again after a
///   restart is in the same pane of the same key.
/// * **Unique ids.** Within the allowed lateness, two different events of a partition have different ids.
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
    /// The type of the key by which events are grouped.
    type Key: Key;

    /// The event time: when the event happened. The event is counted in the windows that contain it, however
    /// late it is read within the [allowed lateness](crate::TimeConfig::allowed_lateness).
    fn time(&self) -> EventTime;

    /// The key, in its borrowed form: `&str` for a `String`, the number itself for a number.
    fn key(&self) -> <Self::Key as Key>::Ref<'_>;

    /// The id by which duplicates are recognised; `None`, the default, if the event has no id: it is then never a
    /// duplicate. It is used only if [duplicates are dropped](crate::TimeConfig::deduplicate).
    fn id(&self) -> Option<EventId> {
        None
    }
}

/// The events of a pipeline: an event type, or a family of event types that differ only in a lifetime. It is
/// the type parameter of a pipeline.
///
/// A type of events that own their fields is used directly: `Pipeline::<Reading>`. Events that borrow from
/// the record from which they were decoded have a lifetime, so another type names the family:
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
    note = "implement `Event` for a type that owns its fields; \
            for a type that borrows, implement `Events` for another type, which names the family"
)]
pub trait Events: 'static {
    /// The type of the key by which events are grouped.
    type Key: Key;

    /// The event type with the lifetime `'a`.
    type Of<'a>: Event<Key = Self::Key>;
}

impl<E: Event + 'static> Events for E {
    type Key = E::Key;
    type Of<'a> = E;
}

/// The id of an event, as a number of 128 bits: exact for texts of up to 15 bytes, a hash for longer texts.
///
/// ```
/// use telemetra_core::EventId;
/// assert_eq!(EventId::of("e-17"), EventId::of("e-17"));
/// assert_ne!(EventId::of_kind(1, "7"), EventId::of_kind(2, "7"), "ids are unique within a kind");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub u128);

impl EventId {
    /// Returns the id with that text. Texts of up to 15 bytes are exact; of longer ones it is a hash of 127 bits.
    #[must_use]
    #[inline]
    pub fn of(text: &str) -> Self {
        Self(id_of(text))
    }

    /// The id with that text among the events of one kind, for sources in which each kind of event has ids of
    /// its own. There are 8 kinds, numbered from 0.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_text_and_eight_kinds_are_eight_ids() {
        let long = "a text of more than fifteen bytes";
        for text in ["", "7", "fifteen letters", long] {
            let ids: std::collections::BTreeSet<_> =
                (0..8).map(|kind| EventId::of_kind(kind, text)).collect();
            assert_eq!(ids.len(), 8, "{text}");
            assert!(ids.iter().all(|id| id.0 >> 127 == u128::from(text == long)), "{text}");
        }
        assert_eq!(EventId::of_kind(0, "7"), EventId::of("7"));
        assert_ne!(EventId::of_kind(3, long), EventId::of_kind(3, "another text of that length.."));
    }

    #[test]
    fn an_id_is_shown_as_its_text_or_as_a_number() {
        let long = EventId::of("a text of more than fifteen bytes");
        assert_eq!(EventId::of("e-17").to_string(), "e-17");
        assert_eq!(EventId::of_kind(5, "e-17").to_string(), "e-17");
        assert_eq!(EventId::from(255).to_string(), "000000000000000000000000000000ff");
        assert_eq!(long.to_string(), format!("{:032x}", long.0));
        // Bytes that are a text would be, if it were none of a hash.
        let hash = EventId(EventId::of("e-17").0 | 1 << 127);
        assert_eq!(hash.to_string(), format!("{:032x}", hash.0));
    }
}
