//! The main loop of a worker: it builds its graph and steps it until the end, an error, or the order to stop.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use telemetra_core::{EventTime, Events, TimeConfig};
use timely::dataflow::Scope;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concatenate, Probe as _};
use timely::worker::Worker;

use crate::checkpoint::acknowledge::acknowledge;
use crate::checkpoint::restored::RestoredCheckpoint;
use crate::checkpoint::state::{CheckpointContext, Message, SnapshotWriter};
use crate::checkpoint::writer::Stored;
use crate::cluster::coordinator::{Coordinator, StartState};
use crate::deliver::placement::SinkPlacement;
use crate::deliver::to_sinks::deliver;
use crate::observe::checkpoint_gauge::CheckpointGauge;
use crate::observe::exporter::Monitored;
use crate::observe::operator_times;
use crate::pipeline::finish::Finish;
use crate::pipeline::graph::Graph;
use crate::pipeline::plan::Plan;
use crate::read::ingest::{IngestLinks, IngestStreams, ingest_with};
use crate::read::ingress::Ingress;
use crate::read::plan::FoldPlan;
use crate::spill::Spill;
use crate::support::defects::EngineDefects;
use crate::support::failure::Failure;
use crate::support::frontier::{DurableFrontier, reached_of};

/// Everything that each worker needs to build its graph.
pub(crate) struct Blueprint<E: Events> {
    pub(crate) ingress: Ingress<E>,
    pub(crate) time: TimeConfig,
    pub(crate) horizon: u64,
    pub(crate) plans: Vec<Box<dyn Plan<E>>>,
    pub(crate) tables: Arc<BTreeSet<String>>,
    pub(crate) placements: Mutex<Vec<SinkPlacement>>,
    /// A handle of each worker that has not built its graph: what was read of the checkpoint is large, and goes with the last.
    pub(crate) restored: Mutex<Vec<Arc<RestoredCheckpoint>>>,
    pub(crate) messages: Mutex<Option<Sender<Message>>>,
    pub(crate) stored: Vec<Stored>,
    pub(crate) failure: Failure,
    pub(crate) checkpoints: Arc<CheckpointGauge>,
    pub(crate) finish: Arc<Finish>,
    pub(crate) frontier: Arc<DurableFrontier>,
    /// The index of this process, and the number of workers in each process.
    pub(crate) cluster: (usize, usize),
    pub(crate) processes: usize,
    /// The state from which this process starts, for comparison with the other processes.
    pub(crate) start_state: StartState,
    /// The gauges of each worker of this process.
    pub(crate) monitored: Arc<[Monitored]>,
    /// True if the time in each operator is measured.
    pub(crate) operator_times: bool,
    pub(crate) defects: EngineDefects,
    pub(crate) spill: Option<Arc<Spill>>,
}

/// The longest time that a worker sleeps before it checks for an order to stop.
const PARK: Duration = Duration::from_millis(20);

impl<E: Events> Blueprint<E> {
    /// Builds the graph of a worker and runs it until its end, an error, or the order to stop.
    pub(crate) fn work(&self, worker: &mut Worker) {
        let (process, workers) = self.cluster;
        let first = worker.index() == process * workers;
        if self.processes == 1 {
            self.ingress.shared.begin_after(self.start_state.durable);
            self.run(worker, first, None);
            return;
        }
        let mut coordinator = Coordinator::open(worker, process, self.processes, first);
        if let Some(durable) = coordinator.agree_on_start(worker, &self.start_state, &self.failure) {
            self.ingress.shared.begin_after(durable);
            self.run(worker, first, Some(&mut coordinator));
        }
        coordinator.close(worker, &self.failure);
    }

    /// Builds the graph, and steps the worker until the end, an error, or the order to stop.
    fn run(&self, worker: &mut Worker, first: bool, mut coordinator: Option<&mut Coordinator>) {
        let durable = Probe::new();
        let pending = Rc::new(RefCell::new(Vec::new()));
        let index = worker.next_dataflow_index();
        let sender = self.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let writer = sender.clone().map(|parts| {
            let gauge = Arc::clone(&self.checkpoints);
            SnapshotWriter { worker: worker.index(), parts, gauge }
        });
        if self.operator_times {
            operator_times::watch(worker, Arc::clone(&self.here(worker.index()).operator_times));
        }
        worker.dataflow::<EventTime, _, _>(|scope| self.build(scope, writer, &durable, &pending));
        loop {
            if let Some(coordinator) = &mut coordinator {
                coordinator.receive(&self.failure);
                self.ingress.shared.exchange(coordinator);
            }
            if self.failure.is_down() {
                worker.drop_dataflow(index);
                break;
            }
            worker.step_or_park(Some(PARK));
            self.finish.halt_when_overdue(&self.failure);
            if first {
                let reached = durable.with_frontier(reached_of);
                self.frontier.set(reached);
                let mut pending = pending.borrow_mut();
                pending.sort_unstable();
                while pending.first().is_some_and(|boundary| *boundary <= reached.max(self.stored_early())) {
                    let boundary = pending.remove(0);
                    if let Some(sender) = &sender {
                        // The send fails only if the thread has failed, and then it has reported its error.
                        let _ = sender.send(Message::Complete { boundary });
                    }
                }
                self.finish.halt_when_kept(&self.failure);
            }
            // Operators of the user's may still work then: while they do, the pipeline can be stopped.
            if durable.done() && !worker.installed_dataflows().contains(&index) {
                break;
            }
        }
        if self.operator_times {
            operator_times::unwatch(worker);
        }
    }

    /// The boundary up to which all parts of checkpoints are stored, for the test defect in which checkpoints
    /// do not wait for sinks.
    fn stored_early(&self) -> EventTime {
        let stored = self.stored.iter().map(Stored::boundary).min();
        stored.filter(|_| self.defects.completes_early).unwrap_or(EventTime::MIN)
    }

    /// The gauges of the worker with this index.
    fn here(&self, worker: usize) -> &Monitored {
        &self.monitored[worker % self.cluster.1]
    }

    /// Builds the worker's graph.
    fn build<'scope>(
        &self,
        scope: Scope<'scope, EventTime>,
        writer: Option<SnapshotWriter>,
        durable: &Probe<EventTime>,
        pending: &Rc<RefCell<Vec<EventTime>>>,
    ) {
        let restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let links = IngestLinks {
            durable: Some(durable.clone()),
            writer: writer.clone(),
            restored: restored.clone(),
        };
        let mut open: Vec<_> = self.plans.iter().map(|plan| plan.begin(&self.time)).collect();
        let mut folds: Vec<&mut dyn FoldPlan<'scope, E>> = Vec::with_capacity(open.len());
        folds.extend(open.iter_mut().map(|plan| &mut **plan as &mut dyn FoldPlan<'scope, E>));
        let IngestStreams { dead_letters, markers } = ingest_with(scope, &self.ingress, &mut folds, links);
        let Monitored { state_size, moments, .. } = self.here(scope.index());
        let (state_size, moments) = (Arc::clone(state_size), Arc::clone(moments));
        let failure = self.failure.clone();
        let context =
            CheckpointContext::new(markers.clone(), writer.clone(), restored, failure, state_size, moments);
        let context = context.with_spill(self.spill.clone());
        let graph =
            Graph::new(scope, context.clone(), self.horizon, self.time.clone(), Arc::clone(&self.tables));
        open.into_iter().for_each(|plan| plan.build(&graph));

        let publications = graph.into_publications();
        let mut ends = Vec::new();
        let mut placements = self.placements.lock().unwrap_or_else(PoisonError::into_inner);
        for placement in placements.iter_mut() {
            let here = placement.shards.extract_if(.., |shard| shard.home == scope.index()).collect();
            ends.push(deliver(&publications, dead_letters.clone(), markers.clone(), &placement.homes, here));
        }
        let done = context.all_done();
        match writer {
            Some(writer) => {
                let stored = self.stored[scope.index() % self.cluster.1].clone();
                ends.push(acknowledge(done, markers, writer, stored, Rc::clone(pending)));
            }
            // Sinks follow what is read by its markers. Without them nothing else may: the end is not before that of reading.
            None if ends.is_empty() => ends.extend([done, markers.map(|_| ())]),
            None => ends.push(done),
        }
        scope.concatenate(ends).probe_with(durable);
    }
}
