//! The assignment of partitions to the consumer.

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::Client;
use super::partition_state::{PartitionState, signed};

/// A list of this one partition, to be read from offset `next`.
pub(super) fn assignment(partition: &PartitionState, next: u64) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    let offset = Offset::Offset(signed(next));
    list.add_partition_offset(&partition.topic, partition.number, offset)?;
    Ok(list)
}

/// Unassigns a partition, so that nothing of it is fetched any more.
pub(super) fn give_up(client: &Client, partition: &PartitionState) {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.number);
    if let Err(error) = client.incremental_unassign(&list) {
        tracing::debug!(partition = %partition.id, %error, "could not let go of a partition of Kafka");
    }
}
