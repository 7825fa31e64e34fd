//! The driver of operators whose state is in checkpoints.
//!
//! Driver and tactic are apart, as in differential dataflow: the driver knows frontiers, capabilities and checkpoints, the *tactic*
//! is arithmetic that can be tested without a dataflow. Windows, sessions, moments and changes are tactics; so is an operator of your
//! own, which then is checkpointed, rescaled and restored as these are.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::EventTime;
use telemetra_core::checkpoint::CodecError;
use timely::ExchangeData;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::state::{CHAIN, CheckpointContext, Markers};
use crate::support::exchange::is_mine;
use crate::support::failure::{PipelineError, RestoreError};
use crate::support::frontier::reached;

/// The arithmetic of an operator whose state is in checkpoints: what arrives, what is due when, and what is emitted.
///
/// # Contract
///
/// * **By time.** [`take_in`](Self::take_in) notes what takes effect at a time; [`advance`](Self::advance) is called with times that rise,
///   each when everything before and at it has been taken in. What is emitted is stamped with that time.
/// * **Honest about what is due.** [`next`](Self::next) is the least time at which there is something to do: an arrival or a time of the
///   tactic's own. It must be later than the last one that was advanced to.
/// * **A function of its arrivals.** State and output do not depend on the order of arrivals at one time, on clocks, or on how keys are
///   spread over workers: all arrivals of one [`route`](Self::route) meet on one worker.
/// * **Restored as snapshotted.** A tactic that was given snapshots emits from then on what it would have emitted. A snapshot holds what is
///   known *before* the boundary. Arrivals that have not taken effect are not part of it: they arrive again.
///
/// Checked by [`tactic_compliance`](crate::testkit::tactic_compliance), and by
/// [`collection_compliance`](crate::testkit::collection_compliance) where what is emitted are updates of a collection.
pub trait Tactic: 'static {
    /// What arrives.
    type In: ExchangeData;
    /// What is emitted.
    type Out: Clone + 'static;
    /// What a checkpoint keeps.
    type Snapshot: Serialize + DeserializeOwned;

    /// Whether a snapshot holds only what changed since the one before. Restoring is then given a chain of them, oldest first, the first of
    /// which is whole.
    const INCREMENTAL: bool = false;

    /// Which worker an arrival goes to: a hash, [`key_hash`](telemetra_core::key_hash) of what its state is kept by.
    fn route(arrival: &Self::In) -> u64;

    /// When an arrival takes effect. By default at the time of the message that brought it; for an update of a collection, its own time.
    fn time_of(arrival: &Self::In, stamp: EventTime) -> EventTime {
        let _ = arrival;
        stamp
    }

    /// Takes note of what takes effect at `time`.
    fn take_in(&mut self, time: EventTime, arrival: Self::In);

    /// The next time at which something is due. `ended` says that nothing will arrive any more: what only forgets need not be done then.
    fn next(&self, ended: bool) -> Option<EventTime>;

    /// Does what is due at `time`.
    fn advance(&mut self, time: EventTime, emit: &mut dyn FnMut(Self::Out));

    /// What a checkpoint keeps as of just before `boundary`. `whole` asks for all of it, also where snapshots are
    /// [incremental](Self::INCREMENTAL).
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    fn snapshot(&mut self, boundary: EventTime, whole: bool) -> Result<Self::Snapshot, CodecError>;

    /// Goes on from the snapshots of all workers, of which it takes what `is_mine` by its route. Called once, before anything arrives.
    ///
    /// # Errors
    ///
    /// If a snapshot does not fit, as other settings made it.
    fn restore(
        &mut self,
        boundary: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError>;

    /// Emits, after a restart, the collection as it was just before the boundary, for operators that keep no state of their own. By default
    /// nothing. [`collection_compliance`](crate::testkit::collection_compliance) checks that it is all that was emitted, in sum.
    fn emit_restored(&mut self, emit: &mut dyn FnMut(Self::Out)) {
        let _ = emit;
    }

    /// What is left for a later run when the input has come to its end, and the last time of it. Called once, after all else; by default nothing.
    #[doc(hidden)]
    fn leave(&mut self) -> Option<(EventTime, Result<Vec<u8>, CodecError>)> {
        None
    }

    /// Takes over what the workers of a run have left that came to its end and went on from the same checkpoint. `settles` is a time after all that its
    /// sinks were given. Called after [`restore`](Self::restore).
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

    /// Called after every turn of the operator: a hook for gauges.
    fn end_of_turn(&mut self) {}
}

/// Runs tactics on a stream.
pub trait Checkpointed<'scope, D>: Sized {
    /// Runs a tactic on this stream, with its state in the checkpoints of `context` under `name`, which must be the only one of its kind in
    /// the graph. The driver holds one capability at the next time that is due, and none if there is none.
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
        context.register(&name, done);
        let (writer, failure) = (context.writer.clone(), context.failure.clone());
        let mut restored_at = None;
        if let Some(restored) = &context.restored {
            let parts = if T::INCREMENTAL {
                restored.chained(&name, &failure)
            } else {
                restored.parts(&name, &failure)
            };
            let is_mine = |hash| is_mine(hash, worker, peers);
            let mut taken = tactic.restore(restored.boundary, parts, &is_mine);
            if let Some((settles, left)) = restored.left_by(&name) {
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
            // What was there before a restart comes out first, timed just before the boundary.
            let mut revived = restored_at.zip(initial).map(|(boundary, cap)| cap.delayed(&boundary.minus(1)));
            let mut held: Option<Capability<EventTime>> = None;
            let mut markers = Markers::default();
            let mut snapshots = 0_usize;
            let mut has_left = false;
            move |frontiers| {
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
                loop {
                    let next = tactic.next(ended).filter(|time| *time < limit);
                    // A snapshot is taken when everything before its boundary has taken effect, and nothing after.
                    while let Some((boundary, cap)) = markers.due(next.unwrap_or(limit)) {
                        if let Some(writer) = &writer {
                            let whole = !T::INCREMENTAL || snapshots.is_multiple_of(CHAIN);
                            snapshots += 1;
                            match tactic.snapshot(boundary, whole) {
                                Ok(snapshot) => writer.snapshot(boundary, &name, &snapshot),
                                Err(source) => failure.set(PipelineError::encode(&name, source)),
                            }
                        }
                        drop(cap);
                    }
                    let Some((time, cap)) = next.zip(held.as_mut()) else { break };
                    cap.downgrade(&time.max(*cap.time()));
                    let mut session = output.session(&*cap);
                    tactic.advance(time, &mut |out| session.give(out));
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

/// Arrivals by the time at which they take effect: what most tactics keep until they advance.
#[derive(Clone, Debug)]
pub struct Inbox<D>(BTreeMap<EventTime, Vec<D>>);

impl<D> Default for Inbox<D> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<D> Inbox<D> {
    /// Keeps an arrival.
    pub fn push(&mut self, time: EventTime, arrival: D) {
        self.0.entry(time).or_default().push(arrival);
    }

    /// The first time at which something takes effect.
    #[must_use]
    pub fn next(&self) -> Option<EventTime> {
        self.0.keys().next().copied()
    }

    /// Takes out what takes effect at `time`.
    pub fn take(&mut self, time: EventTime) -> Vec<D> {
        self.0.remove(&time).unwrap_or_default()
    }
}
