//! Metadata queries to the brokers: the low and high watermark of a partition's log, and the number of
//! partitions of a topic.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use telemetra_core::{ExternalError, PartitionId};

use super::context::Client;
use crate::kafka::error::failed;

/// The range of offsets that a log holds, between its watermarks: from `low` up to but without `high`.
#[derive(Copy, Clone, Debug)]
pub(super) struct Buffered {
    pub(super) low: u64,
    pub(super) high: u64,
}

/// The relation of the next offset to the log.
pub(super) enum Position {
    /// The log contains the offset, or ends there.
    Good,
    /// The offset is before the log's first; so many records are lost.
    Lost(u64),
    /// The offset is beyond the log's end.
    Beyond,
}

impl Buffered {
    /// Returns the relation of the next offset to the log.
    pub(super) fn position(self, next: u64) -> Position {
        if next < self.low {
            Position::Lost(self.low - next)
        } else if next > self.high {
            Position::Beyond
        } else {
            Position::Good
        }
    }
}

/// The error for records that were removed before they were read.
pub(super) fn lost(id: &PartitionId, next: u64, log: Buffered) -> ExternalError {
    let Buffered { low, high } = log;
    let count = low.saturating_sub(next);
    ExternalError::permanent(format!(
        "cannot read the partition `{id}` from offset {next}: it now holds {low} to {high}, so {count} records are lost, to retention or a deletion; \
         keep records longer than a reader may stand still, and go on with `OnLost::Skip`, or from a new checkpoint"
    ))
}

/// The error for a log that ends before the offset.
pub(super) fn beyond(id: &PartitionId, next: u64, log: Buffered) -> ExternalError {
    let Buffered { low, high } = log;
    ExternalError::permanent(format!(
        "cannot read the partition `{id}` from offset {next}: it holds {low} to {high}, which ends before; \
         if the topic was made anew, start from a new checkpoint; if replicas lost its end, find out what was lost first"
    ))
}

/// Fetches the range of offsets that a partition's log contains.
pub(super) fn fetch_buffered(
    client: &Client,
    topic: &str,
    number: i32,
    timeout: Duration,
) -> Result<Buffered, KafkaError> {
    let (low, high) = client.fetch_watermarks(topic, number, timeout)?;
    let unsigned = |offset: i64| u64::try_from(offset).unwrap_or(0);
    Ok(Buffered { low: unsigned(low), high: unsigned(high) })
}

/// Returns the number of partitions of a topic; `None` if it does not exist.
pub(super) fn partition_count(
    client: &Client,
    topic: &str,
    timeout: Duration,
) -> Result<Option<usize>, ExternalError> {
    let what = || format!("cannot find the partitions of the topic `{topic}`");
    let reporter = &client.context().reporter;
    let metadata =
        client.fetch_metadata(Some(topic), timeout).map_err(|error| reporter.timed_out(&what(), error))?;
    reporter.clear();
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(None) };
    match found.error().map(Code::from) {
        None => Ok(Some(found.partitions().len()).filter(|count| *count > 0)),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => Ok(None),
        // The topic is being created.
        Some(Code::LeaderNotAvailable) => Ok(Some(found.partitions().len()).filter(|count| *count > 0)),
        Some(code) => Err(failed(what(), KafkaError::MetadataFetch(code))),
    }
}
