//! The graph of one worker, and its life.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use differential_dataflow::{AsCollection, VecCollection};
use telemetra_core::{EventAccumulator, EventTime, Fact, Moment, MomentRule, Row, StreamRow, WindowRules};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;
use timely::dataflow::operators::probe::Handle as Probe;
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concatenate, Probe as _};
use timely::dataflow::{Scope, StreamVec};
use timely::worker::Worker;

use super::meter::Monitored;
use super::{Extension, Frontier};
use crate::busy;
use crate::checkpoint::{Durability, Message, Recorder, Restored, reached_of};
use crate::council::{Council, Pledge};
use crate::deliver::deliver;
use crate::failure::Failure;
use crate::ingest::{IngestLinks, Ingested, ingest_with};
use crate::ingress::Ingress;
use crate::metadata::StreamRows;
use crate::moments::Moments;
use crate::outlet::Outlet;
use crate::publish::Publish;
use crate::record::record;
use crate::windows::{Summaries, Windows};
use crate::writer::Stored;

/// The streams and collections of one worker's graph, for operators of one's own.
#[derive(Clone)]
pub struct Graph<'scope, A: EventAccumulator> {
    /// The scope they are in.
    pub scope: Scope<'scope, EventTime>,
    /// How its windows are cut.
    pub windows: WindowRules,
    /// The live summaries.
    pub summaries: Summaries<'scope, A::Output>,
    /// The moments.
    pub moments: VecCollection<'scope, EventTime, Moment, isize>,
    /// The streams' rows.
    pub streams: VecCollection<'scope, EventTime, StreamRow, isize>,
    /// The events kept as rows, as they were counted.
    pub facts: StreamVec<'scope, EventTime, Fact>,
}

impl<A: EventAccumulator> std::fmt::Debug for Graph<'_, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").finish_non_exhaustive()
    }
}

/// What each worker builds its graph from.
pub(crate) struct Blueprint<A: EventAccumulator> {
    pub(crate) ingress: Ingress,
    pub(crate) windows: WindowRules,
    pub(crate) rules: Arc<[MomentRule<A::Output>]>,
    pub(crate) outlets: Mutex<Vec<Outlet<A::Output>>>,
    pub(crate) extensions: Vec<Extension<A>>,
    pub(crate) restored: Option<Arc<Restored>>,
    pub(crate) recorder: Mutex<Option<Sender<Message>>>,
    pub(crate) stored: Vec<Stored>,
    pub(crate) failure: Failure,
    pub(crate) frontier: Arc<Frontier>,
    /// This process, and the workers in each.
    pub(crate) cluster: (usize, usize),
    pub(crate) processes: usize,
    /// How this process begins.
    pub(crate) pledge: Pledge,
    /// What each worker of this process tells of itself.
    pub(crate) monitored: Arc<[Monitored]>,
    /// Whether the time in each operator is measured.
    pub(crate) operator_times: bool,
}

/// The longest a worker sleeps before it looks whether it should stop.
const PARK: Duration = Duration::from_millis(20);

impl<A: EventAccumulator> Blueprint<A> {
    /// Builds the graph on a worker and runs it until its end, an error, or the order to stop.
    pub(crate) fn work(&self, worker: &mut Worker) {
        let (process, workers) = self.cluster;
        let first = worker.index() == process * workers;
        if self.processes == 1 {
            self.ingress.0.begin_after(self.pledge.durable);
            self.live(worker, first, None);
            return;
        }
        let mut council = Council::open(worker, process, self.processes, first);
        if let Some(durable) = council.agree(worker, &self.pledge, &self.failure) {
            self.ingress.0.begin_after(durable);
            self.live(worker, first, Some(&mut council));
        }
        council.close(worker, &self.failure);
    }

    fn live(&self, worker: &mut Worker, first: bool, mut council: Option<&mut Council>) {
        let durable = Probe::new();
        let pending = Rc::new(RefCell::new(Vec::new()));
        let index = worker.next_dataflow_index();
        let sender = self.recorder.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let recorder = sender.clone().map(|parts| Recorder { worker: worker.index(), parts });
        if self.operator_times {
            busy::watch(worker, Arc::clone(&self.here(worker.index()).busy));
        }
        worker.dataflow::<EventTime, _, _>(|scope| self.build(scope, recorder, &durable, &pending));
        loop {
            if let Some(council) = &mut council {
                council.listen(&self.failure);
                self.ingress.0.exchange(council);
            }
            if self.failure.is_down() {
                worker.drop_dataflow(index);
                break;
            }
            worker.step_or_park(Some(PARK));
            if first {
                let reached = durable.with_frontier(reached_of);
                self.frontier.set(reached);
                let mut pending = pending.borrow_mut();
                pending.sort_unstable();
                while pending.first().is_some_and(|boundary| *boundary <= reached) {
                    let boundary = pending.remove(0);
                    if let Some(sender) = &sender {
                        // The thread has ended if it has failed, and said so.
                        let _ = sender.send(Message::Complete { boundary });
                    }
                }
            }
            if durable.done() {
                break;
            }
        }
        if self.operator_times {
            busy::unwatch(worker);
        }
    }

    /// What the worker of that index tells of itself.
    fn here(&self, worker: usize) -> &Monitored {
        &self.monitored[worker % self.cluster.1]
    }

    fn build<'scope>(
        &self,
        scope: Scope<'scope, EventTime>,
        recorder: Option<Recorder>,
        durable: &Probe<EventTime>,
        pending: &Rc<RefCell<Vec<EventTime>>>,
    ) {
        let links = IngestLinks {
            durable: Some(durable.clone()),
            recorder: recorder.clone(),
            restored: self.restored.clone(),
        };
        let Ingested { partials, facts, dead_letters, markers } =
            ingest_with::<A>(scope, &self.ingress, links);
        let durability = Durability {
            markers: markers.clone(),
            recorder: recorder.clone(),
            restored: self.restored.clone(),
            failure: self.failure.clone(),
            census: Arc::clone(&self.here(scope.index()).census),
        };
        let summaries = partials.windows_with(self.windows, &durability);
        let moments = summaries.clone().moments_with(self.windows, Arc::clone(&self.rules), &durability);
        let streams = facts.clone().stream_rows_with(&durability);
        let graph = Graph::<A> { scope, windows: self.windows, summaries, moments, streams, facts };
        self.extensions.iter().for_each(|extension| extension(&graph));

        let changes = rows_of(graph).publish_with(self.windows, &durability);
        let mut ends = Vec::new();
        let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        for outlet in outlets.iter_mut() {
            let here = outlet.shards.extract_if(.., |shard| shard.home == scope.index()).collect();
            let (changes, letters) = (changes.clone(), dead_letters.clone());
            ends.push(deliver(changes, letters, markers.clone(), &outlet.homes, here));
        }
        match recorder {
            Some(recorder) => {
                let stored = self.stored[scope.index() % self.cluster.1].clone();
                ends.push(record(changes, markers, recorder, stored, Rc::clone(pending)));
            }
            None => ends.push(changes.flat_map(|_| None)),
        }
        scope.concatenate(ends).probe_with(durable);
    }
}

/// The rows of all collections, each stated as a change of its table.
fn rows_of<A: EventAccumulator>(graph: Graph<'_, A>) -> VecCollection<'_, EventTime, Row<A::Output>, isize> {
    let facts = graph.facts.unary(Pipeline, "FactRows", |_, _| {
        |input, output| {
            input.for_each_stamp(|cap, messages| {
                let Some(&time) = cap.least() else { return };
                let rows = messages.flat_map(|message| message.drain(..)).filter_map(|fact| match fact {
                    Fact::Viewer(row) => Some((Row::Viewer(row), time, 1)),
                    Fact::Transaction(row) => Some((Row::Transaction(row), time, 1)),
                    Fact::Meta(_) => None,
                });
                output.session(&cap).give_iterator(rows);
            });
        }
    });
    let summaries = graph.summaries.map(|(key, summary)| Row::Summary(key, summary));
    let moments = graph.moments.map(Row::Moment);
    let streams = graph.streams.map(Row::Stream);
    summaries.concatenate([moments, streams, facts.as_collection()])
}
