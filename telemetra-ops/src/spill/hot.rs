//! The keys of one operator that are in memory, in the order in which they may leave it.

use std::collections::VecDeque;

use crate::spill::cold::Cold;

/// The weight of the previous average when a measurement is added.
const MEMORY: u64 = 63;
/// The memory behind pointers of accumulators and summaries takes some four times as much as it does encoded, by the peaks of a
/// run with a limit and one without.
pub(crate) const HEAP: usize = 4;
/// So many keys are measured each time.
const SAMPLE: usize = 4;

/// The slots of the keys in memory, and an estimate of their size.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    /// Each slot once, the longest in it first.
    queue: VecDeque<u32>,
    is_queued: Vec<bool>,
    /// The average bytes of memory of a key; 0 before the first was measured.
    average: u64,
    published: u64,
    /// The place in the queue that was measured last.
    at: usize,
}

impl Hot {
    /// Adds the slot of a key that came into memory.
    pub(crate) fn add(&mut self, slot: u32) {
        let index = slot as usize;
        self.is_queued.resize(self.is_queued.len().max(index + 1), false);
        if !std::mem::replace(&mut self.is_queued[index], true) {
            self.queue.push_back(slot);
        }
    }

    /// Returns some slots to be measured, others each time.
    pub(crate) fn sample(&mut self) -> [u32; SAMPLE] {
        let slots = &self.queue;
        [(); SAMPLE].map(|()| {
            self.at = (self.at + slots.len() / (2 * SAMPLE + 1) + 1) % slots.len().max(1);
            slots.get(self.at).copied().unwrap_or(u32::MAX)
        })
    }

    /// Takes in how much memory a key takes.
    pub(crate) fn measure(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        self.average = if self.average == 0 { bytes } else { (self.average * MEMORY + bytes) / (MEMORY + 1) };
    }

    /// The number of keys that may stay in memory; `None` if no key was measured yet.
    pub(crate) fn most(&self, cold: &Cold) -> Option<usize> {
        let most = cold.room().checked_div(self.average)?;
        Some(usize::try_from(most).unwrap_or(usize::MAX))
    }

    /// Publishes the bytes of so many keys in memory.
    pub(crate) fn publish(&mut self, keys: usize, cold: &Cold) {
        let now = self.average * keys as u64;
        cold.publish(self.published, now);
        self.published = now;
    }

    /// The number of slots in the queue.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Takes the first slot.
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let slot = self.queue.pop_front()?;
        self.is_queued[slot as usize] = false;
        Some(slot)
    }
}
