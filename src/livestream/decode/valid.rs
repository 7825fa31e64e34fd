//! What must hold of an event whatever format it came in. The errors are for one field.

use crate::core::Arena;
use crate::livestream::event::{MAX_ID_BYTES, MAX_LIST_ITEMS, MAX_TEXT_BYTES};

pub(super) const MISSING: &str = "is missing";
pub(super) const NEGATIVE: &str = "is negative";
pub(super) const TOO_LATE: &str = "is after the year 9999";

// The messages name the limits.
const _: () = assert!(MAX_ID_BYTES == 256 && MAX_TEXT_BYTES == 16_384 && MAX_LIST_ITEMS == 512);

/// Ids are keys of aggregates and tables.
pub(super) fn id(id: &str) -> Result<&str, &'static str> {
    match id.len() {
        0 => Err("is empty"),
        1..=MAX_ID_BYTES => Ok(id),
        _ => Err("is longer than 256 bytes"),
    }
}

/// Names, messages, titles, and the items of lists.
pub(super) fn text(text: &str) -> Result<&str, &'static str> {
    if text.len() > MAX_TEXT_BYTES { Err("is longer than 16384 bytes") } else { Ok(text) }
}

/// Emotes and badges.
pub(super) fn list_len(len: usize) -> Result<(), &'static str> {
    if len > MAX_LIST_ITEMS { Err("has more than 512 items") } else { Ok(()) }
}

/// An id without NUL: Postgres cannot store one.
pub(super) fn without_nul(id: &str) -> Result<&str, &'static str> {
    if memchr::memchr(0, id.as_bytes()).is_some() {
        Err("holds a NUL character or half of a surrogate pair")
    } else {
        Ok(id)
    }
}

/// A text with U+FFFD for each NUL: a character that stores cannot hold is lost, and not the event.
pub(super) fn replaced<'a>(text: &'a str, arena: &'a Arena) -> &'a str {
    match memchr::memchr(0, text.as_bytes()) {
        Some(_) => arena.text(&text.replace('\0', "\u{fffd}")),
        None => text,
    }
}
