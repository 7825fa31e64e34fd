//! Topics of several formats, from a real broker and a real schema registry, as one type of event.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use telemetra::prelude::*;
use telemetra::sinks::SchemaRegistry;
use telemetra::sinks::formats::{Avro, Confluent, Csv, MsgPack};

use crate::services::{Kind, Server, shared};
use crate::watch::{finish, until};
use crate::{Reading, counts, line};

const LONG: Duration = Duration::from_secs(60);

/// The device and the time of a reading, as an Avro schema of two fields.
const SCHEMA: &str = r#"{"type": "record", "name": "Reading", "fields": [
    {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}}, {"name": "device", "type": "string"}]}"#;

/// Registers the schema by a plain request, and returns its id.
fn register(server: &Server, subject: &str) -> u32 {
    let body = serde_json::json!({ "schema": SCHEMA }).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    let head = format!(
        "POST /apis/ccompat/v7/subjects/{subject}/versions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let id = answer.split("\"id\":").nth(1).unwrap();
    id.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
}

/// A record of Avro behind the id of its schema: a long in zigzag, and a text behind its length.
fn avro(id: u32, device: &str, time: u64) -> Vec<u8> {
    let mut record = [&[0], &id.to_be_bytes()[..]].concat();
    let mut varint = |mut n: u64| {
        while n > 0x7f {
            record.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        record.push(n as u8);
    };
    varint(time << 1);
    varint((device.len() as u64) << 1);
    record.extend_from_slice(device.as_bytes());
    record
}

fn msgpack(device: &str, time: u64) -> Vec<u8> {
    let device = [&[0xa0 | device.len() as u8], device.as_bytes()].concat();
    [b"\x82\xa6device", &device[..], b"\xa4time\xcf", &time.to_be_bytes()].concat()
}

#[test]
fn topics_of_several_formats_are_one_type_of_event_also_while_the_registry_is_away() {
    let place = shared(Kind::Kafka);
    let topic = |format: &str| format!("{}_{format}", place.name);
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &place.url);
    let admin: AdminClient<_> = client.create().unwrap();
    let names = ["json", "json_schema", "avro", "csv", "msgpack"].map(topic);
    let topics = names.each_ref().map(|name| NewTopic::new(name, 2, TopicReplication::Fixed(1)));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let made = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap();
    assert!(made.iter().all(Result::is_ok), "{made:?}");

    let mut server = Server::of(Kind::Registry).start();
    let id = register(&server, "readings-value");
    server.stop();
    let producer: BaseProducer = client.create().unwrap();
    for second in 0..30 {
        let time = 1_767_225_600_000 + second * 1000;
        let text = line("json", time);
        let framed = [b"\0\0\0\0\x07", line("json_schema", time).as_bytes()].concat();
        let csv = format!("{time},csv");
        let records =
            [text.into_bytes(), framed, avro(id, "avro", time), csv.into_bytes(), msgpack("msgpack", time)];
        for (name, record) in names.iter().zip(&records) {
            let partition = (second % 2) as i32;
            producer.send(BaseRecord::<(), _>::to(name).partition(partition).payload(record)).unwrap();
        }
    }
    let bad = BaseRecord::<(), _>::to(&names[2]).partition(0).payload(b"\0\0\0\0\x01\x02");
    producer.send(bad).unwrap();
    producer.flush(LONG).unwrap();

    let tables = MemorySink::new();
    let source = |name: &str| {
        KafkaSource::new(KafkaConfig::new(&place.url).set("fetch.wait.max.ms", "5"), [name])
            .unwrap()
            .until_end()
    };
    let registry = SchemaRegistry::new(&server.url()).unwrap().timeout(Duration::from_secs(2));
    let running = Pipeline::<Reading>::new()
        .source(source(&names[0]), SerdeJson::new())
        .source(source(&names[1]), Confluent::new(SerdeJson::<Reading>::new()))
        .source(source(&names[2]), Avro::from_registry(registry))
        .source(source(&names[3]), Csv::with_columns(["time", "device"]))
        .source(source(&names[4]), MsgPack::new())
        .sink(tables.clone())
        .group("device_second", tumbling(seconds(1)), |a| a.count("readings"))
        .key_columns(["device"])
        .start()
        .unwrap();
    until("the other topics are read, and the registry is missed", || {
        let status = running.status();
        let away = status.partitions.iter().filter(|partition| {
            partition.failing.as_ref().is_some_and(|failing| failing.error.contains("schema registry"))
        });
        status.fates.read == 120 && away.count() == 2
    });
    assert_eq!(running.status().fates.malformed, 0);
    server.start_again();
    let fates = finish(running).unwrap().fates;
    assert_eq!((fates.read, fates.malformed), (151, 1), "{fates:?}");
    let expected: BTreeMap<_, _> =
        ["avro", "csv", "json", "json_schema", "msgpack"].map(|name| (name.to_owned(), 30)).into();
    assert_eq!(counts(&tables), expected);
    let letters = tables.dead_letters();
    assert!(letters[0].reason.ends_with(&format!("(schema {id})")), "{}", letters[0].reason);
}
