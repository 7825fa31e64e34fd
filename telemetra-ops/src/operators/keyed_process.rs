//! Keyed processing: a function with checkpointed state for each key, from a stream to a collection.

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, VecCollection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::checkpoint::CodecError;
use telemetra_core::{Data, EventTime, Key, key_hash};
use timely::ExchangeData;
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
use crate::operators::keyed::Keyed;

/// A function with state for each key, like Flink's `KeyedProcessFunction`, whose results are a collection,
/// so that they can be removed again. It suits joins, deduplication, and the best of each key. It has no
/// timers; for results at times of their own, write a [`Tactic`].
///
/// # Contract
///
/// * **Results follow from state.** The sum of everything emitted for a key must equal the
///   [`results`](Self::results) of its state, each once.
/// * **Order does not matter.** State and results after several arrivals at one time must not depend on their
///   order. What is emitted in between may, as it is added up before it leaves the operator.
///
/// Tested by [`process_compliance`](crate::testkit::process_compliance).
///
/// ```
/// # use telemetra_core::EventTime;
/// use telemetra_ops::{CheckpointContext, KeyedProcess, ProcessByKey};
/// use timely::dataflow::operators::{Capture, Input, capture::Extract};
///
/// /// The greatest bid of each auction.
/// struct Greatest;
///
/// impl KeyedProcess for Greatest {
///     type In = (u64, u64);
///     type Key = u64;
///     type State = Option<u64>;
///     type Out = (u64, u64);
///     fn key((auction, _): &Self::In) -> u64 { *auction }
///     fn process(&self, state: &mut Option<u64>, (auction, price): Self::In, emit: &mut dyn FnMut(Self::Out, isize)) {
///         if state.is_none_or(|greatest| price > greatest) {
///             if let Some(before) = state.replace(price) { emit((auction, before), -1) }
///             emit((auction, price), 1);
///         }
///     }
///     fn results(&self, auction: &u64, state: &Option<u64>, emit: &mut dyn FnMut(Self::Out)) {
///         if let Some(greatest) = state { emit((*auction, *greatest)) }
///     }
/// }
///
/// let captured = timely::execute_directly(|worker| {
///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
///         let (input, bids) = scope.new_input::<Vec<(u64, u64)>>();
///         let context = CheckpointContext::none(scope);
///         (input, bids.process_by_key("greatest", &context, Greatest).inner.capture())
///     });
///     for bid in [(1, 20), (1, 50), (1, 30)] { input.send(bid) }
///     captured
/// });
/// let updates: Vec<_> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
/// assert_eq!(updates, [((1, 50), EventTime(0), 1)], "what came and went at one time is not seen");
/// ```
pub trait KeyedProcess: 'static {
    /// The type of arrivals.
    type In: ExchangeData;
    /// The key that state is kept by.
    type Key: Key;
    /// The state of one key; its default is the state of a key without arrivals.
    type State: Clone + Default + Serialize + DeserializeOwned + 'static;
    /// The type of results.
    type Out: Data;

    /// Returns the key of an arrival.
    fn key(arrival: &Self::In) -> <Self::Key as Key>::Ref<'_>;

    /// Applies an arrival to the state of its key, and emits the changes of the results: `+1` adds a result,
    /// `−1` removes one.
    fn process(&self, state: &mut Self::State, arrival: Self::In, emit: &mut dyn FnMut(Self::Out, isize));

    /// Emits all results of a key's state. After a restart they are the initial collection.
    fn results(&self, key: &Self::Key, state: &Self::State, emit: &mut dyn FnMut(Self::Out));
}

/// Runs a [`KeyedProcess`] as an operator on a stream.
pub trait ProcessByKey<'scope, D>: Sized {
    /// Returns the collection of the results of a keyed process. Its state is part of the checkpoints of
    /// `context` under `name`, which must be unique in the graph and stay the same from run to run.
    ///
    /// Arrivals are exchanged by key. The state of each key is kept as long as the pipeline runs. A
    /// checkpoint contains the keys that changed since the previous one.
    fn process_by_key<P: KeyedProcess<In = D>>(
        self,
        name: &str,
        context: &CheckpointContext<'scope>,
        process: P,
    ) -> VecCollection<'scope, EventTime, P::Out, isize>;
}

impl<'scope, D: ExchangeData> ProcessByKey<'scope, D> for StreamVec<'scope, EventTime, D> {
    fn process_by_key<P: KeyedProcess<In = D>>(
        self,
        name: &str,
        context: &CheckpointContext<'scope>,
        process: P,
    ) -> VecCollection<'scope, EventTime, P::Out, isize> {
        self.checkpointed(name, context, ProcessTactic::new(process)).as_collection()
    }
}

/// The tactic of a keyed process.
pub(crate) struct ProcessTactic<P: KeyedProcess> {
    process: P,
    keys: Keyed<P::Key, Entry<P::State>>,
    inbox: Inbox<P::In>,
    restored: EventTime,
    updates: Vec<(P::Out, isize)>,
}

/// The state of one key.
struct Entry<S> {
    state: S,
    /// Whether it changed since the last checkpoint.
    is_new: bool,
}

impl<S: Default> Default for Entry<S> {
    fn default() -> Self {
        Self { state: S::default(), is_new: true }
    }
}

impl<P: KeyedProcess> ProcessTactic<P> {
    pub(crate) fn new(process: P) -> Self {
        Self {
            process,
            keys: Keyed::default(),
            inbox: Inbox::default(),
            restored: EventTime::MIN,
            updates: Vec::new(),
        }
    }
}

impl<P: KeyedProcess> Tactic for ProcessTactic<P> {
    type In = P::In;
    type Out = (P::Out, EventTime, isize);
    /// The keys that changed, with their state.
    type Snapshot = Vec<(P::Key, P::State)>;

    const INCREMENTAL: bool = true;

    fn route(arrival: &P::In) -> u64 {
        key_hash(&P::key(arrival))
    }

    fn take_in(&mut self, time: EventTime, arrival: P::In) {
        self.inbox.push(time, arrival);
    }

    fn next(&self, _: bool) -> Option<EventTime> {
        self.inbox.next()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let Self { process, keys, updates, .. } = self;
        for arrival in self.inbox.take(time) {
            let slot = keys.slot_or_insert(P::key(&arrival), Entry::default);
            if let Some((_, entry)) = keys.get_mut(slot) {
                entry.is_new = true;
                process.process(&mut entry.state, arrival, &mut |out, diff| updates.push((out, diff)));
            }
        }
        consolidate(updates);
        updates.drain(..).for_each(|(out, diff)| emit((out, time, diff)));
    }

    fn snapshot(&mut self, _: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError> {
        let changed = self.keys.iter_mut().filter_map(|(_, key, entry)| {
            let is_new = std::mem::take(&mut entry.is_new);
            (whole || is_new).then(|| (key.clone(), entry.state.clone()))
        });
        Ok(changed.collect())
    }

    fn restore(
        &mut self,
        restored: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        self.restored = restored;
        for (key, state) in snapshots.into_iter().flatten() {
            if is_mine(key_hash(&key.as_ref())) {
                let slot = self.keys.slot_or_insert(key.as_ref(), Entry::default);
                if let Some((_, entry)) = self.keys.get_mut(slot) {
                    *entry = Entry { state, is_new: false };
                }
            }
        }
        Ok(())
    }

    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let time = self.restored.minus(1);
        let Self { process, keys, .. } = self;
        for (_, key, entry) in keys.iter_mut() {
            process.results(key, &entry.state, &mut |out| emit((out, time, 1)));
        }
    }
}
