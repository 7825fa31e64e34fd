//! A pipeline from Kafka to Kafka: what is bad becomes a dead letter, and a restart goes on where it was.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use support::streams::{chat, json_pipeline, ten_seconds};
use support::watch::{finish, until};
use telemetra::core::Source;
use telemetra::core::checkpoint::Directory;
use telemetra::ops::Drain;
use telemetra::sinks::{EmbeddedKafka, KafkaConfig, KafkaSink, KafkaSource, MemorySink};

const CHAT: &str = "telemetra.events.chat";
const LETTERS: &str = "telemetra.events.dead_letter";
const LONG: Duration = Duration::from_secs(60);

fn cluster() -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic(CHAT, 4).unwrap();
    kafka.create_topic(LETTERS, 1).unwrap();
    kafka
}

fn config(kafka: &EmbeddedKafka) -> KafkaConfig {
    KafkaConfig::new(kafka.bootstrap_servers()).set("fetch.wait.max.ms", "5")
}

fn source(kafka: &EmbeddedKafka) -> KafkaSource {
    KafkaSource::new(config(kafka), [CHAT]).unwrap()
}

/// Writes records, each to a partition; `None` is a tombstone.
fn write(kafka: &EmbeddedKafka, records: impl IntoIterator<Item = (i32, Option<Vec<u8>>)>) {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka.bootstrap_servers()).set("message.max.bytes", "4000000");
    let producer: BaseProducer = client.create().unwrap();
    for (partition, value) in records {
        let record = BaseRecord::<[u8], [u8]>::to(CHAT).partition(partition).key(b"k");
        let record = match &value {
            Some(value) => record.payload(value),
            None => record,
        };
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// The dead letters by key, with their fates, as a consumer finds them.
fn letters(kafka: &EmbeddedKafka, count: usize) -> BTreeMap<String, usize> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", kafka.bootstrap_servers()).set("group.id", "reader");
    let consumer: BaseConsumer = client.set("auto.offset.reset", "earliest").create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(LETTERS, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut found = BTreeMap::new();
    while found.len() < count {
        let message = consumer.poll(LONG).expect("more letters").unwrap();
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        found.insert(key, message.payload_len());
    }
    found
}

#[test]
fn what_is_bad_becomes_a_letter() {
    let kafka = cluster();
    let good = |n: u64| Some(chat("ada", n, &format!("e{n}")).into_bytes());
    let long = vec![b'x'; 1_200_000];
    let records = [good(0), None, good(1), Some(b"not JSON".to_vec()), good(2), Some(long), good(3)];
    write(&kafka, records.into_iter().map(|record| (3, record)));
    let tables = MemorySink::new();
    let fates = finish(
        json_pipeline(source(&kafka).until_end(), &ten_seconds())
            .sink(tables.clone())
            .sink(KafkaSink::new(config(&kafka)).unwrap())
            .start()
            .unwrap(),
    )
    .unwrap()
    .fates;
    assert_eq!((fates.read, fates.on_time, fates.malformed), (7, 4, 3));
    let reasons: Vec<_> =
        tables.dead_letters().into_iter().map(|letter| (letter.offset, letter.reason)).collect();
    for ((offset, reason), (at, part)) in
        reasons.iter().zip([(1, "no value"), (3, "JSON"), (5, "1200000 bytes")])
    {
        assert!(*offset == at && reason.contains(part), "{reasons:?}");
    }
    let sent: Vec<_> = letters(&kafka, 3).into_iter().collect();
    let expected =
        [("1", 0), ("3", 8), ("5", 1024)].map(|(offset, length)| (format!("{CHAT}/3/{offset}/0"), length));
    assert_eq!(sent, expected);
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let kafka = cluster();
    // Five streams a partition, in the order of time.
    let part = |seconds: std::ops::Range<u64>| {
        seconds.flat_map(|second| {
            (0..20_u64).map(move |n| {
                let record = chat(&format!("s{n}"), second * 1_000, &format!("{second}-{n}"));
                (i32::try_from(n % 4).unwrap(), Some(record.into_bytes()))
            })
        })
    };
    let time = ten_seconds();
    let folder = tempfile::tempdir().unwrap();
    let tables = MemorySink::new();
    let life = |source, workers| {
        let store = Directory::new(folder.path());
        let pipeline =
            json_pipeline(source, &time).workers(workers).checkpoints(store, Duration::from_millis(10_000));
        pipeline.sink(tables.clone()).start().unwrap()
    };
    for (nth, workers) in [1, 2, 3].into_iter().enumerate() {
        let first = nth as u64 * 200;
        write(&kafka, part(first..first + 200));
        let running = life(source(&kafka), workers);
        // Some way into it, or at its end.
        until("half is read", || running.status().fates.read >= (first + 100) * 20);
        running.drain(Drain::KeepWindows).unwrap();
    }
    let report = finish(life(source(&kafka).until_end(), 1)).unwrap();
    assert_eq!((report.fates.read, report.fates.on_time), (12_000, 12_000), "each record once");
    let fresh = MemorySink::new();
    finish(json_pipeline(source(&kafka).until_end(), &time).sink(fresh.clone()).start().unwrap()).unwrap();
    assert_eq!(tables.table("chat_summary_minute").len(), 20 * 60);
    assert!(tables.rows() == fresh.rows(), "the tables of four lives differ from those of one");

    // What a checkpoint holds is committed for whoever watches the lag.
    let mut committed = source(&kafka).start(telemetra::sinks::Start::Committed);
    let ids = committed.partitions().unwrap();
    let offsets: u64 = ids.iter().map(|id| committed.open(id, None).unwrap().offset()).sum();
    assert!(offsets > 11_000, "the last checkpoint is near the end: {offsets}");
}
