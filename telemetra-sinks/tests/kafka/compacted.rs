//! A compacted topic of a real broker equals the table, before the broker compacts it and after.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::Message;
use serde_json::Value as Json;
use telemetra_core::{Action, Batch, Change, Column, ColumnKind, EventTime, Layout, Sink, Table, Value};
use telemetra_sinks::KafkaSink;

use crate::real::{config, create};
use crate::services::{Kind, Server};
use crate::support::{LONG, messages};

/// A site, a place there, and the level.
type Level = (String, String, i64);

fn levels() -> Layout<Level> {
    let text = |name| Column::new(name, ColumnKind::Text);
    let table = Table::new("levels").key(text("site")).key(text("place"));
    Layout::new(
        table.column(Column::new("level", ColumnKind::Integer)),
        |(site, place, level): &Level, put| {
            put(Value::Text(site));
            put(Value::Text(place));
            put(Value::Signed(*level));
        },
    )
}

/// The rows that a reader of the topic holds: the newest message of each key, without tombstones. Their columns say
/// which row it is.
fn rows(servers: &str) -> BTreeMap<(String, String), i64> {
    let mut newest = BTreeMap::new();
    for message in messages(servers, "levels") {
        newest.insert(message.key().unwrap().to_vec(), message.payload().map(<[u8]>::to_vec));
    }
    let row = |value: Vec<u8>| {
        let json: Json = serde_json::from_slice(&value).unwrap();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        ((text("site"), text("place")), json["level"].as_i64().unwrap())
    };
    let count = newest.values().flatten().count();
    let rows: BTreeMap<_, _> = newest.into_values().flatten().map(row).collect();
    assert_eq!(rows.len(), count, "two keys of one row");
    rows
}

#[test]
fn a_compacted_topic_equals_the_table() {
    let server = Server::of(Kind::Kafka).set("log.cleaner.backoff.ms", "50").start();
    let servers = server.url();
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "50"),
        ("min.cleanable.dirty.ratio", "0.0001"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "100"),
    ];
    create(&servers, "levels", 3, &settings);
    let layout = levels();
    let open = || {
        let mut sink =
            KafkaSink::new(config(&servers)).unwrap().dead_letters_to(None).topic("levels", "levels");
        assert_eq!(sink.open(&[Arc::clone(layout.table())], None).unwrap(), None);
        sink
    };
    // Keys that are alike unless what separates their columns is escaped.
    let sites = ["a", "a/b", "%", "north"];
    let places = ["b/c", "c", "2F", "/", "%2F"];
    let mut model = BTreeMap::new();
    let mut batch = |nth: u64| {
        let mut changes: Vec<Change> = Vec::new();
        for (n, (site, place)) in sites.iter().flat_map(|site| places.map(|place| (*site, place))).enumerate()
        {
            let (key, turn) = ((site.to_owned(), place.to_owned()), nth + n as u64);
            let row = (key.0.clone(), key.1.clone(), i64::try_from(nth).unwrap());
            // Every third time a row is withdrawn, if it is there.
            let action = if turn % 3 == 2 { Action::Withdraw } else { Action::Upsert };
            let known = match action {
                Action::Upsert => model.insert(key, row.2).is_some(),
                Action::Withdraw => model.remove(&key).is_some(),
            };
            if known || action == Action::Upsert {
                changes.push(Change { row: layout.erase(row), revision: 0, action });
            }
        }
        (Batch { time: EventTime(nth * 10_000 + 9_999), changes }, model.clone())
    };
    let mut sink = open();
    let (mut expected, mut written) = (BTreeMap::new(), 0);
    for nth in 0..30 {
        let (batch, model) = batch(nth);
        written += batch.changes.len();
        sink.apply(std::slice::from_ref(&batch)).unwrap();
        if nth == 20 {
            // A restarted process does not know what it wrote last, and writes it again.
            drop(sink);
            sink = open();
            written += batch.changes.len();
            sink.apply(&[batch]).unwrap();
        }
        expected = model;
    }
    assert_eq!(rows(&servers), expected);
    // A segment is compacted when something is written after its time, in each partition.
    let (started, mut nth) = (std::time::Instant::now(), 30);
    while messages(&servers, "levels").len() >= written {
        assert!(started.elapsed() < LONG * 3, "all of {written} messages are left after {nth} batches");
        std::thread::sleep(Duration::from_millis(100));
        let (batch, model) = batch(nth);
        written += batch.changes.len();
        sink.apply(&[batch]).unwrap();
        (nth, expected) = (nth + 1, model);
    }
    assert_eq!(rows(&servers), expected);
    sink.close().unwrap();
}
