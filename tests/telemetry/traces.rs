//! The traces of Kafka's records: where they are kept, and where the pipeline's own go.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rusqlite::Connection;
use telemetra::core::{SerdeJson, TraceParent};
use telemetra::ops::{minutes, tumbling};
use telemetra::prelude::*;
use telemetra::sinks::{CreateTopics, KafkaConfig, KafkaSink, KafkaSource, Sqlite};
use tracing::Level;

use crate::capture::{current_name, listen};
use crate::services::{Kind, Server};
use crate::spans::{Reading, reading};

const LONG: Duration = Duration::from_secs(60);
const READINGS: &str = "plant.readings";
const LETTERS: &str = "telemetra.events.dead_letter";
const ROWS: &str = "plant.device_minute";
const FIRST: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const SECOND: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
const OF_THE_BAD: &str = "00-11112222333344445555666677778888-1111222233334444-01";

/// Writes records with a header `traceparent`.
fn write(servers: &str, records: &[(String, Option<&str>)]) {
    let mut client = ClientConfig::new();
    let producer: BaseProducer = client.set("bootstrap.servers", servers).create().unwrap();
    for (value, parent) in records {
        let record = BaseRecord::<[u8], [u8]>::to(READINGS).partition(0).key(b"k").payload(value.as_bytes());
        let headers = OwnedHeaders::new().insert(Header { key: "other", value: Some("x") });
        let record = record.headers(match parent {
            Some(parent) => headers.insert(Header { key: "traceparent", value: Some(*parent) }),
            None => headers,
        });
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LONG).unwrap();
}

/// So many messages of a topic, from its beginning.
fn messages(servers: &str, topic: &str, count: usize) -> Vec<OwnedMessage> {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers).set("group.id", "reader");
    let consumer: BaseConsumer = client.create().unwrap();
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    (0..count).map(|_| consumer.poll(LONG).expect("one more message").unwrap().detach()).collect()
}

fn parent(message: &OwnedMessage) -> Option<&str> {
    let header = message.headers()?.iter().find(|header| header.key == "traceparent")?;
    std::str::from_utf8(header.value?).ok()
}

/// Stands for what sends spans somewhere: it knows the span that a sink is called in.
fn current() -> Option<TraceParent> {
    (current_name() == Some("apply")).then(|| SECOND.parse().ok()).flatten()
}

#[test]
fn a_trace_goes_with_dead_letters_slow_batches_and_rows() {
    TraceParent::set_current(current);
    let kafka = Server::of(Kind::Kafka).set("auto.create.topics.enable", "true").start();
    let servers = kafka.url();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let malformed = "not JSON".to_owned();
    write(
        &servers,
        &[
            (reading("d1", 0), Some(FIRST)),
            (malformed.clone(), Some(OF_THE_BAD)),
            (malformed.clone(), Some("00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01")),
            (malformed, None),
            (reading("d1", 1), Some("gibberish")),
            (reading("d1", 2), Some(SECOND)),
            (reading("d1", 3), Some(FIRST)),
        ],
    );
    let (report, captured) = listen(Some(Level::DEBUG), || {
        let sink = KafkaSink::new(KafkaConfig::new(&servers)).unwrap().topic("device_minute", ROWS);
        Pipeline::<Reading>::new()
            .source(
                KafkaSource::new(KafkaConfig::new(&servers), [READINGS]).unwrap().until_end(),
                SerdeJson::new(),
            )
            .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
            .key_columns(["device"])
            .sink(sink.create_topics(CreateTopics {
                partitions: 1,
                replication: 1,
                ..CreateTopics::default()
            }))
            .sink(Sqlite::new(&path))
            .slow_batch_after(Duration::ZERO)
            .start()
            .unwrap()
            .wait()
            .unwrap()
    });
    assert_eq!((report.fates.read, report.fates.malformed, report.fates.on_time), (7, 3, 4));

    let letters = messages(&servers, LETTERS, 3);
    assert_eq!(letters.iter().map(parent).collect::<Vec<_>>(), [Some(OF_THE_BAD), None, None]);
    let database = Connection::open(&path).unwrap();
    let mut query =
        database.prepare("SELECT traceparent FROM telemetra_dead_letters ORDER BY \"offset\"").unwrap();
    let kept: Vec<Option<String>> =
        query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(kept, [Some(OF_THE_BAD.to_owned()), None, None]);

    let rows = messages(&servers, ROWS, 1);
    assert_eq!(parent(&rows[0]), Some(SECOND), "that of the span that wrote it");

    for sink in ["kafka", "sqlite"] {
        let slow: Vec<_> = captured
            .events
            .iter()
            .filter(|event| event.fields.get("message").is_some_and(|text| text.contains("took long")))
            .filter(|event| event.fields["sink"] == sink)
            .collect();
        assert_eq!(slow.len(), 1, "one batch has rows: {:?}", captured.events);
        let (event, span) = (slow[0], captured.parent_of(slow[0].parent).unwrap());
        assert_eq!((event.level, event.target, span.name), (Level::WARN, "telemetra::sink", "deliver"));
        assert_eq!((&*event.fields["rows"], &span.fields["through"]), ("1", &event.fields["through"]));
        assert_eq!(event.fields["traceparents"], format!("{FIRST},{SECOND}"), "each once, and no bad one");
    }
}
