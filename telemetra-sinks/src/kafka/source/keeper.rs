//! The thread beside the partitions: it does what may wait.
//!
//! It serves the client's events, looks into errors, pauses what is not polled, commits, and lets go of partitions that nobody reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::assign::give_up;
use super::context::Client;
use super::inquiry::{Finding, Inquiry};
use super::lane::{Lane, Lanes, NONE, lock};
use super::{KafkaCounters, Settings};

/// How often it looks after the partitions.
const TICK: Duration = Duration::from_millis(20);
/// How long a partition may go without being polled, while others are, before it is paused.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the ends of paused partitions are asked for: nothing is fetched that would tell.
const ENDS: Duration = Duration::from_secs(5);
/// How long an answer about ends may take: meanwhile nothing else is looked after.
const ANSWER: Duration = Duration::from_secs(1);
/// How long to wait for the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(2);

pub(super) struct Keeper {
    client: Arc<Client>,
    lanes: Lanes,
    inquiry: Inquiry,
    counters: KafkaCounters,
    stop: Arc<AtomicBool>,
    seen: Vec<Seen>,
    asked_ends: Instant,
    /// Commits asked for.
    commits: u64,
}

/// What is known of a partition beside what it says itself.
struct Seen {
    lane: Arc<Lane>,
    polls: u64,
    /// When it was last found to have been polled.
    polled: Instant,
    committed: i64,
}

impl Keeper {
    pub(super) fn new(
        client: Arc<Client>,
        lanes: Lanes,
        settings: &Settings,
        counters: KafkaCounters,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let inquiry = Inquiry::new(Arc::clone(&client), settings, counters.clone());
        let (seen, asked_ends) = (Vec::new(), Instant::now());
        Self { client, lanes, inquiry, counters, stop, seen, asked_ends, commits: 0 }
    }

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

    /// Has the client's events handled by its context.
    fn serve(&self) {
        // Errors have been reported by then, and messages go to the queues of their partitions.
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
            self.inquire(&seen.lane);
        }
        self.pause_and_resume();
        self.commit();
        self.ask_ends();
    }

    /// Notes which partitions there are, and which were polled.
    fn take_stock(&mut self) {
        let now = Instant::now();
        let gone = {
            let mut lanes = lock(&self.lanes);
            for lane in lanes.iter() {
                if !self.seen.iter().any(|seen| Arc::ptr_eq(&seen.lane, lane)) {
                    let lane = Arc::clone(lane);
                    self.seen.push(Seen { lane, polls: 0, polled: now, committed: NONE });
                }
            }
            lanes.extract_if(.., |lane| lane.closed.load(Ordering::Acquire)).collect::<Vec<_>>()
        };
        for lane in &gone {
            give_up(&self.client, lane);
        }
        // Its last commit may come after it was closed, as long as somebody has it.
        self.seen.retain(|seen| {
            let lane = &seen.lane;
            !lane.closed.load(Ordering::Acquire)
                || Arc::strong_count(lane) > 1
                || lane.commit.load(Ordering::Acquire) != seen.committed
        });
        for seen in &mut self.seen {
            let polls = seen.lane.polls.load(Ordering::Relaxed);
            if polls != seen.polls {
                (seen.polls, seen.polled) = (polls, now);
            }
        }
    }

    /// Looks into what a partition asks about.
    fn inquire(&self, lane: &Lane) {
        let Some((code, next)) = lane.question() else { return };
        match self.inquiry.look_into(lane, code, next) {
            Finding::Unknown => {}
            Finding::GoOn(next) => lane.answer(Ok(next)),
            Finding::Stop(error) => lane.answer(Err(error)),
        }
    }

    /// Pauses what is not polled while others are, and resumes what is.
    fn pause_and_resume(&self) {
        let now = Instant::now();
        let others_go_on = self.seen.iter().any(|seen| now - seen.polled < PATIENCE / 2);
        for seen in &self.seen {
            let lane = &*seen.lane;
            if lane.closed.load(Ordering::Acquire) {
                continue;
            }
            if lane.paused.load(Ordering::Acquire) {
                if lane.wanted.swap(false, Ordering::AcqRel)
                    && self.told(lane, "resume", |list| self.client.resume(list))
                {
                    lane.paused.store(false, Ordering::Release);
                }
            } else if others_go_on && now - seen.polled >= PATIENCE {
                // First the mark: who polls now must not take the silence of the queue for the end.
                lane.paused.store(true, Ordering::Release);
                if self.told(lane, "pause", |list| self.client.pause(list)) {
                    self.counters.pause();
                } else {
                    lane.paused.store(false, Ordering::Release);
                }
            }
        }
    }

    fn told(&self, lane: &Lane, what: &str, tell: impl Fn(&TopicPartitionList) -> KafkaResult<()>) -> bool {
        let mut list = TopicPartitionList::new();
        list.add_partition(&lane.topic, lane.number);
        let told = tell(&list);
        if let Err(error) = &told
            && let Some(withheld) = self.client.context().reporter.admit(what)
        {
            tracing::warn!(partition = %lane.id, withheld, %error, "could not {what} a partition of Kafka");
        }
        told.is_ok()
    }

    /// Commits what checkpoints hold, in one request.
    fn commit(&mut self) {
        let mut list = TopicPartitionList::new();
        for seen in &mut self.seen {
            let offset = seen.lane.commit.load(Ordering::Acquire);
            if offset != seen.committed
                && list
                    .add_partition_offset(&seen.lane.topic, seen.lane.number, Offset::Offset(offset))
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

    /// Asks for the ends of paused partitions.
    fn ask_ends(&mut self) {
        let mut list = TopicPartitionList::new();
        for Seen { lane, .. } in &self.seen {
            if lane.paused.load(Ordering::Acquire) && !lane.closed.load(Ordering::Acquire) {
                // An offset that cannot be asked for is not known, which does no harm.
                let _ = list.add_partition_offset(&lane.topic, lane.number, Offset::End);
            }
        }
        if list.count() == 0 || self.asked_ends.elapsed() < ENDS {
            return;
        }
        let ends = self.client.offsets_for_times(list, ANSWER);
        self.asked_ends = Instant::now();
        for Seen { lane, .. } in &self.seen {
            if let Ok(ends) = &ends
                && let Some(element) = ends.find_partition(&lane.topic, lane.number)
                && let Offset::Offset(end) = element.offset()
            {
                lane.end.fetch_max(end, Ordering::Relaxed);
            }
        }
    }
}
