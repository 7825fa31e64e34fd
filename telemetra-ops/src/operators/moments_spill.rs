//! The keys of the moments operator that do not fit in memory.

use std::sync::Arc;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::{EpisodesState, KeyEpisodes};
use telemetra_core::{Data, EventTime, Key, key_hash};

use crate::operators::moments::{Arrival, MomentsTactic};
use crate::operators::spilled_keys::{Departure, LoadedKey, Packed, Round, SpilledKeys};
use crate::spill::Spill;
use crate::spill::cold::Record;
use crate::spill::index::short_hash;

impl<K: Key, S: Data> Packed for KeyEpisodes<K, S> {
    fn heap(&self) -> usize {
        self.memory()
    }

    fn prepare(&mut self) -> bool {
        self.encode()
    }

    fn pack_into(&mut self, bytes: &mut Vec<u8>) -> Result<bool, CodecError> {
        self.pack(bytes)
    }
}

impl<K: Key, S: Data> MomentsTactic<K, S> {
    /// Keeps the keys that do not fit in memory on disk.
    pub(super) fn with_spill(mut self, spill: Option<Arc<Spill>>) -> Self {
        self.spill = spill.map(|spill| Box::new(SpilledKeys::new::<K, KeyEpisodes<K, S>>(spill)));
        self
    }

    /// Takes out the arrivals of one time for keys that are not in memory, for [later](Self::spilled).
    pub(super) fn put_off(&mut self, time: EventTime, arrivals: &mut Vec<Arrival<K, S>>) {
        let Self { keys, spill, .. } = self;
        let Some(spill) = spill else { return };
        let is_cold =
            |((key, _), _): &mut Arrival<K, S>| keys.find(key_hash(&key.as_ref()), key.as_ref()).is_none();
        let others = arrivals.extract_if(.., is_cold);
        spill.put_off(
            time,
            others.map(|arrival| (short_hash(key_hash(&arrival.0.0.as_ref())), arrival)).collect(),
        );
    }

    /// Loads the next round of keys that were on disk, and returns the slots of those that are due, and the arrivals of
    /// the round; `None` after the last. The keys that were advanced before may leave memory.
    pub(super) fn spilled(&mut self, time: EventTime) -> Option<(Vec<u32>, Vec<Arrival<K, S>>)> {
        self.evict(time);
        let rules = &self.rules;
        let Round { keys, arrivals } =
            self.spill.as_mut()?.round(|key, state| KeyEpisodes::unpack(rules, key, state))?;
        let mut touched = Vec::new();
        for LoadedKey { key, state, due, size } in keys {
            let slot = self.slot(&key);
            if let Some(spill) = &mut self.spill {
                spill.loaded(slot, size);
            }
            self.seen[slot as usize] = EventTime::MIN;
            if due == time {
                touched.push(slot);
            }
            let Some((_, episodes)) = self.keys.get_mut(slot) else { continue };
            *episodes = state;
            for boundary in episodes.due(&self.rules, &self.windows) {
                if boundary.minus(1) > time {
                    self.calendar.entry(boundary.minus(1)).or_default().push(slot);
                }
            }
        }
        Some((touched, arrivals))
    }

    /// Lets keys leave memory until those that are left fit: first those without arrivals at this time.
    fn evict(&mut self, time: EventTime) {
        let Self { keys, seen, spill, rules, windows, .. } = self;
        let Some(spill) = spill else { return };
        let is_last = |slot: u32| seen[slot as usize] == time;
        spill.evict(time, keys, is_last, |_, episodes| {
            let due = episodes.due(rules, windows).min();
            // A time that has passed has been looked at.
            let due = due.map_or(EventTime::MAX, |boundary| boundary.minus(1).max(time.plus(1)));
            Departure { due, is_kept: episodes.has_state() }
        });
    }

    /// Adds the states of the keys on disk that have one.
    pub(super) fn kept_on_disk(&mut self, states: &mut Vec<(K, EpisodesState)>) {
        let Some(spill) = &mut self.spill else { return };
        let rules = &self.rules;
        spill.cold.kept(|Record { key, state, .. }| {
            let state = KeyEpisodes::unpack(rules, &key, state)?.state()?;
            states.extend(state.map(|state| (key, state)));
            Ok(())
        });
    }
}
