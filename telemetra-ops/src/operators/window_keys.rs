//! The keys of an operator over windows: what has arrived for each, and a calendar of which keys to look at when.

use std::collections::BTreeMap;

use telemetra_core::engine::WindowState;
use telemetra_core::{EventTime, Key};

use crate::operators::checkpointed::Inbox;
use crate::operators::keyed::Keyed;
use crate::read::partial::Partial;

/// The keys of one worker: each with its windows and with what else the operator keeps of it.
pub(crate) struct WindowKeys<K: Key, W: WindowState, X> {
    keys: Keyed<K, WindowKey<W, X>>,
    inbox: Inbox<Partial<K, W::Partial>>,
    /// Which keys to look at when, by boundary: to close a window, to retire a summary, to let a pane go.
    calendar: BTreeMap<EventTime, Vec<u32>>,
    /// The last boundary at which some window is open whatever comes.
    last_close: EventTime,
}

/// One key.
pub(crate) struct WindowKey<W: WindowState, X> {
    pub(crate) windows: W,
    /// The partials that take effect at the boundary at which the key is looked at, by pane.
    pub(crate) pending: Vec<(EventTime, W::Partial)>,
    /// What the operator keeps besides.
    pub(crate) own: X,
    wake: EventTime,
}

impl<W: WindowState, X: Default> Default for WindowKey<W, X> {
    fn default() -> Self {
        Self { windows: W::default(), pending: Vec::new(), own: X::default(), wake: EventTime::MAX }
    }
}

impl<K: Key, W: WindowState, X> Default for WindowKeys<K, W, X> {
    fn default() -> Self {
        Self {
            keys: Keyed::default(),
            inbox: Inbox::default(),
            calendar: BTreeMap::new(),
            last_close: EventTime::MIN,
        }
    }
}

/// The wake of a key that is being looked at: the calendar may name it more than once.
const TOUCHED: EventTime = EventTime::MIN;

impl<K: Key, W: WindowState, X: Default> WindowKeys<K, W, X> {
    /// Takes note of a partial that takes effect at `time`.
    pub(crate) fn take_in(&mut self, time: EventTime, partial: Partial<K, W::Partial>) {
        self.inbox.push(time, partial);
    }

    /// The next time at which a key is to be looked at. `ended` says that nothing will arrive any more.
    pub(crate) fn next(&self, ended: bool) -> Option<EventTime> {
        let arrival = self.inbox.next();
        // Once the input has ended, nothing retires any more; but what is due before an arrival that still waits is done in its
        // turn: after it, it would be in the past.
        let is_done = |due: &EventTime| {
            !ended || *due <= self.last_close || arrival.is_some_and(|at| at.plus(1) >= *due)
        };
        let due = self.calendar.keys().next().copied().filter(is_done);
        let due = due.map(|boundary| boundary.minus(1));
        match (arrival, due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The slots of the keys to look at at `time`, each once: those that are due, and those for which something arrived, with it
    /// [pending](WindowKey::pending). Each must be [planned](Self::plan) again.
    pub(crate) fn touch(&mut self, time: EventTime) -> Vec<u32> {
        let boundary = time.plus(1);
        let mut touched = self.calendar.remove(&boundary).unwrap_or_default();
        touched.retain(|&slot| {
            let due = self.keys.get_mut(slot).filter(|(_, key)| key.wake == boundary);
            due.map(|(_, key)| key.wake = TOUCHED).is_some()
        });
        for partial in self.inbox.take(time) {
            let slot = self.slot(partial.key.as_ref());
            let Some((_, key)) = self.keys.get_mut(slot) else { continue };
            if key.wake != TOUCHED {
                key.wake = TOUCHED;
                touched.push(slot);
            }
            key.pending.push((partial.pane, partial.accumulator));
        }
        touched
    }

    /// Plans the next look at a key: when its windows need it, or `sooner`. A key of which nothing is left is removed.
    pub(crate) fn plan(
        &mut self,
        rules: &W::Rules,
        slot: u32,
        boundary: EventTime,
        sooner: Option<EventTime>,
    ) {
        let Some((_, key)) = self.keys.get_mut(slot) else { return };
        let Some(wake) = key.windows.wake(rules, boundary) else {
            self.keys.remove(slot);
            return;
        };
        let next = sooner.map_or(wake, |sooner| sooner.min(wake));
        key.wake = next;
        if key.windows.is_open(rules, boundary) {
            self.last_close = self.last_close.max(next);
        }
        self.calendar.entry(next).or_default().push(slot);
    }

    /// The slot of a key, made if there is none.
    pub(crate) fn slot(&mut self, key: K::Ref<'_>) -> u32 {
        self.keys.slot_or_insert(key, WindowKey::default)
    }

    /// Key and state of a slot; `None` if the key has gone.
    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<(&K, &mut WindowKey<W, X>)> {
        self.keys.get_mut(slot)
    }

    /// All keys and their slots.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &K, &mut WindowKey<W, X>)> {
        self.keys.iter_mut()
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }
}
