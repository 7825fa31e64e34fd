//! Looks up which offset a partition can be read from after the brokers have answered a fetch with an error,
//! or why it can no longer be read.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use telemetra_core::{ExternalError, PartitionId, Retry};

use super::assign::{assignment, give_up};
use super::buffered::{self, Position, partition_count};
use super::context::Client;
use super::partition_state::{PartitionState, lock};
use super::{KafkaCounters, OnLost, Settings};
use crate::kafka::error::failed;

/// The time limit for a lookup; meanwhile the thread does nothing else.
const ANSWER: Duration = Duration::from_secs(2);
/// The pause before the next lookup, if there was no answer.
const PAUSE: Duration = Duration::from_secs(1);
/// The number of times that a partition may fail at an offset that its log contains.
const REPEATS: u32 = 5;

/// The result of a lookup.
pub(super) enum Finding {
    /// There was no answer: look up again.
    Unknown,
    /// The partition is read from this offset.
    GoOn(u64),
    /// The partition cannot be read.
    Stop(ExternalError),
}

/// Resolves errors of partitions to offsets.
pub(super) struct OffsetLookup {
    client: Arc<Client>,
    on_lost: OnLost,
    counters: KafkaCounters,
    tried: Mutex<HashMap<PartitionId, Tried>>,
}

/// The lookups for one offset of a partition.
struct Tried {
    at: Instant,
    next: u64,
    times: u32,
}

impl OffsetLookup {
    pub(super) fn new(client: Arc<Client>, settings: &Settings, counters: KafkaCounters) -> Self {
        Self { client, on_lost: settings.on_lost, counters, tried: Mutex::default() }
    }

    /// Resolves the error that a partition has met.
    pub(super) fn look_up(&self, partition: &PartitionState, code: Code, next: u64) -> Finding {
        let Some(times) = self.due(&partition.id, next) else { return Finding::Unknown };
        match partition_count(&self.client, &partition.topic, ANSWER) {
            Ok(Some(count)) if usize::try_from(partition.number).is_ok_and(|number| number < count) => {}
            Ok(_) => return Finding::Stop(gone(&partition.id, next)),
            Err(error) if error.retry() == Retry::Permanent => return Finding::Stop(error),
            Err(_) => return Finding::Unknown,
        }
        let Ok(log) = buffered::fetch_buffered(&self.client, &partition.topic, partition.number, ANSWER)
        else {
            return Finding::Unknown;
        };
        match log.position(next) {
            Position::Good if code == Code::LogTruncation || times > REPEATS => {
                let what = format!("cannot read the partition `{}` from offset {next}", partition.id);
                let hint = "; replicas may have lost the end of the log: find out what was lost, then start from a new checkpoint";
                Finding::Stop(
                    ExternalError::permanent(what + hint).because(KafkaError::MessageConsumption(code)),
                )
            }
            Position::Good => self.go_on(partition, next),
            Position::Lost(count) if self.on_lost == OnLost::Skip => {
                let finding = self.go_on(partition, log.low);
                if matches!(finding, Finding::GoOn(_)) {
                    tracing::warn!(partition = %partition.id, wanted = next, first = log.low, lost = count, "records of Kafka are lost, going on");
                    self.counters.lose(count);
                    partition.lost.fetch_add(count, Ordering::Relaxed);
                }
                finding
            }
            Position::Lost(_) => Finding::Stop(buffered::lost(&partition.id, next, log)),
            Position::Beyond => Finding::Stop(buffered::beyond(&partition.id, next, log)),
        }
    }

    /// Returns the number of lookups so far; `None` if it is too early for the next one.
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

    /// Fetches the partition from `next`. After an error a partition is not fetched any more, so seeking is
    /// not enough.
    fn go_on(&self, partition: &PartitionState, next: u64) -> Finding {
        give_up(&self.client, partition);
        match assignment(partition, next).and_then(|list| self.client.incremental_assign(&list)) {
            Ok(()) => Finding::GoOn(next),
            Err(error) => {
                let what = format!("cannot read the partition `{}` from offset {next}", partition.id);
                Finding::Stop(failed(what, error))
            }
        }
    }
}

/// Builds the error of a partition that no longer exists.
fn gone(id: &PartitionId, next: u64) -> ExternalError {
    let topic = id.as_str().rsplit_once('/').map_or(id.as_str(), |(topic, _)| topic);
    ExternalError::permanent(format!(
        "cannot read the partition `{id}` from offset {next}: it does not exist any more, so the topic `{topic}` was deleted while it was read; \
         create it, and start from a new checkpoint, or leave it out"
    ))
}
