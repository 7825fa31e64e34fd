//! librdkafka's statistics: whether each partition's broker is reachable, and where its log ends.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use serde::Deserialize;

use super::partition_state::{Partitions, lock};

/// The parts of the statistics that the source uses.
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
    /// The broker that the partition is fetched from.
    broker: i32,
    /// The last stable offset as of the last fetch; negative if unknown.
    ls_offset: i64,
    hi_offset: i64,
}

impl Statistics {
    /// Updates the partitions' states.
    pub(super) fn publish(&self, partitions: &Partitions) {
        // Negative ids are the bootstrap addresses, and partitions without a broker.
        let up =
            |id| id >= 0 && self.brokers.values().any(|broker| broker.nodeid == id && broker.state == "UP");
        for state in lock(partitions).iter() {
            let topic = self.topics.get(&state.topic);
            let Some(partition) = topic.and_then(|topic| topic.partitions.get(&state.number.to_string()))
            else {
                continue;
            };
            // Two checks in a row, as a connection may just be opening.
            let down = !up(partition.broker);
            state.unreachable.store(state.was_down.swap(down, Ordering::Relaxed) && down, Ordering::Relaxed);
            let end = if partition.ls_offset >= 0 { partition.ls_offset } else { partition.hi_offset };
            // The statistics are never newer than a direct lookup.
            state.end.fetch_max(end, Ordering::Relaxed);
        }
    }
}
