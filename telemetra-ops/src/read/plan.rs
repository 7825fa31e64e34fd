//! Plans: the computations of a pipeline on its events. They share one reading, and each has an output of
//! ingest of its own.

use telemetra_core::checkpoint::{CodecError, Migration};
use telemetra_core::engine::Placement;
use telemetra_core::{EventTime, Events};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::definition::{Definition, Migrations, OperatorDefinition, Takeover};

/// Folds the events of one worker for one plan, and sends what takes effect.
pub trait Fold<E: Events> {
    /// Folds the counted ones of these events; each has its placement.
    fn add(&mut self, events: &[E::Of<'_>], placements: &[Placement]);

    /// Sends what takes effect before `limit`, by a capability for this output.
    fn send(&mut self, limit: EventTime, cap: &Capability<EventTime>);

    /// Encodes the pre-aggregates that were not sent, for a checkpoint.
    fn snapshot(&self) -> Result<Vec<u8>, CodecError>;

    /// Takes in such a snapshot, of this version of the state or of an earlier one.
    fn restore(&mut self, snapshot: &[u8], from: Option<u32>) -> Result<(), CodecError>;
}

/// A plan as ingest sees it: adds an output to the operator, and gives what folds for it.
pub trait FoldPlan<'scope, E: Events> {
    /// Its name, which checkpoints know its pre-aggregates by.
    fn name(&self) -> &str;

    /// The definition of its pre-aggregates.
    fn definition(&self) -> OperatorDefinition;

    /// Returns whether its pre-aggregates can be read as of an earlier version.
    fn migrates(&self, from: u32) -> bool;

    /// Adds the plan's output.
    fn attach(&mut self, builder: &mut OperatorBuilder<'scope, EventTime>) -> Box<dyn Fold<E>>;
}

/// The name by which checkpoints know a plan's pre-aggregates.
pub(crate) fn ingest_name(plan: &str) -> String {
    format!("ingest {plan}")
}

/// The way in which a plan takes over the pre-aggregates in a checkpoint.
pub(crate) fn takeover<E: Events>(
    found: Option<&Definition>,
    plan: &dyn FoldPlan<'_, E>,
) -> (String, OperatorDefinition, Takeover<()>) {
    let (name, now) = (ingest_name(plan.name()), plan.definition());
    let from = |version| plan.migrates(version).then(Migration::unchanged);
    let migrations = Migrations { from: &from, derived: None, reduced: None };
    let takeover = Takeover::of(found, &name, &now, migrations);
    (name, now, takeover)
}

/// A capability for `time`, or for its own time if that is later.
pub(crate) fn delayed(cap: &Capability<EventTime>, time: EventTime) -> Capability<EventTime> {
    cap.delayed(&time.max(*cap.time()))
}
