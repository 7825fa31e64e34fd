//! Plans: the parts of a pipeline that turn events into tables, without the types of their keys and
//! aggregates.

use std::sync::Arc;

use telemetra_core::{ConfigError, Events, Table, TimeConfig};

use crate::pipeline::graph::Graph;
use crate::read::plan::FoldPlan;

/// A grouping or a collection of rows, of any key and aggregate type.
pub trait Plan<E: Events>: Send + Sync {
    /// The name that checkpoints know its state by.
    fn state_name(&self) -> &str;

    /// The tables that the plan publishes.
    fn tables(&self) -> Vec<Arc<Table>>;

    /// The length of the plan's panes in milliseconds; `None` if it has no windows.
    fn pane(&self, time: &TimeConfig) -> Result<Option<u64>, ConfigError>;

    /// Checks that the plan's settings can work.
    fn check(&self, time: &TimeConfig) -> Result<(), ConfigError>;

    /// A description of the settings that the plan's state depends on, as checkpoints without definitions have it.
    fn fingerprint(&self, time: &TimeConfig) -> String;

    /// Starts to build the plan on a worker.
    fn begin<'scope>(&self, time: &TimeConfig) -> Box<dyn OpenPlan<'scope, E> + 'scope>;
}

/// A plan that a worker is building.
pub trait OpenPlan<'scope, E: Events>: FoldPlan<'scope, E> {
    /// Builds the operators on the output that was attached to ingest.
    fn build(self: Box<Self>, graph: &Graph<'scope>);
}

/// The plan that a builder is still configuring, or `()` if there is none.
#[doc(hidden)]
pub trait LastPlan<E: Events> {
    /// Returns the finished plan, if there is one.
    fn finish(self) -> Option<Box<dyn Plan<E>>>;
}

impl<E: Events> LastPlan<E> for () {
    fn finish(self) -> Option<Box<dyn Plan<E>>> {
        None
    }
}
