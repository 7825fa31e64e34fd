//! The keys of a window operator that do not fit in memory.

use std::sync::Arc;

use telemetra_core::engine::WindowState;
use telemetra_core::{EventTime, Key, key_hash};

use crate::operators::window_keys::{TOUCHED, WindowKey, WindowKeys};
use crate::read::partial::Partial;
use crate::spill::Spill;
use crate::spill::cold::{Cold, Record};
use crate::spill::hot::{HEAP, Hot};
use crate::spill::waiting::Waiting;
use crate::support::failure::PipelineError;

/// The keys that are on disk, and the order in which those in memory follow.
pub(crate) struct WindowSpill<K: Key, W: WindowState> {
    pub(crate) cold: Cold,
    pub(crate) hot: Hot,
    /// What is left to do at this time.
    waiting: Option<Waiting<Partial<K, W::Partial>>>,
}

/// An estimate of the memory that a key takes, whose record has this length.
fn memory<K, W: WindowState>(windows: &W, record: usize) -> usize {
    PLACES + size_of::<(u64, K, WindowKey<W, ()>)>() + windows.memory() + HEAP * record
}

/// The bytes of a slot in the index, the order, the queue and the calendar.
const PLACES: usize = 40;

impl<K: Key, W: WindowState, X: Default> WindowKeys<K, W, X> {
    /// Moves the arrivals of one time to the keys in memory that they belong to, and keeps the others for
    /// [later](WindowKeys::touch_spilled).
    pub(super) fn touch_hot(
        &mut self,
        boundary: EventTime,
        arrivals: impl Iterator<Item = Partial<K, W::Partial>>,
        touched: &mut Vec<u32>,
    ) {
        let mut others = Vec::new();
        for partial in arrivals {
            let hash = key_hash(&partial.key.as_ref());
            match self.keys.find(hash, partial.key.as_ref()) {
                Some(slot) => self.arrive(slot, (partial.pane, partial.accumulator), touched),
                None => others.push((hash, partial)),
            }
        }
        if let Some(spill) = &mut self.spill {
            let due = spill.cold.due(boundary);
            spill.waiting = Some(Waiting::new(others, due, &spill.cold));
        }
    }
}

impl<K: Key, W: WindowState> WindowKeys<K, W, ()> {
    /// Has the keys that do not fit in memory kept on disk, if their state can be packed.
    pub(crate) fn with_spill(mut self, spill: Option<Arc<Spill>>) -> Self {
        let spill = spill.filter(|_| W::PACKS);
        self.spill = spill.map(|spill| {
            Box::new(WindowSpill { cold: Cold::new(spill), hot: Hot::default(), waiting: None })
        });
        self
    }

    /// Returns the next slots of keys that are due at a time or have arrivals, of those that were not in memory
    /// then; `None` if there are no more. The keys before them must be [planned](Self::plan): they may leave memory.
    pub(crate) fn touch_spilled(&mut self, rules: &W::Rules, boundary: EventTime) -> Option<Vec<u32>> {
        self.evict(rules, boundary);
        let spill = self.spill.as_mut()?;
        let mut waiting = spill.waiting.take()?;
        let round = waiting.next(spill.hot.most(&spill.cold));
        if round.is_empty() || spill.cold.has_failed() {
            return None;
        }
        let mut found: Vec<(K, EventTime, W)> = Vec::with_capacity(round.len());
        spill.cold.take(&round, |Record { key, due, state }| {
            found.push((key, due, W::unpack(state)?));
            Ok(())
        });
        if spill.cold.has_failed() {
            return None;
        }
        let mut touched = Vec::with_capacity(round.len());
        for (key, due, windows) in found {
            let slot = self.slot(key.as_ref());
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.windows = windows;
            }
            if due == boundary {
                self.wakes[slot as usize] = TOUCHED;
                touched.push(slot);
            } else {
                self.wakes[slot as usize] = due;
                self.calendar.entry(due).or_default().push(slot);
            }
        }
        for hash in round {
            for Partial { key, pane, accumulator } in waiting.take(hash) {
                let slot = self.slot(key.as_ref());
                self.arrive(slot, (pane, accumulator), &mut touched);
            }
        }
        if let Some(spill) = &mut self.spill {
            spill.waiting = Some(waiting);
        }
        self.in_order(&mut touched);
        Some(touched)
    }

    /// Lets keys leave memory until those that are left fit: first those that are not due soon.
    fn evict(&mut self, rules: &W::Rules, boundary: EventTime) {
        let Self { keys, wakes, spill, .. } = self;
        let Some(WindowSpill { cold, hot, .. }) = spill.as_deref_mut() else { return };
        let mut bytes = Vec::new();
        for slot in hot.sample() {
            bytes.clear();
            if let Some((_, entry)) = keys.get_mut(slot)
                && entry.windows.pack(&mut bytes).is_ok()
            {
                hot.measure(memory::<K, W>(&entry.windows, bytes.len()));
            }
        }
        let soon = W::panes(rules).pane_end(boundary);
        for waits in [true, false] {
            for _ in 0..hot.len() {
                if hot.most(cold).is_none_or(|most| keys.len() <= most) {
                    break;
                }
                let Some(slot) = hot.pop() else { break };
                let Some(hash) = keys.hash(slot) else { continue };
                let due = wakes[slot as usize];
                let Some((key, entry)) = keys.get_mut(slot) else { continue };
                if waits && due <= soon
                    || !cold.put((hash, key), (due, false), |into| entry.windows.pack(into).map(|()| true))
                {
                    hot.add(slot);
                    continue;
                }
                hot.measure(memory::<K, W>(&entry.windows, cold.last_length()));
                keys.remove(slot);
                wakes[slot as usize] = EventTime::MAX;
            }
        }
        hot.publish(keys.len(), cold);
        cold.compact();
    }

    /// Gives the keys on disk that a snapshot needs to `found`.
    pub(crate) fn spilled(&mut self, whole: bool, mut found: impl FnMut(K, W)) {
        if let Some(spill) = &mut self.spill {
            spill.cold.for_snapshot(whole, |Record { key, state, .. }| {
                found(key, W::unpack(state)?);
                Ok(())
            });
        }
    }

    /// The error of the keys on disk, once.
    pub(crate) fn take_error(&mut self) -> Option<PipelineError> {
        self.spill.as_mut()?.cold.take_error()
    }
}
