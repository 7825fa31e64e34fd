//! The consumer thread of a Kafka source: it polls the client's events, resolves partition errors, pauses and
//! resumes partitions, commits offsets, and unassigns partitions that are closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::assign::give_up;
use super::context::Client;
use super::offsets::{Finding, OffsetLookup};
use super::partition_state::{NONE, PartitionState, Partitions, lock};
use super::{KafkaCounters, Settings};

/// The interval at which the thread checks the partitions.
const TICK: Duration = Duration::from_millis(20);
/// The time for which a partition may not be polled, while others are, before fetching it is paused.
const PAUSE_AFTER: Duration = Duration::from_secs(1);
/// The interval at which the ends of paused partitions are looked up, as no fetch reports them.
const ENDS: Duration = Duration::from_secs(5);
/// The time limit for the lookup of ends; meanwhile the thread does nothing else.
const ANSWER: Duration = Duration::from_secs(1);
/// The time limit for the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(2);

/// The state of the consumer thread.
pub(super) struct ConsumerThread {
    client: Arc<Client>,
    partitions: Partitions,
    lookup: OffsetLookup,
    counters: KafkaCounters,
    stop: Arc<AtomicBool>,
    seen: Vec<Seen>,
    asked_ends: Instant,
    /// The number of commits requested.
    commits: u64,
}

/// The thread's knowledge of a partition.
struct Seen {
    partition: Arc<PartitionState>,
    polls: u64,
    /// The instant at which the partition was last seen to be polled.
    polled: Instant,
    committed: i64,
}

impl ConsumerThread {
    pub(super) fn new(
        client: Arc<Client>,
        partitions: Partitions,
        settings: &Settings,
        counters: KafkaCounters,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let lookup = OffsetLookup::new(Arc::clone(&client), settings, counters.clone());
        let (seen, asked_ends) = (Vec::new(), Instant::now());
        Self { client, partitions, lookup, counters, stop, seen, asked_ends, commits: 0 }
    }

    /// Runs until the source and all its partitions are dropped.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            self.serve();
            if looked.elapsed() >= TICK {
                looked = Instant::now();
                self.look();
            }
        }
        self.take_stock();
        self.commit();
        let deadline = Instant::now() + LAST_COMMIT;
        while self.client.context().commits.load(Ordering::Acquire) < self.commits
            && Instant::now() < deadline
        {
            self.serve();
        }
    }

    /// Lets the client's context handle its events.
    fn serve(&self) {
        // The context has reported errors, and messages go to the queues of their partitions.
        if let Some(Ok(message)) = self.client.poll(TICK) {
            let (topic, partition, offset) = (
                rdkafka::Message::topic(&message),
                rdkafka::Message::partition(&message),
                rdkafka::Message::offset(&message),
            );
            tracing::error!(topic, partition, offset, "a record of Kafka went to no partition");
        }
    }

    fn look(&mut self) {
        self.take_stock();
        for seen in &self.seen {
            self.look_up_offset(&seen.partition);
        }
        self.pause_and_resume();
        self.commit();
        self.ask_ends();
    }

    /// Records which partitions are open, and which were polled.
    fn take_stock(&mut self) {
        let now = Instant::now();
        let gone = {
            let mut partitions = lock(&self.partitions);
            for partition in partitions.iter() {
                if !self.seen.iter().any(|seen| Arc::ptr_eq(&seen.partition, partition)) {
                    let partition = Arc::clone(partition);
                    self.seen.push(Seen { partition, polls: 0, polled: now, committed: NONE });
                }
            }
            partitions
                .extract_if(.., |partition| partition.closed.load(Ordering::Acquire))
                .collect::<Vec<_>>()
        };
        for partition in &gone {
            give_up(&self.client, partition);
        }
        // The last commit of a partition may come after it was closed, as long as somebody holds it.
        self.seen.retain(|seen| {
            let partition = &seen.partition;
            !partition.closed.load(Ordering::Acquire)
                || Arc::strong_count(partition) > 1
                || partition.commit.load(Ordering::Acquire) != seen.committed
        });
        for seen in &mut self.seen {
            let polls = seen.partition.polls.load(Ordering::Relaxed);
            if polls != seen.polls {
                (seen.polls, seen.polled) = (polls, now);
            }
        }
    }

    /// Resolves the error that a partition has met.
    fn look_up_offset(&self, partition: &PartitionState) {
        let Some((code, next)) = partition.question() else { return };
        match self.lookup.look_up(partition, code, next) {
            Finding::Unknown => {}
            Finding::GoOn(next) => partition.answer(Ok(next)),
            Finding::Stop(error) => partition.answer(Err(error)),
        }
    }

    /// Pauses partitions that are not polled while others are, and resumes those that are polled again.
    fn pause_and_resume(&self) {
        let now = Instant::now();
        let others_go_on = self.seen.iter().any(|seen| now - seen.polled < PAUSE_AFTER / 2);
        for seen in &self.seen {
            let partition = &*seen.partition;
            if partition.closed.load(Ordering::Acquire) {
                continue;
            }
            if partition.paused.load(Ordering::Acquire) {
                if partition.wanted.swap(false, Ordering::AcqRel)
                    && self.request(partition, "resume", |list| self.client.resume(list))
                {
                    partition.paused.store(false, Ordering::Release);
                }
            } else if others_go_on && now - seen.polled >= PAUSE_AFTER {
                // The flag comes first, so that a reader does not take the empty queue for the end of the
                // partition.
                partition.paused.store(true, Ordering::Release);
                if self.request(partition, "pause", |list| self.client.pause(list)) {
                    self.counters.pause();
                } else {
                    partition.paused.store(false, Ordering::Release);
                }
            }
        }
    }

    fn request(
        &self,
        partition: &PartitionState,
        what: &str,
        send: impl Fn(&TopicPartitionList) -> KafkaResult<()>,
    ) -> bool {
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.number);
        let sent = send(&list);
        if let Err(error) = &sent
            && let Some(withheld) = self.client.context().reporter.admit(what)
        {
            tracing::warn!(partition = %partition.id, withheld, %error, "could not {what} a partition of Kafka");
        }
        sent.is_ok()
    }

    /// Commits the offsets of complete checkpoints, in one request.
    fn commit(&mut self) {
        let mut list = TopicPartitionList::new();
        for seen in &mut self.seen {
            let offset = seen.partition.commit.load(Ordering::Acquire);
            if offset != seen.committed
                && list
                    .add_partition_offset(
                        &seen.partition.topic,
                        seen.partition.number,
                        Offset::Offset(offset),
                    )
                    .is_ok()
            {
                seen.committed = offset;
            }
        }
        if list.count() > 0 {
            match self.client.commit(&list, CommitMode::Async) {
                Ok(()) => self.commits += 1,
                Err(error) => tracing::warn!(%error, "could not commit offsets to Kafka"),
            }
        }
    }

    /// Looks up the ends of paused partitions.
    fn ask_ends(&mut self) {
        let mut list = TopicPartitionList::new();
        for Seen { partition, .. } in &self.seen {
            if partition.paused.load(Ordering::Acquire) && !partition.closed.load(Ordering::Acquire) {
                // An offset that cannot be looked up stays unknown, which does no harm.
                let _ = list.add_partition_offset(&partition.topic, partition.number, Offset::End);
            }
        }
        if list.count() == 0 || self.asked_ends.elapsed() < ENDS {
            return;
        }
        let ends = self.client.offsets_for_times(list, ANSWER);
        self.asked_ends = Instant::now();
        for Seen { partition, .. } in &self.seen {
            if let Ok(ends) = &ends
                && let Some(element) = ends.find_partition(&partition.topic, partition.number)
                && let Offset::Offset(end) = element.offset()
            {
                partition.end.fetch_max(end, Ordering::Relaxed);
            }
        }
    }
}
