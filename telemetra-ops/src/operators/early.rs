//! Early results: the current contents of open windows, as a collection beside the summaries.

use std::sync::Arc;

use differential_dataflow::AsCollection;
use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::{CodecError, Migration};
use telemetra_core::engine::WindowState;
use telemetra_core::{EventTime, Key, Summary, Window, key_hash};
use timely::dataflow::StreamVec;

use crate::checkpoint::definition::{OperatorDefinition, StateVersions};
use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::{Checkpointed, Tactic};
use crate::operators::window_keys::{WindowKey, WindowKeys};
use crate::operators::windows::Summaries;
use crate::read::partial::Partial;

/// Returns the open windows of all keys as of each tick, as a collection. Ticks are the multiples of `every`
/// in event time. `windows` is the name of the operator that closes them, whose state is used where a checkpoint has none of
/// this one's. A window that changed since the last tick is replaced. It is removed when it ends, as its
/// summary is then added, or when it becomes part of another session. The state is part of the checkpoints of
/// `context` under `name`.
///
/// State: that of the windows operator once more, without summaries of closed windows, and what is published
/// of each open window. Work: that of the windows operator once more, and, for each key that changed and each
/// tick, one merge for each pane of each open window.
pub(crate) fn early_results<'scope, K: Key, W: WindowState>(
    partials: StreamVec<'scope, EventTime, Partial<K, W::Partial>>,
    rules: W::Rules,
    every: u64,
    versions: StateVersions<KeySnapshot<K, W>>,
    (name, windows): (&str, &str),
    context: &CheckpointContext<'scope>,
) -> Summaries<'scope, K, W::Output> {
    partials
        .checkpointed(name, context, EarlyTactic::<K, W>::new(rules, every, versions, windows))
        .as_collection()
}

/// The tactic of early results.
pub(crate) struct EarlyTactic<K: Key, W: WindowState> {
    rules: W::Rules,
    /// The time between ticks, in milliseconds.
    every: u64,
    versions: StateVersions<KeySnapshot<K, W>>,
    /// The name of the windows operator.
    windows: String,
    keys: WindowKeys<K, W, Published<W>>,
    recorded: EventTime,
    restored: EventTime,
}

/// The published results of a key.
pub(crate) struct Published<W: WindowState> {
    /// The results of open windows, oldest first.
    summaries: Vec<Summary<W::Output>>,
    /// The boundary at which they changed last.
    changed: EventTime,
    /// True if an arrival came since the last tick.
    is_dirty: bool,
}

impl<W: WindowState> Default for Published<W> {
    fn default() -> Self {
        Self { summaries: Vec::new(), changed: EventTime::MIN, is_dirty: false }
    }
}

impl<W: WindowState> WindowKey<W, Published<W>> {
    /// Advances the windows to a boundary, and publishes the open windows that changed.
    fn advance(
        &mut self,
        rules: &W::Rules,
        boundary: EventTime,
        is_tick: bool,
        mut emit: impl FnMut(Summary<W::Output>, isize),
    ) {
        let Self { windows, pending, own, .. } = self;
        own.is_dirty |= !pending.is_empty();
        // Summaries of windows that end are emitted by the windows operator.
        windows.advance(rules, boundary, pending, |_, _| ());
        let open = windows.open_windows(rules, boundary);
        let now: Vec<_> = if is_tick && own.is_dirty {
            own.is_dirty = false;
            open.iter().map(|window| windows.open_summary(*window)).collect()
        } else if own.summaries.is_empty() {
            return;
        } else {
            // Between ticks nothing is replaced, but windows that have ended or became part of another
            // session are removed.
            own.summaries.iter().filter(|summary| is_open(&open, summary)).cloned().collect()
        };
        if now != own.summaries {
            let before = std::mem::replace(&mut own.summaries, now);
            let gone = before.iter().filter(|summary| !own.summaries.contains(summary));
            gone.for_each(|old| emit(old.clone(), -1));
            let new = own.summaries.iter().filter(|summary| !before.contains(summary));
            new.for_each(|new| emit(new.clone(), 1));
            own.changed = boundary;
        }
    }
}

/// Returns whether the window of a summary is still open, perhaps longer by now.
fn is_open<S>(open: &[Window], summary: &Summary<S>) -> bool {
    open.iter().any(|window| window.start == summary.window.start)
}

impl<K: Key, W: WindowState> EarlyTactic<K, W> {
    pub(crate) fn new(
        rules: W::Rules,
        every: u64,
        versions: StateVersions<KeySnapshot<K, W>>,
        windows: &str,
    ) -> Self {
        let (keys, windows) = (WindowKeys::default(), windows.to_owned());
        Self { rules, every, versions, windows, keys, recorded: EventTime::MIN, restored: EventTime::MIN }
    }

    /// Schedules the next look at a key: the next tick, if something has arrived.
    fn plan(&mut self, slot: u32, boundary: EventTime) {
        let is_dirty = self.keys.get_mut(slot).is_some_and(|(_, key)| key.own.is_dirty);
        let tick = || EventTime((boundary.0 / self.every).saturating_add(1).saturating_mul(self.every));
        self.keys.plan(&self.rules, slot, boundary, is_dirty.then(tick));
    }
}

/// The state of a key in a checkpoint: the changes of its windows, and everything published of open ones.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct KeySnapshot<K: Key, W: WindowState> {
    key: K,
    windows: Option<W::State>,
    published: Vec<Summary<W::Output>>,
}

impl<K: Key, W: WindowState> KeySnapshot<K, W> {
    /// The migration of what an earlier version of the accumulator has left.
    pub(crate) fn migration(state: &Migration<W::State>, output: &Migration<W::Output>) -> Migration<Self> {
        let state = state.clone();
        let published = output.clone().then(Arc::new).after::<Window>();
        let published = published.then(|(window, value)| Summary { window, value }).of_list();
        let windows = Migration::decoding(move |bytes| {
            // An option is a byte, and what there is.
            match bincode::deserialize_from::<_, u8>(&mut *bytes)? {
                0 => Ok(None),
                _ => state.decode(bytes).map(Some),
            }
        });
        let key = Migration::<K>::unchanged();
        Migration::decoding(move |bytes| {
            let (key, windows) = (key.decode(bytes)?, windows.decode(bytes)?);
            Ok(Self { key, windows, published: published.decode(bytes)? })
        })
    }
}

impl<K: Key, W: WindowState> Tactic for EarlyTactic<K, W> {
    type In = Partial<K, W::Partial>;
    type Out = ((K, Summary<W::Output>), EventTime, isize);
    type Snapshot = Vec<KeySnapshot<K, W>>;

    const INCREMENTAL: bool = true;
    const BY_ROUTE: bool = true;

    fn version(&self) -> u32 {
        self.versions.version
    }

    fn migrate(&self, version: u32) -> Option<Migration<Self::Snapshot>> {
        Some(self.versions.migrations.get(&version)?.clone().of_list())
    }

    fn describe(&self) -> OperatorDefinition {
        OperatorDefinition { settings: W::describe(&self.rules).0, ..OperatorDefinition::default() }
    }

    fn derived(&self) -> Option<(String, Migration<Self::Snapshot>)> {
        let open = |(key, windows): (K, W::State)| KeySnapshot {
            key,
            windows: Some(windows),
            published: Vec::new(),
        };
        // Of a state that changes its version at the same time, nothing is known here.
        let is_plain = self.versions.version == 0;
        is_plain.then(|| (self.windows.clone(), Migration::new(open).of_list()))
    }

    fn route(partial: &Self::In) -> u64 {
        key_hash(&partial.key.as_ref())
    }

    fn take_in(&mut self, time: EventTime, partial: Self::In) {
        self.keys.take_in(time, partial);
    }

    fn next(&self, ended: bool) -> Option<EventTime> {
        self.keys.next(ended)
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let boundary = time.plus(1);
        let is_tick = boundary.0.is_multiple_of(self.every);
        for slot in self.keys.touch(time) {
            let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
            entry.advance(&self.rules, boundary, is_tick, |summary, diff| {
                emit(((key.clone(), summary), time, diff));
            });
            self.plan(slot, boundary);
        }
    }

    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError> {
        let since = if whole { EventTime::MIN } else { self.recorded };
        self.recorded = boundary;
        let changed = self.keys.iter_mut().filter_map(|(_, key, entry)| {
            let windows = entry.windows.state_since(&self.rules, since);
            let published = &entry.own.summaries;
            (windows.is_some() || entry.own.changed > since).then(|| KeySnapshot {
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
        // The last checkpoint may lie between two boundaries; everything before it is as of the earlier one.
        let boundary = W::panes(&self.rules).pane_start(restored);
        for KeySnapshot { key, windows, published } in snapshots.into_iter().flatten() {
            if !is_mine(key_hash(&key.as_ref())) {
                continue;
            }
            let slot = self.keys.slot(key.as_ref());
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.own.summaries = published;
                if let Some(windows) = windows {
                    entry.windows.restore(&self.rules, windows, boundary);
                }
            }
        }
        let mut slots = Vec::with_capacity(self.keys.len());
        for (slot, _, entry) in self.keys.iter_mut() {
            entry.windows.trim(&self.rules, boundary);
            // An older part of the checkpoint may contain windows that have ended since.
            let open = entry.windows.open_windows(&self.rules, restored);
            entry.own.summaries.retain(|summary| is_open(&open, summary));
            // Arrivals since the last tick cannot be distinguished from earlier ones, so the next tick compares.
            entry.own.is_dirty = !open.is_empty();
            slots.push(slot);
        }
        slots.into_iter().for_each(|slot| self.plan(slot, restored));
        Ok(())
    }

    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let time = self.restored.minus(1);
        for (_, key, entry) in self.keys.iter_mut() {
            entry.own.summaries.iter().for_each(|summary| emit(((key.clone(), summary.clone()), time, 1)));
        }
    }
}
