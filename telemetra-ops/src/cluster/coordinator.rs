//! Coordination between the processes of a cluster, outside the dataflow: a start-up handshake, source progress, and shutdown.
//!
//! At the start each process sends what it goes on from, and no graph is built before all are seen to be the same: with different
//! checkpoints their states would not belong together. While it runs, each sends the progress of its sources, as an idle partition
//! follows those of all processes. A process that stops sends why, as the others would wait for it for ever.

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

/// How a process begins; all must begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StartState {
    /// The boundary of the checkpoint that it goes on from.
    pub(crate) resume: Option<EventTime>,
    /// The settings that state depends on, in messages.
    pub(crate) settings: String,
    /// The number of shards of each sink.
    pub(crate) shards: Vec<usize>,
    /// The partitions that the sources list.
    pub(crate) partitions: Vec<String>,
    /// The greatest time that one of its sinks has, the epoch if none has any. This need not be alike.
    pub(crate) durable: EventTime,
}

/// What a process sends to all others.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum ControlMessage {
    Start(StartState),
    /// The progress of its sources now.
    Progress(SourceProgress),
    /// It stops: by order, or because of an error, in messages.
    Stop(Option<String>),
}

/// One worker's end: what was received there, and what its process sends.
pub(crate) struct Coordinator {
    place: (usize, usize),
    sends: bool,
    dataflow: usize,
    input: InputHandleVec<EventTime, (usize, ControlMessage)>,
    received: Rc<RefCell<Vec<(usize, ControlMessage)>>>,
    /// What each process sent last of how its partitions stand.
    progress_of: Vec<SourceProgress>,
    /// What this one sent last, and when it last checked whether that is so.
    sent: Option<SourceProgress>,
    checked: Option<Instant>,
}

/// The least time between two messages of a process about its partitions.
const ANNOUNCE_INTERVAL: Duration = Duration::from_millis(5);
/// The longest a worker sleeps before it looks whether it should stop.
const PARK: Duration = Duration::from_millis(20);

impl Coordinator {
    /// Takes a seat for a worker of process `process` of `processes`; `sends` is true for one worker of each.
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

    fn send(&mut self, message: ControlMessage) {
        if self.sends {
            self.input.send((self.place.0, message));
            self.input.flush();
        }
    }

    /// Waits until all processes have sent how they begin. If they begin differently, the pipeline fails, on all of them alike.
    /// Gives the greatest time that a sink of any of them has; `None` if it may not begin.
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

    /// Hears what was sent, and stops if another process has sent that it does.
    pub(crate) fn receive(&mut self, failure: &Failure) {
        self.receive_into(&mut BTreeMap::new(), failure);
    }

    fn receive_into(&mut self, starts: &mut BTreeMap<usize, StartState>, failure: &Failure) {
        for (process, message) in self.received.take() {
            match message {
                ControlMessage::Start(start_state) => drop(starts.insert(process, start_state)),
                // A process may begin before another knows that it may.
                ControlMessage::Progress(progress) => {
                    if let Some(known) = self.progress_of.get_mut(process) {
                        *known = progress;
                    }
                }
                ControlMessage::Stop(why) => self.lost(process, why, failure),
            }
        }
    }

    /// Says how the partitions of this process stand, if that is news, and how those of all others do by what they sent last.
    /// `None` on a worker that does not speak, or if it was asked just now.
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

    fn lost(&self, process: usize, why: Option<String>, failure: &Failure) {
        if process != self.place.0 {
            failure.set(PipelineError::Peer { process, why });
        }
    }

    /// Leaves; if the pipeline stops before its end, with a message about it.
    pub(crate) fn close(mut self, worker: &mut Worker, failure: &Failure) {
        // They all have seen for themselves that they disagree, and who was exported by another need not tell.
        if failure.is_down() && !failure.is_shared() {
            self.send(ControlMessage::Stop(failure.enrich()));
            // The message goes through two operators; what was handed over is sent before the connections close.
            for _ in 0..3 {
                worker.step();
            }
        }
        worker.drop_dataflow(self.dataflow);
    }
}

/// How processes begin differently, in messages.
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
            let (first, other) = crate::checkpoint::state::difference(&first.settings, &other.settings);
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
