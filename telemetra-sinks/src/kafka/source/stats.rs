//! What librdkafka's statistics say: whether each partition's broker is there, and where its log ends.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Deserialize;

use super::partition_state::{Partitions, lock};

/// The part of the statistics that is of use here.
#[derive(Deserialize)]
pub(super) struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i32,
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    /// The one that it is fetched from.
    broker: i32,
    /// The end of what is committed: as of the last fetch, negative if unknown.
    ls_offset: i64,
    hi_offset: i64,
}

impl Statistics {
    /// Publishes it to the partitions.
    pub(super) fn publish(&self, partitions: &Partitions) {
        // Below 0 are no brokers but the addresses that were given, and a partition without one.
        let up =
            |id| id >= 0 && self.brokers.values().any(|broker| broker.nodeid == id && broker.state == "UP");
        for state in lock(partitions).iter() {
            let topic = self.topics.get(&state.topic);
            let Some(partition) = topic.and_then(|topic| topic.partitions.get(&state.number.to_string()))
            else {
                continue;
            };
            // Seen twice: a connection may just be in the making.
            let down = !up(partition.broker);
            state.unreachable.store(state.was_down.swap(down, Ordering::Relaxed) && down, Ordering::Relaxed);
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            // It can only be older than what was asked for.
            state.end.fetch_max(end, Ordering::Relaxed);
        }
    }
}
