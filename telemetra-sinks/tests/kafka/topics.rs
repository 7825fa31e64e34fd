//! The topic and the key of each table's rows.

use std::sync::Arc;

use rdkafka::Message;
use telemetra_core::{Action, Batch, Column, ColumnKind, EventTime, Layout, Retry, Sink, Table, Value};
use telemetra_sinks::{EmbeddedKafka, KafkaSink};

use crate::sink::{batch, tables};
use crate::support::{config, messages};

type Pair = (String, String);

/// Rows whose key is two texts.
fn pairs(table: &'static str) -> Layout<Pair> {
    let text = |name| Column::new(name, ColumnKind::Text);
    Layout::new(Table::new(table).key(text("a")).key(text("b")), |(a, b): &Pair, put| {
        put(Value::Text(a));
        put(Value::Text(b));
    })
}

fn all() -> Vec<Arc<Table>> {
    let mut all = tables();
    all.extend(["pairs", "others", "more"].map(|table| Arc::clone(pairs(table).table())));
    all
}

fn cluster() -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(1).unwrap();
    for topic in ["telemetra.events.dead_letter", "minutes", "plant.pairs", "plant.more"] {
        kafka.create_topic(topic, 1).unwrap();
    }
    kafka
}

fn keys(kafka: &EmbeddedKafka, topic: &str) -> Vec<String> {
    let messages = messages(kafka.bootstrap_servers(), topic).into_iter();
    messages.map(|m| String::from_utf8(m.key().unwrap().to_vec()).unwrap()).collect()
}

#[test]
fn each_table_has_the_topic_that_is_given_or_none() {
    let kafka = cluster();
    let sink = KafkaSink::new(config(&kafka)).unwrap().topic("others", None);
    let mut sink = sink.topics_by_prefix("plant").topic("device_minute", "minutes");
    sink.open(&all(), None).unwrap();
    let pair = |table| pairs(table).upsert(("a".to_owned(), "b".to_owned()), 0);
    let mut changes = batch(0, &["ada"], Action::Upsert).changes;
    changes.extend([pair("others"), pair("pairs")]);
    sink.apply(&[Batch { time: EventTime(59_999), changes }]).unwrap();
    assert_eq!(keys(&kafka, "minutes"), ["ada/0"]);
    assert_eq!(keys(&kafka, "plant.pairs"), ["a/b"]);
    assert!(keys(&kafka, "plant.more").is_empty());
}

#[test]
fn topics_that_cannot_work_are_refused() {
    let kafka = cluster();
    let sink = || KafkaSink::new(config(&kafka)).unwrap();
    for (mut sink, what) in [
        (sink().topic("device_minutes", "minutes"), "no such table; it has `device_minute`, `pairs`"),
        (sink().topic("device_minute", "minutes").topic("pairs", "minutes"), "is given twice"),
        (sink().dead_letters_to("minutes").topic("pairs", "minutes"), "is given twice"),
    ] {
        let error = sink.open(&all(), None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn keys_of_several_columns_stay_apart() {
    let kafka = cluster();
    let mut sink = KafkaSink::new(config(&kafka)).unwrap().topic("pairs", "minutes");
    sink.open(&all(), None).unwrap();
    let changes =
        [("a", "b/c"), ("a/b", "c")].map(|(a, b)| pairs("pairs").upsert((a.to_owned(), b.to_owned()), 0));
    sink.apply(&[Batch { time: EventTime(0), changes: changes.into() }]).unwrap();
    assert_eq!(keys(&kafka, "minutes"), ["a/b%2Fc", "a/b/c"]);
}
