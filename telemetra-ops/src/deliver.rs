//! Delivery: from changes in the dataflow to the threads of the sinks.
//!
//! A sink may block, a worker may not. So each shard of a sink has a thread and a bounded queue; this operator takes each change to
//! the worker that is home to its shard, gathers there the changes of each time, hands them over when the frontier has
//! passed it, and holds a capability until the shard says that they are durable. The frontier behind it is how far
//! everything is durable in all shards.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::TrySendError;
use std::time::Duration;

use telemetra_core::{Batch, Change, Data, DeadLetter, EventTime, Shard};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;

use crate::checkpoint::reached;
use crate::courier::{Courier, Job};
use crate::publish::stream_of;

/// The workers that are home to the shards of a sink, by shard; all processes have the same.
#[derive(Clone, Debug)]
pub(crate) struct Homes(pub(crate) Arc<[usize]>);

impl Homes {
    /// The shard of a stream's rows, or of a partition's dead letters.
    fn shard_of(&self, name: &str) -> usize {
        Shard::index_of(name, self.0.len())
    }

    /// The worker that is home to that shard, as timely's exchange wants it.
    fn home_of(&self, name: &str) -> u64 {
        self.0[self.shard_of(name)] as u64
    }
}

/// A shard that is open.
#[derive(Debug)]
pub(crate) struct OpenShard<S> {
    pub(crate) index: usize,
    /// Its worker.
    pub(crate) home: usize,
    pub(crate) courier: Courier<S>,
    /// The last time that was durable when it was opened.
    pub(crate) durable: Option<EventTime>,
}

/// A worker's end of one shard.
struct Mailbox<S> {
    shard: OpenShard<S>,
    /// The changes of times that the frontier has not passed.
    open: BTreeMap<EventTime, (Capability<EventTime>, Vec<Change<S>>)>,
    /// What waits for room in the queue. Letters hold a capability until they are in it; batches until they are durable.
    ready: VecDeque<(Job<S>, Option<Capability<EventTime>>)>,
    under_way: BTreeMap<EventTime, Capability<EventTime>>,
    /// Jobs of letters: how many came, and how many of those have something behind them that makes them durable.
    letters: u64,
    covered: u64,
    /// Times whose changes the shard had when it was opened: each waits for the letters found before it.
    settling: VecDeque<(u64, Capability<EventTime>)>,
}

impl<S: Data> Mailbox<S> {
    fn new(shard: OpenShard<S>) -> Self {
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

    /// The changes of the time of `cap`. Even if none come, the shard is told that the time has passed.
    fn open(&mut self, cap: &Capability<EventTime>) -> &mut Vec<Change<S>> {
        &mut self.open.entry(*cap.time()).or_insert_with(|| (cap.clone(), Vec::new())).1
    }

    /// Letters that were found at the time of `cap` or before.
    fn post(&mut self, letters: Vec<DeadLetter>, cap: Capability<EventTime>) {
        self.ready.push_back((Job::Letters(letters), Some(cap)));
        self.letters += 1;
    }

    /// Makes batches of what lies before `limit`, hands over what the queue has room for, and lets go of what is durable.
    /// Says whether something waits for room.
    fn advance(&mut self, limit: EventTime) -> bool {
        while let Some(entry) = self.open.first_entry().filter(|entry| *entry.key() < limit) {
            let (time, (cap, mut changes)) = entry.remove_entry();
            let is_known = self.shard.durable.is_some_and(|durable| time <= durable);
            if !is_known {
                changes.sort_unstable();
                self.ready.push_back((Job::Batch(Batch { time, changes }), None));
                self.under_way.insert(time, cap);
            } else {
                // In this life letters may have been found before it that were not found before it in the last.
                if self.covered < self.letters {
                    self.ready.push_back((Job::Settle, None));
                }
                self.settling.push_back((self.letters, cap));
            }
            self.covered = self.letters;
        }
        while let Some((job, cap)) = self.ready.pop_front() {
            match self.shard.courier.try_send(job) {
                Ok(()) => {}
                Err(TrySendError::Full(job)) => {
                    self.ready.push_front((job, cap));
                    break;
                }
                // The sink has failed and said so.
                Err(TrySendError::Disconnected(_)) => break,
            }
        }
        let durable = self.shard.courier.durable();
        while self.under_way.first_key_value().is_some_and(|(time, _)| *time <= durable) {
            self.under_way.pop_first();
        }
        let settled = self.shard.courier.settled();
        while self.settling.front().is_some_and(|(letters, _)| *letters <= settled) {
            self.settling.pop_front();
        }
        !self.ready.is_empty()
    }
}

/// Delivers changes and dead letters to the shards of a sink. `shards` are those whose home this worker is.
/// `markers` are on every worker; each shard gets a batch of their times even if it is empty, so that it knows that they have
/// passed. The stream that comes out is empty; its frontier passes a time when the changes of that time are
/// durable, and so are the letters that were found before it.
pub(crate) fn deliver<'scope, S: Data>(
    changes: StreamVec<'scope, EventTime, Change<S>>,
    letters: StreamVec<'scope, EventTime, DeadLetter>,
    markers: StreamVec<'scope, EventTime, EventTime>,
    homes: &Homes,
    mut shards: Vec<OpenShard<S>>,
) -> StreamVec<'scope, EventTime, ()> {
    let scope = changes.scope();
    let mut builder = OperatorBuilder::new("Deliver".to_owned(), scope);
    let address = builder.operator_info().address;
    let activator = scope.activator_for(Rc::clone(&address));
    for shard in &mut shards {
        shard.courier.wake_by(scope.worker().sync_activator_for(address.to_vec()));
    }
    let to = homes.clone();
    let by_stream = Exchange::new(move |change: &Change<S>| to.home_of(stream_of(&change.row)));
    let to = homes.clone();
    let by_partition = Exchange::new(move |letter: &DeadLetter| to.home_of(letter.partition.as_str()));
    let mut changes = builder.new_input(changes, by_stream);
    let mut letters = builder.new_input(letters, by_partition);
    let mut markers = builder.new_input(markers, Pipeline);
    let (_output, stream) = builder.new_output::<Vec<()>>();
    let homes = homes.clone();
    builder.build(move |capabilities| {
        drop(capabilities);
        // By shard; what comes is for the shards whose home this is.
        let mut place = vec![0; homes.0.len()];
        shards.iter().enumerate().for_each(|(here, shard)| place[shard.index] = here);
        let mut mailboxes: Vec<_> = shards.into_iter().map(Mailbox::new).collect();
        move |frontiers| {
            changes.for_each_stamp(|cap, messages| {
                let Some(cap) = cap.retain_least(0) else { return };
                let changes = messages.flat_map(|message| message.drain(..));
                match &mut mailboxes[..] {
                    [only] => only.open(&cap).extend(changes),
                    several => changes.for_each(|change| {
                        let shard = homes.shard_of(stream_of(&change.row));
                        several[place[shard]].open(&cap).push(change);
                    }),
                }
            });
            letters.for_each_stamp(|cap, messages| {
                let Some(cap) = cap.retain_least(0) else { return };
                let mut found = vec![Vec::new(); mailboxes.len()];
                for letter in messages.flat_map(|message| message.drain(..)) {
                    found[place[homes.shard_of(letter.partition.as_str())]].push(letter);
                }
                for (mailbox, letters) in
                    mailboxes.iter_mut().zip(found).filter(|(_, found)| !found.is_empty())
                {
                    mailbox.post(letters, cap.clone());
                }
            });
            markers.for_each_stamp(|cap, messages| {
                messages.for_each(Vec::clear);
                let Some(cap) = cap.retain_least(0) else { return };
                for mailbox in &mut mailboxes {
                    mailbox.open(&cap);
                }
            });
            // A time is durable with the letters that were found before it, so it waits for them too.
            let limit = frontiers.iter().map(reached).min().unwrap_or(EventTime::MAX);
            let waits = mailboxes.iter_mut().fold(false, |waits, mailbox| mailbox.advance(limit) | waits);
            if waits {
                activator.activate_after(Duration::from_millis(1));
            }
        }
    });
    stream
}
