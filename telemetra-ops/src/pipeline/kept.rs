//! Events that are written as rows, and streams of values that are taken from events.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::checkpoint::shape_of;
use telemetra_core::{ConfigError, Data, EventTime, Events, Layout, Table, TimeConfig};
use timely::ExchangeData;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline as Local;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::operator::Operator;

use crate::checkpoint::definition::OperatorDefinition;
use crate::pipeline::graph::Graph;
use crate::pipeline::plan::{OpenPlan, Plan};
use crate::read::group_fold::CollectFold;
use crate::read::plan::{Fold, FoldPlan};

/// The closure that builds the user's operators on a stream of values taken from events.
type Build<D> = Arc<dyn for<'scope> Fn(&Graph<'scope>, StreamVec<'scope, EventTime, D>) + Send + Sync>;

/// A plan that takes values from events and builds operators on them.
pub(crate) struct Collect<F, D> {
    pub(crate) name: String,
    pub(crate) tables: Vec<Arc<Table>>,
    pub(crate) pick: Arc<F>,
    pub(crate) build: Build<D>,
}

impl<F, D> fmt::Debug for Collect<F, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collect({})", self.name)
    }
}

impl<F, R: Data> Collect<F, R> {
    /// A plan that writes events to a table, each as the row that `pick` returns.
    pub(crate) fn rows(layout: Layout<R>, pick: F) -> Self {
        let table = Arc::clone(layout.table());
        let build: Build<R> = Arc::new(move |graph, rows| {
            graph.publish_as(&layout, stamped(rows));
        });
        Self { name: table.name().to_owned(), tables: vec![table], pick: Arc::new(pick), build }
    }
}

/// Turns a stream into a collection: every value is inserted at the time of its message.
fn stamped<R: Data>(rows: StreamVec<'_, EventTime, R>) -> VecCollection<'_, EventTime, R, isize> {
    let updates = rows.unary(Local, "Stamp", |_, _| {
        |input, output| {
            input.for_each_stamp(|cap, messages| {
                let Some(&time) = cap.least() else { return };
                let rows = messages.flat_map(|message| message.drain(..)).map(|row| (row, time, 1));
                output.session(&cap).give_iterator(rows);
            });
        }
    });
    updates.as_collection()
}

impl<E: Events, D: ExchangeData, F> Plan<E> for Collect<F, D>
where
    F: for<'a> Fn(&E::Of<'a>) -> Option<D> + Send + Sync + 'static,
{
    fn state_name(&self) -> &str {
        &self.name
    }

    fn tables(&self) -> Vec<Arc<Table>> {
        self.tables.clone()
    }

    fn pane(&self, _: &TimeConfig) -> Result<Option<u64>, ConfigError> {
        Ok(None)
    }

    fn check(&self, _: &TimeConfig) -> Result<(), ConfigError> {
        Ok(())
    }

    fn fingerprint(&self, _: &TimeConfig) -> String {
        format!("`{}` of {}", self.name, std::any::type_name::<D>())
    }

    fn begin<'scope>(&self, _: &TimeConfig) -> Box<dyn OpenPlan<'scope, E> + 'scope> {
        Box::new(OpenCollect {
            name: self.name.clone(),
            pick: Arc::clone(&self.pick),
            build: Arc::clone(&self.build),
            collected: None,
        })
    }
}

/// A collect plan that a worker is building.
struct OpenCollect<'scope, F, D: ExchangeData> {
    name: String,
    pick: Arc<F>,
    build: Build<D>,
    collected: Option<StreamVec<'scope, EventTime, D>>,
}

impl<'scope, E: Events, D: ExchangeData, F> FoldPlan<'scope, E> for OpenCollect<'scope, F, D>
where
    F: for<'a> Fn(&E::Of<'a>) -> Option<D> + Send + Sync + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn definition(&self) -> OperatorDefinition {
        OperatorDefinition {
            shape: shape_of::<BTreeMap<EventTime, Vec<D>>>(),
            ..OperatorDefinition::default()
        }
    }

    fn migrates(&self, _: u32) -> bool {
        false
    }

    fn attach(&mut self, builder: &mut OperatorBuilder<'scope, EventTime>) -> Box<dyn Fold<E>> {
        let (output, stream) = builder.new_output();
        self.collected = Some(stream);
        let pick = Arc::clone(&self.pick);
        Box::new(CollectFold::<E, D, _>::new(output, move |event: &E::Of<'_>| pick(event)))
    }
}

impl<'scope, E: Events, D: ExchangeData, F> OpenPlan<'scope, E> for OpenCollect<'scope, F, D>
where
    F: for<'a> Fn(&E::Of<'a>) -> Option<D> + Send + Sync + 'static,
{
    fn build(self: Box<Self>, graph: &Graph<'scope>) {
        if let Some(collected) = self.collected {
            (self.build)(graph, collected);
        }
    }
}
