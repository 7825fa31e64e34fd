//! The dataflow graph of one worker, on which the user's operators are built.

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

/// The timely dataflow of a pipeline while one worker builds it: a scope with timestamps of type
/// [`EventTime`], its checkpoints, and the publication of rows to the sinks. Clones are handles on the same
/// graph.
///
/// The closures of [`Pipeline::collect`](crate::Pipeline::collect) and of
/// [`Pipeline::extend`](crate::Pipeline::extend) receive it. Such a closure runs once on every worker, and
/// once more at a start with checkpoints; it must build the same operators in the same order each time, as
/// timely requires. Any operator of timely and differential dataflow can be used.
///
/// # State and restarts
///
/// After a restart, the collections of a pipeline contain what they contained at the boundary of the
/// checkpoint: their operators emit it again, with a time just before the boundary. So an operator without
/// checkpoints, such as differential's `join`, is correct after a restart if its state follows from such
/// collections. An operator whose state follows from a *stream*, as that of `collect`, must be
/// [checkpointed](crate::Checkpointed) or a [keyed process](crate::ProcessByKey), as the events before the
/// boundary are not read again.
///
/// ```
/// # #[derive(serde::Deserialize)]
/// # struct Reading { device: String, time: telemetra_core::EventTime }
/// # impl telemetra_core::Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> telemetra_core::EventTime { self.time }
/// #     fn key(&self) -> &str { &self.device }
/// # }
/// use telemetra_core::source::Memory;
/// use telemetra_core::{Column, ColumnKind, Layout, Ranked, SerdeJson, Table, Value};
/// use telemetra_ops::{Latest, Pipeline, Top, minutes, tumbling};
///
/// // The three devices with the most readings in the last minute.
/// let table = Table::new("busiest")
///     .key(Column::new("rank", ColumnKind::Integer))
///     .column(Column::new("device", ColumnKind::Text));
/// let layout = Layout::new(table.clone(), |place: &Ranked<String>, put| {
///     put(Value::Unsigned(place.rank.into()));
///     put(Value::Text(&place.key));
/// });
/// let lines = [r#"{"device": "d1", "time": "2026-01-01T00:00:00Z"}"#];
/// Pipeline::<Reading>::new()
///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
///     .table_of(table)
///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
///     .extend(move |group| {
///         let latest = group.summaries.clone().latest(group.windows);
///         group.publish_as(&layout, latest.top(3, "busiest", |count| *count as i64));
///     })
///     .start()?
///     .wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Graph<'scope> {
    scope: Scope<'scope, EventTime>,
    context: CheckpointContext<'scope>,
    /// The time for which rows with an event time may still change, in milliseconds.
    horizon: u64,
    time: TimeConfig,
    /// The names of the tables that the sinks were opened with.
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

    /// Returns the same graph for rows that are made of summaries which are retired `horizon` milliseconds
    /// after their window.
    pub(crate) fn with_horizon(&self, horizon: u64) -> Self {
        Self { horizon, ..self.clone() }
    }

    /// Returns the timely scope of the graph, for operators that begin a stream.
    #[must_use]
    pub fn scope(&self) -> Scope<'scope, EventTime> {
        self.scope
    }

    /// Returns the pipeline's [time settings](crate::Pipeline::time), for operators that need the same
    /// lateness or horizon. Its `windows` are the default windows; the windows of a grouping are in
    /// [`GroupGraph::windows`](crate::GroupGraph::windows).
    #[must_use]
    pub fn time(&self) -> &TimeConfig {
        &self.time
    }

    /// Returns the pipeline's checkpoints, which [operators with state](crate::Checkpointed) take as an
    /// argument. Without [`Pipeline::checkpoints`](crate::Pipeline::checkpoints) it stores nothing.
    #[must_use]
    pub fn context(&self) -> &CheckpointContext<'scope> {
        &self.context
    }

    /// Writes a collection of rows to a table: every sink keeps the table of the row type equal to the
    /// collection. The changes of one event time reach a sink in the same batch as the changes of all other
    /// tables, each with its [revision](crate::RowChange::revision). A restart repeats none of them.
    ///
    /// The collection must have at most one row for each key of the table at any time. A row that leaves the
    /// collection is deleted from the table, unless its event time is older than the horizon: old rows stay
    /// in the table, as they leave the collection to free memory.
    ///
    /// State: a counter for each row that was published more than once and may still change; see [`Changes`].
    ///
    /// # Errors
    ///
    /// The table must be declared by [`Pipeline::table`](crate::Pipeline::table), as sinks are opened before
    /// graphs are built. A table that is not declared, or is published twice, makes
    /// [`start`](crate::Pipeline::start) or [`wait`](crate::Running::wait) return
    /// [`PipelineError::Config`](crate::PipelineError::Config).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use serde::{Deserialize, Serialize};
    /// use telemetra_core::{Column, ColumnKind, Row, SerdeJson, Table, Value, source::Memory};
    /// use telemetra_ops::{Pipeline, PipelineError, minutes, tumbling};
    ///
    /// /// A device that has been seen in one of the windows within the horizon.
    /// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    /// struct Seen { device: String }
    ///
    /// impl Row for Seen {
    ///     fn table() -> Table { Table::new("seen").key(Column::new("device", ColumnKind::Text)) }
    ///     fn values(&self, put: &mut dyn FnMut(Value<'_>)) { put(Value::Text(&self.device)) }
    /// }
    ///
    /// let grouped = |pipeline: Pipeline<Reading>| {
    ///     pipeline
    ///         .source(Memory::default().partition("readings", [""; 0]), SerdeJson::new())
    ///         .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///         .extend(|group| group.publish(group.summaries.clone().map(|(device, _)| Seen { device }).distinct()))
    /// };
    /// grouped(Pipeline::new().table::<Seen>()).start()?.wait()?;
    /// let undeclared = grouped(Pipeline::new()).start().and_then(|running| running.wait());
    /// assert!(matches!(undeclared, Err(PipelineError::Config(_))));
    /// # Ok::<(), PipelineError>(())
    /// ```
    pub fn publish<R: Row>(&self, rows: VecCollection<'scope, EventTime, R, isize>) {
        self.publish_as(&Layout::of_row(), rows);
    }

    /// Writes a collection of rows to the table of a layout, for tables that are known only at run time, and
    /// for row types that do not implement [`Row`]. Declare the table by
    /// [`Pipeline::table_of`](crate::Pipeline::table_of). Otherwise like [`publish`](Self::publish).
    pub fn publish_as<R: Data>(&self, layout: &Layout<R>, rows: VecCollection<'scope, EventTime, R, isize>) {
        self.publish_within(layout, rows, self.horizon);
    }

    /// Publishes rows that are retired `horizon` milliseconds after their event time, or fails the pipeline
    /// if the table must not be published.
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

    /// Returns the publications of the finished graph.
    pub(crate) fn into_publications(self) -> Vec<Box<dyn Publication<'scope> + 'scope>> {
        self.publications.take()
    }
}
