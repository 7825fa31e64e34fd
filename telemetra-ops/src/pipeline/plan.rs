//! The plans of a pipeline: each makes something of the events, publishes tables, and builds its part of the graph.

use std::sync::Arc;

use telemetra_core::{ConfigError, Events, Table, TimeConfig};

use crate::pipeline::graph::Graph;
use crate::read::plan::FoldPlan;

/// A grouping, or rows that are kept as they come: whatever the types of its keys and aggregates.
pub trait Plan<E: Events>: Send + Sync {
    /// The tables that it publishes.
    fn tables(&self) -> Vec<Arc<Table>>;

    /// The length of its panes in milliseconds; `None` if it has none.
    fn pane(&self, time: &TimeConfig) -> Result<Option<u64>, ConfigError>;

    /// Checks that its settings can work.
    fn check(&self, time: &TimeConfig) -> Result<(), ConfigError>;

    /// What its state depends on.
    fn fingerprint(&self, time: &TimeConfig) -> String;

    /// Begins to build it on a worker.
    fn begin<'scope>(&self, time: &TimeConfig) -> Box<dyn OpenPlan<'scope, E> + 'scope>;
}

/// A plan that a worker is building.
pub trait OpenPlan<'scope, E: Events>: FoldPlan<'scope, E> {
    /// Builds what follows the output that was attached to ingest.
    fn build(self: Box<Self>, graph: &Graph<'scope>);
}

/// The plan that a builder has not finished: what the methods for the last plan work on.
#[doc(hidden)]
pub trait LastPlan<E: Events> {
    /// The plan, if there is one.
    fn finish(self) -> Option<Box<dyn Plan<E>>>;
}

impl<E: Events> LastPlan<E> for () {
    fn finish(self) -> Option<Box<dyn Plan<E>>> {
        None
    }
}
