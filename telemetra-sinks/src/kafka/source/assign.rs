//! The assignment of partitions to the consumer.

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::context::Client;
use super::partition_state::{PartitionState, signed};

/// A list of this one partition, to be read from offset `next`.
pub(super) fn assignment(partition: &PartitionState, next: u64) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    add_to(&mut list, partition, signed(next))?;
    Ok(list)
}

/// Adds a partition to a list, to be read from offset `next`.
pub(super) fn add_to(
    list: &mut TopicPartitionList,
    partition: &PartitionState,
    next: i64,
) -> Result<(), KafkaError> {
    list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(next))
}

/// Unassigns a partition, so that nothing of it is fetched any more.
pub(super) fn give_up(client: &Client, partition: &PartitionState) {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.number);
    // A pause outlasts the assignment, and would hold for whoever opens the partition next.
    for result in [client.incremental_unassign(&list), client.resume(&list)] {
        if let Err(error) = result {
            tracing::debug!(partition = %partition.id, %error, "could not let go of a partition of Kafka");
        }
    }
}
