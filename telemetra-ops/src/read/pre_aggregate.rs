//! Pre-aggregates: what ingest has folded and not yet sent, by effective time, then by key.
//!
//! The local half of a local–global aggregation: an event is folded where it is read, and one message per key and pane goes to the
//! worker of the key, however many events there were.

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::Migration;
use telemetra_core::engine::Placement;
use telemetra_core::{Accumulator, EventTime, Key, WindowSpec, key_hash};

use crate::read::partial::Partial;

/// The partials of one worker that take effect at the same time.
#[derive(Debug)]
pub(crate) struct PreAggregate<K, A> {
    /// The boundary after the effective time.
    pub(crate) end: EventTime,
    /// The start of the pane that holds the instant before it.
    pane: EventTime,
    index: HashTable<u32>,
    entries: Vec<(u64, K, A)>,
    /// Late ones, by key and pane.
    late: BTreeMap<(K, EventTime), A>,
}

/// The state of a pre-aggregate in a checkpoint.
#[derive(Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct PreAggregateState<K: Key, A: Accumulator> {
    pub(crate) end: EventTime,
    pub(crate) partials: Vec<Partial<K, A>>,
}

impl<K: Key, A: Accumulator> PreAggregateState<K, A> {
    /// The migration of what an earlier version of the accumulator has left.
    pub(crate) fn migration(of: &Migration<A>) -> Migration<Self> {
        let partial = of.clone().after::<(K, EventTime)>();
        let partial = partial.then(|((key, pane), accumulator)| Partial { key, pane, accumulator });
        partial.of_list().after().then(|(end, partials)| Self { end, partials })
    }
}

impl<K: Key, A: Accumulator> PreAggregate<K, A> {
    /// The accumulator of a key and pane.
    fn accumulator(&mut self, key: K::Ref<'_>, pane: EventTime) -> &mut A {
        if pane != self.pane {
            return self.late.entry((K::from_ref(key), pane)).or_default();
        }
        let hash = key_hash(&key);
        let Self { index, entries, .. } = self;
        let found = index.find(hash, |&slot| {
            let (other, known, _) = &entries[slot as usize];
            *other == hash && known.is(key)
        });
        let slot = match found {
            Some(&slot) => slot as usize,
            None => {
                let slot = entries.len();
                index.insert_unique(hash, slot as u32, |&slot| entries[slot as usize].0);
                entries.push((hash, K::from_ref(key), A::default()));
                slot
            }
        };
        &mut entries[slot].2
    }

    /// Empties it of its partials.
    pub(crate) fn drain_partials(&mut self) -> impl Iterator<Item = Partial<K, A>> + '_ {
        self.index.clear();
        let pane = self.pane;
        let on_time =
            self.entries.drain(..).map(move |(_, key, accumulator)| Partial { key, pane, accumulator });
        let late = std::mem::take(&mut self.late);
        on_time.chain(late.into_iter().map(|((key, pane), accumulator)| Partial { key, pane, accumulator }))
    }

    fn state(&self) -> PreAggregateState<K, A> {
        let on_time = self.entries.iter().map(|(_, key, accumulator)| Partial {
            key: key.clone(),
            pane: self.pane,
            accumulator: accumulator.clone(),
        });
        let late = self.late.iter().map(|((key, pane), accumulator)| Partial {
            key: key.clone(),
            pane: *pane,
            accumulator: accumulator.clone(),
        });
        PreAggregateState { end: self.end, partials: on_time.chain(late).collect() }
    }
}

/// The open pre-aggregates of one grouping, oldest first.
#[derive(Debug)]
pub(crate) struct PreAggregates<K, A> {
    /// The panes of the grouping: as long as its slide.
    panes: WindowSpec,
    open: VecDeque<PreAggregate<K, A>>,
    /// The place of the last event: the next most often goes there too.
    hint: usize,
    /// An emptied one, to save its memory from being allocated again.
    spare: Option<PreAggregate<K, A>>,
}

impl<K: Key, A: Accumulator> PreAggregates<K, A> {
    pub(crate) fn new(panes: WindowSpec) -> Self {
        Self { panes, open: VecDeque::new(), hint: 0, spare: None }
    }

    /// The accumulator of a key for an event of that time, at its placement.
    #[inline]
    pub(crate) fn accumulator(&mut self, key: K::Ref<'_>, time: EventTime, placement: &Placement) -> &mut A {
        let panes = self.panes;
        let aggregate = self.at(placement.effective_end);
        // Nearly always the event is in the pane that is about to end.
        let pane = if time >= aggregate.pane && time < aggregate.end {
            aggregate.pane
        } else {
            panes.pane_start(time)
        };
        aggregate.accumulator(key, pane)
    }

    /// The pre-aggregate of an effective time.
    fn at(&mut self, end: EventTime) -> &mut PreAggregate<K, A> {
        if self.open.get(self.hint).is_none_or(|open| open.end != end) {
            self.hint = self.open.partition_point(|open| open.end < end);
            if self.open.get(self.hint).is_none_or(|open| open.end != end) {
                let pane = self.panes.pane_start(end.minus(1));
                let fresh = match self.spare.take() {
                    Some(spare) => PreAggregate { end, pane, ..spare },
                    None => PreAggregate {
                        end,
                        pane,
                        index: HashTable::new(),
                        entries: Vec::new(),
                        late: BTreeMap::new(),
                    },
                };
                self.open.insert(self.hint, fresh);
            }
        }
        &mut self.open[self.hint]
    }

    /// Takes out the first if it takes effect before `limit`. Give it [back](Self::recycle) when it is sent.
    pub(crate) fn pop_before(&mut self, limit: EventTime) -> Option<PreAggregate<K, A>> {
        let due = self.open.front().is_some_and(|open| open.end <= limit);
        self.hint = 0;
        due.then(|| self.open.pop_front()).flatten()
    }

    pub(crate) fn recycle(&mut self, emptied: PreAggregate<K, A>) {
        self.spare = Some(emptied);
    }

    /// The states for a checkpoint.
    pub(crate) fn state(&self) -> Vec<PreAggregateState<K, A>> {
        self.open.iter().map(PreAggregate::state).collect()
    }

    /// Takes in what a checkpoint kept.
    pub(crate) fn restore(&mut self, state: Vec<PreAggregateState<K, A>>) {
        for PreAggregateState { end, partials } in state {
            let open = self.at(end);
            for Partial { key, pane, accumulator } in partials {
                open.accumulator(key.as_ref(), pane).merge(&accumulator);
            }
        }
    }
}
