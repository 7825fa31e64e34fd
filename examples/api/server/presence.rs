//! Whether a stream is on air.
//!
//! Metadata says when a stream starts and ends, but the end may never be said: a broken connection tells nobody. So a stream
//! that has had no event for a window's length is silent, and one that has been silent for long does not count as live.

use serde::{Deserialize, Serialize};
use telemetra::core::EventTime;
use utoipa::ToSchema;

use super::model::{StreamInfo, Time};

/// The time, in milliseconds, for which a stream may be silent and still be listed as live: a scene change or a lost connection.
const LONGEST_SILENCE: u64 = 10 * 60_000;

/// The state that a viewer finds who opens the stream.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Presence {
    /// It has events, and has not ended.
    Live,
    /// It started and has not ended, but there was no event in the last window.
    Silent,
    /// It ended, or nothing says that it started and it has no events.
    Offline,
}

impl Presence {
    /// Of what metadata says, and whether there was an event in the last window.
    pub(crate) fn of(is_live: Option<bool>, has_events: bool) -> Self {
        match (is_live, has_events) {
            (Some(false), _) | (None, false) => Self::Offline,
            (_, true) => Self::Live,
            (Some(true), false) => Self::Silent,
        }
    }

    /// Whether it is listed as live as of a time.
    pub(crate) fn counts_as_live(self, silent_since: Option<Time>, as_of: Option<EventTime>) -> bool {
        match (self, silent_since, as_of) {
            (Self::Live, ..) => true,
            (Self::Silent, Some(Time(since)), Some(as_of)) => as_of - since < LONGEST_SILENCE,
            _ => false,
        }
    }
}

impl StreamInfo {
    pub(crate) fn counts_as_live(&self, as_of: Option<EventTime>) -> bool {
        self.presence.counts_as_live(self.silent_since, as_of)
    }
}
