//! Source and sink keep their contracts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetra_core::StreamSummary;
use telemetra_core::testkit::{HeldRow, sink_compliance, source_compliance};
use telemetra_sinks::{EmbeddedKafka, KafkaSink, KafkaSource};

use crate::support::{config, source, write, write_numbers};

#[test]
fn the_source_keeps_the_contract() {
    let kafka = EmbeddedKafka::start(2).unwrap();
    kafka.create_topic("numbers", 2).unwrap();
    kafka.create_topic("odd", 2).unwrap();
    let servers = kafka.bootstrap_servers();
    write_numbers(servers, "numbers", 0, 0..5_000);
    write_numbers(servers, "numbers", 1, 0..1);
    // `odd/0` is empty.
    write(servers, "odd", 1, [vec![], vec![b'x'; 200_000], b"small".to_vec(), vec![b'y'; 70_000]]);
    source_compliance(|| {
        let topics = ["numbers", "odd"];
        Box::new(KafkaSource::new(config(&kafka), topics).unwrap().until_end())
    });
}

/// What a consumer of a compacted topic would hold: the newest message of each key, in the order of offsets.
fn newest(servers: &str, topic: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "reader")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "5")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|p| p.id()).collect();
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut rows, mut ended) = (BTreeMap::new(), BTreeSet::new());
    while ended.len() < partitions.len() {
        match consumer.poll(Duration::from_secs(10)).expect("the topic comes to an end") {
            Ok(message) => {
                let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
                rows.insert(key, message.payload().map(<[u8]>::to_vec));
            }
            Err(KafkaError::PartitionEOF(partition)) => drop(ended.insert(partition)),
            Err(error) => panic!("{error}"),
        }
    }
    rows
}

#[test]
fn the_sink_keeps_the_contract() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    let topic = |kind: &str, n: u32| format!("{kind}-{n}");
    for n in 1..40 {
        for kind in ["letters", "summaries", "moments"] {
            kafka.create_topic(&topic(kind, n), 3).unwrap();
        }
    }
    let tables =
        [("summaries", "chat_summary_minute"), ("moments", "moments"), ("letters", "telemetra_dead_letters")];
    sink_compliance(
        &tables.map(|(_, table)| table),
        |n| {
            let sink = KafkaSink::<StreamSummary>::new(config(&kafka)).unwrap();
            Box::new(
                sink.dead_letters_to(&*topic("letters", n))
                    .summaries(&topic("summaries", n))
                    .moments(&topic("moments", n)),
            )
        },
        |n| {
            let held = tables.iter().flat_map(|(kind, table)| {
                let rows = newest(kafka.bootstrap_servers(), &topic(kind, n)).into_iter();
                rows.filter_map(move |(key, value)| {
                    let contents = String::from_utf8_lossy(&value?).into_owned();
                    Some(HeldRow { table: (*table).to_owned(), key, contents })
                })
            });
            held.collect()
        },
    );
}
