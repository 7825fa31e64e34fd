//! The state of one key's episodes in checkpoints.

use serde::{Deserialize, Serialize};

use super::AnomalousWindows;
use super::exclude::Levels;
use super::explain::Explanations;
use crate::migration::Migration;
use crate::time::event_time::EventTime;

/// The state of a key in a checkpoint: its anomalous windows and the states of its detectors, which cannot be
/// recomputed without the summaries of retired windows. The other summaries are in the state of the windows
/// operator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EpisodesState {
    pub(super) hits: AnomalousWindows,
    /// The changes of level.
    pub(super) levels: Levels,
    /// The end of the last settled window: the last one in the saved states.
    pub(super) settled: EventTime,
    /// The end of the last window.
    pub(super) last: EventTime,
    /// The states of the detectors, by rule; empty for a pure detector.
    pub(super) memories: Vec<Vec<u8>>,
    /// The explanations of the moments. The usual windows that a peak was compared with may be retired by now.
    pub(super) explained: Explanations,
}

/// The state as version 0 had it: without what carried the moments.
#[derive(Serialize, Deserialize)]
struct StateBefore1 {
    hits: AnomalousWindows,
    levels: Levels,
    settled: EventTime,
    last: EventTime,
    memories: Vec<Vec<u8>>,
}

impl EpisodesState {
    /// The version of this state.
    pub const VERSION: u32 = 1;

    /// The migration from an earlier version. Moments that were found before are not explained.
    #[must_use]
    pub fn migration(from: u32) -> Option<Migration<Self>> {
        let from_0 = |StateBefore1 { hits, levels, settled, last, memories }| Self {
            hits,
            levels,
            settled,
            last,
            memories,
            explained: Explanations::new(),
        };
        (from == 0).then(|| Migration::new(from_0))
    }

    /// The state under another list of rules: for each of them, its number in this state, if it was there, and whether
    /// its detectors are the same. The detectors of the others see the windows anew that are still known.
    #[must_use]
    pub fn arrange(mut self, rules: impl Iterator<Item = (Option<usize>, bool)> + Clone) -> Self {
        let mut hits = std::mem::take(&mut self.hits);
        let mut memories = std::mem::take(&mut self.memories);
        let any = !memories.is_empty();
        for (number, is_same) in rules.clone() {
            let place = number.and_then(|number| hits.get_mut(number));
            self.hits.push(place.map(std::mem::take).unwrap_or_default());
            if any {
                let memory = number.filter(|_| is_same).and_then(|number| memories.get_mut(number));
                self.memories.push(memory.map(std::mem::take).unwrap_or_default());
            }
        }
        let place = |was: usize| rules.clone().position(|(number, is_same)| number == Some(was) && is_same);
        let explained = std::mem::take(&mut self.explained).into_iter();
        let number = |was: u32| rules.clone().position(|(number, _)| number == Some(was as usize));
        let explained =
            explained.filter_map(|((rule, end), explained)| Some(((number(rule)? as u32, end), explained)));
        self.explained = explained.collect();
        self.levels = std::mem::take(&mut self.levels).arrange(place);
        self
    }
}
