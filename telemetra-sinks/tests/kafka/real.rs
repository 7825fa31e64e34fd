//! Tests against a real broker, of what the mock cluster does not know.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::Message;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetra_core::testkit::source_compliance;
use telemetra_core::{Action, EventTime, PartitionId, Retry, Sink, Source};
use telemetra_sinks::{CreateTopics, KafkaConfig, KafkaSink, KafkaSource, OnLost, Start};

use crate::services::{Kind, Server, shared};
use crate::sink::{batch, header, letter, tables};
use crate::support::{LONG, messages, open, producer, read, read_until, wait, write, write_numbers};

fn admin(servers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", servers).create().unwrap()
}

/// Makes a topic of these settings, and returns when it can be written to.
pub(crate) fn create(servers: &str, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1));
    let new = settings.iter().fold(new, |new, (name, value)| new.set(name, value));
    let admin = admin(servers);
    wait(admin.create_topics([&new], &AdminOptions::new())).unwrap().remove(0).unwrap();
    // The broker answers before it leads the partitions, by seconds if the machine is busy.
    let begun = Instant::now();
    for partition in 0..partitions {
        while let Err(error) = admin.inner().fetch_watermarks(topic, partition, LONG) {
            assert!(begun.elapsed() < LONG, "{topic}/{partition}: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A topic of its own in the broker that tests share.
fn topic(partitions: i32, settings: &[(&str, &str)]) -> (String, String) {
    let place = shared(Kind::Kafka);
    create(&place.url, &place.name, partitions, settings);
    (place.url, place.name)
}

fn delete_records(servers: &str, topic: &str, before: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(before)).unwrap();
    wait(admin(servers).delete_records(&list, &AdminOptions::new())).unwrap();
}

pub(crate) fn config(servers: &str) -> KafkaConfig {
    KafkaConfig::new(servers).set("fetch.wait.max.ms", "10").set("reconnect.backoff.max.ms", "200")
}

fn source(servers: &str, topic: &str) -> KafkaSource {
    KafkaSource::new(config(servers), [topic]).unwrap()
}

fn first(topic: &str) -> PartitionId {
    PartitionId::new(&format!("{topic}/0"))
}

/// Three transactions of ten numbers, of which the second is aborted, and one that stays open.
fn transactions(servers: &str, topic: &str) -> BaseProducer {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("transactional.id", topic)
        .create()
        .unwrap();
    producer.init_transactions(LONG).unwrap();
    for number in 0..35 {
        if number % 10 == 0 {
            producer.begin_transaction().unwrap();
        }
        producer.send(BaseRecord::<(), _>::to(topic).payload(&number.to_string())).unwrap();
        match number {
            9 | 29 => producer.commit_transaction(LONG).unwrap(),
            19 => {
                producer.flush(LONG).unwrap();
                producer.abort_transaction(LONG).unwrap();
            }
            _ => {}
        }
    }
    producer.flush(LONG).unwrap();
    producer
}

/// A broker answers the requests of a connection in turn, so a look-up waits for a fetch that has no records yet.
#[test]
fn partitions_of_an_idle_topic_are_opened_without_waiting_for_records() {
    let (servers, topic) = topic(5, &[]);
    let config = KafkaConfig::new(&servers).set("fetch.wait.max.ms", "50000");
    let mut source = KafkaSource::new(config, [&*topic]).unwrap().timeout(Duration::from_secs(10));
    let mut partitions: Vec<_> =
        source.partitions().unwrap().iter().map(|id| source.open(id, None).unwrap()).collect();
    for number in 0..5 {
        write_numbers(&servers, &topic, number, 0..3);
    }
    for partition in &mut partitions {
        assert!(read(&mut **partition, 3).numbers().into_iter().eq(0..3));
    }
}

#[test]
fn of_transactions_only_what_is_committed_is_read() {
    let (servers, topic) = topic(1, &[]);
    let still_open = transactions(&servers, &topic);
    source_compliance(|| Box::new(source(&servers, &topic).until_end()));

    let mut committed = source(&servers, &topic).until_end();
    let mut partition = committed.open(&first(&topic), None).unwrap();
    let read = read_until(&mut *partition, |_| false).unwrap();
    assert!(read.numbers().into_iter().eq((0..10).chain(20..30)));
    // A marker follows each transaction; an aborted one leaves eleven offsets empty.
    assert!(read.offsets.into_iter().eq((0..10).chain(22..32)));
    assert_eq!(partition.offset(), 32);

    let mut all = source(&servers, &topic).read_uncommitted().until_end();
    let mut partition = all.open(&first(&topic), None).unwrap();
    assert!(read_until(&mut *partition, |_| false).unwrap().numbers().into_iter().eq(0..35));

    // What is committed later is read then, and of an end that is a marker there is no lag.
    let mut follows = source(&servers, &topic);
    let mut partition = follows.open(&first(&topic), Some(32)).unwrap();
    still_open.commit_transaction(LONG).unwrap();
    assert!(crate::support::read(&mut *partition, 5).numbers().into_iter().eq(30..35));
    let started = std::time::Instant::now();
    while partition.lag() != Some(0) {
        assert!(started.elapsed() < LONG, "the lag is {:?}", partition.lag());
        let _ = partition.poll(&mut telemetra_core::RecordBatch::default()).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn compaction_leaves_gaps_that_do_no_harm() {
    let server = Server::of(Kind::Kafka).set("log.cleaner.backoff.ms", "50").start();
    let servers = server.url();
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "50"),
        ("min.cleanable.dirty.ratio", "0.0001"),
        ("max.compaction.lag.ms", "100"),
    ];
    create(&servers, "t", 1, &settings);
    let producer = producer(&servers);
    let put = |key: u64, value: u64| {
        let (key, value) = (key.to_string(), value.to_string());
        producer.send(BaseRecord::to("t").key(&key).payload(&value)).unwrap();
        producer.flush(LONG).unwrap();
    };
    // Of the keys below 7 the last is left, of the others all.
    (0..200).for_each(|n| put(if n % 20 == 0 { 1_000 + n } else { n % 7 }, n));
    // Only what is behind the last segment is compacted, and a segment ends when something is written after its time.
    let started = std::time::Instant::now();
    let mut last = 200;
    while messages(&servers, "t").len() > 100 {
        assert!(started.elapsed() < LONG, "nothing is compacted");
        std::thread::sleep(Duration::from_millis(100));
        put(100, last);
        last += 1;
    }
    source_compliance(|| Box::new(source(&servers, "t").until_end()));
    let mut source = source(&servers, "t").until_end();
    let mut partition = open(&mut source, "t/0", None);
    let read = read_until(&mut *partition, |_| false).unwrap();
    assert!(read.offsets.windows(2).any(|pair| pair[1] > pair[0] + 1), "no gap in {:?}", read.offsets);
    assert_eq!((read.numbers(), partition.offset()), (read.offsets, last));
}

#[test]
fn what_retention_removed_is_an_error_or_counted() {
    let (servers, topic) = topic(1, &[]);
    write(&servers, &topic, 0, (0..200).map(|_| vec![b'x'; 50_000]));
    let make = |on_lost| {
        let config = config(&servers).set("fetch.message.max.bytes", "60000").set("fetch.max.bytes", "60000");
        KafkaSource::new(config.set("message.max.bytes", "60000"), [&topic])
            .unwrap()
            .on_lost(on_lost)
            .queue_bytes(64 * 1024)
    };
    let (mut strict, mut lax) = (make(OnLost::Stop), make(OnLost::Skip));
    let counters = lax.counters();
    let mut stops = strict.open(&first(&topic), None).unwrap();
    let mut goes_on = lax.open(&first(&topic), None).unwrap();
    read(&mut *stops, 1);
    let before = read(&mut *goes_on, 1).offsets.len();
    delete_records(&servers, &topic, 150);

    let error = read_until(&mut *stops, |_| false).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(
        text.contains("150 to 200") && text.contains(&topic) && text.contains("records are lost"),
        "{text}"
    );
    let read = read_until(&mut *goes_on, |read| read.offsets.last() == Some(&199)).unwrap();
    assert_eq!(
        (before + read.offsets.len()) as u64 + counters.lost_records(),
        200,
        "each is read or counted"
    );

    // A checkpoint from before cannot be gone on from either.
    let error = make(OnLost::Stop).open(&first(&topic), Some(10)).err().unwrap().to_string();
    assert!(error.contains("from offset 10") && error.contains("140 records are lost"), "{error}");
}

#[test]
fn a_topic_that_is_deleted_stops_the_source() {
    let (servers, topic) = topic(1, &[]);
    write_numbers(&servers, &topic, 0, 0..10);
    let mut source = source(&servers, &topic);
    let mut partition = source.open(&first(&topic), None).unwrap();
    read(&mut *partition, 10);
    wait(admin(&servers).delete_topics(&[&topic], &AdminOptions::new())).unwrap();
    let error = read_until(&mut *partition, |_| false).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    let text = error.to_string();
    assert!(text.contains(&format!("`{topic}` was deleted")) && text.contains("offset 10"), "{text}");
}

#[test]
fn it_starts_at_a_time() {
    let (servers, topic) = topic(1, &[]);
    let producer = producer(&servers);
    for n in 0..20 {
        let text = n.to_string();
        let record = BaseRecord::<(), _>::to(&topic).payload(&text).timestamp(1_767_225_600_000 + n * 1_000);
        producer.send(record).unwrap();
    }
    producer.flush(LONG).unwrap();
    let start = |millis: u64| {
        let mut source =
            source(&servers, &topic).start(Start::Timestamp(EventTime(1_767_225_600_000 + millis)));
        source.open(&first(&topic), None).unwrap().offset()
    };
    assert_eq!([start(0), start(7_000), start(7_001), start(19_000), start(19_001)], [0, 7, 8, 19, 20]);
}

#[test]
fn partitions_that_are_added_are_found() {
    let (servers, topic) = topic(1, &[]);
    let mut source = source(&servers, &topic).start(Start::Latest);
    assert_eq!(source.partitions().unwrap().len(), 1);
    assert_eq!(source.refresh_every(), Some(Duration::from_secs(30)));
    let mut old = source.open(&first(&topic), None).unwrap();
    wait(admin(&servers).create_partitions(&[NewPartitions::new(&topic, 3)], &AdminOptions::new())).unwrap();
    write_numbers(&servers, &topic, 2, 0..10);
    let ids = source.partitions().unwrap();
    assert_eq!(ids.last().unwrap().as_str(), format!("{topic}/2"));
    // What was written before it was found is read.
    let mut new = source.open_new(&ids[2]).unwrap();
    assert!(read(&mut *new, 10).numbers().into_iter().eq(0..10));
    write_numbers(&servers, &topic, 0, 10..20);
    assert!(read(&mut *old, 10).numbers().into_iter().eq(10..20));
}

#[test]
fn the_sink_makes_its_topics() {
    let place = shared(Kind::Kafka);
    let (letters, summaries) = (format!("{}-letters", place.name), format!("{}-summaries", place.name));
    let make = || {
        let sink = KafkaSink::new(config(&place.url)).unwrap();
        sink.dead_letters_to(&*letters).topic("device_minute", &*summaries)
    };
    let error = make().open(&tables(), None).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains(&letters) && error.to_string().contains("create_topics"), "{error}");
    for _ in 0..2 {
        let how = CreateTopics { partitions: 3, replication: 1, compact: true };
        let mut sink = make().create_topics(how);
        sink.open(&tables(), None).unwrap();
        sink.apply(&[batch(0, &["ada"], Action::Upsert)]).unwrap();
    }
    assert_eq!(messages(&place.url, &summaries).len(), 2);
    let resource = rdkafka::admin::ResourceSpecifier::Topic(&summaries);
    let described = wait(admin(&place.url).describe_configs([&resource], &AdminOptions::new())).unwrap();
    let described = described[0].as_ref().unwrap();
    assert_eq!(described.get("cleanup.policy").unwrap().value.as_deref(), Some("compact"));

    let too_many = CreateTopics { replication: 5, ..CreateTopics::default() };
    let error = make().dead_letters_to("other").create_topics(too_many).open(&tables(), None).unwrap_err();
    assert!(
        error.to_string().contains("`other`") && error.to_string().contains("fewer brokers"),
        "{error:?}"
    );
}

#[test]
fn a_letter_over_the_topics_limit_is_cut_until_it_fits() {
    let (servers, topic) = topic(1, &[("max.message.bytes", "10000")]);
    let mut sink = KafkaSink::new(config(&servers)).unwrap().dead_letters_to(&*topic);
    sink.open(&tables(), None).unwrap();
    // Bytes that cannot be compressed.
    let mut state = 1_u64;
    let long: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(50_000)
    .collect();
    sink.dead_letters(&[letter(1, b"short"), letter(2, &long), letter(3, b"also short")]).unwrap();
    sink.apply(&[]).unwrap();
    let messages = messages(&servers, &topic);
    let of = |offset: &str| {
        messages.iter().find(|m| header(m, "telemetra.origin.offset").as_deref() == Some(offset)).unwrap()
    };
    assert_eq!(messages.len(), 3);
    let cut = of("2").payload().unwrap();
    assert!(cut.len() > 4_000 && long.starts_with(cut), "{} bytes", cut.len());
    assert_eq!(header(of("2"), "telemetra.truncated").unwrap(), "50000");
    assert_eq!(of("3").payload().unwrap(), b"also short");

    let mut sink =
        KafkaSink::new(config(&servers)).unwrap().dead_letters_to(None).topic("device_minute", &*topic);
    sink.open(&tables(), None).unwrap();
    let devices: Vec<String> = (0..2).map(|n| format!("{n}{}", long[..20_000].escape_ascii())).collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    let error = sink.apply(&[batch(0, &devices[..1], Action::Upsert)]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("max.message.bytes"), "{error}");
}

#[test]
fn a_broker_that_is_restarted_costs_nothing() {
    let mut server = Server::kafka();
    let servers = server.url();
    create(&servers, "t", 2, &[]);
    write_numbers(&servers, "t", 0, 0..100);
    let mut source = source(&servers, "t");
    let (mut partition, mut empty) = (open(&mut source, "t/0", None), open(&mut source, "t/1", None));
    let mut sink =
        KafkaSink::new(config(&servers)).unwrap().dead_letters_to(None).topic("device_minute", "t");
    sink.open(&tables(), None).unwrap();
    read(&mut *partition, 100);
    server.kill();
    // Silence is not taken for a quiet topic.
    read_until(&mut *empty, |read| !read.transient.is_empty()).unwrap();
    std::thread::scope(|scope| {
        let written = scope.spawn(|| sink.apply(&[batch(0, &["ada", "bob", "cyd", "dee"], Action::Upsert)]));
        std::thread::sleep(Duration::from_millis(500));
        server.start_again();
        written.join().unwrap().unwrap();
    });
    let mut rows = 0;
    let started = std::time::Instant::now();
    while rows < 4 {
        assert!(started.elapsed() < LONG, "only {rows} rows came");
        for partition in [&mut partition, &mut empty] {
            let mut batch = telemetra_core::RecordBatch::default();
            let _ = partition.poll(&mut batch);
            rows += batch.records().len();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((rows, messages(&servers, "t").len()), (4, 104));
}

/// A broker whose clients log in, as `me` with `pass:word` by PLAIN, and by one mechanism more.
pub(crate) fn guarded(protocol: &str, mechanism: &str) -> Server {
    let security = "org.apache.kafka.common.security";
    let plain = format!(
        "{security}.plain.PlainLoginModule required username=\"me\" password=\"pass:word\" user_me=\"pass:word\";"
    );
    let scram = format!("{security}.scram.ScramLoginModule required;");
    let bearer = format!(
        "{security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"me\";"
    );
    let login = match mechanism {
        "PLAIN" => &plain,
        "OAUTHBEARER" => &bearer,
        _ => &scram,
    };
    let setting = |name: &str| format!("listener.name.clients.{}.sasl.jaas.config", name.to_lowercase());
    let setup = Server::of(Kind::Kafka)
        .set("listener.security.protocol.map", &format!("CLIENTS:{protocol},CONTROLLER:PLAINTEXT"))
        .set("sasl.enabled.mechanisms", &format!("PLAIN,{mechanism}"))
        .set("sasl.mechanism.inter.broker.protocol", "PLAIN")
        .set(&setting("PLAIN"), &plain)
        .set(&setting(mechanism), login);
    if protocol == "SASL_SSL" { setup.tls().start() } else { setup.start() }
}

#[test]
fn it_logs_in_by_a_password() {
    let server = guarded("SASL_PLAINTEXT", "PLAIN");
    let config = |password| config(&server.url()).sasl_plain("me", password);
    let mut sink = KafkaSink::new(config("pass:word")).unwrap().create_topics(CreateTopics::default());
    sink.open(&tables(), None).unwrap();
    sink.dead_letters(&[letter(1, b"{")]).unwrap();
    sink.apply(&[]).unwrap();
    let topic = "telemetra.events.dead_letter";
    let mut source = KafkaSource::new(config("pass:word"), [topic]).unwrap().until_end();
    let ids = source.partitions().unwrap();
    let read = read_until(&mut *source.open(&ids[0], None).unwrap(), |_| false).unwrap();
    assert_eq!(read.records, [b"{"]);

    let timeout = Duration::from_secs(3);
    let source =
        KafkaSource::new(config("wr0ng"), [topic]).unwrap().timeout(timeout).partitions().unwrap_err();
    let sink = KafkaSink::new(config("wr0ng")).unwrap().timeout(timeout).open(&tables(), None).unwrap_err();
    for error in [source, sink] {
        assert_eq!(error.retry(), Retry::Permanent, "{error}");
        let text = format!("{error}: {}", std::error::Error::source(&error).unwrap());
        assert!(text.contains("check the user and the password") && text.contains(&server.url()), "{text}");
        assert!(!text.contains("wr0ng"), "{text}");
    }
}
