//! Looking into errors of partitions: what does the log hold, and does the topic exist?

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use telemetra_core::{ExternalError, PartitionId, Retry};

use super::assign::{assignment, give_up};
use super::context::Client;
use super::held::{self, Position, partition_count};
use super::lane::{Lane, lock};
use super::{KafkaCounters, OnLost, Settings};
use crate::kafka::error::failed;

/// How long an answer may take: meanwhile nothing else is looked after.
const ANSWER: Duration = Duration::from_secs(2);
/// How long to wait before asking again where there was no answer.
const PAUSE: Duration = Duration::from_secs(1);
/// How often a partition may fail at an offset that the log holds.
const REPEATS: u32 = 5;

/// What came of an inquiry.
pub(super) enum Finding {
    /// Nobody answered: ask again.
    Unknown,
    /// The partition is read again from here.
    GoOn(u64),
    /// It cannot be read.
    Stop(ExternalError),
}

pub(super) struct Inquiry {
    client: Arc<Client>,
    on_lost: OnLost,
    counters: KafkaCounters,
    tried: Mutex<HashMap<PartitionId, Tried>>,
}

struct Tried {
    at: Instant,
    next: u64,
    times: u32,
}

impl Inquiry {
    pub(super) fn new(client: Arc<Client>, settings: &Settings, counters: KafkaCounters) -> Self {
        Self { client, on_lost: settings.on_lost, counters, tried: Mutex::default() }
    }

    /// Looks into the error that a partition met.
    pub(super) fn look_into(&self, lane: &Lane, code: Code, next: u64) -> Finding {
        let Some(times) = self.due(&lane.id, next) else { return Finding::Unknown };
        match partition_count(&self.client, &lane.topic, ANSWER) {
            Ok(Some(count)) if usize::try_from(lane.number).is_ok_and(|number| number < count) => {}
            Ok(_) => return Finding::Stop(gone(&lane.id, next)),
            Err(error) if error.retry() == Retry::Permanent => return Finding::Stop(error),
            Err(_) => return Finding::Unknown,
        }
        let Ok(held) = held::held(&self.client, &lane.topic, lane.number, ANSWER) else {
            return Finding::Unknown;
        };
        match held.position(next) {
            Position::Good if code == Code::LogTruncation || times > REPEATS => {
                let what = format!("cannot read the partition `{}` from offset {next}", lane.id);
                let hint = "; replicas may have lost the end of the log: find out what was lost, then start from a new checkpoint";
                Finding::Stop(
                    ExternalError::permanent(what + hint).because(KafkaError::MessageConsumption(code)),
                )
            }
            Position::Good => self.go_on(lane, next),
            Position::Lost(count) if self.on_lost == OnLost::GoOn => {
                let finding = self.go_on(lane, held.low);
                if matches!(finding, Finding::GoOn(_)) {
                    tracing::warn!(partition = %lane.id, wanted = next, first = held.low, lost = count, "records of Kafka are lost, going on");
                    self.counters.lose(count);
                    lane.lost.fetch_add(count, Ordering::Relaxed);
                }
                finding
            }
            Position::Lost(_) => Finding::Stop(held::lost(&lane.id, next, held)),
            Position::Beyond => Finding::Stop(held::beyond(&lane.id, next, held)),
        }
    }

    /// How often this was asked; `None` if it is too early to ask again.
    fn due(&self, id: &PartitionId, next: u64) -> Option<u32> {
        let mut tried = lock(&self.tried);
        let now = Instant::now();
        match tried.get_mut(id) {
            Some(tried) if tried.next == next && now - tried.at < PAUSE => None,
            Some(tried) if tried.next == next => {
                (tried.at, tried.times) = (now, tried.times + 1);
                Some(tried.times)
            }
            _ => {
                tried.insert(id.clone(), Tried { at: now, next, times: 1 });
                Some(1)
            }
        }
    }

    /// Has the partition fetched from `next`. After an error it is not fetched any more, so it cannot be sought.
    fn go_on(&self, lane: &Lane, next: u64) -> Finding {
        give_up(&self.client, lane);
        match assignment(lane, next).and_then(|list| self.client.incremental_assign(&list)) {
            Ok(()) => Finding::GoOn(next),
            Err(error) => {
                let what = format!("cannot read the partition `{}` from offset {next}", lane.id);
                Finding::Stop(failed(what, error))
            }
        }
    }
}

fn gone(id: &PartitionId, next: u64) -> ExternalError {
    let topic = id.as_str().rsplit_once('/').map_or(id.as_str(), |(topic, _)| topic);
    ExternalError::permanent(format!(
        "cannot read the partition `{id}` from offset {next}: it does not exist any more, so the topic `{topic}` was deleted while it was read; \
         create it, and start from a new checkpoint, or leave it out"
    ))
}
