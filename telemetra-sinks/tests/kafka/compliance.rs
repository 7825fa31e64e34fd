//! Source and sink keep their contracts.

use std::collections::BTreeMap;

use rdkafka::Message;
use telemetra_core::testkit::{HeldRow, sink_compliance, source_compliance};
use telemetra_sinks::{EmbeddedKafka, KafkaSink, KafkaSource};

use crate::support::{config, messages, write, write_numbers};

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

/// The messages that a consumer of a compacted topic holds: the newest one of each key, in the order of offsets.
fn newest(servers: &str, topic: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let messages = messages(servers, topic).into_iter();
    let text = |key: &[u8]| String::from_utf8(key.to_vec()).unwrap();
    messages.map(|m| (text(m.key().unwrap()), m.payload().map(<[u8]>::to_vec))).collect()
}

#[test]
fn the_sink_keeps_the_contract() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    let topic = |kind: &str, n: u32| format!("{kind}-{n}");
    for n in 1..40 {
        for kind in ["letters", "devices", "summaries", "moments", "payments"] {
            kafka.create_topic(&topic(kind, n), 3).unwrap();
        }
    }
    let tables = [
        ("devices", "devices"),
        ("summaries", "device_minute"),
        ("moments", "moments"),
        ("payments", "payments"),
        ("letters", "telemetra_dead_letters"),
    ];
    sink_compliance(
        &tables.map(|(_, table)| table),
        |n| {
            let sink = KafkaSink::new(config(&kafka)).unwrap();
            let rows = tables.iter().filter(|(kind, _)| *kind != "letters");
            let sink = sink.dead_letters_to(&*topic("letters", n));
            Box::new(rows.fold(sink, |sink, (kind, table)| sink.topic(table, &*topic(kind, n))))
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
