//! The driver of operators with checkpointed state.
//!
//! As in differential dataflow, driver and tactic are separate. The driver handles frontiers, capabilities
//! and checkpoints. The *tactic* holds the state and computes, and can be tested without a dataflow. Windows,
//! sessions, moments and changes are tactics. An operator of your own that is a tactic is checkpointed,
//! rescaled and restored in the same way.

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::EventTime;
use telemetra_core::checkpoint::{CodecError, Migration, shape_of};
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::definition::{Migrations, OperatorDefinition, Takeover};
use crate::checkpoint::state::{CHAIN, CheckpointContext, Markers};
use crate::observe::spans;
pub use crate::operators::inbox::Inbox;
use crate::support::exchange::is_mine;
use crate::support::failure::{PipelineError, RestoreError};
use crate::support::frontier::reached;

/// The state and computation of an operator whose state is in checkpoints: it takes in arrivals by time, says
/// what is due next, and emits at that time.
///
/// Run it by [`checkpointed`](Checkpointed::checkpointed), whose page has a complete example. For state by
/// key without times of its own, [`KeyedProcess`](crate::KeyedProcess) is simpler.
///
/// # Contract
///
/// * **Time order.** [`take_in`](Self::take_in) stores an arrival with the time at which it takes effect.
///   [`advance`](Self::advance) is called with increasing times, each after all arrivals up to that time were
///   taken in. Everything it emits gets that time.
/// * **Due times.** [`next`](Self::next) returns the least time at which there is something to do: the time
///   of an arrival, or a timer of the tactic's own. It must be later than the last time of `advance`.
/// * **Determinism.** State and output must not depend on the order of arrivals at one time, on clocks, or on
///   how keys are spread over workers. All arrivals with the same [`route`](Self::route) reach the same
///   worker.
/// * **Restoring.** A restored tactic emits what the original would have emitted. A snapshot contains the
///   state *before* its boundary. Arrivals that have not taken effect by then are not part of it, as they
///   arrive again.
///
/// Tested by [`tactic_compliance`](crate::testkit::tactic_compliance), and by
/// [`collection_compliance`](crate::testkit::collection_compliance) for tactics that emit updates of a
/// collection.
pub trait Tactic: 'static {
    /// The type of arrivals. It is serialised when it moves between processes.
    type In: ExchangeData;
    /// The type of output. For a collection, `(data, EventTime, isize)`.
    type Out: Clone + 'static;
    /// The type of the state in a checkpoint. Its [shape](telemetra_core::checkpoint::shape_of) is compared
    /// at a restart.
    type Snapshot: Serialize + DeserializeOwned;

    /// Whether a snapshot contains only the changes since the previous one. Restoring then receives a chain
    /// of snapshots, oldest first, the first of which is complete. Default: false. Set it for large state
    /// that changes slowly.
    const INCREMENTAL: bool = false;

    /// Returns the version of the state, which checkpoints hold. Raise it when the shape or the meaning of
    /// [`Snapshot`](Self::Snapshot) changes. Default: 0.
    fn version(&self) -> u32 {
        0
    }

    /// Returns the migration of snapshots that were taken as of `version`. Without one, the pipeline does not start
    /// from a checkpoint of that version. Default: `None`.
    ///
    /// ```
    /// # use telemetra_core::checkpoint::{CodecError, Migration};
    /// # use telemetra_core::{EventTime, key_hash};
    /// # use telemetra_ops::Tactic;
    /// # struct Totals;
    /// impl Tactic for Totals {
    /// #   type In = (String, u64);
    /// #   type Out = (String, u64);
    ///     /// Key, sum and count; version 0 had no count.
    ///     type Snapshot = Vec<(String, u64, u64)>;
    ///
    ///     fn version(&self) -> u32 { 1 }
    ///     fn migrate(&self, version: u32) -> Option<Migration<Self::Snapshot>> {
    ///         let from_0 = |totals: Vec<(String, u64)>| {
    ///             totals.into_iter().map(|(key, sum)| (key, sum, 0)).collect()
    ///         };
    ///         (version == 0).then(|| Migration::new(from_0))
    ///     }
    /// #   fn route((key, _): &Self::In) -> u64 { key_hash(key) }
    /// #   fn take_in(&mut self, _: EventTime, _: Self::In) {}
    /// #   fn next(&self, _: bool) -> Option<EventTime> { None }
    /// #   fn advance(&mut self, _: EventTime, _: &mut dyn FnMut(Self::Out)) {}
    /// #   fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> { Ok(Vec::new()) }
    /// #   fn restore(&mut self, _: EventTime, _: Vec<Self::Snapshot>, _: &dyn Fn(u64) -> bool) -> Result<(), CodecError> { Ok(()) }
    /// }
    /// ```
    fn migrate(&self, version: u32) -> Option<Migration<Self::Snapshot>> {
        let _ = version;
        None
    }

    /// Returns what else the state depends on.
    #[doc(hidden)]
    fn describe(&self) -> OperatorDefinition {
        OperatorDefinition::default()
    }

    /// Returns the operator whose state can be read as this one's if there is none, and how.
    #[doc(hidden)]
    fn derived(&self) -> Option<(String, Migration<Self::Snapshot>)> {
        None
    }

    /// Returns how to read the part of the state that does not depend on types of the user's.
    #[doc(hidden)]
    fn reduced(&self) -> Option<Migration<Self::Snapshot>> {
        None
    }

    /// Takes note of what the state that will be restored was made with.
    #[doc(hidden)]
    fn was(&mut self, found: &OperatorDefinition) {
        let _ = found;
    }

    /// Returns the hash that selects the worker of an arrival: the [`key_hash`](telemetra_core::key_hash) of
    /// the key that the state is kept by.
    fn route(arrival: &Self::In) -> u64;

    /// Returns the time at which an arrival takes effect. Default: the time of its message. For updates of a
    /// collection, return the update's own time.
    fn time_of(arrival: &Self::In, stamp: EventTime) -> EventTime {
        let _ = arrival;
        stamp
    }

    /// Stores an arrival that takes effect at `time`. Arrivals may come in any order, also some for times far
    /// ahead; it must not emit. An [`Inbox`] is enough for most tactics.
    fn take_in(&mut self, time: EventTime, arrival: Self::In);

    /// Returns the least time at which something is due; `None` if nothing is. It is called after every turn,
    /// so keep it cheap. `ended` is true when no more input will arrive, so that timers which only free state
    /// can be ignored.
    fn next(&self, ended: bool) -> Option<EventTime>;

    /// Does everything that is due at `time`, and emits the results, which all get this time. Called once the
    /// frontier has passed `time`.
    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out));

    /// Returns the state as of just before `boundary`, for a checkpoint. If `whole` is true the snapshot must
    /// be complete, also if snapshots are [incremental](Self::INCREMENTAL).
    ///
    /// # Errors
    ///
    /// If the state cannot be encoded. The pipeline then fails.
    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError>;

    /// Restores the state from the snapshots of all workers: it takes the parts for whose route `is_mine` is
    /// true. Called once, before anything arrives. The number of workers may have changed.
    ///
    /// # Errors
    ///
    /// If a snapshot does not fit, as it was made with other settings. The pipeline then does not start.
    fn restore(
        &mut self,
        boundary: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError>;

    /// Emits, after a restart, the collection as it was just before the boundary, for downstream operators
    /// that keep no state of their own. Default: nothing.
    /// [`collection_compliance`](crate::testkit::collection_compliance) checks that it equals the sum of what
    /// was emitted.
    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let _ = emit;
    }

    /// Returns what a later run needs after the input has ended, and its last time. Called once, after
    /// everything else. Default: nothing.
    #[doc(hidden)]
    fn leave(&mut self) -> Option<(EventTime, Result<Vec<u8>, CodecError>)> {
        None
    }

    /// Takes over what the workers of an earlier run left, if that run came to its end and started from the
    /// same checkpoint. `settles` is a time after everything that its sinks received. Called after
    /// [`restore`](Self::restore).
    ///
    /// # Errors
    ///
    /// If it does not fit.
    #[doc(hidden)]
    fn take_over(
        &mut self,
        settles: EventTime,
        left: Vec<Vec<u8>>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        let _ = (settles, left, is_mine);
        Ok(())
    }

    /// Returns the error for which what the tactic emits is not complete, once. It is asked for after each
    /// [`advance`](Self::advance) and [`snapshot`](Self::snapshot); the operator then holds back its frontier, and the
    /// pipeline stops. Default: `None`.
    #[doc(hidden)]
    fn take_error(&mut self) -> Option<PipelineError> {
        None
    }

    /// Called after the operator has run, for example to update gauges. It must not change the state.
    /// Default: nothing.
    fn end_of_turn(&mut self) {}
}

/// Extends a stream by operators whose state is in checkpoints. `D` is the type of its data.
///
/// Implemented for streams of any data that can be exchanged. The contract is that of [`Tactic`].
pub trait Checkpointed<'scope, D>: Sized {
    /// Runs a tactic on this stream. Its state is part of the checkpoints of `context` under `name`, which
    /// must be unique in the graph and stay the same from run to run.
    ///
    /// Arrivals are exchanged by [`route`](Tactic::route). The driver holds one capability, at the next time
    /// that is due, and none if nothing is; so an idle operator does not hold back the frontier.
    ///
    /// ```
    /// # use std::collections::BTreeMap;
    /// # use telemetra_core::checkpoint::CodecError;
    /// # use telemetra_core::{EventTime, key_hash};
    /// use telemetra_ops::{CheckpointContext, Checkpointed, Tactic};
    /// use timely::dataflow::operators::{Capture, Input, capture::Extract};
    ///
    /// /// Emits the running total of each key.
    /// #[derive(Default)]
    /// struct Totals { arrived: BTreeMap<EventTime, Vec<(String, u64)>>, totals: BTreeMap<String, u64> }
    ///
    /// impl Tactic for Totals {
    ///     type In = (String, u64);
    ///     type Out = (String, u64);
    ///     type Snapshot = Vec<(String, u64)>;
    ///
    ///     fn route((key, _): &Self::In) -> u64 { key_hash(key) }
    ///     fn take_in(&mut self, time: EventTime, arrival: Self::In) { self.arrived.entry(time).or_default().push(arrival); }
    ///     fn next(&self, _: bool) -> Option<EventTime> { self.arrived.keys().next().copied() }
    ///     fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out)) {
    ///         let mut arrived = self.arrived.remove(&time).unwrap_or_default();
    ///         arrived.sort();
    ///         for (key, n) in arrived {
    ///             let total = self.totals.entry(key.clone()).or_default();
    ///             *total += n;
    ///             emit((key, *total));
    ///         }
    ///     }
    ///     fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Self::Snapshot, CodecError> {
    ///         Ok(self.totals.iter().map(|(key, total)| (key.clone(), *total)).collect())
    ///     }
    ///     fn restore(&mut self, _: EventTime, parts: Vec<Self::Snapshot>, is_mine: &dyn Fn(u64) -> bool) -> Result<(), CodecError> {
    ///         self.totals.extend(parts.into_iter().flatten().filter(|(key, _)| is_mine(key_hash(key))));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let captured = timely::execute_directly(|worker| {
    ///     let (mut input, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
    ///         let (input, stream) = scope.new_input::<Vec<(String, u64)>>();
    ///         let context = CheckpointContext::none(scope);
    ///         (input, stream.checkpointed("totals", &context, Totals::default()).capture())
    ///     });
    ///     for (time, n) in [(1, 5), (2, 7)] {
    ///         input.advance_to(EventTime(time));
    ///         input.send(("a".to_owned(), n));
    ///     }
    ///     captured
    /// });
    /// let totals: Vec<u64> = captured.extract().into_iter().flat_map(|(_, out)| out).map(|(_, total)| total).collect();
    /// assert_eq!(totals, [5, 12]);
    /// ```
    fn checkpointed<T: Tactic<In = D>>(
        self,
        name: &str,
        context: &CheckpointContext<'scope>,
        tactic: T,
    ) -> StreamVec<'scope, EventTime, T::Out>;
}

type VecBuilder<D> = CapacityContainerBuilder<Vec<D>>;

impl<'scope, D: ExchangeData> Checkpointed<'scope, D> for StreamVec<'scope, EventTime, D> {
    fn checkpointed<T: Tactic<In = D>>(
        self,
        name: &str,
        context: &CheckpointContext<'scope>,
        mut tactic: T,
    ) -> StreamVec<'scope, EventTime, T::Out> {
        let scope = self.scope();
        let (worker, peers) = (scope.index(), scope.peers());
        let name: Rc<str> = name.into();
        let mut builder = OperatorBuilder::new(name.to_string(), scope);
        let mut arrivals = builder.new_input(self, Exchange::new(T::route));
        let mut marks = builder.new_input(context.markers.clone(), Pipeline);
        let (output, emitted) = builder.new_output();
        let (_done, done) = builder.new_output::<Vec<()>>();
        let mut output = OutputBuilder::<_, VecBuilder<T::Out>>::from(output);
        let now = OperatorDefinition {
            version: tactic.version(),
            shape: shape_of::<T::Snapshot>(),
            ..tactic.describe()
        };
        let migrations = Migrations {
            from: &|version| tactic.migrate(version),
            derived: tactic.derived(),
            reduced: tactic.reduced(),
        };
        let takeover = Takeover::of(context.found(), &name, &now, migrations);
        context.register(&name, now, takeover.kind(), done);
        let (writer, failure) = (context.writer.clone(), context.failure.clone());
        let mut restored_at = None;
        if let Some(restored) = &context.restored {
            let parts = restored.taken_over(&name, &takeover, T::INCREMENTAL, &failure);
            if let Some(found) = restored.definition.as_ref().and_then(|found| found.operators.get(&*name)) {
                tactic.was(found);
            }
            let is_mine = |hash| is_mine(hash, worker, peers);
            let mut taken = tactic.restore(restored.boundary, parts, &is_mine);
            // What an earlier version left is of rows as they were then.
            if matches!(takeover, Takeover::Same)
                && let Some((settles, left)) = restored.left_by(&name)
            {
                taken = taken.and_then(|()| tactic.take_over(settles, left, &is_mine));
            }
            if let Err(source) = taken {
                failure.set(RestoreError::damaged(restored.boundary, source).into());
            }
            restored_at = Some(restored.boundary);
        }
        builder.build(move |mut capabilities| {
            capabilities.truncate(1);
            let initial = capabilities.pop();
            // The restored collection is emitted first, with a time just before the boundary.
            let mut revived = restored_at.zip(initial).map(|(boundary, cap)| cap.delayed(&boundary.minus(1)));
            let mut held: Option<Capability<EventTime>> = None;
            let mut markers = Markers::default();
            let mut snapshots = 0_usize;
            let mut has_left = false;
            let mut has_failed = false;
            move |frontiers| {
                if has_failed {
                    return;
                }
                let mut output = output.activate();
                if let Some(cap) = revived.take() {
                    let mut session = output.session(&cap);
                    tactic.emit_restored(&mut |out| session.give(out));
                    drop(session);
                    held = Some(cap);
                }
                arrivals.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(0) else { return };
                    let stamp = *cap.time();
                    for arrival in messages.flat_map(|message| message.drain(..)) {
                        let time = T::time_of(&arrival, stamp).max(stamp);
                        tactic.take_in(time, arrival);
                    }
                    if held.as_ref().is_none_or(|held| cap.time() < held.time()) {
                        held = Some(cap);
                    }
                });
                marks.for_each_stamp(|cap, messages| {
                    let Some(cap) = cap.retain_least(1) else { return };
                    messages.flat_map(|m| m.drain(..)).for_each(|boundary| markers.note(boundary, &cap));
                });
                let limit = reached(&frontiers[0]).min(reached(&frontiers[1]));
                let ended = limit == EventTime::MAX;
                let (mut span, mut times, mut rows) = (None, 0_u64, 0_u64);
                loop {
                    let next = tactic.next(ended).filter(|time| *time < limit);
                    // A snapshot is taken when everything before its boundary has taken effect, and nothing
                    // after it.
                    while let Some((boundary, cap)) = markers.due(next.unwrap_or(limit)) {
                        if let Some(writer) = &writer {
                            let whole = !T::INCREMENTAL || snapshots.is_multiple_of(CHAIN);
                            snapshots += 1;
                            let _span = writer.gauge.spans.snapshot(boundary, worker, &name).entered();
                            let snapshot = tactic.snapshot(boundary, whole);
                            if let Some(error) = tactic.take_error() {
                                failure.set(error);
                                // The frontier does not pass it.
                                markers.note(boundary, &cap);
                                has_failed = true;
                                return;
                            }
                            match snapshot {
                                Ok(snapshot) => writer.snapshot(boundary, &name, &snapshot),
                                Err(source) => failure.set(PipelineError::encode(&name, source)),
                            }
                        }
                        drop(cap);
                    }
                    let Some((time, cap)) = next.zip(held.as_mut()) else { break };
                    cap.downgrade(&time.max(*cap.time()));
                    let span = span.get_or_insert_with(|| spans::advance(worker, &name).entered());
                    let mut session = output.session(&*cap);
                    tactic.advance(time, &mut |out| {
                        rows += 1;
                        session.give(out);
                    });
                    if let Some(error) = tactic.take_error() {
                        failure.set(error);
                        has_failed = true;
                        return;
                    }
                    times += 1;
                    span.record("through", tracing::field::display(time));
                }
                if let Some(span) = span {
                    span.record("times", spans::int(times)).record("rows", spans::int(rows));
                }
                tactic.end_of_turn();
                match (tactic.next(ended), &mut held) {
                    (Some(time), Some(cap)) => cap.downgrade(&time.max(*cap.time())),
                    _ => held = None,
                }
                if ended
                    && held.is_none()
                    && !std::mem::replace(&mut has_left, true)
                    && let Some((writer, (last, part))) = writer.as_ref().zip(tactic.leave())
                {
                    writer.leave(&name, last, part);
                }
            }
        });
        emitted
    }
}
