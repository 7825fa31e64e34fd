//! Early results: what open windows contain so far, as a collection beside the summaries.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::WindowState;
use telemetra_core::{EventTime, Key, Summary, key_hash};
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
use crate::operators::keyed::Keyed;
use crate::operators::windows::Summaries;
use crate::read::partial::Partial;

/// The open windows of all keys as they are at each tick, as a collection: a tick is each multiple of `every` in event time. A window that
/// changed since the last tick is replaced; it is taken back when it ends, which is when its summary is put, and when it becomes part of
/// another session. Its state is in the checkpoints of `context` under `name`.
///
/// State: that of the windows operator once more, without the summaries of the horizon for sliding windows, and what is published of each
/// open window. Work: that of the windows operator once more; per key that changed and tick, one merge for each pane of each open window.
pub(crate) fn early_results<'scope, K: Key, W: WindowState>(
    partials: StreamVec<'scope, EventTime, Partial<K, W::Partial>>,
    rules: W::Rules,
    every: u64,
    name: &str,
    context: &CheckpointContext<'scope>,
) -> Summaries<'scope, K, W::Output> {
    let tactic = EarlyTactic::<K, W> {
        rules,
        every,
        keys: Keyed::default(),
        inbox: Inbox::default(),
        calendar: BTreeMap::new(),
        last_close: EventTime::MIN,
        recorded: EventTime::MIN,
        restored: EventTime::MIN,
    };
    partials.checkpointed(name, context, tactic).as_collection()
}

struct EarlyTactic<K: Key, W: WindowState> {
    rules: W::Rules,
    /// The time between ticks, in milliseconds.
    every: u64,
    keys: Keyed<K, Entry<W>>,
    inbox: Inbox<Partial<K, W::Partial>>,
    /// Which keys to look at when, by boundary.
    calendar: BTreeMap<EventTime, Vec<u32>>,
    /// The last boundary at which some window is open whatever comes.
    last_close: EventTime,
    recorded: EventTime,
    restored: EventTime,
}

struct Entry<W: WindowState> {
    windows: W,
    pending: Vec<(EventTime, W::Partial)>,
    /// What is published of open windows, oldest first.
    published: Vec<Summary<W::Output>>,
    /// The boundary at which that changed last.
    changed: EventTime,
    /// Whether something arrived since the last tick.
    is_dirty: bool,
    wake: EventTime,
}

impl<W: WindowState> Default for Entry<W> {
    fn default() -> Self {
        Self {
            windows: W::default(),
            pending: Vec::new(),
            published: Vec::new(),
            changed: EventTime::MIN,
            is_dirty: false,
            wake: EventTime::MAX,
        }
    }
}

/// The wake of a key that is being looked at.
const TOUCHED: EventTime = EventTime::MIN;

impl<W: WindowState> Entry<W> {
    /// Advances the windows to a boundary, and publishes what changed of those that are open.
    fn advance(
        &mut self,
        rules: &W::Rules,
        boundary: EventTime,
        is_tick: bool,
        mut emit: impl FnMut(Summary<W::Output>, isize),
    ) {
        self.is_dirty |= !self.pending.is_empty();
        // The summaries of windows that end are the windows operator's.
        self.windows.advance(rules, boundary, &mut self.pending, |_, _| ());
        let open = self.windows.open_windows(rules, boundary);
        let now: Vec<_> = if is_tick && self.is_dirty {
            self.is_dirty = false;
            open.iter().map(|window| self.windows.open_summary(*window)).collect()
        } else if self.published.is_empty() {
            return;
        } else {
            // Between ticks nothing is replaced; what has ended, or is part of another session, goes.
            let is_open = |summary: &&Summary<W::Output>| {
                open.iter().any(|window| window.start == summary.window.start)
            };
            self.published.iter().filter(is_open).cloned().collect()
        };
        if now != self.published {
            let before = std::mem::replace(&mut self.published, now);
            before
                .iter()
                .filter(|summary| !self.published.contains(summary))
                .for_each(|old| emit(old.clone(), -1));
            self.published
                .iter()
                .filter(|summary| !before.contains(summary))
                .for_each(|new| emit(new.clone(), 1));
            self.changed = boundary;
        }
    }
}

impl<K: Key, W: WindowState> EarlyTactic<K, W> {
    /// Plans the next look at a key; `false` if nothing is left of it.
    fn plan(&mut self, slot: u32, boundary: EventTime) -> bool {
        let Some((_, entry)) = self.keys.get_mut(slot) else { return false };
        let Some(mut next) = entry.windows.wake(&self.rules, boundary) else { return false };
        if entry.is_dirty {
            next =
                next.min(EventTime((boundary.0 / self.every).saturating_add(1).saturating_mul(self.every)));
        }
        entry.wake = next;
        if entry.windows.is_open(&self.rules, boundary) {
            self.last_close = self.last_close.max(next);
        }
        self.calendar.entry(next).or_default().push(slot);
        true
    }
}

/// What a checkpoint keeps of a key: what changed of its windows, and all that is published of open ones.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
struct KeySnapshot<K: Key, W: WindowState> {
    key: K,
    windows: Option<W::State>,
    published: Vec<Summary<W::Output>>,
}

impl<K: Key, W: WindowState> Tactic for EarlyTactic<K, W> {
    type In = Partial<K, W::Partial>;
    type Out = ((K, Summary<W::Output>), EventTime, isize);
    type Snapshot = Vec<KeySnapshot<K, W>>;

    const INCREMENTAL: bool = true;

    fn route(partial: &Self::In) -> u64 {
        key_hash(&partial.key.as_ref())
    }

    fn take_in(&mut self, time: EventTime, partial: Self::In) {
        self.inbox.push(time, partial);
    }

    fn next(&self, ended: bool) -> Option<EventTime> {
        let due = self.calendar.keys().next().copied().filter(|due| !ended || *due <= self.last_close);
        self.inbox.next().into_iter().chain(due.map(|boundary| boundary.minus(1))).min()
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
        let is_tick = boundary.0.is_multiple_of(self.every);
        for slot in touched {
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            entry.advance(&self.rules, boundary, is_tick, |summary, diff| {
                emit(((key.clone(), summary), time, diff));
            });
            if !self.plan(slot, boundary) {
                self.keys.remove(slot);
            }
        }
    }

    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError> {
        let since = if whole { EventTime::MIN } else { self.recorded };
        self.recorded = boundary;
        let changed = self.keys.iter_mut().filter_map(|(_, key, entry)| {
            let windows = entry.windows.state_since(since);
            let published = &entry.published;
            (windows.is_some() || entry.changed > since).then(|| KeySnapshot {
                key: key.clone(),
                windows,
                published: published.clone(),
            })
        });
        Ok(changed.collect())
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
        for KeySnapshot { key, windows, published } in snapshots.into_iter().flatten() {
            if !is_mine(key_hash(&key.as_ref())) {
                continue;
            }
            let slot = self.keys.slot_or_insert(key.as_ref(), Entry::default);
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.published = published;
                if let Some(windows) = windows {
                    entry.windows.restore(windows, boundary);
                }
            }
        }
        let mut slots = Vec::with_capacity(self.keys.len());
        for (slot, _, entry) in self.keys.iter_mut() {
            entry.windows.trim(&self.rules, boundary);
            // An older part of the checkpoint may name windows that ended since.
            let open = entry.windows.open_windows(&self.rules, restored);
            entry.published.retain(|summary| open.iter().any(|window| window.start == summary.window.start));
            // What arrived since the last tick is not told from what came before it: the next tick compares.
            entry.is_dirty = !open.is_empty();
            slots.push(slot);
        }
        for slot in slots {
            if !self.plan(slot, restored) {
                self.keys.remove(slot);
            }
        }
        Ok(())
    }

    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let time = self.restored.minus(1);
        for (_, key, entry) in self.keys.iter_mut() {
            entry.published.iter().for_each(|summary| emit(((key.clone(), summary.clone()), time, 1)));
        }
    }
}
