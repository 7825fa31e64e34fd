//! The keys of an operator of which some are on disk: what windows and moments do with them alike.

use std::sync::Arc;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::{EventTime, Key};

use crate::operators::keyed::Keyed;
use crate::spill::Spill;
use crate::spill::cold::{Cold, Record};
use crate::spill::hot::{HEAP, Hot};
use crate::spill::index::{ShortHash, short_hash};
use crate::spill::waiting::Waiting;

/// The keys that are on disk, and the order in which keys in memory are written there. `A` is the type of arrivals.
pub(super) struct SpilledKeys<A> {
    pub(super) cold: Cold,
    hot: Hot,
    /// The bytes of memory of a key without what its state points to.
    slot: usize,
    /// The arrivals that are left to handle at this time.
    waiting: Option<Waiting<A>>,
    /// True if the log says that the limit of memory cannot be kept.
    has_warned: bool,
}

/// The state of a key that can be on disk.
pub(super) trait Packed {
    /// The estimated bytes of memory that it points to, without what is [counted by the record](HEAP).
    fn heap(&self) -> usize;

    /// Prepares the state of a key that leaves memory. Returns false if the key must stay. Default: it may leave.
    fn prepare(&mut self) -> bool {
        true
    }

    /// Appends the state. Returns whether that is all of it: otherwise the key must stay in memory.
    fn pack_into(&mut self, bytes: &mut Vec<u8>) -> Result<bool, CodecError>;
}

/// Keys that come into memory, and arrivals for them and for new keys.
pub(super) struct Round<K, T, A> {
    pub(super) keys: Vec<LoadedKey<K, T>>,
    pub(super) arrivals: Vec<A>,
}

/// A key that was read from disk.
pub(super) struct LoadedKey<K, T> {
    pub(super) key: K,
    pub(super) state: T,
    pub(super) due: EventTime,
    /// The estimated bytes of memory that it takes.
    pub(super) size: usize,
}

/// The facts about a key that may leave memory.
pub(super) struct Departure {
    /// The time at which it is due; [`EventTime::MAX`] if it never is.
    pub(super) due: EventTime,
    /// True if each snapshot needs it.
    pub(super) is_kept: bool,
}

/// The most bytes of memory of the keys of a round: while it lasts they stay in the processor's caches.
const ROUND: u64 = 4 << 20;
/// The bytes of a slot in the index, the queue, and the order or the calendar.
const PLACES: usize = 40;

impl<A> SpilledKeys<A> {
    /// Creates the state of an operator with keys `K`, each with a state `T`.
    pub(super) fn new<K, T>(spill: Arc<Spill>) -> Self {
        let slot = PLACES + size_of::<(u64, K, T)>();
        Self { cold: Cold::new(spill), hot: Hot::default(), slot, waiting: None, has_warned: false }
    }

    /// Takes note of a key in memory.
    pub(super) fn add(&mut self, slot: u32) {
        self.hot.add(slot, self.slot);
    }

    /// Takes note of the size of a key that was read into a slot.
    pub(super) fn loaded(&mut self, slot: u32, size: usize) {
        self.hot.measure(slot, size);
    }

    /// Takes note that the key of a slot has ended.
    pub(super) fn remove(&mut self, slot: u32) {
        self.hot.remove(slot);
    }

    /// Keeps arrivals for keys that are not in memory, with the keys on disk that are due at `due`, for
    /// [rounds](Self::round).
    pub(super) fn put_off(&mut self, due: EventTime, arrivals: Vec<(ShortHash, A)>) {
        let due = self.cold.due(due);
        self.waiting = Some(Waiting::new(arrivals, due, &self.cold));
    }

    /// Takes the keys of the next round, with their arrivals, for which [others have left](Self::evict); `None` if there
    /// are no more, or after an error.
    pub(super) fn round<K: Key, T: Packed>(
        &mut self,
        mut unpack: impl FnMut(&K, &[u8]) -> Result<T, CodecError>,
    ) -> Option<Round<K, T, A>> {
        let mut waiting = self.waiting.take()?;
        let hashes = waiting.next();
        if hashes.is_empty() || self.cold.has_failed() {
            return None;
        }
        let mut keys = Vec::with_capacity(hashes.len());
        let slot = self.slot;
        self.cold.take(&hashes, |Record { key, due, state: bytes }| {
            let state = unpack(&key, bytes)?;
            let size = slot + state.heap() + HEAP * bytes.len();
            keys.push(LoadedKey { key, state, due, size });
            Ok(())
        });
        if self.cold.has_failed() {
            return None;
        }
        let mut arrivals = Vec::new();
        hashes.iter().for_each(|hash| arrivals.extend(waiting.take(*hash)));
        self.waiting = Some(waiting);
        Some(Round { keys, arrivals })
    }

    /// Plans the next round, and writes keys to disk until the keys that are left fit in memory with those of the round.
    /// Keys for which `is_last` is true leave after the others. Returns the slots of the keys that left.
    pub(super) fn evict<K: Key, T: Packed>(
        &mut self,
        time: EventTime,
        keys: &mut Keyed<K, T>,
        is_last: impl Fn(u32) -> bool,
        mut departure: impl FnMut(u32, &mut T) -> Departure,
    ) -> Vec<u32> {
        if self.hot.set_time(time) {
            self.measure_some(keys);
        }
        let Self { cold, hot, slot, waiting, has_warned } = self;
        let room = (cold.room() / 2).min(ROUND);
        let size = |length| (*slot + HEAP * length as usize) as u64;
        let next = waiting.as_mut().map_or(0, |waiting| waiting.plan(room, size));
        let (mut left, mut some_stay) = (Vec::new(), false);
        while hot.is_over(next, cold) {
            let Some((slot, waits)) = hot.pop() else { break };
            if waits && is_last(slot) {
                hot.put_last(slot);
                continue;
            }
            let Some((hash, (key, state))) = keys.hash(slot).zip(keys.get_mut(slot)) else { continue };
            let Departure { due, is_kept } = departure(slot, state);
            if state.prepare()
                && cold.put((short_hash(hash), key), (due, is_kept), |into| state.pack_into(into))
            {
                keys.remove(slot);
                hot.remove(slot);
                left.push(slot);
            } else {
                hot.put_aside(slot);
                some_stay = true;
            }
        }
        let cannot_fit = some_stay && !cold.has_failed() && hot.is_over(next, cold);
        if cannot_fit && !std::mem::replace(has_warned, true) {
            tracing::warn!(
                "the keys in memory take more than their limit, as some cannot leave: a summary of theirs is not equal \
                 after it is encoded and decoded, or the state of a detector is not complete yet"
            );
        }
        hot.publish(cold);
        cold.compact();
        left
    }

    /// Measures a part of the keys in memory, others each time: those with events grow.
    fn measure_some<K: Key, T: Packed>(&mut self, keys: &mut Keyed<K, T>) {
        let mut bytes = Vec::new();
        for slot in self.hot.sample() {
            bytes.clear();
            if let Some((_, state)) = keys.get_mut(slot)
                && state.pack_into(&mut bytes).is_ok()
            {
                self.hot.measure(slot, self.slot + state.heap() + HEAP * bytes.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spill::SpillConfig;

    /// A state, and how often it was asked to leave.
    struct Bytes(Vec<u8>, u32);

    fn departure(_: u32, _: &mut Bytes) -> Departure {
        Departure { due: EventTime(100), is_kept: false }
    }

    /// A state that begins with this would not be the same after decoding.
    const LOSSY: u8 = 0;

    impl Packed for Bytes {
        fn heap(&self) -> usize {
            0
        }
        fn prepare(&mut self) -> bool {
            self.1 += 1;
            self.0.first() != Some(&LOSSY)
        }
        fn pack_into(&mut self, bytes: &mut Vec<u8>) -> Result<bool, CodecError> {
            bytes.extend_from_slice(&self.0);
            Ok(true)
        }
    }

    #[test]
    fn a_key_whose_state_would_not_be_the_same_stays_in_memory() {
        let folder = std::env::temp_dir().join(format!("telemetra-stays-{}", std::process::id()));
        let spill = Spill::open(SpillConfig::new(&folder).memory(1)).expect("the folder can be used");
        let mut spilled = SpilledKeys::<()>::new::<String, Bytes>(spill);
        let mut keys = Keyed::<String, Bytes>::default();
        for number in 0..10_u8 {
            let slot = keys.slot_or_insert(&number.to_string(), || Bytes(vec![number % 5; 100], 0));
            spilled.add(slot);
        }
        // In several rounds at one time it is tried once.
        for time in [1, 1, 1, 2] {
            spilled.evict(EventTime(time), &mut keys, |_| false, departure);
        }
        let left: Vec<_> = keys.iter_mut().map(|(_, key, state)| (key.as_str(), state.1)).collect();
        assert_eq!((left, spilled.cold.len()), (vec![("0", 2), ("5", 2)], 8));
        drop(spilled);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }

    /// The small keys leave first and are many: their mean size says nothing about the large ones that stay.
    #[test]
    fn keys_leave_until_those_that_stay_fit_by_their_own_sizes() {
        const LIMIT: usize = 4 << 20;
        let folder = std::env::temp_dir().join(format!("telemetra-evict-{}", std::process::id()));
        let spill =
            Spill::open(SpillConfig::new(&folder).memory(LIMIT as u64)).expect("the folder can be used");
        let mut spilled = SpilledKeys::<()>::new::<String, Bytes>(spill);
        let mut keys = Keyed::<String, Bytes>::default();
        for number in 0..2_000_u32 {
            let length = if number % 50 == 0 { 100_000 } else { 100 };
            let slot = keys.slot_or_insert(&number.to_string(), || Bytes(vec![7; length], 0));
            spilled.add(slot);
        }
        // By then all were measured.
        for time in 1..=20 {
            spilled.evict(EventTime(time), &mut keys, |slot| slot.is_multiple_of(50), departure);
        }
        let bytes: usize = keys.iter_mut().map(|(_, _, state)| state.0.len()).sum();
        assert!(bytes * HEAP <= LIMIT && bytes > 0, "{bytes}");
        assert_eq!(keys.len() + spilled.cold.len(), 2_000);
        drop(spilled);
        std::fs::remove_dir(&folder).expect("no file is left in it");
    }
}
