//! Tests of the snapshots that the driver gives to a tactic that goes on from a checkpoint.

#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use telemetra_core::EventTime;
use telemetra_core::checkpoint::{CheckpointStore, CodecError, encode, shape_of};
use timely::dataflow::operators::capture::Event;
use timely::dataflow::operators::generic::operator::empty;
use timely::dataflow::operators::{Capture, Input};

use crate::checkpoint::definition::{Definition, OperatorDefinition};
use crate::checkpoint::parts::WorkerParts;
use crate::checkpoint::restored::{FoundCheckpoint, RestoredCheckpoint};
use crate::checkpoint::state::{CheckpointContext, Manifest, blob_name, definition_name, manifest_name};
use crate::operators::checkpointed::{Checkpointed, TURN, Tactic};
use crate::support::failure::{Failure, PipelineError, RestoreError};
use crate::support::retry::RetryDeadline;
use crate::testkit::world::MemoryStore;

const BOUNDARY: EventTime = EventTime(60_000);

/// Reports the snapshots that it is restored from, and which of their routes are its own.
struct Restored<const BY_ROUTE: bool>(Sender<(Vec<Vec<u64>>, Vec<u64>)>);

impl<const BY_ROUTE: bool> Tactic for Restored<BY_ROUTE> {
    type In = u64;
    type Out = u64;
    type Snapshot = Vec<u64>;
    const BY_ROUTE: bool = BY_ROUTE;

    fn route(arrival: &u64) -> u64 {
        *arrival
    }
    fn take_in(&mut self, _: EventTime, _: u64) {}
    fn next(&self, _: bool) -> Option<EventTime> {
        None
    }
    fn advance(&mut self, _: EventTime, _: &mut dyn FnMut(u64)) {}
    fn snapshot(&mut self, _: EventTime, _: bool) -> Result<Vec<u64>, CodecError> {
        Ok(Vec::new())
    }
    fn restore(
        &mut self,
        _: EventTime,
        snapshots: Vec<Vec<u64>>,
        is_mine: &dyn Fn(u64) -> bool,
    ) -> Result<(), CodecError> {
        let mine = snapshots.iter().flatten().copied().filter(|route| is_mine(*route)).collect();
        self.0.send((snapshots, mine)).unwrap();
        Ok(())
    }
}

/// A checkpoint of `kept`, with the routes that each worker kept.
fn checkpoint(kept: &[&[u64]]) -> RestoredCheckpoint {
    let mut store = MemoryStore::default();
    let mut put = |name: String, blob: Vec<u8>| store.put(&name, &blob).unwrap();
    for (worker, routes) in kept.iter().enumerate() {
        let parts = vec![("kept".to_owned(), bincode::serialize(routes).unwrap())];
        put(blob_name(BOUNDARY, worker), encode(&WorkerParts { parts }).unwrap());
    }
    let operator = OperatorDefinition { shape: shape_of::<Vec<u64>>(), ..OperatorDefinition::default() };
    let operators = [("kept".to_owned(), operator)].into();
    let definition = Definition { operators, ..Definition::default() };
    put(definition_name(BOUNDARY), encode(&definition).unwrap());
    let manifest =
        Manifest { boundary: BOUNDARY, chain: vec![BOUNDARY], peers: kept.len(), fingerprint: String::new() };
    put(manifest_name(BOUNDARY), encode(&manifest).unwrap());
    let deadline = RetryDeadline::new(Duration::ZERO, &Failure::default());
    FoundCheckpoint::newest(&mut store, &deadline).unwrap().unwrap().load(&mut store, &deadline).unwrap()
}

/// The snapshots from which the tactic of each of so many workers is restored, sorted by whether they are its own, and the failure.
fn restore<const BY_ROUTE: bool>(
    kept: &[&[u64]],
    workers: usize,
) -> (Vec<(Vec<Vec<u64>>, Vec<u64>)>, Option<PipelineError>) {
    let (checkpoint, failure) = (Arc::new(checkpoint(kept)), Failure::default());
    let (reports, restored) = channel();
    let (shared, of_workers) = (Mutex::new(reports), failure.clone());
    let guards = timely::execute(timely::Config::process(workers), move |worker| {
        let tactic = Restored::<BY_ROUTE>(shared.lock().unwrap().clone());
        worker.dataflow::<EventTime, _, _>(|scope| {
            let (checkpoint, failure) = (Some(Arc::clone(&checkpoint)), of_workers.clone());
            let markers = empty(scope);
            let context =
                CheckpointContext::new(markers, None, checkpoint, failure, Arc::default(), Arc::default());
            empty(scope).checkpointed("kept", &context, tactic);
        });
    });
    drop(guards.unwrap().join());
    let mut restored: Vec<_> = restored.iter().collect();
    restored.sort_by(|(_, one), (_, other)| one.cmp(other));
    (restored, failure.take())
}

const TWO: [&[u64]; 2] = [&[0, 2], &[1, 3]];

#[test]
fn state_by_route_is_restored_from_the_own_snapshot_if_there_are_as_many_workers() {
    let (restored, failure) = restore::<true>(&TWO, 2);
    assert_eq!(restored, [(vec![vec![0, 2]], vec![0, 2]), (vec![vec![1, 3]], vec![1, 3])]);
    assert!(failure.is_none(), "{failure:?}");
}

#[test]
fn other_state_and_state_of_another_number_of_workers_is_restored_from_all_snapshots() {
    let all = TWO.map(<[u64]>::to_vec).to_vec();
    assert_eq!(restore::<false>(&TWO, 2).0, [(all.clone(), vec![0, 2]), (all.clone(), vec![1, 3])]);
    assert_eq!(restore::<true>(&TWO, 1).0, [(all, vec![0, 2, 1, 3])]);
}

/// The worker that has it now does not look for it there, and it would be lost.
#[test]
fn state_whose_route_falls_to_another_worker_than_before_is_refused() {
    let (_, failure) = restore::<true>(&[&[0, 1], &[3]], 2);
    let Some(PipelineError::Restore(error @ RestoreError::Rerouted { .. })) = failure else {
        panic!("{failure:?}")
    };
    assert_eq!(
        error.to_string(),
        "the keys of `kept` fall to other workers than when the checkpoint of 1970-01-01T00:01:00.000Z was taken, as their hash has changed; hash them as before, or start once with another number of workers, which reads the state of all"
    );
    assert!(restore::<true>(&[&[0, 1], &[3]], 1).1.is_none());
}

/// It is as large as all state.
#[test]
fn what_was_read_of_a_checkpoint_goes_when_the_graph_is_built() {
    let checkpoint = Arc::new(checkpoint(&TWO));
    let (reports, _restored) = channel();
    timely::execute_directly(move |worker| {
        worker.dataflow::<EventTime, _, _>(|scope| {
            let (restored, failure) = (Some(Arc::clone(&checkpoint)), Failure::default());
            let markers = empty(scope);
            let context =
                CheckpointContext::new(markers, None, restored, failure, Arc::default(), Arc::default());
            empty(scope).checkpointed("kept", &context, Restored::<true>(reports.clone()));
        });
        assert_eq!(Arc::strong_count(&checkpoint), 1, "the operator keeps it");
    });
}

/// Emits more rows than one turn has, at each of a few times.
#[derive(Default)]
struct Many(Vec<EventTime>);

impl Tactic for Many {
    type In = u64;
    type Out = u64;
    type Snapshot = ();

    fn route(arrival: &u64) -> u64 {
        *arrival
    }
    fn take_in(&mut self, time: EventTime, _: u64) {
        self.0.extend((0..3).rev().map(|n| time.plus(n)));
    }
    fn next(&self, _: bool) -> Option<EventTime> {
        self.0.last().copied()
    }
    fn advance(&mut self, _: EventTime, emit: &mut dyn FnMut(u64)) {
        self.0.pop();
        (0..=TURN).for_each(emit);
    }
    fn snapshot(&mut self, _: EventTime, _: bool) -> Result<(), CodecError> {
        Ok(())
    }
    fn restore(&mut self, _: EventTime, _: Vec<()>, _: &dyn Fn(u64) -> bool) -> Result<(), CodecError> {
        Ok(())
    }
}

/// Otherwise all rows of a frontier that moves far would be on their way at once.
#[test]
fn other_operators_have_their_turn_between_two_times_with_many_rows() {
    let steps = timely::execute_directly(|worker| {
        let (mut input, emitted) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (input, stream) = scope.new_input::<Vec<u64>>();
            let context = CheckpointContext::none(scope);
            (input, stream.checkpointed("many", &context, Many::default()).capture())
        });
        input.send(7);
        input.close();
        let mut steps = Vec::new();
        while worker.step() {
            let rows = emitted.try_iter().map(|event| match event {
                Event::Messages(_, rows) => rows.len() as u64,
                Event::Progress(_) => 0,
            });
            steps.extend(Some(rows.sum::<u64>()).filter(|rows| *rows > 0));
        }
        steps
    });
    assert_eq!(steps, [TURN + 1; 3]);
}
