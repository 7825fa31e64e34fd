//! Which partitions the client fetches.

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::Client;
use super::lane::{Lane, signed};

/// A list of this one partition, to be read from `next`.
pub(super) fn assignment(lane: &Lane, next: u64) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    let offset = Offset::Offset(signed(next));
    list.add_partition_offset(&lane.topic, lane.number, offset)?;
    Ok(list)
}

/// Stops fetching a partition.
pub(super) fn give_up(client: &Client, lane: &Lane) {
    let mut list = TopicPartitionList::new();
    list.add_partition(&lane.topic, lane.number);
    if let Err(error) = client.incremental_unassign(&list) {
        tracing::debug!(partition = %lane.id, %error, "could not let go of a partition of Kafka");
    }
}
