//! The limits of an event's fields, for all formats. Each error is about one field.

use crate::core::Arena;
use crate::livestream::event::{MAX_ID_BYTES, MAX_LIST_ITEMS, MAX_TEXT_BYTES};

pub(super) const MISSING: &str = "is missing";
pub(super) const NEGATIVE: &str = "is negative";
pub(super) const TOO_LATE: &str = "is after the year 9999";

// The error texts contain the limits.
const _: () = assert!(MAX_ID_BYTES == 256 && MAX_TEXT_BYTES == 16_384 && MAX_LIST_ITEMS == 512);

/// Checks an id: a key of aggregates and tables.
pub(super) fn id(id: &str) -> Result<&str, &'static str> {
    match id.len() {
        0 => Err("is empty"),
        1..=MAX_ID_BYTES => Ok(id),
        _ => Err("is longer than 256 bytes"),
    }
}

/// Checks a text: a name, a message, a title, or an item of a list.
pub(super) fn text(text: &str) -> Result<&str, &'static str> {
    if text.len() > MAX_TEXT_BYTES { Err("is longer than 16384 bytes") } else { Ok(text) }
}

/// Checks the length of a list: emotes or badges.
pub(super) fn list_len(len: usize) -> Result<(), &'static str> {
    if len > MAX_LIST_ITEMS { Err("has more than 512 items") } else { Ok(()) }
}

/// Checks that an id has no NUL, which Postgres cannot store.
pub(super) fn without_nul(id: &str) -> Result<&str, &'static str> {
    if memchr::memchr(0, id.as_bytes()).is_some() {
        Err("holds a NUL character or half of a surrogate pair")
    } else {
        Ok(id)
    }
}

/// The text with U+FFFD for each NUL: stores cannot hold a NUL, and the event should not be lost because of
/// one.
pub(super) fn replaced<'a>(text: &'a str, arena: &'a Arena) -> &'a str {
    match memchr::memchr(0, text.as_bytes()) {
        Some(_) => arena.text(&text.replace('\0', "\u{fffd}")),
        None => text,
    }
}
