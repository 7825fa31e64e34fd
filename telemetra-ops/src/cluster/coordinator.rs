//! Coordination of the processes of a cluster, outside the dataflow: a start-up handshake, source progress,
//! and shutdown.
//!
//! At start-up each process sends the state that it starts from, and no graph is built before all are known
//! to agree: with different checkpoints, their states would not belong together. While it runs, each process
//! sends the progress of its sources, as an idle partition follows the partitions of all processes. A process
//! that stops sends the reason, as the others would wait for it for ever.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use telemetra_core::EventTime;
use timely::dataflow::InputHandleVec;
use timely::dataflow::operators::Inspect;
use timely::dataflow::operators::vec::{Broadcast, Input};
use timely::worker::Worker;

use crate::cluster::progress::SourceProgress;
use crate::support::failure::{Failure, PipelineError};

/// The state that a process starts from; all processes must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartState {
    /// The boundary of the checkpoint that it restores.
    pub(crate) resume: Option<EventTime>,
    /// The settings that state depends on, as text.
    pub(crate) settings: String,
    /// The number of shards of each sink.
    pub(crate) shards: Vec<usize>,
    /// The partitions that the sources list.
    pub(crate) partitions: Vec<String>,
    /// The greatest durable time of its sinks, the epoch if there is none. Processes may differ in it.
    pub(crate) durable: EventTime,
}

/// A message from one process to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum ControlMessage {
    Start(StartState),
    /// The current progress of its sources.
    Progress(SourceProgress),
    /// It stops: by order, or because of an error, whose text is given.
    Stop(Option<String>),
}

/// The coordination of one worker: the messages that it received, and those that its process sends.
pub(crate) struct Coordinator {
    place: (usize, usize),
    sends: bool,
    dataflow: usize,
    input: InputHandleVec<EventTime, (usize, ControlMessage)>,
    received: Rc<RefCell<Vec<(usize, ControlMessage)>>>,
    /// The last source progress that each process sent.
    progress_of: Vec<SourceProgress>,
    /// The last progress that this process sent, and when it last checked for a change.
    sent: Option<SourceProgress>,
    checked: Option<Instant>,
}

/// The least time between two progress messages of a process.
const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(5);
/// The longest time that a worker sleeps before it checks for an order to stop.
const PARK: Duration = Duration::from_millis(20);

impl Coordinator {
    /// Creates the coordinator of a worker of process `process` of `processes`. `sends` is true for one
    /// worker of each process.
    pub(crate) fn open(worker: &mut Worker, process: usize, processes: usize, sends: bool) -> Self {
        let received = Rc::new(RefCell::new(Vec::new()));
        let sink = Rc::clone(&received);
        let dataflow = worker.next_dataflow_index();
        let input = worker.dataflow::<EventTime, _, _>(|scope| {
            let (input, messages) = scope.new_input::<(usize, ControlMessage)>();
            messages.broadcast().inspect(move |message| sink.borrow_mut().push(message.clone()));
            input
        });
        let progress_of = vec![SourceProgress::UNKNOWN; processes];
        Self {
            place: (process, processes),
            sends,
            dataflow,
            input,
            received,
            progress_of,
            sent: None,
            checked: None,
        }
    }

    /// Sends a message to all workers of all processes.
    fn send(&mut self, message: ControlMessage) {
        if self.sends {
            self.input.send((self.place.0, message));
            self.input.flush();
        }
    }

    /// Waits until all processes have sent their start state. If they differ, the pipeline fails on all of
    /// them. Returns the greatest durable time of all sinks; `None` if the pipeline must not start.
    pub(crate) fn agree_on_start(
        &mut self,
        worker: &mut Worker,
        start_state: &StartState,
        failure: &Failure,
    ) -> Option<EventTime> {
        self.send(ControlMessage::Start(start_state.clone()));
        let mut starts = BTreeMap::new();
        while starts.len() < self.place.1 && !failure.is_down() {
            worker.step_or_park(Some(PARK));
            self.receive_into(&mut starts, failure);
        }
        let starts: Vec<_> = starts.into_values().collect();
        if let Some(difference) = difference(&starts) {
            failure.set(PipelineError::Disagreement(difference));
        }
        let durable = starts.iter().map(|start_state| start_state.durable).max().unwrap_or_default();
        (!failure.is_down()).then_some(durable)
    }

    /// Receives messages, and stops if another process has stopped.
    pub(crate) fn receive(&mut self, failure: &Failure) {
        self.receive_into(&mut BTreeMap::new(), failure);
    }

    fn receive_into(&mut self, starts: &mut BTreeMap<usize, StartState>, failure: &Failure) {
        for (process, message) in self.received.take() {
            match message {
                ControlMessage::Start(start_state) => drop(starts.insert(process, start_state)),
                // A process may start before another one knows that it may.
                ControlMessage::Progress(progress) => {
                    if let Some(known) = self.progress_of.get_mut(process) {
                        *known = progress;
                    }
                }
                ControlMessage::Stop(why) => self.lost(process, why, failure),
            }
        }
    }

    /// Sends the source progress of this process, if it has changed, and returns the combined progress of all
    /// other processes. `None` on a worker that does not send, or if the last call was just before.
    pub(crate) fn exchange(&mut self, own: impl FnOnce() -> SourceProgress) -> Option<SourceProgress> {
        if !self.sends || self.checked.is_some_and(|checked| checked.elapsed() < ANNOUNCE_INTERVAL) {
            return None;
        }
        self.checked = Some(Instant::now());
        let (own, process) = (own(), self.place.0);
        if self.sent != Some(own) {
            self.sent = Some(own);
            self.send(ControlMessage::Progress(own));
        }
        let others = self.progress_of.iter().enumerate().filter(|(other, _)| *other != process);
        Some(others.fold(SourceProgress::NONE, |all, (_, progress)| all.and(*progress)))
    }

    /// Fails the pipeline because another process stopped or was lost.
    fn lost(&self, process: usize, why: Option<String>, failure: &Failure) {
        if process != self.place.0 {
            failure.set(PipelineError::Peer { process, why });
        }
    }

    /// Leaves the cluster; if the pipeline stops before its end, it sends the reason.
    pub(crate) fn close(mut self, worker: &mut Worker, failure: &Failure) {
        // All processes have noticed a disagreement by themselves, and a process that was stopped by another
        // one need not announce it.
        if failure.is_down() && !failure.is_shared() {
            self.send(ControlMessage::Stop(failure.describe()));
            // The message passes two operators; messages that were handed over are sent before the
            // connections close.
            for _ in 0..3 {
                worker.step();
            }
        }
        worker.drop_dataflow(self.dataflow);
    }
}

/// Describes how the processes' start states differ, if they do.
fn difference(starts: &[StartState]) -> Option<String> {
    let (first, others) = starts.split_first()?;
    for (process, other) in (1..).zip(others) {
        if other.resume != first.resume {
            let messages = |resume: Option<EventTime>| {
                resume.map_or_else(
                    || "from the beginning".to_owned(),
                    |at| format!("from the checkpoint of {at}"),
                )
            };
            return Some(format!(
                "process 0 begins {} and process {process} {}; give all the same store, and start all again",
                messages(first.resume),
                messages(other.resume),
            ));
        }
        if other.settings != first.settings {
            let (first, other) = crate::checkpoint::restored::difference(&first.settings, &other.settings);
            return Some(format!(
                "process 0 has the settings `{first}` and process {process} `{other}`; give all the same"
            ));
        }
        if other.shards != first.shards {
            return Some(format!(
                "process 0 has sinks of {:?} shards and process {process} of {:?}; give all the same",
                first.shards, other.shards
            ));
        }
        if other.partitions != first.partitions {
            let lacks = |a: &StartState, b: &StartState| {
                let lacking = b.partitions.iter().find(|name| !a.partitions.contains(name));
                lacking.map_or_else(|| "none".to_owned(), |name| format!("`{name}`"))
            };
            return Some(format!(
                "process 0 lists {} partitions and lacks {}, process {process} lists {} and lacks {}, or in another order; start all again, with the same sources",
                first.partitions.len(),
                lacks(first, other),
                other.partitions.len(),
                lacks(other, first),
            ));
        }
    }
    None
}
