//! The graph of one worker: what operators of your own are built on.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use differential_dataflow::VecCollection;
use telemetra_core::{ConfigError, Data, EventTime, Layout, Row, TimeConfig};
use timely::dataflow::Scope;

use crate::checkpoint::state::CheckpointContext;
use crate::deliver::publication::{Publication, TypedPublication};
use crate::operators::changes::Changes;

/// One worker's graph, while it is built. Clones are handles on the same graph.
#[derive(Clone)]
pub struct Graph<'scope> {
    scope: Scope<'scope, EventTime>,
    context: CheckpointContext<'scope>,
    /// How long in milliseconds rows that tell of a time may still change.
    horizon: u64,
    time: TimeConfig,
    /// The tables that the sinks were opened with.
    tables: Arc<BTreeSet<String>>,
    publications: Rc<RefCell<Vec<Box<dyn Publication<'scope> + 'scope>>>>,
}

impl std::fmt::Debug for Graph<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl<'scope> Graph<'scope> {
    pub(crate) fn new(
        scope: Scope<'scope, EventTime>,
        context: CheckpointContext<'scope>,
        horizon: u64,
        time: TimeConfig,
        tables: Arc<BTreeSet<String>>,
    ) -> Self {
        Self { scope, context, horizon, time, tables, publications: Rc::default() }
    }

    /// The same graph, for rows that are made of summaries which are retired that many milliseconds after their window.
    pub(crate) fn with_horizon(&self, horizon: u64) -> Self {
        Self { horizon, ..self.clone() }
    }

    /// The scope that it is in.
    #[must_use]
    pub fn scope(&self) -> Scope<'scope, EventTime> {
        self.scope
    }

    /// The pipeline's settings of time, for operators that need the same lateness, panes or horizon.
    #[must_use]
    pub fn time(&self) -> &TimeConfig {
        &self.time
    }

    /// The pipeline's checkpoints, for [operators with state](crate::Checkpointed).
    #[must_use]
    pub fn context(&self) -> &CheckpointContext<'scope> {
        &self.context
    }

    /// Publishes a collection of rows: all sinks keep its table in step with it, in the same transaction as all other tables, with
    /// corrections and revisions, exactly once. The table must be declared by [`Pipeline::table`](crate::Pipeline::table), as sinks are
    /// opened before graphs are built.
    pub fn publish<R: Row>(&self, rows: VecCollection<'scope, EventTime, R, isize>) {
        self.publish_as(&Layout::of_row(), rows);
    }

    /// Publishes a collection of rows by a layout of theirs, for tables that are known at run time only.
    pub fn publish_as<R: Data>(&self, layout: &Layout<R>, rows: VecCollection<'scope, EventTime, R, isize>) {
        self.publish_within(layout, rows, self.horizon);
    }

    /// Publishes rows that are retired that many milliseconds after the time they tell of.
    pub(crate) fn publish_within<R: Data>(
        &self,
        layout: &Layout<R>,
        rows: VecCollection<'scope, EventTime, R, isize>,
        horizon: u64,
    ) {
        let table = layout.table().name().to_owned();
        let mut publications = self.publications.borrow_mut();
        let error = if !self.tables.contains(&table) {
            Some(("is published, and no sink knows of it", "declare it: `.table(…)` of the pipeline"))
        } else if publications.iter().any(|other| other.table().name() == table) {
            Some(("is published twice", "concatenate the collections, or give each a table of its own"))
        } else {
            None
        };
        if let Some((detail, hint)) = error {
            let error = ConfigError::new("publish", format!("the table `{table}` {detail}"), hint);
            self.context.failure.set(error.into());
            return;
        }
        let name = format!("changes {table}");
        let changes = rows.changes(layout.clone(), horizon, &name, &self.context);
        publications.push(Box::new(TypedPublication { layout: layout.clone(), changes }));
    }

    /// What was published.
    pub(crate) fn into_publications(self) -> Vec<Box<dyn Publication<'scope> + 'scope>> {
        self.publications.take()
    }
}
