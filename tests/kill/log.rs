//! The log: written once by the program that makes up events, and read as it is in the topics.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::program;

/// The records of each partition, in their order.
pub type Log = BTreeMap<String, Vec<Vec<u8>>>;

/// How much of everything there is in it.
pub struct Size {
    pub minutes: u64,
    pub rate: u64,
}

/// Has `mock_producer` write a fixed log, with disorder, late events, duplicates and damage.
pub fn write(producer: &Path, folder: &Path, servers: &str, size: &Size) -> u64 {
    let (minutes, rate) = (format!("{}m", size.minutes), size.rate.to_string());
    let sized = ["--kafka", servers, "--duration", &minutes, "--event-rate", &rate];
    let fixed = "--rate max --channels 12 --seed 20260301 --start 2026-03-01T00:00:00Z --topic-partitions 2 --json \
                 --late-ratio 0.03 --late-delay 35s..240s --too-late-ratio 0.003 --duplicate-ratio 0.02 \
                 --malformed-ratio 0.005 --future-ratio 0.001 --transaction-ratio 0.05 --changes-per-hour 20";
    let arguments: Vec<&str> = sized.into_iter().chain(fixed.split_whitespace()).collect();
    let told = program::last_line(&program::command(producer, folder, &arguments).output().unwrap(), 0);
    told["delivered"].as_u64().unwrap()
}

/// Reads all of it, with nothing of the library.
pub fn read(servers: &str, records: u64) -> Log {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "reader").set("auto.offset.reset", "error");
    let consumer: BaseConsumer = config.create().unwrap();
    let patience = Duration::from_secs(60);
    let metadata = consumer.fetch_metadata(None, patience).unwrap();
    let mut places = TopicPartitionList::new();
    let mut log = Log::new();
    for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with("telemetra.events.")) {
        for partition in topic.partitions() {
            log.insert(format!("{}/{}", topic.name(), partition.id()), Vec::new());
            places.add_partition_offset(topic.name(), partition.id(), Offset::Offset(0)).unwrap();
        }
    }
    assert_eq!(log.len(), 8, "four topics of two partitions");
    consumer.assign(&places).unwrap();
    for left in (0..records).rev() {
        let message =
            consumer.poll(patience).unwrap_or_else(|| panic!("{} records do not come", left + 1)).unwrap();
        let partition = format!("{}/{}", message.topic(), message.partition());
        log.get_mut(&partition).unwrap().push(message.payload().unwrap().to_vec());
    }
    log
}

/// The program, built once.
pub fn producer() -> PathBuf {
    program::build("mock_producer")
}
