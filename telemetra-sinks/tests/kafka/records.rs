//! The fields of a record that decoders see besides its value.

use std::io::{Read, Write};
use std::net::TcpStream;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use telemetra_core::{EventTime, Partition, Polled, RecordBatch};
use telemetra_sinks::{EmbeddedKafka, KafkaSource};

use crate::support::{LONG, open, producer, source};

fn cluster() -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("readings", 1).unwrap();
    kafka
}

/// The whole of the partition, in one batch.
fn read(kafka: &EmbeddedKafka) -> (Box<dyn Partition>, RecordBatch) {
    read_by(source(kafka, "readings"))
}

fn read_by(source: KafkaSource) -> (Box<dyn Partition>, RecordBatch) {
    let mut source = source.until_end();
    let mut partition = open(&mut source, "readings/0", None);
    let mut batch = RecordBatch::default();
    while partition.poll(&mut batch).unwrap() != Polled::Done {}
    (partition, batch)
}

#[test]
fn topic_key_headers_and_timestamp_are_there() {
    let kafka = cluster();
    let producer = producer(kafka.bootstrap_servers());
    let headers = OwnedHeaders::new()
        .insert(Header { key: "unit", value: Some("K") })
        .insert(Header { key: "unit", value: Some("C") })
        .insert(Header::<&str> { key: "checked", value: None })
        .insert(Header { key: "empty", value: Some("") });
    let full = BaseRecord::to("readings").key("d1").payload("21.5").timestamp(1_767_225_600_123);
    producer.send(full.headers(headers)).unwrap();
    producer.send(BaseRecord::<str, str>::to("readings").payload("22").timestamp(5)).unwrap();
    producer.send(BaseRecord::<str, str>::to("readings").key("d1").timestamp(6)).unwrap();
    producer.flush(LONG).unwrap();

    let (partition, batch) = read(&kafka);
    assert_eq!(partition.topic(), "readings");
    let records = batch.records().iter().map(|place| batch.record(place, partition.topic()));
    let records: Vec<_> = records.collect();
    let [full, bare, tombstone] = &records[..] else { panic!("{records:?}") };
    assert_eq!((full.value, full.topic, full.offset), (&b"21.5"[..], "readings", 0));
    assert_eq!((full.key, full.timestamp), (Some(&b"d1"[..]), Some(EventTime(1_767_225_600_123))));
    let headers = [("unit", Some(&b"K"[..])), ("unit", Some(b"C")), ("checked", None), ("empty", Some(b""))];
    assert!(full.headers().eq(headers));
    assert_eq!((bare.value, bare.key, bare.timestamp), (&b"22"[..], None, Some(EventTime(5))));
    assert_eq!(bare.headers().count(), 0);
    assert_eq!((tombstone.key, tombstone.timestamp), (Some(&b"d1"[..]), Some(EventTime(6))));
    assert!(batch.records()[2].tombstone);

    let (partition, batch) = read_by(source(&kafka, "readings").without_headers());
    assert!(!batch.has_headers());
    let first = batch.record(&batch.records()[0], partition.topic());
    assert_eq!((first.value, first.key), (full.value, full.key));
    assert_eq!((first.headers().count(), first.timestamp), (0, full.timestamp));
}

/// The bytes of a request that writes one record with two headers, as a client in C can make it.
fn produce(first: &[u8], second: &[u8]) -> Vec<u8> {
    // Lengths within a record are variable, and doubled as they have a sign: all here are below 64.
    let counted = |bytes: &[u8]| [&[bytes.len() as u8 * 2], bytes].concat();
    let headers = [counted(first), counted(b"1"), counted(second), counted(b"2")].concat();
    // No attributes, no differences of time and offset, no key.
    let record = [&[0, 0, 0, 1][..], &counted(b"value"), &[2 * 2], &headers].concat();
    // Leader epoch, version, checksum (not checked), attributes, last offset; times; how many records.
    let epoch = [&(-1_i32).to_be_bytes()[..], &[2], &[0; 4], &[0; 2], &[0; 4]].concat();
    let times = [1_000_i64.to_be_bytes(), 1_000_i64.to_be_bytes(), (-1_i64).to_be_bytes()].concat();
    let count = [&(-1_i16).to_be_bytes()[..], &(-1_i32).to_be_bytes(), &1_i32.to_be_bytes()].concat();
    let batch = [epoch, times, count, counted(&record)].concat();
    let sized = |bytes: &[u8]| [&(bytes.len() as i32).to_be_bytes()[..], bytes].concat();
    let batch = sized(&[&0_i64.to_be_bytes()[..], &sized(&batch)].concat());

    let text = |text: &str| [&(text.len() as i16).to_be_bytes()[..], text.as_bytes()].concat();
    // Kind, version and number; client; no transaction, all replicas, 5 s; one topic, one partition.
    let request = [&[0, 0, 0, 3, 0, 0, 0, 7][..], &text("raw")].concat();
    let how = [&(-1_i16).to_be_bytes()[..], &(-1_i16).to_be_bytes(), &5_000_i32.to_be_bytes()].concat();
    let place = [&1_i32.to_be_bytes()[..], &text("readings"), &1_i32.to_be_bytes(), &[0; 4]].concat();
    sized(&[request, how, place, batch].concat())
}

#[test]
fn a_header_whose_name_is_no_text_is_left_out() {
    let kafka = cluster();
    let mut broker = TcpStream::connect(kafka.bootstrap_servers()).unwrap();
    broker.write_all(&produce(b"bad \xff\xfe", b"good")).unwrap();
    broker.read_exact(&mut [0; 8]).unwrap();
    let (_, batch) = read(&kafka);
    let record = batch.record(&batch.records()[0], "readings");
    assert_eq!((record.value, record.timestamp), (&b"value"[..], Some(EventTime(1_000))));
    assert!(record.headers().eq([("good", Some(&b"2"[..]))]));
}
