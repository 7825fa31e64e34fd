//! The tactic of the window operators, for sliding windows and sessions.

use std::sync::Arc;

use telemetra_core::checkpoint::{CodecError, Migration};
use telemetra_core::engine::{StateSize, WindowState};
use telemetra_core::{EventTime, Key, Summary, key_hash};

use crate::checkpoint::definition::{OperatorDefinition, StateVersions};
use crate::observe::state_size::{StateSizeCounter, StateSizeGauge};
use crate::operators::checkpointed::Tactic;
use crate::operators::keyed::BATCH;
use crate::operators::window_keys::{WindowKey, WindowKeys};
use crate::read::partial::Partial;
use crate::spill::Spill;
use crate::support::failure::PipelineError;

/// The windows of the keys of one worker.
pub(crate) struct WindowsTactic<K: Key, W: WindowState> {
    rules: W::Rules,
    versions: StateVersions<W::State>,
    keys: WindowKeys<K, W, ()>,
    /// The boundary of the last checkpoint.
    recorded: EventTime,
    restored: EventTime,
    counter: StateSizeCounter,
    gauge: Arc<StateSizeGauge>,
}

impl<K: Key, W: WindowState> WindowsTactic<K, W> {
    pub(crate) fn new(
        rules: W::Rules,
        versions: StateVersions<W::State>,
        gauge: Arc<StateSizeGauge>,
        spill: Option<Arc<Spill>>,
    ) -> Self {
        Self {
            rules,
            versions,
            keys: WindowKeys::default().with_spill(spill),
            recorded: EventTime::MIN,
            restored: EventTime::MIN,
            counter: StateSizeCounter::default(),
            gauge,
        }
    }
}

impl<K: Key, W: WindowState> Tactic for WindowsTactic<K, W> {
    type In = Partial<K, W::Partial>;
    type Out = ((K, Summary<W::Output>), EventTime, isize);
    /// The keys that changed, with their state.
    type Snapshot = Vec<(K, W::State)>;

    const INCREMENTAL: bool = true;
    const BY_ROUTE: bool = true;

    fn version(&self) -> u32 {
        self.versions.version
    }

    fn migrate(&self, version: u32) -> Option<Migration<Self::Snapshot>> {
        Some(self.versions.migrations.get(&version)?.clone().after().of_list())
    }

    fn describe(&self) -> OperatorDefinition {
        let (settings, reach) = W::describe(&self.rules);
        OperatorDefinition { settings, reach, ..OperatorDefinition::default() }
    }

    fn route(partial: &Partial<K, W::Partial>) -> u64 {
        key_hash(&partial.key.as_ref())
    }

    fn take_in(&mut self, time: EventTime, partial: Partial<K, W::Partial>) {
        self.keys.take_in(time, partial);
    }

    fn next(&self, ended: bool) -> Option<EventTime> {
        self.keys.next(ended)
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let boundary = time.plus(1);
        let mut touched = Some(self.keys.touch(time));
        while let Some(slots) = touched {
            for batch in slots.chunks(BATCH) {
                self.keys.fetch(batch);
                for &slot in batch {
                    let Some((key, entry)) = self.keys.get_mut(slot) else { continue };
                    let WindowKey { windows, pending, .. } = entry;
                    let before = windows.size();
                    windows.advance(&self.rules, boundary, pending, |summary, diff| {
                        emit(((key.clone(), summary), time, diff));
                    });
                    self.counter.changed(before, windows);
                    self.keys.plan(&self.rules, slot, boundary, None);
                }
            }
            touched = self.keys.touch_spilled(&self.rules, boundary);
        }
    }

    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError> {
        let since = if whole { EventTime::MIN } else { self.recorded };
        self.recorded = boundary;
        let keys = self.keys.iter_mut();
        let mut states: Vec<_> = keys
            .filter_map(|(_, key, entry)| Some((key.clone(), entry.windows.state_since(&self.rules, since)?)))
            .collect();
        self.keys.spilled(whole, |key, windows| {
            states.extend(windows.state_since(&self.rules, since).map(|state| (key, state)));
        });
        Ok(states)
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
        for (key, state) in
            snapshots.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(&key.as_ref())))
        {
            let slot = self.keys.slot(key.as_ref());
            if let Some((_, entry)) = self.keys.get_mut(slot) {
                entry.windows.restore(&self.rules, state, boundary);
            }
        }
        let mut slots = Vec::with_capacity(self.keys.len());
        for (slot, _, entry) in self.keys.iter_mut() {
            entry.windows.trim(&self.rules, boundary);
            self.counter.changed(StateSize::default(), &entry.windows);
            slots.push(slot);
        }
        slots.into_iter().for_each(|slot| self.keys.plan(&self.rules, slot, boundary, None));
        Ok(())
    }

    /// Emits all summaries, as the collection contained them when the checkpoint was taken.
    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let time = self.restored.minus(1);
        for (_, key, entry) in self.keys.iter_mut() {
            entry.windows.summaries(&self.rules).for_each(|summary| emit(((key.clone(), summary), time, 1)));
        }
    }

    fn take_error(&mut self) -> Option<PipelineError> {
        self.keys.take_error()
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
        Counts::new(TimeConfig::default().window_rules(1), StateVersions::default(), Arc::default(), None)
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
