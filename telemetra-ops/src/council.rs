//! What the processes of a cluster tell each other beside the data: how each begins, how its partitions stand, and that it
//! stops.
//!
//! At the start each says what it goes on from, and no graph is built before all are seen to say the same: with different
//! checkpoints their states would not belong together. While it runs, each says how far its partitions are that may get more,
//! as one that is idle goes by those of all. A process that stops says why, as the others would wait for it for ever.

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

use crate::failure::{Failure, PipelineError};
use crate::standing::Standing;

/// How a process begins; all must begin alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pledge {
    /// The boundary of the checkpoint that it goes on from.
    pub(crate) resume: Option<EventTime>,
    /// The settings that state depends on, in words.
    pub(crate) settings: String,
    /// The number of shards of each sink.
    pub(crate) shards: Vec<usize>,
    /// The partitions that the sources list.
    pub(crate) partitions: Vec<String>,
    /// The greatest time that one of its sinks has, the epoch if none has any. This need not be alike.
    pub(crate) durable: EventTime,
}

/// What a process says.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Word {
    Begins(Pledge),
    /// So its partitions stand now.
    Stands(Standing),
    /// It stops: by order, or because of an error, in words.
    Stops(Option<String>),
}

/// One worker's seat: what was heard there, and what its process has to say.
pub(crate) struct Council {
    place: (usize, usize),
    speaker: bool,
    dataflow: usize,
    input: InputHandleVec<EventTime, (usize, Word)>,
    heard: Rc<RefCell<Vec<(usize, Word)>>>,
    /// What each process said last of how its partitions stand.
    standings: Vec<Standing>,
    /// What this one said last, and when it last looked whether that is so.
    said: Option<Standing>,
    looked: Option<Instant>,
}

/// The least time between two words of a process about its partitions.
const BREATH: Duration = Duration::from_millis(5);
/// The longest a worker sleeps before it looks whether it should stop.
const PARK: Duration = Duration::from_millis(20);

impl Council {
    /// Takes a seat for a worker of process `process` of `processes`; `speaker` is true for one worker of each.
    pub(crate) fn open(worker: &mut Worker, process: usize, processes: usize, speaker: bool) -> Self {
        let heard = Rc::new(RefCell::new(Vec::new()));
        let ears = Rc::clone(&heard);
        let dataflow = worker.next_dataflow_index();
        let input = worker.dataflow::<EventTime, _, _>(|scope| {
            let (input, words) = scope.new_input::<(usize, Word)>();
            words.broadcast().inspect(move |word| ears.borrow_mut().push(word.clone()));
            input
        });
        let standings = vec![Standing::UNKNOWN; processes];
        Self {
            place: (process, processes),
            speaker,
            dataflow,
            input,
            heard,
            standings,
            said: None,
            looked: None,
        }
    }

    fn say(&mut self, word: Word) {
        if self.speaker {
            self.input.send((self.place.0, word));
            self.input.flush();
        }
    }

    /// Waits until all processes have said how they begin. If they begin differently, the pipeline fails, on all of them alike.
    /// Gives the greatest time that a sink of any of them has; `None` if it may not begin.
    pub(crate) fn agree(
        &mut self,
        worker: &mut Worker,
        pledge: &Pledge,
        failure: &Failure,
    ) -> Option<EventTime> {
        self.say(Word::Begins(pledge.clone()));
        let mut pledges = BTreeMap::new();
        while pledges.len() < self.place.1 && !failure.is_down() {
            worker.step_or_park(Some(PARK));
            self.listen_to(&mut pledges, failure);
        }
        let pledges: Vec<_> = pledges.into_values().collect();
        if let Some(difference) = difference(&pledges) {
            failure.set(PipelineError::Disagreement(difference));
        }
        let durable = pledges.iter().map(|pledge| pledge.durable).max().unwrap_or_default();
        (!failure.is_down()).then_some(durable)
    }

    /// Hears what was said, and stops if another process has said that it does.
    pub(crate) fn listen(&mut self, failure: &Failure) {
        self.listen_to(&mut BTreeMap::new(), failure);
    }

    fn listen_to(&mut self, pledges: &mut BTreeMap<usize, Pledge>, failure: &Failure) {
        for (process, word) in self.heard.take() {
            match word {
                Word::Begins(pledge) => drop(pledges.insert(process, pledge)),
                // A process may begin before another knows that it may.
                Word::Stands(standing) => {
                    if let Some(known) = self.standings.get_mut(process) {
                        *known = standing;
                    }
                }
                Word::Stops(why) => self.lost(process, why, failure),
            }
        }
    }

    /// Says how the partitions of this process stand, if that is news, and how those of all others do by what they said last.
    /// `None` on a worker that does not speak, or if it was asked just now.
    pub(crate) fn exchange(&mut self, own: impl FnOnce() -> Standing) -> Option<Standing> {
        if !self.speaker || self.looked.is_some_and(|looked| looked.elapsed() < BREATH) {
            return None;
        }
        self.looked = Some(Instant::now());
        let (own, process) = (own(), self.place.0);
        if self.said != Some(own) {
            self.said = Some(own);
            self.say(Word::Stands(own));
        }
        let others = self.standings.iter().enumerate().filter(|(other, _)| *other != process);
        Some(others.fold(Standing::NONE, |all, (_, standing)| all.and(*standing)))
    }

    fn lost(&self, process: usize, why: Option<String>, failure: &Failure) {
        if process != self.place.0 {
            failure.set(PipelineError::Peer { process, why });
        }
    }

    /// Leaves; if the pipeline stops before its end, with a word about it.
    pub(crate) fn close(mut self, worker: &mut Worker, failure: &Failure) {
        // They all have seen for themselves that they disagree, and who was told by another need not tell.
        if failure.is_down() && !failure.is_shared() {
            self.say(Word::Stops(failure.describe()));
            // The word goes through two operators; what was handed over is sent before the connections close.
            for _ in 0..3 {
                worker.step();
            }
        }
        worker.drop_dataflow(self.dataflow);
    }
}

/// How processes begin differently, in words.
fn difference(pledges: &[Pledge]) -> Option<String> {
    let (first, others) = pledges.split_first()?;
    for (process, other) in (1..).zip(others) {
        if other.resume != first.resume {
            let words = |resume: Option<EventTime>| {
                resume.map_or_else(
                    || "from the beginning".to_owned(),
                    |at| format!("from the checkpoint of {at}"),
                )
            };
            return Some(format!(
                "process 0 begins {} and process {process} {}; give all the same store, and start all again",
                words(first.resume),
                words(other.resume),
            ));
        }
        if other.settings != first.settings {
            let (first, other) = crate::checkpoint::difference(&first.settings, &other.settings);
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
            let lacks = |a: &Pledge, b: &Pledge| {
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
