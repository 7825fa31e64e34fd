//! The folds of plans: pre-aggregates by key, and values that are picked out of events.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use telemetra_core::checkpoint::CodecError;
use telemetra_core::engine::Placement;
use telemetra_core::{Accumulator, EventTime, Events, Key, WindowSpec};
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::channels::pushers::Output;
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;

use crate::checkpoint::definition::StateVersions;
use crate::read::partial::Partial;
use crate::read::plan::{Fold, delayed};
use crate::read::pre_aggregate::{PreAggregateState, PreAggregates};

type VecOutput<D> = OutputBuilder<EventTime, CapacityContainerBuilder<Vec<D>>>;

/// Folds events into pre-aggregates by a key.
pub(crate) struct GroupFold<E, K: Key, A: Accumulator, F> {
    folded: PreAggregates<K, A>,
    output: VecOutput<Partial<K, A>>,
    add: F,
    versions: StateVersions<A>,
    events: PhantomData<fn() -> E>,
}

impl<E: Events, K: Key, A: Accumulator, F> GroupFold<E, K, A, F>
where
    F: for<'a> Fn(&mut PreAggregates<K, A>, &E::Of<'a>, &Placement),
{
    /// `add` adds an event to the pre-aggregate of its key and placement.
    pub(crate) fn new(
        panes: WindowSpec,
        output: Output<EventTime, Vec<Partial<K, A>>>,
        versions: StateVersions<A>,
        add: F,
    ) -> Self {
        let output = VecOutput::from(output);
        Self { folded: PreAggregates::new(panes), output, add, versions, events: PhantomData }
    }
}

impl<E: Events, K: Key, A: Accumulator, F> Fold<E> for GroupFold<E, K, A, F>
where
    F: for<'a> Fn(&mut PreAggregates<K, A>, &E::Of<'a>, &Placement),
{
    fn add(&mut self, events: &[E::Of<'_>], placements: &[Placement]) {
        for (event, placement) in events.iter().zip(placements) {
            if placement.fate.is_counted() {
                (self.add)(&mut self.folded, event, placement);
            }
        }
    }

    fn send(&mut self, limit: EventTime, cap: &Capability<EventTime>) {
        let mut output = self.output.activate();
        while let Some(mut due) = self.folded.pop_before(limit) {
            let cap = delayed(cap, due.end.minus(1));
            output.session(&cap).give_iterator(due.drain_partials());
            self.folded.recycle(due);
        }
    }

    fn snapshot(&self) -> Result<Vec<u8>, CodecError> {
        Ok(bincode::serialize(&self.folded.state())?)
    }

    fn restore(&mut self, snapshot: &[u8], from: Option<u32>) -> Result<(), CodecError> {
        let migration = from.and_then(|from| self.versions.migrations.get(&from));
        let state: Vec<PreAggregateState<K, A>> = match migration {
            Some(migration) => PreAggregateState::migration(migration).of_list().decode_all(snapshot)?,
            None => bincode::deserialize(snapshot)?,
        };
        self.folded.restore(state);
        Ok(())
    }
}

/// Collects values by the boundary after their effective time, in the order of reading.
pub(crate) struct CollectFold<E, D: 'static, F> {
    collected: BTreeMap<EventTime, Vec<D>>,
    output: VecOutput<D>,
    pick: F,
    events: PhantomData<fn() -> E>,
}

impl<E: Events, D: ExchangeData, F> CollectFold<E, D, F>
where
    F: for<'a> Fn(&E::Of<'a>) -> Option<D>,
{
    /// `pick` takes a value out of an event, if there is one.
    pub(crate) fn new(output: Output<EventTime, Vec<D>>, pick: F) -> Self {
        Self { collected: BTreeMap::new(), output: VecOutput::from(output), pick, events: PhantomData }
    }
}

impl<E: Events, D: ExchangeData, F> Fold<E> for CollectFold<E, D, F>
where
    F: for<'a> Fn(&E::Of<'a>) -> Option<D>,
{
    fn add(&mut self, events: &[E::Of<'_>], placements: &[Placement]) {
        for (event, placement) in events.iter().zip(placements) {
            if placement.fate.is_counted()
                && let Some(value) = (self.pick)(event)
            {
                self.collected.entry(placement.effective_end).or_default().push(value);
            }
        }
    }

    fn send(&mut self, limit: EventTime, cap: &Capability<EventTime>) {
        let mut output = self.output.activate();
        while let Some(entry) = self.collected.first_entry().filter(|entry| *entry.key() <= limit) {
            let (end, mut values) = entry.remove_entry();
            output.session(&delayed(cap, end.minus(1))).give_iterator(values.drain(..));
        }
    }

    fn snapshot(&self) -> Result<Vec<u8>, CodecError> {
        Ok(bincode::serialize(&self.collected)?)
    }

    fn restore(&mut self, snapshot: &[u8], _: Option<u32>) -> Result<(), CodecError> {
        let state: BTreeMap<EventTime, Vec<D>> = bincode::deserialize(snapshot)?;
        for (end, values) in state {
            self.collected.entry(end).or_default().extend(values);
        }
        Ok(())
    }
}
