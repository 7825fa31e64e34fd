//! The description of a pipeline's state, which is compared with that of a checkpoint before anything is opened.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use telemetra_core::{EventTime, Events};
use timely::WorkerConfig;
use timely::communication::Allocator;
use timely::communication::allocator::thread::Thread;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::worker::Worker;

use crate::checkpoint::comparison::compare;
use crate::checkpoint::definition::{Definition, Takeover, TimeDefinition};
use crate::checkpoint::restored::{FoundCheckpoint, difference};
use crate::checkpoint::state::{CheckpointContext, Described};
use crate::pipeline::builder::Parts;
use crate::pipeline::checks::Checked;
use crate::pipeline::graph::Graph;
use crate::read::plan::{FoldPlan, takeover};
use crate::support::failure::{Failure, PipelineError, RestoreError, panic_text};
use crate::support::restore_plan::RestorePlan;

/// A pipeline's state: what it is, and what each operator makes of what it finds.
pub(crate) struct Description {
    pub(crate) definition: Definition,
    taken: Vec<(String, Takeover<()>)>,
}

impl<E: Events> Parts<E> {
    /// Describes the state of the pipeline. The graph is built for that, on a worker of its own that does not run it: what
    /// operators there are is known to the closures that build them alone.
    pub(crate) fn describe(
        &self,
        checked: &Checked,
        found: Option<&FoundCheckpoint>,
    ) -> Result<Description, PipelineError> {
        let failure = Failure::default();
        let was = found.and_then(|found| found.definition.clone()).map(Arc::new);
        let build = || {
            let alone = Allocator::Thread(Thread::default());
            let mut worker = Worker::new(WorkerConfig::default(), alone, Some(Instant::now()));
            let index = worker.next_dataflow_index();
            let described = worker.dataflow::<EventTime, _, _>(|scope| {
                self.build_to_describe(scope, checked, was.clone(), &failure)
            });
            worker.drop_dataflow(index);
            described
        };
        let operators = catch_unwind(AssertUnwindSafe(build))
            .map_err(|panic| PipelineError::Worker(format!("it panicked: {}", panic_text(&*panic))))?;
        if let Some(error) = failure.take() {
            return Err(error);
        }
        let decoders = self.sources.iter().map(|(_, decoder)| decoder.identity());
        let time = TimeDefinition::of(&checked.time, checked.pane.slide());
        let revisable_from = match (&was, found) {
            (Some(was), Some(found)) => revisable_from(was, &time, found.manifest.boundary),
            _ => EventTime::MIN,
        };
        let (mut definitions, mut taken) = (BTreeMap::new(), Vec::new());
        for Described { name, definition, takeover } in operators {
            taken.push((name.clone(), takeover));
            definitions.insert(name, definition);
        }
        let definition = Definition {
            time,
            decoders: decoders.filter(|identity| !identity.is_empty()).collect(),
            operators: definitions,
            tables: checked.tables.iter().map(|table| table.name().to_owned()).collect(),
            revisable_from,
            savepoint: found.and_then(|found| {
                found.savepoint.clone().or_else(|| found.definition.as_ref()?.savepoint.clone())
            }),
        };
        Ok(Description { definition, taken })
    }

    fn build_to_describe<'scope>(
        &self,
        scope: Scope<'scope, EventTime>,
        checked: &Checked,
        found: Option<Arc<Definition>>,
        failure: &Failure,
    ) -> Vec<Described> {
        let context = CheckpointContext::describing(scope, found.clone(), failure.clone());
        let tables = checked.tables.iter().map(|table| table.name().to_owned()).collect();
        let graph =
            Graph::new(scope, context.clone(), checked.horizon, checked.time.clone(), Arc::new(tables));
        let mut open: Vec<_> = self.plans.iter().map(|plan| plan.begin(&checked.time)).collect();
        let mut builder = OperatorBuilder::new("Describe".to_owned(), scope);
        let mut folds: Vec<Described> = Vec::new();
        for plan in &mut open {
            let plan = &mut **plan as &mut dyn FoldPlan<'scope, E>;
            let (name, definition, takeover) = takeover(found.as_deref(), plan);
            folds.push(Described { name, definition, takeover });
            drop(plan.attach(&mut builder));
        }
        builder.build(|_| |_| ());
        open.into_iter().for_each(|plan| plan.build(&graph));
        folds.extend(context.take_operators());
        folds
    }

    /// Plans the start from a checkpoint.
    pub(crate) fn plan_restore(
        &self,
        found: &FoundCheckpoint,
        now: &Description,
    ) -> Result<RestorePlan, RestoreError> {
        let (boundary, savepoint) = (found.manifest.boundary, found.savepoint.clone());
        let Some(was) = &found.definition else {
            let fingerprint = self.fingerprint();
            if found.manifest.fingerprint == fingerprint {
                return Ok(RestorePlan { savepoint, ..RestorePlan::unchanged(boundary) });
            }
            let (found, expected) = difference(&found.manifest.fingerprint, &fingerprint);
            return Err(RestoreError::Settings { boundary, found, expected });
        };
        let of_plans: Vec<_> = self.plans.iter().map(|plan| (plan.state_name(), plan.tables())).collect();
        let feeds = |operator: &str| {
            let (kind, name) = operator.split_once(' ').unwrap_or((operator, ""));
            if kind == "changes" {
                return vec![name.to_owned()];
            }
            let plan = of_plans.iter().find(|(plan, _)| *plan == name && OF_PLANS.contains(&kind));
            // Rows of the user's may be made of anything.
            let tables = match plan {
                Some((_, tables)) => tables.iter().chain(&self.tables).collect::<Vec<_>>(),
                None => of_plans.iter().flat_map(|(_, tables)| tables).chain(&self.tables).collect(),
            };
            tables.into_iter().map(|table| table.name().to_owned()).collect()
        };
        let plan = compare(boundary, (was, &now.definition), &now.taken, &feeds);
        Ok(RestorePlan { savepoint, ..plan })
    }
}

/// The time that panes must not have ended before to be revised, after a start from the checkpoint of `boundary`.
fn revisable_from(was: &Definition, now: &TimeDefinition, boundary: EventTime) -> EventTime {
    if now.lateness <= was.time.lateness {
        return was.revisable_from;
    }
    // The last checkpoint of a run lies just after a floor.
    let floor = EventTime(boundary.0 - boundary.0 % was.time.pane.max(1));
    was.revisable_from.max(floor.minus(was.time.lateness))
}

/// The operators of a grouping, whose names consist of one of these words and the name of its state.
const OF_PLANS: [&str; 5] = ["ingest", "windows", "early", "moments", "chance"];
