//! The keys of a window operator that do not fit in memory.

use std::sync::Arc;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::WindowState;
use telemetra_core::{EventTime, Key, key_hash};

use crate::operators::spilled_keys::{Departure, LoadedKey, Packed, Round, SpilledKeys};
use crate::operators::window_keys::{TOUCHED, WindowKey, WindowKeys};
use crate::read::partial::Partial;
use crate::spill::Spill;
use crate::spill::cold::Record;
use crate::spill::index::short_hash;
use crate::support::failure::PipelineError;

impl<W: WindowState> Packed for WindowKey<W, ()> {
    fn heap(&self) -> usize {
        self.windows.memory()
    }

    fn prepare(&mut self) -> bool {
        self.windows.encode()
    }

    fn pack_into(&mut self, bytes: &mut Vec<u8>) -> Result<bool, CodecError> {
        self.windows.pack(bytes).map(|()| true)
    }
}

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
                None => others.push((short_hash(hash), partial)),
            }
        }
        if let Some(spill) = &mut self.spill {
            spill.put_off(boundary, others);
        }
    }
}

impl<K: Key, W: WindowState> WindowKeys<K, W, ()> {
    /// Keeps the keys that do not fit in memory on disk, if their state can be packed.
    pub(crate) fn with_spill(mut self, spill: Option<Arc<Spill>>) -> Self {
        let spill = spill.filter(|_| W::PACKS);
        self.spill = spill.map(|spill| Box::new(SpilledKeys::new::<K, WindowKey<W, ()>>(spill)));
        self
    }

    /// Loads the next round of keys that were on disk or are new, and returns the slots of those that are due or have
    /// arrivals; `None` after the last round. The keys returned before must be [planned](Self::plan), as they may leave
    /// memory.
    pub(crate) fn touch_spilled(&mut self, rules: &W::Rules, boundary: EventTime) -> Option<Vec<u32>> {
        self.evict(rules, boundary);
        let unpack = |_: &K, state: &[u8]| {
            Ok(WindowKey::<W, ()> { windows: W::unpack(state)?, ..WindowKey::default() })
        };
        let Round { keys, arrivals } = self.spill.as_mut()?.round(unpack)?;
        let mut touched = Vec::with_capacity(keys.len());
        for LoadedKey { key, state, due, size } in keys {
            let slot = self.slot(key.as_ref());
            if let Some(spill) = &mut self.spill {
                spill.loaded(slot, size);
            }
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.windows = state.windows;
            }
            if due == boundary {
                self.wakes[slot as usize] = TOUCHED;
                touched.push(slot);
            } else {
                self.wakes[slot as usize] = due;
                self.calendar.entry(due).or_default().push(slot);
            }
        }
        for Partial { key, pane, accumulator } in arrivals {
            let slot = self.slot(key.as_ref());
            self.arrive(slot, (pane, accumulator), &mut touched);
        }
        Some(touched)
    }

    /// Lets keys leave memory until those that are left fit: first those that are not due soon.
    fn evict(&mut self, rules: &W::Rules, boundary: EventTime) {
        let Self { keys, wakes, spill, .. } = self;
        let Some(spill) = spill else { return };
        let soon = W::panes(rules).pane_end(boundary);
        let is_last = |slot: u32| wakes[slot as usize] <= soon;
        let departure = |slot: u32, _: &mut _| Departure { due: wakes[slot as usize], is_kept: false };
        let left = spill.evict(boundary, keys, is_last, departure);
        left.into_iter().for_each(|slot| wakes[slot as usize] = EventTime::MAX);
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
