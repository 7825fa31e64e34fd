//! Partials: the messages from ingest to the window operators.

use serde::{Deserialize, Serialize};
use telemetra_core::{Accumulator, EventTime, Key};

/// The mergeable aggregate of one key in one pane, as one worker has accumulated it. The time of its message
/// is its effective time: the last instant of the pane, or for late events that of the pane that starts at
/// the floor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Partial<K: Key, A: Accumulator> {
    /// The key by which it is exchanged between workers.
    pub key: K,
    /// The start of the pane, which its events belong to.
    pub pane: EventTime,
    /// The aggregate of these events.
    pub accumulator: A,
}
