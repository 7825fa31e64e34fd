//! The program that makes up events, as a user runs it, with librdkafka's mock cluster for servers.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Message, Offset, TopicPartitionList};
use serde_json::Value as Json;

const TOPICS: [&str; 4] = [
    "telemetra.events.chat",
    "telemetra.events.viewer",
    "telemetra.events.transactions",
    "telemetra.events.stream_meta",
];
const PARTITIONS: i32 = 3;

fn servers() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for topic in TOPICS {
        cluster.create_topic(topic, PARTITIONS, 1).unwrap();
    }
    cluster
}

fn producer(folder: &Path, servers: &str, arguments: &[&str]) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| program::build("mock_producer"));
    program::command(program, folder, &[&["--kafka", servers, "--json"], arguments].concat())
}

#[derive(Debug, PartialEq)]
struct Record {
    topic: String,
    partition: i32,
    key: String,
    value: Vec<u8>,
}

/// All records, each partition in its order.
fn log(servers: &str) -> Vec<Record> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("group.id", "test").set("auto.offset.reset", "error");
    let consumer: BaseConsumer = config.create().unwrap();
    let patience = Duration::from_secs(30);
    let (mut places, mut left) = (TopicPartitionList::new(), 0);
    for (topic, partition) in TOPICS.iter().flat_map(|topic| (0..PARTITIONS).map(move |p| (*topic, p))) {
        let (low, high) = consumer.fetch_watermarks(topic, partition, patience).unwrap();
        assert_eq!(low, 0, "the mock cluster dropped records of {topic}");
        places.add_partition_offset(topic, partition, Offset::Offset(0)).unwrap();
        left += high;
    }
    consumer.assign(&places).unwrap();
    let mut records: BTreeMap<(String, i32), Vec<Record>> = BTreeMap::new();
    while left > 0 {
        let message =
            consumer.poll(patience).unwrap_or_else(|| panic!("{left} records do not come")).unwrap();
        let (topic, partition) = (message.topic().to_owned(), message.partition());
        let of_partition = records.entry((topic.clone(), partition)).or_default();
        assert_eq!(message.offset(), of_partition.len() as i64);
        let key = String::from_utf8(message.key().unwrap().to_vec()).unwrap();
        of_partition.push(Record { topic, partition, key, value: message.payload().unwrap().to_vec() });
        left -= 1;
    }
    records.into_values().flatten().collect()
}

/// A fixed log with something of everything.
const LOG: [&str; 23] = [
    "--no-create-topics",
    "--rate",
    "max",
    "--event-rate",
    "40",
    "--duration",
    "4m",
    "--channels",
    "ada,grace,linus,margaret",
    "--seed",
    "7",
    "--start",
    "2026-01-01T00:00:00Z",
    "--duplicate-ratio",
    "0.02",
    "--malformed-ratio",
    "0.02",
    "--late-delay",
    "35s..60s",
    "--transaction-ratio",
    "0.1",
    "--truth",
    "truth.json",
];

fn topic_of(event: &Json) -> &'static str {
    if event["event_type"].is_string() {
        TOPICS[3]
    } else if event["amount"].is_number() {
        TOPICS[2]
    } else if event["viewer_count"].is_number() {
        TOPICS[1]
    } else {
        TOPICS[0]
    }
}

#[test]
fn what_it_tells_is_what_is_in_the_topics() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = servers();
    let servers = cluster.bootstrap_servers();
    let told = program::last_line(&producer(folder.path(), &servers, &LOG).output().unwrap(), 0);
    let records = log(&servers);
    let mut by_topic: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut places, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let (mut malformed, mut duplicate) = (0, 0);
    for record in &records {
        *by_topic.entry(&record.topic).or_default() += 1;
        places.insert((&record.topic, &record.key, record.partition));
        match serde_json::from_slice::<Json>(&record.value) {
            // Damage may leave JSON that is no event.
            Ok(event)
                if event["stream_id"].is_string()
                    && event["timestamp"].as_str().is_some_and(|t| t.starts_with('2')) =>
            {
                assert_eq!(
                    (topic_of(&event), event["stream_id"].as_str().unwrap()),
                    (&*record.topic, &*record.key)
                );
                duplicate += u64::from(!ids.insert(event["event_id"].as_str().unwrap().to_owned()));
            }
            _ => malformed += 1,
        }
    }
    assert_eq!(told["delivered"], records.len());
    assert_eq!(told["by_topic"], serde_json::to_value(&by_topic).unwrap());
    assert_eq!(by_topic.len(), 4);
    assert_eq!((&told["failed"], &told["undelivered"]), (&Json::from(0), &Json::from(0)));
    assert_eq!(
        (&told["fates"]["malformed"], &told["fates"]["duplicate"]),
        (&malformed.into(), &duplicate.into())
    );
    assert!(malformed > 100 && duplicate > 100, "{malformed} {duplicate}");
    let streams: BTreeSet<_> = places.iter().map(|(_, key, _)| key.as_str()).collect();
    assert_eq!(streams.into_iter().collect::<Vec<_>>(), ["ada", "grace", "linus", "margaret"]);
    let by_stream: BTreeSet<_> = places.iter().map(|(topic, key, _)| (topic, key)).collect();
    assert_eq!(by_stream.len(), places.len(), "a stream is in one partition of each topic");

    let truth: Json =
        serde_json::from_slice(&std::fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
    assert_eq!(truth["delivered"], told["delivered"]);
    assert_eq!(truth["settings"]["seed"], 7);

    // The same again is the same log, to the byte.
    let again = self::servers();
    producer(folder.path(), &again.bootstrap_servers(), &LOG).output().unwrap();
    assert_eq!(log(&again.bootstrap_servers()), records);
}

#[test]
fn moments_that_fit_are_planted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = servers();
    let planting = ["--plant-after", "60s", "--plant-length", "30s", "--event-rate", "10"];
    let arguments = [&LOG[..], &planting].concat();
    let output = producer(folder.path(), &cluster.bootstrap_servers(), &arguments).output().unwrap();
    program::last_line(&output, 0);
    let truth: Json =
        serde_json::from_slice(&std::fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
    let planted = truth["planted"].as_array().unwrap();
    // Of four streams, and two of viewers on none: fewer than usual, and of each type some.
    let types: BTreeSet<_> = planted.iter().map(|moment| moment["moment_type"].as_str().unwrap()).collect();
    assert!(types.contains("chat_spike") && types.contains("viewer_surge"), "{types:?}");
    assert!(planted.len() < 27 && planted.len() >= 5, "{planted:?}");
}

#[test]
fn a_seed_decides_the_ids_at_any_start() {
    let folder = tempfile::tempdir().unwrap();
    let ids = |seed: &str, start: &str| -> BTreeSet<String> {
        let cluster = servers();
        let arguments = ["--no-create-topics", "--rate", "max", "--event-rate", "20", "--duration", "5s"];
        let arguments = [&arguments[..], &["--seed", seed, "--start", start]].concat();
        let output = producer(folder.path(), &cluster.bootstrap_servers(), &arguments).output().unwrap();
        program::last_line(&output, 0);
        let events = log(&cluster.bootstrap_servers());
        let events = events.iter().filter_map(|record| serde_json::from_slice::<Json>(&record.value).ok());
        events.map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let noon = ids("1", "2026-01-01T12:00:00Z");
    assert!(noon.len() > 50 && noon == ids("1", "2026-01-01T12:05:00Z"));
    assert!(noon.is_disjoint(&ids("2", "2026-01-01T12:05:00Z")), "another seed makes others");
}

#[test]
fn an_interrupt_delivers_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = servers();
    let servers = cluster.bootstrap_servers();
    let live = ["--no-create-topics", "--rate", "500", "--channels", "5", "--truth", "truth.json"];
    let child = producer(folder.path(), &servers, &live).spawn().unwrap();
    // It goes on for ever, so sooner or later there is something in the log.
    let consumer: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &servers).create().unwrap();
    let written = || {
        let high = |p| consumer.fetch_watermarks(TOPICS[0], p, Duration::from_secs(30)).unwrap().1;
        (0..PARTITIONS).map(high).sum::<i64>()
    };
    while written() < 300 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let told = program::last_line(&child.wait_with_output().unwrap(), 130);
    let records = log(&servers);
    assert_eq!((&told["delivered"], &told["made"]), (&records.len().into(), &records.len().into()));
    assert_eq!(told["interrupted"], true);
    let truth: Json =
        serde_json::from_slice(&std::fs::read(folder.path().join("truth.json")).unwrap()).unwrap();
    assert_eq!(truth["fates"]["read"], records.len());
}

#[test]
fn what_the_servers_refuse_is_counted_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = servers();
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 3];
    cluster.request_errors(RDKafkaApiKey::Produce, &refusals);
    let output = producer(folder.path(), &cluster.bootstrap_servers(), &LOG).output().unwrap();
    let told = program::last_line(&output, 1);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let failed = told["failed"].as_u64().unwrap();
    assert!(failed > 0, "{told}");
    assert!(
        stderr.contains(&format!("error: {failed} of")) && stderr.contains("not delivered to Kafka at"),
        "{stderr}"
    );
    assert!(stderr.contains("was not delivered, and is counted as failed"), "{stderr}");
    assert_eq!(told["delivered"].as_u64().unwrap(), log(&cluster.bootstrap_servers()).len() as u64);
    assert_eq!(told["made"].as_u64().unwrap(), told["delivered"].as_u64().unwrap() + failed);
    assert!(told["failures"][0]["reason"].as_str().unwrap().contains("Topic authorization failed"), "{told}");
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let address = telemetra::ops::free_addresses(1).unwrap().remove(0);
    let cases: [(&[&str], i32, &str); 10] = [
        (&[], 1, "start one with `make services-up`, or name another by --kafka or KAFKA_BOOTSTRAP_SERVERS"),
        (&["--rate", "fast"], 2, "cannot use --rate: `fast` is no number"),
        (&["--rate", "-3"], 2, "cannot use --rate: `-3` is no number from 0 to 10000000"),
        (&["--raet", "5"], 2, "unexpected argument '--raet' found"),
        (&["--rate", "max", "--duration", "off"], 2, "it would run ahead of the clock without end"),
        (&["--channels", "a,a"], 2, "two streams are called `a`"),
        (&["--start", "tomorrow"], 2, "`tomorrow` is no time such as 2026-01-31T20:15:00Z"),
        (&["--kafka-property", "secret"], 2, "cannot use --kafka-property: it is no NAME=VALUE"),
        (&["--kafka-property", "no.such=1"], 1, "no.such"),
        (&["--rate", "0.1", "--plant"], 2, "need as many streams with enough traffic"),
    ];
    for (arguments, code, text) in cases {
        let output = producer(folder.path(), &address, arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        let told = stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(told.contains(text), "{arguments:?}: {stderr}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
    let output = producer(folder.path(), &address, &[]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "the server is named");
}

#[test]
fn the_environment_sets_rate_and_channels() {
    let folder = tempfile::tempdir().unwrap();
    let cluster = servers();
    let mut command =
        producer(folder.path(), &cluster.bootstrap_servers(), &["--no-create-topics", "--duration", "3s"]);
    command.env("PRODUCER_RATE_PER_SEC", "400").env("PRODUCER_CHANNELS", "2");
    let mut child = command.spawn().unwrap();
    let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success());
    let told: Json = serde_json::from_str(lines.last().unwrap()).unwrap();
    let keys: BTreeSet<_> = log(&cluster.bootstrap_servers()).into_iter().map(|record| record.key).collect();
    assert_eq!(keys.into_iter().collect::<Vec<_>>(), ["stream_0001", "stream_0002"]);
    let made = told["made"].as_u64().unwrap();
    assert!(made >= 1200, "three seconds of four hundred messages each: {told}");
    // It waits asleep: of processor time, which other programs do not take away, a record costs a fraction of a millisecond.
    assert!(told["cpu_seconds"].as_f64().unwrap() < 0.000_5 * made as f64, "it asks for the time: {told}");
}
