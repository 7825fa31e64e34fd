//! The keys of the moments operator that do not fit in memory.

use std::sync::Arc;

use telemetra_core::engine::{EpisodesState, KeyEpisodes};
use telemetra_core::{Data, EventTime, Key, key_hash};

use crate::operators::moments::{Arrival, MomentsTactic};
use crate::spill::Spill;
use crate::spill::cold::{Cold, Record};
use crate::spill::hot::{HEAP, Hot};
use crate::spill::waiting::Waiting;

/// The keys that are on disk, and the order in which those in memory follow.
pub(super) struct MomentsSpill<K: Key, S> {
    pub(super) cold: Cold,
    pub(super) hot: Hot,
    /// What is left to do at this time.
    waiting: Option<Waiting<Arrival<K, S>>>,
}

/// An estimate of the memory that a key takes, whose record has this length.
fn memory<K: Key, S: Data>(episodes: &KeyEpisodes<K, S>, record: usize) -> usize {
    PLACES + size_of::<(u64, K, KeyEpisodes<K, S>)>() + episodes.memory() + HEAP * record
}

/// The bytes of a slot in the index, the queue and the calendar.
const PLACES: usize = 40;

impl<K: Key, S: Data> MomentsTactic<K, S> {
    /// Has the keys that do not fit in memory kept on disk.
    pub(super) fn with_spill(mut self, spill: Option<Arc<Spill>>) -> Self {
        self.spill = spill.map(|spill| {
            Box::new(MomentsSpill { cold: Cold::new(spill), hot: Hot::default(), waiting: None })
        });
        self
    }

    /// Takes out the arrivals of one time for keys that are not in memory, for [later](Self::spilled).
    pub(super) fn put_off(&mut self, time: EventTime, arrivals: &mut Vec<Arrival<K, S>>) {
        let Self { keys, spill, .. } = self;
        let Some(spill) = spill else { return };
        let is_cold =
            |((key, _), _): &mut Arrival<K, S>| keys.find(key_hash(&key.as_ref()), key.as_ref()).is_none();
        let others = arrivals.extract_if(.., is_cold);
        let others = others.map(|arrival| (key_hash(&arrival.0.0.as_ref()), arrival)).collect();
        let due = spill.cold.due(time);
        spill.waiting = Some(Waiting::new(others, due, &spill.cold));
    }

    /// Returns the next keys that are due at a time, and arrivals, of those that were not in memory then; `None`
    /// if there are no more. The keys that were advanced before may leave memory.
    pub(super) fn spilled(&mut self, time: EventTime) -> Option<(Vec<u32>, Vec<Arrival<K, S>>)> {
        self.evict(time);
        let spill = self.spill.as_mut()?;
        let mut waiting = spill.waiting.take()?;
        let round = waiting.next(spill.hot.most(&spill.cold));
        if round.is_empty() || spill.cold.has_failed() {
            return None;
        }
        let rules = &self.rules;
        let mut found = Vec::with_capacity(round.len());
        spill.cold.take(&round, |Record { key, due, state }| {
            let episodes = KeyEpisodes::unpack(rules, &key, state)?;
            found.push((key, due, episodes));
            Ok(())
        });
        if spill.cold.has_failed() {
            return None;
        }
        let mut touched = Vec::new();
        for (key, due, read) in found {
            let slot = self.slot(&key);
            self.seen[slot as usize] = EventTime::MIN;
            if due == time {
                touched.push(slot);
            }
            let Some((_, episodes)) = self.keys.get_mut(slot) else { continue };
            *episodes = read;
            for boundary in episodes.due(&self.rules, &self.windows) {
                if boundary.minus(1) > time {
                    self.calendar.entry(boundary.minus(1)).or_default().push(slot);
                }
            }
        }
        let mut arrivals = Vec::new();
        round.iter().for_each(|hash| arrivals.extend(waiting.take(*hash)));
        if let Some(spill) = &mut self.spill {
            spill.waiting = Some(waiting);
        }
        Some((touched, arrivals))
    }

    /// Lets keys leave memory until those that are left fit: first those without arrivals at this time.
    fn evict(&mut self, time: EventTime) {
        let Self { keys, seen, spill, rules, windows, .. } = self;
        let Some(MomentsSpill { cold, hot, .. }) = spill.as_deref_mut() else { return };
        let mut bytes = Vec::new();
        for slot in hot.sample() {
            bytes.clear();
            if let Some((_, episodes)) = keys.get_mut(slot)
                && episodes.pack(&mut bytes).is_ok()
            {
                hot.measure(memory(episodes, bytes.len()));
            }
        }
        for waits in [true, false] {
            for _ in 0..hot.len() {
                if hot.most(cold).is_none_or(|most| keys.len() <= most) {
                    break;
                }
                let Some(slot) = hot.pop() else { break };
                let Some(hash) = keys.hash(slot) else { continue };
                let Some((key, episodes)) = keys.get_mut(slot) else { continue };
                let due = episodes.due(rules, windows).min();
                // A time that has passed has been looked at.
                let due = due.map_or(EventTime::MAX, |boundary| boundary.minus(1).max(time.plus(1)));
                let is_kept = episodes.has_state();
                if waits && seen[slot as usize] == time
                    || !cold.put((hash, key), (due, is_kept), |into| episodes.pack(into))
                {
                    hot.add(slot);
                    continue;
                }
                hot.measure(memory(episodes, cold.last_length()));
                keys.remove(slot);
            }
        }
        hot.publish(keys.len(), cold);
        cold.compact();
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
