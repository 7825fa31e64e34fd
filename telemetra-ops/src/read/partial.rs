//! Partials: what ingest sends and windows take.

use serde::{Deserialize, Serialize};
use telemetra_core::{Accumulator, EventTime, Key};

/// The mergeable aggregate of one key in one pane, as one worker made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Partial<K: Key, A: Accumulator> {
    /// The key.
    pub key: K,
    /// The start of the pane.
    pub pane: EventTime,
    /// The aggregate.
    pub accumulator: A,
}
