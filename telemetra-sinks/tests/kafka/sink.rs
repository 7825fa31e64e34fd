//! The records that the sink writes, and its behaviour when it cannot.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use rdkafka::message::{Headers, OwnedMessage};
use telemetra_core::{
    Action, Batch, Change, Column, ColumnKind, DeadLetter, EventTime, Fate, Layout, PartitionId, Retry, Sink,
    Summary, SummaryRow, Table, Value, Window,
};
use telemetra_sinks::KafkaFault::{Disconnected, TimedOut, TooFewReplicas, TopicRefused};
use telemetra_sinks::{EmbeddedKafka, KafkaRequest, KafkaSink};

use crate::support::{config, messages};

fn cluster() -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(1).unwrap();
    for topic in ["telemetra.events.dead_letter", "summaries"] {
        kafka.create_topic(topic, 4).unwrap();
    }
    kafka
}

fn sink(kafka: &EmbeddedKafka) -> KafkaSink {
    let mut sink = KafkaSink::new(config(kafka)).unwrap().topic("device_minute", "summaries");
    sink = sink.delivery_timeout(Duration::from_secs(1));
    sink.open(&tables(), None).unwrap();
    sink
}

fn letters(kafka: &EmbeddedKafka) -> Vec<OwnedMessage> {
    messages(kafka.bootstrap_servers(), "telemetra.events.dead_letter")
}

pub(crate) fn letter(offset: u64, bytes: &[u8]) -> DeadLetter {
    DeadLetter {
        partition: PartitionId::new("sensors.readings/7"),
        offset,
        index: 2,
        time: Some(EventTime(1_767_225_600_000)),
        fate: Fate::Malformed,
        reason: "`timestamp`: missing".into(),
        bytes: bytes.into(),
        traceparent: None,
    }
}

/// The number of readings of a device in a minute.
fn layout() -> Layout<SummaryRow<String, u64>> {
    let columns = vec![Column::new("readings", ColumnKind::Integer)];
    Layout::summaries("device_minute", &["device"], columns, |readings: &u64, _, put| {
        put(Value::Unsigned(*readings))
    })
}

pub(crate) fn tables() -> Vec<Arc<Table>> {
    vec![Arc::clone(layout().table())]
}

pub(crate) fn batch(nth: u64, devices: &[&str], action: Action) -> Batch {
    let start = EventTime(60_000 * nth);
    let window = Window { start: start.into(), end: start.plus(60_000) };
    let change = |device: &&str| {
        let row =
            SummaryRow { key: (*device).to_owned(), summary: Summary { window, value: (nth + 1).into() } };
        Change { row: layout().erase(row), revision: 0, action }
    };
    Batch { time: EventTime(start.0 + 59_999), changes: devices.iter().map(change).collect() }
}

pub(crate) fn header(message: &OwnedMessage, key: &str) -> Option<String> {
    let header = message.headers()?.iter().find(|header| header.key == key)?;
    Some(String::from_utf8(header.value?.to_vec()).unwrap())
}

#[test]
fn a_dead_letter_has_its_bytes_and_says_where_it_came_from() {
    let kafka = cluster();
    let mut sink = sink(&kafka);
    let bytes = b"{\"broken\" \xff\x00";
    sink.dead_letters(&[letter(42, bytes)]).unwrap();
    sink.apply(&[]).unwrap();
    let message = letters(&kafka).remove(0);
    assert_eq!(message.payload().unwrap(), bytes);
    assert_eq!(message.key().unwrap(), b"sensors.readings/7/42/2");
    for (name, value) in [
        ("telemetra.fate", "malformed"),
        ("telemetra.reason", "`timestamp`: missing"),
        ("telemetra.time", "2026-01-01T00:00:00.000Z"),
        ("telemetra.origin", "sensors.readings/7"),
        ("telemetra.origin.topic", "sensors.readings"),
        ("telemetra.origin.partition", "7"),
        ("telemetra.origin.offset", "42"),
        ("telemetra.origin.index", "2"),
    ] {
        assert_eq!(header(&message, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(header(&message, "telemetra.truncated"), None);
}

#[test]
fn a_letter_over_the_clients_limit_is_cut_and_says_so() {
    let kafka = cluster();
    let config = config(&kafka).set("message.max.bytes", "20000");
    let mut sink = KafkaSink::new(config).unwrap();
    sink.open(&tables(), None).unwrap();
    let long: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
    sink.dead_letters(&[letter(1, &long), letter(2, b"short")]).unwrap();
    sink.apply(&[]).unwrap();
    let mut messages = letters(&kafka);
    messages.sort_by_key(|message| message.payload().map(<[u8]>::len));
    let (short, cut) = (&messages[0], &messages[1]);
    assert_eq!((messages.len(), short.payload().unwrap()), (2, &b"short"[..]));
    assert!(cut.payload().unwrap().len() > 15_000 && long.starts_with(cut.payload().unwrap()));
    assert_eq!(header(cut, "telemetra.truncated").unwrap(), "400000");
    assert_eq!(header(short, "telemetra.truncated"), None);
}

#[test]
fn the_rows_of_a_device_are_in_one_partition_in_order() {
    let kafka = cluster();
    let mut sink = sink(&kafka);
    let devices = ["ada", "bob", "cyd", "dee", "eve", "fay"];
    let batches: Vec<_> = (0..20).map(|nth| batch(nth, &devices, Action::Upsert)).collect();
    sink.apply(&batches).unwrap();
    sink.apply(&[batch(3, &["ada"], Action::Withdraw)]).unwrap();
    let messages = messages(kafka.bootstrap_servers(), "summaries");
    let mut partitions = std::collections::BTreeSet::new();
    for device in devices {
        let of_device: Vec<_> =
            messages.iter().filter(|m| m.key().unwrap().starts_with(device.as_bytes())).collect();
        assert!(of_device.iter().all(|m| m.partition() == of_device[0].partition()));
        let starts: Vec<u64> = of_device
            .iter()
            .map(|m| {
                std::str::from_utf8(m.key().unwrap()).unwrap().rsplit_once('/').unwrap().1.parse().unwrap()
            })
            .collect();
        let withdrawn = (device == "ada").then_some(180_000);
        assert!(starts.into_iter().eq((0..20).map(|nth| nth * 60_000).chain(withdrawn)));
        partitions.insert(of_device[0].partition());
        assert_eq!(of_device.last().unwrap().payload().is_none(), device == "ada");
    }
    assert!(partitions.len() > 1, "devices are spread");
}

#[test]
fn a_row_is_the_line_that_files_have() {
    let kafka = cluster();
    sink(&kafka).apply(&[batch(0, &["ada"], Action::Upsert)]).unwrap();
    let message = messages(kafka.bootstrap_servers(), "summaries").remove(0);
    let row: serde_json::Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
    assert_eq!((&row["device"], &row["readings"]), (&"ada".into(), &1.into()));
    assert_eq!(row["window_start"], "1970-01-01T00:00:00.000Z");
    assert_eq!(message.payload().unwrap().last(), Some(&b'}'));
}

#[test]
fn a_broker_that_is_down_holds_back_and_loses_nothing() {
    let kafka = cluster();
    let mut sink = sink(&kafka);
    sink.apply(&[batch(0, &["ada"], Action::Upsert)]).unwrap();
    kafka.broker_down(1).unwrap();
    sink.dead_letters(&[letter(1, b"one"), letter(2, b"two")]).unwrap();
    for _ in 0..2 {
        let error = sink.apply(&[batch(1, &["ada"], Action::Upsert)]).unwrap_err();
        assert_eq!(error.retry(), Retry::Transient);
        assert!(error.to_string().contains(kafka.bootstrap_servers()), "{error}");
    }
    kafka.broker_up(1).unwrap();
    while let Err(error) = sink.apply(&[batch(1, &["ada"], Action::Upsert)]) {
        assert_eq!(error.retry(), Retry::Transient);
    }
    let mut bytes: Vec<_> = letters(&kafka).iter().map(|m| m.payload().unwrap().to_vec()).collect();
    bytes.sort();
    assert_eq!(bytes, [b"one", b"two"]);
    let rows = messages(kafka.bootstrap_servers(), "summaries");
    let keys: Vec<_> = rows.iter().map(|m| m.key().unwrap()).collect();
    assert_eq!(keys, [&b"ada/0"[..], b"ada/60000"]);
}

#[test]
fn requests_that_fail_are_repeated_and_write_once() {
    let kafka = cluster();
    let config = config(&kafka);
    let mut sink = KafkaSink::new(config).unwrap().topic("device_minute", "summaries");
    sink.open(&tables(), None).unwrap();
    kafka.fail_requests(KafkaRequest::Produce, &[Disconnected, TooFewReplicas, TimedOut, Disconnected]);
    let batches: Vec<_> = (0..50).map(|nth| batch(nth, &["ada"], Action::Upsert)).collect();
    sink.apply(&batches).unwrap();
    assert_eq!(messages(kafka.bootstrap_servers(), "summaries").len(), 50);
}

#[test]
fn no_right_to_write_stops_the_sink() {
    let kafka = cluster();
    let mut sink = sink(&kafka);
    kafka.fail_requests(KafkaRequest::Produce, &[TopicRefused; 50]);
    let error = sink.apply(&[batch(0, &["ada"], Action::Upsert)]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("`ada/0`") && error.to_string().contains("grant"), "{error}");
}

#[test]
fn a_row_too_long_for_a_message_is_named() {
    let kafka = cluster();
    let mut sink = KafkaSink::new(config(&kafka).set("message.max.bytes", "1000"))
        .unwrap()
        .topic("device_minute", "summaries");
    sink.open(&tables(), None).unwrap();
    let long = "s".repeat(900);
    let error = sink.apply(&[batch(0, &[&long], Action::Upsert)]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains(&long) && error.to_string().contains("message.max.bytes"), "{error}");
}

#[test]
fn what_is_not_open_is_not_written() {
    let kafka = cluster();
    let mut sink = KafkaSink::new(config(&kafka)).unwrap();
    for error in [sink.apply(&[]).unwrap_err(), sink.dead_letters(&[]).unwrap_err()] {
        assert!(error.to_string().contains("call `open` first"), "{error}");
    }
    sink.close().unwrap();
}
