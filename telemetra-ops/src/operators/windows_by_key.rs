//! The tactic of windows, sliding or sessions: which keys to look at when.

use std::collections::BTreeMap;
use std::sync::Arc;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::{StateSize, WindowState};
use telemetra_core::{EventTime, Key, Summary, key_hash};

use crate::observe::state_size::{StateSizeCounter, StateSizeGauge};
use crate::operators::checkpointed::{Inbox, Tactic};
use crate::operators::keyed::Keyed;
use crate::read::partial::Partial;

/// The keys of one worker.
pub(crate) struct WindowsTactic<K: Key, W: WindowState> {
    rules: W::Rules,
    keys: Keyed<K, Entry<W>>,
    inbox: Inbox<Partial<K, W::Partial>>,
    /// Which keys to look at when, by boundary: to close a window, to retire a summary, to let a pane go.
    calendar: BTreeMap<EventTime, Vec<u32>>,
    /// The last boundary at which some window is open whatever comes.
    last_close: EventTime,
    /// The boundary of the last checkpoint.
    recorded: EventTime,
    restored: EventTime,
    counter: StateSizeCounter,
    gauge: Arc<StateSizeGauge>,
}

struct Entry<W: WindowState> {
    windows: W,
    pending: Vec<(EventTime, W::Partial)>,
    wake: EventTime,
}

impl<W: WindowState> Default for Entry<W> {
    fn default() -> Self {
        Self { windows: W::default(), pending: Vec::new(), wake: EventTime::MAX }
    }
}

/// The wake of a key that is being looked at: the calendar may name it more than once.
const TOUCHED: EventTime = EventTime::MIN;

impl<K: Key, W: WindowState> WindowsTactic<K, W> {
    pub(crate) fn new(rules: W::Rules, gauge: Arc<StateSizeGauge>) -> Self {
        Self {
            rules,
            keys: Keyed::default(),
            inbox: Inbox::default(),
            calendar: BTreeMap::new(),
            last_close: EventTime::MIN,
            recorded: EventTime::MIN,
            restored: EventTime::MIN,
            counter: StateSizeCounter::default(),
            gauge,
        }
    }

    /// Plans the next look at a key; `false` if nothing is left of it.
    fn plan(&mut self, slot: u32, boundary: EventTime) -> bool {
        let Some((_, entry)) = self.keys.get_mut(slot) else { return false };
        let Some(next) = entry.windows.wake(&self.rules, boundary) else { return false };
        entry.wake = next;
        if entry.windows.is_open(&self.rules, boundary) {
            self.last_close = self.last_close.max(next);
        }
        self.calendar.entry(next).or_default().push(slot);
        true
    }
}

impl<K: Key, W: WindowState> Tactic for WindowsTactic<K, W> {
    type In = Partial<K, W::Partial>;
    type Out = ((K, Summary<W::Output>), EventTime, isize);
    /// The keys that changed.
    type Snapshot = Vec<(K, W::State)>;

    const INCREMENTAL: bool = true;

    fn route(partial: &Partial<K, W::Partial>) -> u64 {
        key_hash(&partial.key.as_ref())
    }

    fn take_in(&mut self, time: EventTime, partial: Partial<K, W::Partial>) {
        self.inbox.push(time, partial);
    }

    fn next(&self, ended: bool) -> Option<EventTime> {
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

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let boundary = time.plus(1);
        let mut touched = self.calendar.remove(&boundary).unwrap_or_default();
        touched.retain(|&slot| {
            let due = self.keys.get_mut(slot).filter(|(_, entry)| entry.wake == boundary);
            due.map(|(_, entry)| entry.wake = TOUCHED).is_some()
        });
        for partial in self.inbox.take(time) {
            let slot = self.keys.slot_or_insert(partial.key.as_ref(), Entry::default);
            let Some((_, entry)) = self.keys.get_mut(slot) else { continue };
            if entry.wake != TOUCHED {
                entry.wake = TOUCHED;
                touched.push(slot);
            }
            entry.pending.push((partial.pane, partial.accumulator));
        }
        for slot in touched {
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            let Entry { windows, pending, .. } = entry;
            let before = windows.size();
            windows.advance(&self.rules, boundary, pending, |summary, diff| {
                emit(((key.clone(), summary), time, diff));
            });
            self.counter.changed(before, windows);
            if !self.plan(slot, boundary) {
                self.keys.remove(slot);
            }
        }
    }

    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError> {
        let since = if whole { EventTime::MIN } else { self.recorded };
        self.recorded = boundary;
        let keys = self.keys.iter_mut();
        Ok(keys
            .filter_map(|(_, key, entry)| Some((key.clone(), entry.windows.state_since(since)?)))
            .collect())
    }

    fn restore(
        &mut self,
        restored: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        (self.recorded, self.restored) = (restored, restored);
        // A last checkpoint may lie between two boundaries; all before it is as of the one before.
        let boundary = W::panes(&self.rules).pane_start(restored);
        for (key, state) in
            snapshots.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(&key.as_ref())))
        {
            let slot = self.keys.slot_or_insert(key.as_ref(), Entry::default);
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.windows.restore(state, boundary);
            }
        }
        let mut slots = Vec::with_capacity(self.keys.len());
        for (slot, _, entry) in self.keys.iter_mut() {
            entry.windows.trim(&self.rules, boundary);
            self.counter.changed(StateSize::default(), &entry.windows);
            slots.push(slot);
        }
        for slot in slots {
            if !self.plan(slot, boundary) {
                self.keys.remove(slot);
            }
        }
        Ok(())
    }

    /// All summaries, as the collection held them when the checkpoint was taken.
    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let time = self.restored.minus(1);
        for (_, key, entry) in self.keys.iter_mut() {
            entry.windows.summaries(&self.rules).for_each(|summary| emit(((key.clone(), summary), time, 1)));
        }
    }

    fn end_of_turn(&mut self) {
        self.counter.publish(self.keys.len(), &self.gauge);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use telemetra_core::TimeConfig;
    use telemetra_core::aggregate::Count;
    use telemetra_core::engine::KeyWindows;

    pub(crate) type Counts = WindowsTactic<String, KeyWindows<Count>>;

    pub(crate) fn fresh() -> Counts {
        Counts::new(TimeConfig::default().window_rules(1), Arc::default())
    }

    pub(crate) fn arrival(key: &str, at: u64) -> (EventTime, Partial<String, Count>) {
        let pane = EventTime(at - at % 10_000);
        (pane.plus(9_999), Partial { key: key.to_owned(), pane, accumulator: Count::default() })
    }

    #[test]
    fn a_snapshot_holds_what_changed_since_the_last_one() -> Result<(), CodecError> {
        let mut tactic = fresh();
        let mut run_to = |arrivals: &[(&str, u64)], boundary: u64, whole| {
            for (key, at) in arrivals {
                let (time, partial) = arrival(key, *at);
                tactic.take_in(time, partial);
            }
            while let Some(time) = tactic.next(false).filter(|time| *time < EventTime(boundary)) {
                tactic.advance(time, &mut |_| {});
            }
            let keys = tactic.snapshot(EventTime(boundary), whole)?.into_iter().map(|(key, _)| key);
            let mut keys: Vec<_> = keys.collect();
            keys.sort();
            Ok::<_, CodecError>(keys)
        };
        assert_eq!(run_to(&[("a", 0), ("b", 0)], 60_000, true)?, ["a", "b"]);
        // Until the last window that holds it has closed.
        assert_eq!(run_to(&[("b", 70_000)], 240_000, false)?, ["b"]);
        assert!(run_to(&[], 300_000, false)?.is_empty());
        assert_eq!(run_to(&[], 360_000, true)?, ["a", "b"]);
        Ok(())
    }
}
