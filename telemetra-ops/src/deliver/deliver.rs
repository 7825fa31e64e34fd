//! Delivery: from changes in the dataflow to the threads of the sinks.
//!
//! A sink may block, a worker may not. So each shard of a sink has a thread and a bounded queue; this operator takes each change to
//! the worker that is home to its shard, gathers there the changes of each time, of all tables, hands them over when the frontier has
//! passed it, and holds a capability until the shard says that they are durable. The frontier behind it is how far
//! everything is durable in all shards.

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

use crate::deliver::placement::ShardHomes;
use crate::deliver::publication::{Publication, TableInput};
use crate::deliver::sink_thread::{Job, SinkQueue};
use crate::support::frontier::reached;

/// A shard that is open.
#[derive(Debug)]
pub(crate) struct OpenShard {
    pub(crate) index: usize,
    /// Its worker.
    pub(crate) home: usize,
    pub(crate) queue: SinkQueue,
    /// The last time that was durable when it was opened.
    pub(crate) durable: Option<EventTime>,
}

/// A worker's end of one shard.
struct ShardBuffer {
    shard: OpenShard,
    /// The times with changes that the frontier has not passed.
    open: BTreeMap<EventTime, Capability<EventTime>>,
    /// What waits for room in the queue. Letters hold a capability until they are in it; batches until they are durable.
    ready: VecDeque<(Job, Option<Capability<EventTime>>)>,
    under_way: BTreeMap<EventTime, Capability<EventTime>>,
    /// Jobs of letters: how many came, and how many of those have something behind them that makes them durable.
    letters: u64,
    covered: u64,
    /// Times whose changes the shard had when it was opened: each waits for the letters found before it.
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

    /// Notes that there are changes at the time of `cap`. A time without any is handed over as well, so that the shard knows that it has
    /// passed.
    fn open(&mut self, cap: &Capability<EventTime>) {
        self.open.entry(*cap.time()).or_insert_with(|| cap.clone());
    }

    /// Letters that were found at the time of `cap` or before.
    fn post(&mut self, letters: Vec<DeadLetter>, cap: Capability<EventTime>) {
        self.ready.push_back((Job::Letters(letters), Some(cap)));
        self.letters += 1;
    }

    /// Makes batches of what lies before `limit`, hands over what the queue has room for, and lets go of what is durable.
    /// Says whether something waits for room.
    fn advance(&mut self, limit: EventTime, tables: &mut [Box<dyn TableInput>]) -> bool {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < limit) {
            let (time, cap) = entry.remove_entry();
            let mut changes = Vec::new();
            tables.iter_mut().for_each(|table| table.take(self.shard.index, time, &mut changes));
            let is_known = self.shard.durable.is_some_and(|durable| time <= durable);
            if !is_known {
                self.ready.push_back((Job::Batch(Batch { time, changes }), None));
                self.under_way.insert(time, cap);
            } else {
                // In this run letters may have been found before it that were not found before it in the last.
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
                // The sink has failed and said so.
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

/// Delivers the changes of all tables, and dead letters, to the shards of a sink. `shards` are those whose home this worker is.
/// `markers` are on every worker; each shard gets a batch of their times even if it is empty, so that it knows that they have
/// passed. The stream that comes out is empty; its frontier passes a time when the changes of that time are
/// durable, and so are the letters that were found before it.
pub(crate) fn deliver<'scope>(
    publications: &[Box<dyn Publication<'scope> + 'scope>],
    letters: StreamVec<'scope, EventTime, DeadLetter>,
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
    let by_partition =
        Exchange::new(move |letter: &DeadLetter| to.home_of(key_hash(letter.partition.as_str())));
    let mut tables: Vec<_> =
        publications.iter().map(|publication| publication.attach(&mut builder, homes)).collect();
    let mut letters = builder.new_input(letters, by_partition);
    let mut markers = builder.new_input(markers, Pipeline);
    let (_output, stream) = builder.new_output::<Vec<()>>();
    let homes = homes.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        // By shard; what comes is for the shards whose home this is.
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
                let mut found = vec![Vec::new(); buffers.len()];
                for letter in messages.flat_map(|message| message.drain(..)) {
                    found[place[homes.shard_of(key_hash(letter.partition.as_str()))]].push(letter);
                }
                for (buffer, letters) in buffers.iter_mut().zip(found).filter(|(_, found)| !found.is_empty())
                {
                    buffer.post(letters, cap.clone());
                }
            });
            markers.for_each_stamp(|cap, messages| {
                messages.for_each(Vec::clear);
                let Some(cap) = cap.retain_least(0) else { return };
                buffers.iter_mut().for_each(|buffer| buffer.open(&cap));
            });
            // A time is durable with the letters that were found before it, so it waits for them too.
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
