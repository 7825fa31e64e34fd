//! Keyed processing: a function with checkpointed state for each key, from a stream to a collection.

use std::collections::BTreeMap;

use differential_dataflow::consolidation::consolidate;
use differential_dataflow::{AsCollection, VecCollection};
use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::checkpoint::{CodecError, Migration};
use telemetra_core::{Data, EventTime, Key, key_hash};
use timely::ExchangeData;
use timely::dataflow::StreamVec;

use crate::checkpoint::state::CheckpointContext;
use crate::operators::checkpointed::{Checkpointed, Inbox, Tactic};
use crate::operators::keyed::Keyed;

/// A function with checkpointed state for each key, like Flink's `KeyedProcessFunction`. Unlike there, its
/// results are a differential collection: it adds results and removes them again, and the collection is what
/// is valid now. Run it by [`process_by_key`](ProcessByKey::process_by_key).
///
/// Use it for joins, deduplication, and the best of each key. For aggregates in windows, a
/// [grouping](crate::Pipeline::group) is shorter and faster. State can [expire](Self::expires), but there are
/// no other timers; for results at times of their own, write a [`Tactic`].
///
/// # Contract
///
/// * **Results follow from state.** The sum of everything emitted for a key must equal the
///   [`results`](Self::results) of its state, each once.
/// * **Expiry follows from state.** [`expires`](Self::expires) must depend on nothing but the state.
/// * **Order does not matter.** State and results after several arrivals at one time must not depend on their
///   order. What is emitted for the single arrivals may, as only the sum of one time leaves the operator.
/// * **No clock and no other input.** State and results must follow from the arrivals alone, as a restart
///   computes them again.
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
    /// The type of arrivals: the elements of the input stream. To join two streams, map both to an enum and
    /// concatenate them.
    type In: ExchangeData;
    /// The type of the key that state is kept by. Arrivals are exchanged between workers by its hash.
    type Key: Key;
    /// The state of one key; its default is the state of a key without arrivals. It is kept until it
    /// [expires](Self::expires), also if it equals the default again. A checkpoint encodes it by `bincode`.
    type State: Clone + Default + Serialize + DeserializeOwned + Send + 'static;
    /// The type of results, which form a collection. Repeat the key in it if later operators need it.
    type Out: Data;

    /// Returns the version of the state, which checkpoints record. Raise it when the fields or the meaning of
    /// [`State`](Self::State) change. Default: 0.
    fn version(&self) -> u32 {
        0
    }

    /// Returns the function that converts the state of one key from `version` to the present one. Without it,
    /// the pipeline does not start from a checkpoint of that version. Default: `None`.
    ///
    /// A process that kept the greatest number, and now keeps how often it came too, has version 1 and returns
    /// `(version == 0).then(|| Migration::new(|greatest: Option<u64>| (greatest, 1)))`.
    fn migrate(&self, version: u32) -> Option<Migration<Self::State>> {
        let _ = version;
        None
    }

    /// Returns the key of an arrival, borrowed where possible: an owned key is made for a new key only.
    fn key(arrival: &Self::In) -> <Self::Key as Key>::Ref<'_>;

    /// Applies an arrival to the state of its key, and emits the changes of the results: `emit(result, 1)`
    /// adds a result, `emit(result, -1)` removes one. It is called in order of effective time, after the
    /// frontier has passed that time. A panic ends the pipeline.
    ///
    /// A late arrival has a later effective time than its own event time; take the event time from the
    /// arrival where that matters.
    fn process(&self, state: &mut Self::State, arrival: Self::In, emit: &mut dyn FnMut(Self::Out, isize));

    /// Emits all results of a key's state. After a restart they are the initial collection, and when the
    /// state expires they are removed.
    fn results(&self, key: &Self::Key, state: &Self::State, emit: &mut dyn FnMut(Self::Out));

    /// Returns the event time at which the state of a key is dropped, like the time to live of Flink's state.
    /// Default: `None`, which keeps the state for ever, restarts included. It is called after each time at
    /// which the key had arrivals, so an arrival that takes effect at that time or earlier may still move the
    /// expiry. A time that has passed drops the state after the arrivals of the present time.
    ///
    /// The results of the state are removed with it. As for windows, a row whose layout gives a time [beyond
    /// the horizon](crate::Changes::changes) stays in the sinks' tables; a row without a time is withdrawn.
    /// At the end of the input nothing more expires.
    ///
    /// ```
    /// use telemetra_core::EventTime;
    /// use telemetra_ops::KeyedProcess;
    ///
    /// /// Orders by id, each once however often it is sent within an hour.
    /// struct Once;
    ///
    /// impl KeyedProcess for Once {
    ///     type In = (u64, EventTime);
    ///     type Key = u64;
    ///     type State = Option<EventTime>;
    ///     type Out = (u64, EventTime);
    ///     fn key((id, _): &Self::In) -> u64 { *id }
    ///     fn process(&self, first: &mut Option<EventTime>, (id, at): Self::In, emit: &mut dyn FnMut(Self::Out, isize)) {
    ///         if first.is_none_or(|first| at < first) {
    ///             if let Some(later) = first.replace(at) { emit((id, later), -1) }
    ///             emit((id, at), 1);
    ///         }
    ///     }
    ///     fn results(&self, id: &u64, first: &Option<EventTime>, emit: &mut dyn FnMut(Self::Out)) {
    ///         if let Some(first) = first { emit((*id, *first)) }
    ///     }
    ///     fn expires(&self, first: &Option<EventTime>) -> Option<EventTime> {
    ///         first.map(|first| first.plus(3_600_000))
    ///     }
    /// }
    ///
    /// let arrivals = [(1, 7, 1), (2, 7, 2), (2, 8, 2), (4_000_000, 7, 4_000_000), (4_000_001, 9, 4_000_000)];
    /// let arrivals = arrivals.map(|(effect, id, at)| (EventTime(effect), (id, EventTime(at))));
    /// telemetra_ops::testkit::process_compliance(|| Once, &arrivals);
    /// ```
    fn expires(&self, _state: &Self::State) -> Option<EventTime> {
        None
    }
}

/// Extends a timely stream by keyed processing: `keyBy(…).process(…)` of Flink. It is implemented for streams
/// of any data that can be exchanged between workers.
///
/// # Contract
///
/// Of the caller; the [`KeyedProcess`] has a contract of its own.
///
/// * **A stable name.** `name` is unique in the graph and the same from run to run, as checkpoints store the
///   state under it.
pub trait ProcessByKey<'scope, D>: Sized {
    /// Runs a keyed process on this stream and returns the collection of its results. The state is part of
    /// the checkpoints of `context` under `name`. After a restart, the collection begins with the results of
    /// the restored state.
    ///
    /// Arrivals are exchanged by the hash of their key, and wait in memory until the frontier has passed
    /// their time. State: one [`State`](KeyedProcess::State) for each key, in memory, until it
    /// [expires](KeyedProcess::expires). A checkpoint holds the keys that changed since the previous one;
    /// every sixteenth holds all keys.
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
    /// The keys that may expire at each time. An arrival may have changed the time since.
    calendar: BTreeMap<EventTime, Vec<u32>>,
}

/// The state of one key.
struct Entry<S> {
    state: S,
    /// True if it changed since the last checkpoint.
    is_new: bool,
    expires: Option<EventTime>,
}

impl<S: Default> Default for Entry<S> {
    fn default() -> Self {
        Self { state: S::default(), is_new: true, expires: None }
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
            calendar: BTreeMap::new(),
        }
    }

    /// Schedules the expiry of a key, at `now` at the earliest.
    fn plan(&mut self, slot: u32, now: EventTime) {
        let Some((_, entry)) = self.keys.get_mut(slot) else { return };
        let expires = self.process.expires(&entry.state).map(|time| time.max(now));
        if expires != std::mem::replace(&mut entry.expires, expires)
            && let Some(time) = expires
        {
            self.calendar.entry(time).or_default().push(slot);
        }
    }

    /// Drops the states that expire at `time`.
    fn expire(&mut self, time: EventTime) {
        for slot in self.calendar.remove(&time).unwrap_or_default() {
            let due = self.keys.get_mut(slot).filter(|(_, entry)| entry.expires == Some(time));
            let Some((key, entry)) = due else { continue };
            self.process.results(key, &entry.state, &mut |out| self.updates.push((out, -1)));
            self.keys.remove(slot);
        }
    }
}

impl<P: KeyedProcess> Tactic for ProcessTactic<P> {
    type In = P::In;
    type Out = (P::Out, EventTime, isize);
    /// The keys that changed, with their state.
    type Snapshot = Vec<(P::Key, P::State)>;

    const INCREMENTAL: bool = true;
    const BY_ROUTE: bool = true;

    fn version(&self) -> u32 {
        self.process.version()
    }

    fn migrate(&self, version: u32) -> Option<Migration<Self::Snapshot>> {
        Some(self.process.migrate(version)?.after().of_list())
    }

    fn route(arrival: &P::In) -> u64 {
        key_hash(&P::key(arrival))
    }

    fn take_in(&mut self, time: EventTime, arrival: P::In) {
        self.inbox.push(time, arrival);
    }

    fn next(&self, ended: bool) -> Option<EventTime> {
        let arrival = self.inbox.next();
        // After the end of input nothing expires any more, except before an arrival that still waits.
        let is_done = |due: &EventTime| !ended || arrival.is_some_and(|at| at >= *due);
        let due = self.calendar.keys().next().copied().filter(is_done);
        arrival.into_iter().chain(due).min()
    }

    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
        let mut touched = Vec::new();
        for arrival in self.inbox.take(time) {
            let Self { process, keys, updates, .. } = self;
            let slot = keys.slot_or_insert(P::key(&arrival), Entry::default);
            if let Some((_, entry)) = keys.get_mut(slot) {
                entry.is_new = true;
                process.process(&mut entry.state, arrival, &mut |out, diff| updates.push((out, diff)));
                touched.push(slot);
            }
        }
        touched.into_iter().for_each(|slot| self.plan(slot, time));
        self.expire(time);
        consolidate(&mut self.updates);
        self.updates.drain(..).for_each(|(out, diff)| emit((out, time, diff)));
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
                    *entry = Entry { state, is_new: false, expires: None };
                }
            }
        }
        // A checkpoint of several parts still contains what expired before it was taken.
        let slots: Vec<_> =
            self.keys.iter_mut().map(|(slot, _, entry)| (slot, self.process.expires(&entry.state))).collect();
        for (slot, expires) in slots {
            match expires {
                Some(expires) if expires < restored => self.keys.remove(slot),
                _ => self.plan(slot, restored),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The last number of each key, for ten milliseconds.
    struct Last;

    impl KeyedProcess for Last {
        type In = (String, u64);
        type Key = String;
        type State = Option<u64>;
        type Out = (String, u64);

        fn key((key, _): &Self::In) -> &str {
            key
        }

        fn process(
            &self,
            last: &mut Option<u64>,
            (key, n): Self::In,
            emit: &mut dyn FnMut(Self::Out, isize),
        ) {
            if last.is_none_or(|last| n > last) {
                if let Some(before) = last.replace(n) {
                    emit((key.clone(), before), -1);
                }
                emit((key, n), 1);
            }
        }

        fn results(&self, key: &String, last: &Option<u64>, emit: &mut dyn FnMut(Self::Out)) {
            if let Some(last) = last {
                emit((key.clone(), *last));
            }
        }

        fn expires(&self, last: &Option<u64>) -> Option<EventTime> {
            last.map(|last| EventTime(last + 10))
        }
    }

    fn advance(tactic: &mut ProcessTactic<Last>, ended: bool) -> Vec<(String, u64, u64, isize)> {
        let mut emitted = Vec::new();
        while let Some(time) = tactic.next(ended) {
            tactic.advance(time, &mut |((key, n), at, diff)| emitted.push((key, n, at.0, diff)));
        }
        emitted
    }

    #[test]
    fn an_arrival_moves_the_expiry_and_silence_drops_the_state() {
        let mut tactic = ProcessTactic::new(Last);
        for n in [1, 8] {
            tactic.take_in(EventTime(n), ("a".to_owned(), n));
        }
        let a = |n, at, diff| ("a".to_owned(), n, at, diff);
        assert_eq!(advance(&mut tactic, false), [a(1, 1, 1), a(1, 8, -1), a(8, 8, 1), a(8, 18, -1)]);
        assert_eq!(tactic.keys.len(), 0);
        assert!(tactic.calendar.is_empty());
        tactic.take_in(EventTime(30), ("a".to_owned(), 30));
        assert_eq!(advance(&mut tactic, true), [a(30, 30, 1)], "what the last input made is kept");
        assert_eq!(tactic.keys.len(), 1);
    }
}
