//! The keys of one operator that are in memory, in the order in which they may leave it.

use std::collections::VecDeque;

use telemetra_core::EventTime;

use crate::spill::cold::Cold;

/// The estimated bytes behind the pointers of accumulators and summaries, for each byte that they take encoded. With it the
/// estimates of whole runs are 1.15 to 1.6 times what the process takes, for 1,000 to 500,000 keys.
pub(crate) const HEAP: usize = 3;
/// At each time one slot of this many is measured, and [`LEAST_SAMPLE`] more.
const SAMPLED: usize = 16;
const LEAST_SAMPLE: usize = 4;
/// The number of classes of sizes: sizes of a class have the same number of bits.
const CLASSES: usize = u32::BITS as usize;
/// The weight of the previous mean when a size is added to it.
const MEAN: u64 = 63;

/// The slots of the keys in memory, and an estimate of the size of each: sizes differ by a factor of a thousand, so
/// the mean of the keys that leave would say little about those that stay.
#[derive(Debug, Default)]
pub(crate) struct Hot {
    /// The slots that may leave, the longest in memory first.
    queue: VecDeque<u32>,
    /// The slots that are needed again soon after the current time, by the class of their size: they leave after the
    /// others, the largest first, as reading and writing a key costs much the same for any size up to some KiB. Of one
    /// class, the last to come leave first: they are in the processor's caches.
    last: [VecDeque<u32>; CLASSES],
    /// The slots of keys that could not leave at the current time.
    aside: Vec<u32>,
    /// The current time.
    time: EventTime,
    /// By slot: true if it is in one of the queues.
    is_queued: Vec<bool>,
    /// By slot: the estimated bytes of memory; 0 if no key is in it.
    sizes: Vec<u32>,
    /// The sum of the sizes.
    total: u64,
    /// By slot: true if a key is in it that was not measured since it came, new or from disk.
    is_new: Vec<bool>,
    /// The mean size of keys when they were measured first after they came.
    first: u64,
    published: u64,
    /// The slot that was measured last.
    at: usize,
}

impl Hot {
    /// Adds the slot of a key, if it is not in a queue. Until it is measured it has the mean size that the last to come
    /// had when they were measured first, and at least this.
    pub(crate) fn add(&mut self, slot: u32, least: usize) {
        let index = slot as usize;
        self.is_queued.resize(self.is_queued.len().max(index + 1), false);
        self.is_new.resize(self.is_queued.len(), false);
        self.sizes.resize(self.is_queued.len(), 0);
        if !std::mem::replace(&mut self.is_queued[index], true) {
            self.queue.push_back(slot);
        }
        if self.sizes[index] == 0 {
            self.is_new[index] = true;
            self.set(slot, u32::try_from(self.first.max(least as u64)).unwrap_or(u32::MAX));
        }
    }

    /// Returns some slots to be measured, others each time; some may have no key.
    pub(crate) fn sample(&mut self) -> impl Iterator<Item = u32> + use<> {
        let (all, start) = (self.sizes.len(), self.at);
        let taken = (all / SAMPLED + LEAST_SAMPLE).min(all);
        self.at = (start + taken) % all.max(1);
        (start..start + taken).map(move |slot| (slot % all) as u32)
    }

    /// Takes in how much memory a key takes.
    pub(crate) fn measure(&mut self, slot: u32, bytes: usize) {
        if self.is_new.get_mut(slot as usize).is_some_and(std::mem::take) {
            self.first = (self.first * MEAN + bytes as u64) / (MEAN + 1);
        }
        self.set(slot, u32::try_from(bytes).unwrap_or(u32::MAX).max(1));
    }

    /// Takes note that there is no key in a slot any more.
    pub(crate) fn remove(&mut self, slot: u32) {
        self.set(slot, 0);
    }

    fn set(&mut self, slot: u32, bytes: u32) {
        let Some(size) = self.sizes.get_mut(slot as usize) else { return };
        let before = std::mem::replace(size, bytes);
        self.total = self.total + u64::from(bytes) - u64::from(before);
    }

    /// Returns whether the keys and so many bytes more take more memory than there is room for.
    pub(crate) fn is_over(&self, more: u64, cold: &Cold) -> bool {
        self.total + more > cold.room()
    }

    /// Publishes the bytes of the keys in memory.
    pub(crate) fn publish(&mut self, cold: &Cold) {
        cold.publish(self.published, self.total);
        self.published = self.total;
    }

    /// Sets the current time, and returns whether it is another than before. What was needed again soon after an
    /// earlier one, or could not leave then, may leave like the others.
    pub(crate) fn set_time(&mut self, time: EventTime) -> bool {
        let is_new = std::mem::replace(&mut self.time, time) != time;
        if is_new {
            self.last.iter_mut().for_each(|last| self.queue.append(last));
            self.queue.extend(self.aside.drain(..));
        }
        is_new
    }

    /// Takes the next slot, and whether it may be put [last](Self::put_last).
    pub(crate) fn pop(&mut self) -> Option<(u32, bool)> {
        let (slot, waits) = match self.queue.pop_front() {
            Some(slot) => (slot, true),
            None => (self.last.iter_mut().rev().find_map(VecDeque::pop_back)?, false),
        };
        self.is_queued[slot as usize] = false;
        Some((slot, waits))
    }

    /// Adds a slot whose key is needed again soon after the current time.
    pub(crate) fn put_last(&mut self, slot: u32) {
        self.is_queued[slot as usize] = true;
        let class = self.sizes[slot as usize].max(1).ilog2();
        self.last[class as usize].push_back(slot);
    }

    /// Adds a slot whose key cannot leave: it is not tried again before the next time.
    pub(crate) fn put_aside(&mut self, slot: u32) {
        self.is_queued[slot as usize] = true;
        self.aside.push(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::{Spill, SpillConfig};

    #[test]
    fn the_sum_follows_the_sizes_of_the_keys_that_are_there() {
        let folder = std::env::temp_dir().join(format!("telemetra-hot-{}", std::process::id()));
        let spill = Spill::open(SpillConfig::new(&folder).memory(1_000)).expect("the folder can be used");
        let (cold, mut hot) = (Cold::new(spill), Hot::default());
        hot.add(0, 400);
        hot.add(5, 400);
        assert!(!hot.is_over(200, &cold) && hot.is_over(201, &cold));
        hot.measure(5, 500);
        hot.add(5, 1);
        assert!(!hot.is_over(100, &cold) && hot.is_over(101, &cold), "a key is counted once");
        hot.remove(0);
        hot.remove(7);
        assert!(!hot.is_over(500, &cold) && hot.is_over(501, &cold));
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }

    #[test]
    fn a_new_key_has_the_size_that_others_had_at_first() {
        let mut hot = Hot::default();
        for slot in 0..1_000 {
            hot.add(slot, 1);
            hot.measure(slot, 6_400);
            hot.measure(slot, 100_000);
        }
        hot.add(1_000, 1);
        let size = hot.sizes[1_000];
        assert!((6_000..=6_400).contains(&size), "{size}");
    }

    #[test]
    fn what_is_needed_soon_leaves_last_until_the_time_has_passed() {
        let mut hot = Hot::default();
        assert!(hot.set_time(EventTime(10)));
        (0..3).for_each(|slot| hot.add(slot, 1));
        assert_eq!(hot.pop(), Some((0, true)));
        hot.put_last(0);
        assert_eq!(
            [hot.pop(), hot.pop(), hot.pop(), hot.pop()],
            [Some((1, true)), Some((2, true)), Some((0, false)), None]
        );
        hot.put_last(1);
        hot.put_aside(0);
        assert!(!hot.set_time(EventTime(10)));
        hot.add(2, 1);
        assert_eq!([hot.pop(), hot.pop(), hot.pop()], [Some((2, true)), Some((1, false)), None]);
        hot.put_last(1);
        assert!(hot.set_time(EventTime(20)));
        assert_eq!([hot.pop(), hot.pop(), hot.pop()], [Some((1, true)), Some((0, true)), None]);
    }

    #[test]
    fn of_what_is_needed_soon_the_largest_leave_first() {
        let mut hot = Hot::default();
        for (slot, size) in (0..).zip([500, 40_000, 300, 2_000_000_000, 35_000]) {
            hot.add(slot, size);
            assert_eq!(hot.pop(), Some((slot, true)));
            hot.put_last(slot);
        }
        // Of one class, the last to come.
        let left: Vec<u32> = std::iter::from_fn(|| hot.pop()).map(|(slot, _)| slot).collect();
        assert_eq!(left, [3, 4, 1, 2, 0]);
    }

    #[test]
    fn all_keys_are_measured_in_turn() {
        let mut hot = Hot::default();
        (0..100).for_each(|slot| hot.add(slot, 1));
        let mut measured: Vec<u32> = (0..10).flat_map(|_| hot.sample()).collect();
        measured.sort_unstable();
        assert_eq!(measured, (0..100).collect::<Vec<_>>());
    }
}
