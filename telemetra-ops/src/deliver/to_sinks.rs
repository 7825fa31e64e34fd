//! The delivery operator: it batches the changes of all tables by time and passes them to the threads of a
//! sink's shards.
//!
//! A sink may block, a worker may not, so each shard has a thread and a bounded queue. The operator exchanges
//! each change to the worker of its shard. There it collects the changes of each time, of all tables. When
//! the frontier has passed that time, it queues them as one batch, and holds a capability until the shard
//! reports that the batch is durable. So the operator's output frontier is the time up to which everything is
//! durable in all shards.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use telemetra_core::{Batch, DeadLetter, EventTime, key_hash};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::deliver::missed::Missed;
use crate::deliver::placement::ShardHomes;
use crate::deliver::publication::{Publication, TableInput};
use crate::deliver::sink_thread::{Job, SinkQueue};
use crate::deliver::slow::Delivery;
use crate::observe::spans;
use crate::support::frontier::reached;

/// An open shard of a sink.
#[derive(Debug)]
pub(crate) struct OpenShard {
    pub(crate) index: usize,
    /// The index of its worker.
    pub(crate) home: usize,
    pub(crate) queue: SinkQueue,
    /// The last durable time when it was opened.
    pub(crate) durable: Option<EventTime>,
    pub(crate) missed: Missed,
}

/// The worker's state of one shard: changes and jobs that are not durable yet.
struct ShardBuffer {
    shard: OpenShard,
    /// The times with changes that the frontier has not passed.
    open: BTreeMap<EventTime, Capability<EventTime>>,
    /// The jobs that wait for room in the queue. Dead letters hold a capability until they are queued,
    /// batches until they are durable.
    ready: VecDeque<(Job, Option<Capability<EventTime>>)>,
    under_way: BTreeMap<EventTime, Capability<EventTime>>,
    /// The number of jobs with dead letters, and how many of them are followed by a job that makes them
    /// durable.
    letters: u64,
    covered: u64,
    /// Times that the shard had already when it was opened. Each waits for the dead letters that were found
    /// before it.
    settling: VecDeque<(u64, Capability<EventTime>)>,
}

impl ShardBuffer {
    fn new(shard: OpenShard) -> Self {
        Self {
            shard,
            open: BTreeMap::new(),
            ready: VecDeque::new(),
            under_way: BTreeMap::new(),
            letters: 0,
            covered: 0,
            settling: VecDeque::new(),
        }
    }

    /// Records that there are changes at the time of `cap`. A time without changes is delivered too, so that
    /// the shard knows that it has passed.
    fn open(&mut self, cap: &Capability<EventTime>) {
        self.open.entry(*cap.time()).or_insert_with(|| cap.clone());
    }

    /// Adds dead letters that were found at the time of `cap` or before, when no floor was after `found`.
    fn post(&mut self, letters: Vec<DeadLetter>, found: EventTime, cap: Capability<EventTime>) {
        self.ready.push_back((Job::Letters(letters, found), Some(cap)));
        self.letters += 1;
    }

    /// Makes batches of the changes before `limit`, queues as many as there is room for, and drops the
    /// capabilities of durable ones. Returns whether a job waits for room.
    fn advance(&mut self, limit: EventTime, tables: &mut [Box<dyn TableInput>]) -> bool {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < limit) {
            let (time, cap) = entry.remove_entry();
            let mut changes = Vec::new();
            tables.iter_mut().for_each(|table| table.take(self.shard.index, time, &mut changes));
            let is_known = self.shard.durable.is_some_and(|durable| time <= durable);
            if !is_known {
                let mut batch = Batch { time, changes };
                self.shard.missed.add_to(&mut batch);
                let span = spans::deliver(self.shard.home, self.shard.queue.labels(), &batch);
                self.ready.push_back((Job::Batch(Delivery::new(batch, span)), None));
                self.under_way.insert(time, cap);
            } else {
                self.shard.queue.known(time);
                self.shard.missed.keep(Batch { time, changes });
                // This run may find dead letters before it that the last run did not find before it.
                if self.covered < self.letters {
                    self.ready.push_back((Job::FlushLetters, None));
                }
                self.settling.push_back((self.letters, cap));
            }
            self.covered = self.letters;
        }
        while let Some((job, cap)) = self.ready.pop_front() {
            match self.shard.queue.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => {
                    self.ready.push_front((job, cap));
                    break;
                }
                // The sink's thread has ended with an error that it reported.
                Err(TrySendError::Disconnected(_)) => break,
            }
        }
        let durable = self.shard.queue.durable();
        while self.under_way.first_key_value().is_some_and(|(time, _)| *time <= durable) {
            self.under_way.pop_first();
        }
        let settled = self.shard.queue.settled();
        while self.settling.front().is_some_and(|(letters, _)| *letters <= settled) {
            self.settling.pop_front();
        }
        !self.ready.is_empty()
    }
}

/// Delivers the changes of all tables, and dead letters, to the shards of a sink. `shards` are those that run
/// on this worker. `markers` are on every worker: each shard receives a batch at each of their times, even if
/// it is empty, so that it knows that the time has passed.
///
/// The output stream is empty. Its frontier passes a time when the changes of that time are durable, and so
/// are the dead letters that were found before it.
pub(crate) fn deliver<'scope>(
    publications: &[Box<dyn Publication<'scope> + 'scope>],
    letters: StreamVec<'scope, EventTime, (DeadLetter, EventTime)>,
    markers: StreamVec<'scope, EventTime, EventTime>,
    homes: &ShardHomes,
    mut shards: Vec<OpenShard>,
) -> StreamVec<'scope, EventTime, ()> {
    let scope = letters.scope();
    let mut builder = OperatorBuilder::new("Deliver".to_owned(), scope);
    let address = builder.operator_info().address;
    let activator = scope.activator_for(Rc::clone(&address));
    for shard in &mut shards {
        shard.queue.wake_by(scope.worker().sync_activator_for(address.to_vec()));
    }
    let to = homes.clone();
    let by_partition = Exchange::new(move |(letter, _): &(DeadLetter, EventTime)| {
        to.home_of(key_hash(letter.partition.as_str()))
    });
    let mut tables: Vec<_> =
        publications.iter().map(|publication| publication.attach(&mut builder, homes)).collect();
    let mut letters = builder.new_input(letters, by_partition);
    let mut markers = builder.new_input(markers, Pipeline);
    let (_output, stream) = builder.new_output::<Vec<()>>();
    let homes = homes.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        // By shard; arrivals are for the shards of this worker.
        let mut place = vec![0; homes.len()];
        shards.iter().enumerate().for_each(|(here, shard)| place[shard.index] = here);
        let mut buffers: Vec<_> = shards.into_iter().map(ShardBuffer::new).collect();
        let place: Arc<[usize]> = place.into();
        move |frontiers| {
            for table in &mut tables {
                table.receive(&mut |shard, cap| buffers[place[shard]].open(cap));
            }
            letters.for_each_stamp(|cap, messages| {
                let Some(cap) = cap.retain_least(0) else { return };
                let mut found = vec![(Vec::new(), EventTime::MIN); buffers.len()];
                for (letter, floor) in messages.flat_map(|message| message.drain(..)) {
                    let (letters, last) =
                        &mut found[place[homes.shard_of(key_hash(letter.partition.as_str()))]];
                    letters.push(letter);
                    *last = floor.max(*last);
                }
                let some = buffers.iter_mut().zip(found).filter(|(_, (letters, _))| !letters.is_empty());
                for (buffer, (letters, floor)) in some {
                    buffer.post(letters, floor, cap.clone());
                }
            });
            markers.for_each_stamp(|cap, messages| {
                messages.for_each(Vec::clear);
                let Some(cap) = cap.retain_least(0) else { return };
                buffers.iter_mut().for_each(|buffer| buffer.open(&cap));
            });
            // A time is durable together with the dead letters that were found before it, so it waits for
            // them too.
            let limit = frontiers.iter().map(reached).min().unwrap_or(EventTime::MAX);
            let waits =
                buffers.iter_mut().fold(false, |waits, buffer| buffer.advance(limit, &mut tables) | waits);
            if waits {
                activator.activate_after(Duration::from_millis(1));
            }
        }
    });
    stream
}
