//! The keys of an operator of which some are on disk: what windows and moments do with them alike.

use std::sync::Arc;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::{EventTime, Key};

use crate::operators::keyed::Keyed;
use crate::spill::Spill;
use crate::spill::cold::{Cold, Record};
use crate::spill::hot::{HEAP, Hot};
use crate::spill::waiting::Waiting;

/// The keys that are on disk, and the order in which those in memory follow. `A` is the type of arrivals.
pub(super) struct SpilledKeys<A> {
    pub(super) cold: Cold,
    pub(super) hot: Hot,
    /// The arrivals that are left to handle at this time.
    waiting: Option<Waiting<A>>,
}

/// The state of a key that can be on disk.
pub(super) trait Packed {
    /// The estimated bytes of memory that it points to, without what is [counted by the record](HEAP).
    fn heap(&self) -> usize;

    /// Appends the state. Returns whether that is all of it: otherwise the key must stay in memory.
    fn pack_into(&mut self, bytes: &mut Vec<u8>) -> Result<bool, CodecError>;
}

/// Keys that come into memory, each with the time at which it is due, and arrivals for them and for new keys.
pub(super) struct Round<K, T, A> {
    pub(super) keys: Vec<(K, EventTime, T)>,
    pub(super) arrivals: Vec<A>,
}

/// The facts about a key that may leave memory.
pub(super) struct Departure {
    /// The time at which it is due; [`EventTime::MAX`] if it never is.
    pub(super) due: EventTime,
    /// True if each snapshot needs it.
    pub(super) is_kept: bool,
    /// True if it leaves after the others.
    pub(super) is_last: bool,
}

/// The bytes of a slot in the index, the queue, and the order or the calendar.
const PLACES: usize = 40;

/// An estimate of the memory that a key takes, whose record has this length.
fn memory<K: Key, T: Packed>(state: &T, record: usize) -> usize {
    PLACES + size_of::<(u64, K, T)>() + state.heap() + HEAP * record
}

impl<A> SpilledKeys<A> {
    pub(super) fn new(spill: Arc<Spill>) -> Self {
        Self { cold: Cold::new(spill), hot: Hot::default(), waiting: None }
    }

    /// Keeps arrivals for keys that are not in memory, with the keys on disk that are due at `due`, for
    /// [rounds](Self::round).
    pub(super) fn put_off(&mut self, due: EventTime, arrivals: Vec<(u64, A)>) {
        let due = self.cold.due(due);
        self.waiting = Some(Waiting::new(arrivals, due, &self.cold));
    }

    /// Takes the next keys, with their arrivals, of those that were put off; `None` if there are no more, or after
    /// an error.
    pub(super) fn round<K: Key, T>(
        &mut self,
        mut unpack: impl FnMut(&K, &[u8]) -> Result<T, CodecError>,
    ) -> Option<Round<K, T, A>> {
        let mut waiting = self.waiting.take()?;
        let hashes = waiting.next(self.hot.most(&self.cold));
        if hashes.is_empty() || self.cold.has_failed() {
            return None;
        }
        let mut keys = Vec::with_capacity(hashes.len());
        self.cold.take(&hashes, |Record { key, due, state }| {
            let state = unpack(&key, state)?;
            keys.push((key, due, state));
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

    /// Lets keys leave memory until those that are left fit. Returns the slots of those that left.
    pub(super) fn evict<K: Key, T: Packed>(
        &mut self,
        keys: &mut Keyed<K, T>,
        mut departure: impl FnMut(u32, &mut T) -> Departure,
    ) -> Vec<u32> {
        let Self { cold, hot, .. } = self;
        let (mut bytes, mut left) = (Vec::new(), Vec::new());
        for slot in hot.sample() {
            bytes.clear();
            if let Some((_, state)) = keys.get_mut(slot)
                && state.pack_into(&mut bytes).is_ok()
            {
                hot.measure(memory::<K, T>(state, bytes.len()));
            }
        }
        for waits in [true, false] {
            for _ in 0..hot.len() {
                if hot.most(cold).is_none_or(|most| keys.len() <= most) {
                    break;
                }
                let Some(slot) = hot.pop() else { break };
                let Some(hash) = keys.hash(slot) else { continue };
                let Some((key, state)) = keys.get_mut(slot) else { continue };
                let Departure { due, is_kept, is_last } = departure(slot, state);
                if waits && is_last || !cold.put((hash, key), (due, is_kept), |into| state.pack_into(into)) {
                    hot.add(slot);
                    continue;
                }
                hot.measure(memory::<K, T>(state, cold.last_length()));
                keys.remove(slot);
                left.push(slot);
            }
        }
        hot.publish(keys.len(), cold);
        cold.compact();
        left
    }
}
