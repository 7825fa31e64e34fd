//! The driver of operators with checkpointed state.
//!
//! As in differential dataflow, driver and tactic are separate. The driver handles frontiers, capabilities
//! and checkpoints. The *tactic* holds the state and computes, and can be tested without a dataflow. Windows,
//! sessions, moments and changes are tactics. An operator of your own that is a tactic is checkpointed,
//! rescaled and restored in the same way.

use std::cell::Cell;
use std::rc::Rc;

use telemetra_core::EventTime;
use telemetra_core::checkpoint::shape_of;
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
pub use crate::operators::tactic::Tactic;
use crate::support::exchange::is_mine;
use crate::support::failure::{PipelineError, RestoreError};
use crate::support::frontier::reached;

/// Extends a timely stream of `D` by operators whose state is in checkpoints. It is implemented for streams
/// of any data that can be exchanged between workers.
///
/// # Contract
///
/// Of the caller; the [`Tactic`] has a contract of its own.
///
/// * **A stable name.** `name` is unique in the graph and the same from run to run, as checkpoints store the
///   state under it.
pub trait Checkpointed<'scope, D>: Sized {
    /// Runs a tactic on this stream as a timely operator, and returns the stream of its output. Its state is
    /// part of the checkpoints of `context` under `name`, so after a restart, with any number of workers, the
    /// operator continues where the checkpoint was taken.
    ///
    /// Arrivals are exchanged by [`route`](Tactic::route). The operator holds one timely capability, at the
    /// [next](Tactic::next) time at which something is due, and none if nothing is; so an operator that has
    /// nothing to do does not hold back the frontier. Where the frontier has moved over many times, other
    /// operators have their turn between two of them as soon as 65,536 rows were emitted.
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

/// After so many rows other operators have their turn before the next time: rows that are on their way are memory.
pub(super) const TURN: u64 = 1 << 16;

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
        let activator = scope.activator_for(builder.operator_info().address);
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
            let is_same = matches!(takeover, Takeover::Same);
            let own = (T::BY_ROUTE && is_same && restored.peers() == peers).then_some(worker);
            let parts = restored.taken_over(&name, &takeover, T::INCREMENTAL, own, &failure);
            if let Some(found) = restored.definition.as_ref().and_then(|found| found.operators.get(&*name)) {
                tactic.was(found);
            }
            let is_mine = |hash| is_mine(hash, worker, peers);
            let has_strays = Cell::new(false);
            let mut taken = tactic.restore(restored.boundary, parts, &|hash| {
                let is_mine = is_mine(hash);
                has_strays.set(has_strays.get() || !is_mine);
                is_mine
            });
            if own.is_some() && has_strays.get() {
                // The worker that they fall to now has not looked for them here.
                failure.set(RestoreError::rerouted(restored.boundary, &name).into());
            }
            // What an earlier version left is of rows as they were then.
            if is_same && let Some((settles, left)) = restored.left_by(&name) {
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
                    if rows >= TURN {
                        activator.activate();
                        break;
                    }
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
                                Ok(snapshot) => writer.snapshot(boundary, &name, snapshot),
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
