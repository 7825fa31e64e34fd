//! The contract of operators with checkpointed state, whose driver is in [`checkpointed`](super::checkpointed).

use serde::Serialize;
use serde::de::DeserializeOwned;
use telemetra_core::EventTime;
use telemetra_core::checkpoint::{CodecError, Migration};
use timely::ExchangeData;

use crate::checkpoint::definition::OperatorDefinition;
use crate::support::failure::PipelineError;

/// The logic of an operator with checkpointed state, without its frontiers and capabilities: it stores
/// arrivals by time, returns the next time at which something is due, and emits its output at that time. The
/// name is differential dataflow's.
///
/// Run it by [`checkpointed`](crate::Checkpointed::checkpointed), whose page has a complete example; that
/// operator drives the tactic, and takes and restores its snapshots. Each worker has a tactic of its own,
/// with its share of the keys. Write a tactic where you need timers, as with Flink's `onTimer`. For state by
/// key without timers, [`KeyedProcess`](crate::KeyedProcess) is simpler.
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
    /// at a restart. The thread that writes checkpoints encodes it.
    type Snapshot: Serialize + DeserializeOwned + Send;

    /// True if a snapshot may contain only the changes since the previous one. Default: false. Set it for
    /// large state that changes slowly. Every sixteenth snapshot is then still asked to be
    /// [`whole`](Self::snapshot), and [`restore`](Self::restore) receives a chain of snapshots, oldest first,
    /// that begins with a whole one. Apply them in order, and take care that state which was removed in
    /// between does not come back.
    const INCREMENTAL: bool = false;

    /// True if each part of a worker's snapshot belongs to a [route](Self::route) of this worker. Default:
    /// false. Set it for large state by key: if the number of workers has not changed, a worker then restores
    /// from its own snapshots alone, so that each snapshot is decoded once and not by every worker.
    const BY_ROUTE: bool = false;

    /// Returns the version of the state, which checkpoints record. Raise it when the fields or the meaning of
    /// [`Snapshot`](Self::Snapshot) change. Default: 0.
    fn version(&self) -> u32 {
        0
    }

    /// Returns the function that converts a snapshot from `version` to the present one. Without it, the
    /// pipeline does not start from a checkpoint of that version. Default: `None`.
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

    /// Stores an arrival that takes effect at `time`, until [`advance`](Self::advance) is called for that
    /// time. Arrivals come in any order, some of them for times far ahead. An [`Inbox`](crate::Inbox) is
    /// enough for most tactics.
    fn take_in(&mut self, time: EventTime, arrival: Self::In);

    /// Returns the least time at which something is due; `None` if nothing is. It is called before each
    /// [`advance`](Self::advance) and whenever the operator is scheduled, so it must be cheap. `ended` is
    /// true when no more input will arrive; timers that only free state need not be returned then.
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

    /// Restores the state as it was just before `boundary`. `snapshots` are those of all workers, whose
    /// number may have been another one: take the parts for whose route `is_mine` returns true, and drop the
    /// others. If the number is the same and the state is kept [by route](Self::BY_ROUTE), the snapshots are
    /// this worker's alone. Called once, before anything arrives.
    ///
    /// # Errors
    ///
    /// If a snapshot does not fit. The pipeline then fails with
    /// [`RestoreError::Damaged`](crate::RestoreError::Damaged).
    fn restore(
        &mut self,
        boundary: EventTime,
        snapshots: Vec<Self::Snapshot>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError>;

    /// Emits, after a restart, the collection as it was just before the boundary, for later operators without
    /// checkpoints, such as differential's `join`. Called once, after [`restore`](Self::restore); everything
    /// it emits is sent just before the boundary. Default: nothing, which is right for streams that are no
    /// collections. [`collection_compliance`](crate::testkit::collection_compliance) checks that it equals
    /// the sum of what was emitted.
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

    /// Called each time after timely has scheduled the operator, for example to update gauges. It must not
    /// change the state. Default: nothing.
    fn end_of_turn(&mut self) {}
}
