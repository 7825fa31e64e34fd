//! Tests of markers, and of the context that operators register with at checkpoints.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::Arc;

use telemetra_core::EventTime;
use timely::dataflow::Scope;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{Capability, Probe};

use crate::SpillConfig;
use crate::checkpoint::definition::{Definition, OperatorDefinition, Takeover};
use crate::checkpoint::state::{CheckpointContext, Markers};
use crate::spill::Spill;
use crate::support::failure::Failure;

/// Calls this with a capability of time 0.
fn with_capability(work: impl FnOnce(&Capability<EventTime>) + Send + Sync + 'static) {
    timely::execute_directly(move |worker| {
        worker.dataflow(|scope| {
            let mut builder = OperatorBuilder::new("Test".to_owned(), scope);
            let _ = builder.new_output::<Vec<()>>();
            builder.build(move |capabilities| {
                work(&capabilities[0]);
                |_| {}
            });
        });
    });
}

#[test]
fn markers_come_due_in_order_when_the_frontier_has_passed_them() {
    with_capability(|capability| {
        let mut markers = Markers::default();
        markers.note(EventTime(100), capability);
        markers.note(EventTime(50), &capability.delayed(&EventTime(10)));
        markers.note(EventTime(50), &capability.delayed(&EventTime(70)));
        let mut due = |limit| {
            let due = markers.due(EventTime(limit))?;
            Some((due.0.0, due.1.time().0))
        };
        assert_eq!(due(49), None);
        assert_eq!(due(50), Some((50, 49)), "the first to come holds it back");
        assert_eq!(due(99), None);
        assert_eq!(due(300), Some((100, 99)));
        assert_eq!(due(300), None);
    });
}

#[test]
fn a_marker_that_comes_late_is_at_its_own_time() {
    with_capability(|capability| {
        let mut markers = Markers::default();
        markers.note(EventTime(50), &capability.delayed(&EventTime(80)));
        assert_eq!(markers.due(EventTime(50)).map(|(_, capability)| *capability.time()), Some(EventTime(80)));
    });
}

fn register<'scope>(
    context: &CheckpointContext<'scope>,
    scope: Scope<'scope, EventTime>,
    name: &str,
    version: u32,
) {
    let definition = OperatorDefinition { version, ..OperatorDefinition::default() };
    context.register(name, definition, Takeover::New, empty(scope));
}

#[test]
fn operators_are_described_by_names_of_their_own() {
    timely::execute_directly(|worker| {
        worker.dataflow::<EventTime, _, _>(|scope| {
            let context = CheckpointContext::none(scope);
            register(&context, scope, "a", 1);
            register(&context, scope, "b", 2);
            assert!(!context.failure.is_set());
            let described: Vec<_> = context.take_operators();
            let described: Vec<_> =
                described.iter().map(|operator| (&*operator.name, operator.definition.version)).collect();
            assert_eq!(described, [("a", 1), ("b", 2)]);
            assert!(context.take_operators().is_empty());
            register(&context, scope, "a", 1);
            register(&context, scope, "a", 1);
            let told = context.failure.take().unwrap().to_string();
            assert!(told.contains("two operators with state are called `a`"), "{told}");
        });
    });
}

#[test]
fn all_are_done_when_the_last_operator_is() {
    timely::execute_directly(|worker| {
        let (mut inputs, done) = worker.dataflow(|scope| {
            let context = CheckpointContext::none(scope);
            let inputs = ["a", "b"].map(|name| {
                let (input, done) = scope.new_input::<()>();
                context.register(name, OperatorDefinition::default(), Takeover::New, done);
                input
            });
            (inputs, context.all_done().probe().0)
        });
        inputs[0].advance_to(EventTime(50));
        (0..4).for_each(|_| _ = worker.step());
        assert!(done.less_than(&EventTime(1)));
        inputs[1].advance_to(EventTime(40));
        (0..4).for_each(|_| _ = worker.step());
        assert!(!done.less_than(&EventTime(40)) && done.less_than(&EventTime(41)));
    });
}

#[test]
fn a_context_knows_what_the_checkpoint_was_made_with() {
    timely::execute_directly(|worker| {
        worker.dataflow::<EventTime, _, _>(|scope| {
            let found = Definition { decoders: vec!["json".to_owned()], ..Definition::default() };
            let failure = Failure::default();
            let context =
                CheckpointContext::describing(scope, Some(Arc::new(found.clone())), failure.clone());
            assert_eq!(context.found(), Some(&found));
            assert_eq!(CheckpointContext::none(scope).found(), None);
            register(&context, scope, "a", 1);
            register(&context, scope, "a", 1);
            assert!(failure.is_set(), "it is told of what is wrong");
            let folder = tempfile::tempdir().unwrap();
            let spill = Spill::open(SpillConfig::new(folder.path())).unwrap();
            assert!(context.spill.is_none());
            assert!(context.with_spill(Some(spill)).spill.is_some());
        });
    });
}
