//! The opening of a partition: from the requested position to an offset that the log contains.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetra_core::{ExternalError, Partition, PartitionId};

use super::assign::{add_to, give_up};
use super::buffered::{Buffered, Position, beyond, fetch_buffered, lost};
use super::consumer::SharedConsumer;
use super::partition::Reader;
use super::partition_state::{PartitionState, lock};
use super::{OnLost, Start};
use crate::kafka::error::failed;

impl SharedConsumer {
    /// Opens a partition at `from`, or at the position of `start` if there is none.
    pub(super) fn open(
        shared: &Arc<Self>,
        id: &PartitionId,
        from: Option<u64>,
        start: Start,
    ) -> Result<Box<dyn Partition>, ExternalError> {
        let place = id.as_str().rsplit_once('/').and_then(|(topic, number)| {
            Some((topic, number.parse::<i32>().ok().filter(|number| *number >= 0)?))
        });
        let Some((topic, number)) = place else {
            return Err(ExternalError::permanent(format!(
                "cannot open the partition `{id}`: Kafka's are called `topic/number`"
            )));
        };
        if shared.is_open(id) {
            let what = format!("cannot open the partition `{id}`: this source is reading it; open it once");
            return Err(ExternalError::permanent(what));
        }
        let what = format!("cannot open the partition `{id}`");
        let failed = |error| shared.client.context().reporter.timed_out(&what, error);
        let log = shared.buffered(topic, number).map_err(|error| shared.explain(&what, error))?;
        let mut next = match from {
            Some(from) => from,
            None => shared.first(topic, number, start, log).map_err(failed)?,
        };
        let mut passed_over = 0;
        match log.position(next) {
            Position::Good => {}
            Position::Lost(count) if shared.settings.on_lost == OnLost::Skip => {
                tracing::warn!(partition = %id, wanted = next, first = log.low, lost = count, "records of Kafka are lost, going on");
                shared.counters.lose(count);
                passed_over = count;
                next = log.low;
            }
            Position::Lost(_) => return Err(lost(id, next, log)),
            Position::Beyond => return Err(beyond(id, next, log)),
        }
        let partition = Arc::new(PartitionState::new(id, topic, number, next, Some(log.high)));
        partition.lost.store(passed_over, Ordering::Relaxed);
        // A queue that is split before the partition is assigned gets all its messages; one split after it may miss the first.
        let queue = shared.client.split_partition_queue(topic, number).ok_or_else(|| {
            ExternalError::permanent(format!("cannot open the partition `{id}`: it cannot have a queue"))
        })?;
        shared.add(&partition);
        let end = shared.settings.until_end.then_some(log.high);
        Ok(Box::new(Reader::new(Arc::clone(shared), partition, queue, next, end)))
    }

    /// Assigns all partitions that are open and not assigned yet, so that they are fetched. A broker answers the
    /// requests of a connection in turn: if each partition were fetched as soon as it is open, the look-ups for the
    /// next one would wait for a fetch that has no records.
    pub(super) fn assign_opened(&self) -> Result<(), KafkaError> {
        let mut opened = lock(&self.opened);
        let mut list = TopicPartitionList::new();
        opened.retain(|partition| !partition.closed.load(Ordering::Acquire));
        for partition in opened.iter() {
            add_to(&mut list, partition, partition.next.load(Ordering::Relaxed))?;
        }
        if list.count() > 0 {
            self.client.incremental_assign(&list)?;
        }
        // A reader may have been dropped meanwhile, before there was anything to unassign.
        for partition in opened.drain(..).filter(|partition| partition.closed.load(Ordering::Acquire)) {
            give_up(&self.client, &partition);
        }
        Ok(())
    }

    /// Looks up the range of offsets that a partition's log contains.
    fn buffered(&self, topic: &str, number: i32) -> Result<Buffered, KafkaError> {
        fetch_buffered(&self.client, topic, number, self.settings.timeout)
    }

    /// Builds the error of a failed request: about the topic, or, for a time-out, about the servers.
    fn explain(&self, what: &str, error: KafkaError) -> ExternalError {
        use rdkafka::error::RDKafkaErrorCode as Code;
        match error.rdkafka_error_code() {
            Some(Code::OperationTimedOut | Code::BrokerTransportFailure) | None => {
                self.client.context().reporter.timed_out(what, error)
            }
            Some(_) => failed(what, error),
        }
    }

    /// Returns the first offset of a partition that is not in a checkpoint.
    fn first(&self, topic: &str, number: i32, start: Start, log: Buffered) -> Result<u64, KafkaError> {
        let timeout = self.settings.timeout;
        let mut list = TopicPartitionList::new();
        let answer = match start {
            Start::Earliest => return Ok(log.low),
            Start::Latest => return Ok(log.high),
            Start::Timestamp(time) => {
                let millis = i64::try_from(time.0).unwrap_or(i64::MAX);
                list.add_partition_offset(topic, number, Offset::Offset(millis))?;
                self.client.offsets_for_times(list, timeout)?
            }
            Start::Committed => {
                list.add_partition(topic, number);
                self.client.committed_offsets(list, timeout)?
            }
        };
        let Some(element) = answer.find_partition(topic, number) else { return Ok(log.low) };
        element.error()?;
        Ok(match (element.offset(), start) {
            (Offset::Offset(offset), _) => u64::try_from(offset).unwrap_or(0),
            (Offset::End, _) | (_, Start::Timestamp(_)) => log.high,
            _ => log.low,
        })
    }
}
