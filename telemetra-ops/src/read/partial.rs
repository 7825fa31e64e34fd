//! Partials: the messages from ingest to the window operators.

use serde::{Deserialize, Serialize};
use telemetra_core::{Accumulator, EventTime, Key};

/// A partial aggregate: the accumulator of one key in one pane, as one worker has filled it. Partials of the
/// same key and pane can be merged.
///
/// In a stream, its timely timestamp is its effective time: the last instant of its pane or, for late events,
/// the last instant of the pane that starts at the floor.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Partial<K: Key, A: Accumulator> {
    /// The key by which it is exchanged between workers.
    pub key: K,
    /// The start of the pane that the events belong to.
    pub pane: EventTime,
    /// The aggregate of these events.
    pub accumulator: A,
}
