//! The keys of a window operator: their windows and pending partials, and a calendar of the times at which
//! they are due.

use std::collections::BTreeMap;

use telemetra_core::engine::WindowState;
use telemetra_core::{EventTime, Key};

use crate::operators::checkpointed::Inbox;
use crate::operators::key_order::KeyOrder;
use crate::operators::keyed::{BATCH, Keyed};
use crate::operators::spilled_keys::SpilledKeys;
use crate::read::partial::Partial;

/// The keys of one worker, each with its windows and with state of the operator's own.
pub(crate) struct WindowKeys<K: Key, W: WindowState, X> {
    pub(super) keys: Keyed<K, WindowKey<W, X>>,
    order: KeyOrder,
    inbox: Inbox<Partial<K, W::Partial>>,
    /// The keys that are due at each boundary: to close a window, to retire a summary, or to drop a pane.
    pub(super) calendar: BTreeMap<EventTime, Vec<u32>>,
    /// The boundary at which each slot is due, as the calendar may contain it more than once. They are together, so
    /// that most of the calendar is read without a look at the keys.
    pub(super) wakes: Vec<EventTime>,
    /// Room for arrivals, which only the keys that are being looked at need.
    spare: Vec<Vec<(EventTime, W::Partial)>>,
    /// The last boundary at which some window is open even without further arrivals.
    last_close: EventTime,
    /// The keys that are on disk; `None` if all are here.
    pub(super) spill: Option<Box<SpilledKeys<Partial<K, W::Partial>>>>,
}

/// The state of one key.
pub(crate) struct WindowKey<W: WindowState, X> {
    pub(crate) windows: W,
    /// The partials, by pane, that take effect at the boundary at which the key is looked at.
    pub(crate) pending: Vec<(EventTime, W::Partial)>,
    /// The operator's own state of the key.
    pub(crate) own: X,
}

impl<W: WindowState, X: Default> Default for WindowKey<W, X> {
    fn default() -> Self {
        Self { windows: W::default(), pending: Vec::new(), own: X::default() }
    }
}

impl<K: Key, W: WindowState, X> Default for WindowKeys<K, W, X> {
    fn default() -> Self {
        Self {
            keys: Keyed::default(),
            order: KeyOrder::default(),
            inbox: Inbox::default(),
            calendar: BTreeMap::new(),
            wakes: Vec::new(),
            spare: Vec::new(),
            last_close: EventTime::MIN,
            spill: None,
        }
    }
}

/// The due time of a key that is being looked at.
pub(super) const TOUCHED: EventTime = EventTime::MIN;

impl<K: Key, W: WindowState, X: Default> WindowKeys<K, W, X> {
    /// Stores a partial that takes effect at `time`.
    pub(crate) fn take_in(&mut self, time: EventTime, partial: Partial<K, W::Partial>) {
        self.inbox.push(time, partial);
    }

    /// Returns the next time at which a key is due. `ended` is true if no more input will arrive.
    pub(crate) fn next(&self, ended: bool) -> Option<EventTime> {
        let arrival = self.inbox.next();
        // After the end of input nothing is retired any more. But what is due before a waiting arrival is
        // done first, as it would be in the past afterwards.
        let is_done = |due: &EventTime| {
            !ended || *due <= self.last_close || arrival.is_some_and(|at| at.plus(1) >= *due)
        };
        let spilled = self.spill.as_ref().and_then(|spill| spill.cold.next());
        let due = self.calendar.keys().next().copied().into_iter().chain(spilled).min().filter(is_done);
        let due = due.map(|boundary| boundary.minus(1));
        match (arrival, due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Returns the slots of the keys that are due at `time` or have arrivals, each once. Arrivals are moved
    /// to [pending](WindowKey::pending). Each key must be [planned](Self::plan) again. Those that are not in memory
    /// come [after](Self::touch_spilled).
    pub(crate) fn touch(&mut self, time: EventTime) -> Vec<u32> {
        let boundary = time.plus(1);
        let mut touched = self.calendar.remove(&boundary).unwrap_or_default();
        touched.retain(|&slot| {
            let wake = self.wakes.get_mut(slot as usize).filter(|wake| **wake == boundary);
            wake.map(|wake| *wake = TOUCHED).is_some()
        });
        let mut arrivals = self.inbox.take(time);
        let arrived = arrivals.len();
        if self.spill.is_some() {
            self.touch_hot(boundary, arrivals.drain(..), &mut touched);
        } else {
            let mut rest = arrivals.drain(..);
            while !rest.as_slice().is_empty() {
                self.keys.fetch_keys(rest.as_slice(), |partial| partial.key.as_ref());
                for Partial { key, pane, accumulator } in rest.by_ref().take(BATCH) {
                    let slot = self.slot(key.as_ref());
                    self.arrive(slot, (pane, accumulator), &mut touched);
                }
            }
            drop(rest);
        }
        self.inbox.recycle(arrivals, arrived);
        // Changes that are emitted in the order of their keys need not be sorted for the sinks.
        self.order.sort(&mut touched, &self.keys);
        // What the last burst needed is not kept for ever.
        self.spare.truncate(touched.len());
        touched
    }

    /// Adds a partial to those of a key.
    pub(super) fn arrive(&mut self, slot: u32, partial: (EventTime, W::Partial), touched: &mut Vec<u32>) {
        if self.wakes[slot as usize] != TOUCHED {
            self.wakes[slot as usize] = TOUCHED;
            touched.push(slot);
        }
        let Some((_, key)) = self.keys.get_mut(slot) else { return };
        if key.pending.capacity() == 0 {
            key.pending = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(1));
        }
        key.pending.push(partial);
    }

    /// Schedules the next look at a key: when its windows need it, or `sooner`. A key without any state is
    /// removed.
    pub(crate) fn plan(
        &mut self,
        rules: &W::Rules,
        slot: u32,
        boundary: EventTime,
        sooner: Option<EventTime>,
    ) {
        let Some((_, key)) = self.keys.get_mut(slot) else { return };
        if key.pending.capacity() > 0 && key.pending.is_empty() {
            self.spare.push(std::mem::take(&mut key.pending));
        }
        let Some(wake) = key.windows.wake(rules, boundary) else {
            self.keys.remove(slot);
            self.spill.iter_mut().for_each(|spill| spill.remove(slot));
            self.wakes[slot as usize] = EventTime::MAX;
            return;
        };
        let next = sooner.map_or(wake, |sooner| sooner.min(wake));
        self.wakes[slot as usize] = next;
        if key.windows.is_open(rules, boundary) {
            self.last_close = self.last_close.max(next);
        }
        self.calendar.entry(next).or_default().push(slot);
    }

    /// Returns the slot of a key, which is created if there is none.
    pub(crate) fn slot(&mut self, key: K::Ref<'_>) -> u32 {
        let Self { keys, order, wakes, spill, .. } = self;
        let mut is_new = false;
        let slot = keys.slot_or_insert(key, || {
            is_new = true;
            WindowKey::default()
        });
        if is_new {
            order.add(slot);
            wakes.resize(wakes.len().max(slot as usize + 1), EventTime::MAX);
            if let Some(spill) = spill {
                spill.add(slot);
            }
        }
        slot
    }

    /// Reads the states of some slots ahead.
    pub(crate) fn fetch(&self, slots: &[u32]) {
        self.keys.fetch(slots, |key| key.windows.peek());
        self.keys.fetch(slots, |key| key.windows.peek_deeper());
    }

    /// Returns the key and state of a slot; `None` if the key was removed.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<(&K, &mut WindowKey<W, X>)> {
        self.keys.get_mut(slot)
    }

    /// Iterates over all keys, with their slots and state.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &K, &mut WindowKey<W, X>)> {
        self.keys.iter_mut()
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.keys.len() + self.spill.as_ref().map_or(0, |spill| spill.cold.len())
    }
}
