//! The offsets at which reading begins, goes on and ends.

use telemetra_core::{Polled, RecordBatch, Source};
use telemetra_sinks::{EmbeddedKafka, KafkaSource, OnLost, Start};

use crate::support::{config, open, read, read_until, source, write, write_numbers};

fn hundred() -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..100);
    kafka
}

#[test]
fn each_record_is_read_once_over_restarts() {
    let kafka = hundred();
    let (mut next, mut all) = (None, Vec::new());
    for stop in [1, 7, 40, 41, 99, 100] {
        let mut source = source(&kafka, "t").until_end();
        let mut partition = open(&mut source, "t/0", next);
        let already = all.len();
        let read = read_until(&mut *partition, |read| already + read.records.len() >= stop).unwrap();
        // A batch may hold more than was asked for; the checkpoint is where it ended.
        all.extend(read.numbers());
        next = Some(partition.offset());
        assert_eq!(partition.offset(), all.len() as u64);
    }
    assert!(all.iter().copied().eq(0..100));
    let mut source = source(&kafka, "t").until_end();
    let mut partition = open(&mut source, "t/0", next);
    let mut batch = RecordBatch::default();
    assert_eq!(partition.poll(&mut batch).unwrap(), Polled::Done);
    assert!(batch.is_empty());
}

#[test]
fn it_starts_where_it_is_told_to() {
    let kafka = hundred();
    let first = |start: Start| open(&mut source(&kafka, "t").start(start), "t/0", None).offset();
    assert_eq!(first(Start::Earliest), 0);
    assert_eq!(first(Start::Latest), 100);
    assert_eq!(first(Start::Committed), 0, "nothing was committed: nothing is taken to be done");

    // A partition that is found later is read from its first record, whatever the start.
    let mut late = source(&kafka, "t").start(Start::Latest);
    let id = late.partitions().unwrap().remove(0);
    assert_eq!(late.open_new(&id).unwrap().offset(), 0);
}

#[test]
fn latest_gives_what_comes_from_now_on() {
    let kafka = hundred();
    let mut source = source(&kafka, "t").start(Start::Latest);
    let mut partition = open(&mut source, "t/0", None);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 100..103);
    let read = read(&mut *partition, 3);
    assert_eq!((read.numbers(), read.offsets), (vec![100, 101, 102], vec![100, 101, 102]));
}

#[test]
fn committed_offsets_follow_the_checkpoint() {
    let kafka = hundred();
    let commit = |offset| {
        let mut source = source(&kafka, "t").group("monitored");
        let mut partition = open(&mut source, "t/0", Some(offset));
        partition.committed(offset);
        // The last commit is sent when the source goes.
    };
    let committed = || {
        let mut source = source(&kafka, "t").group("monitored").start(Start::Committed);
        open(&mut source, "t/0", None).offset()
    };
    commit(42);
    assert_eq!(committed(), 42);
    commit(77);
    assert_eq!(committed(), 77);
    let mut other = source(&kafka, "t").group("other").start(Start::Committed);
    assert_eq!(open(&mut other, "t/0", None).offset(), 0);
}

#[test]
fn bounded_reading_ends_where_the_log_ended_when_it_was_opened() {
    let kafka = hundred();
    let mut source = source(&kafka, "t").until_end();
    assert_eq!(source.refresh_every(), None);
    let mut partition = open(&mut source, "t/0", Some(90));
    write_numbers(kafka.bootstrap_servers(), "t", 0, 100..200);
    let read = read_until(&mut *partition, |_| false).unwrap();
    assert!(read.done);
    assert!(read.numbers().into_iter().eq(90..100));
    assert_eq!(partition.offset(), 100);
}

/// The mock cluster keeps 5 MiB of a partition and drops what is older.
fn overfull() -> (EmbeddedKafka, u64) {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    kafka.check_retained("t").unwrap();
    for _ in 0..8 {
        write(kafka.bootstrap_servers(), "t", 0, vec![vec![b'x'; 900_000]]);
    }
    let low = open(&mut source(&kafka, "t"), "t/0", None).offset();
    assert!(low > 0, "the mock cluster dropped nothing");
    (kafka, low)
}

#[test]
fn lost_records_stop_the_source_and_are_named() {
    let (kafka, low) = overfull();
    let error = source(&kafka, "t").open(&telemetra_core::PartitionId::new("t/0"), Some(0)).err().unwrap();
    assert_eq!(error.retry(), telemetra_core::Retry::Permanent);
    let text = error.to_string();
    for part in
        ["`t/0`", "from offset 0", &format!("{low} to 8"), &format!("{low} records are lost"), "OnLost::Skip"]
    {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
    let error = kafka.check_retained("t").unwrap_err().to_string();
    assert!(error.contains("more partitions"), "{error}");
}

#[test]
fn lost_records_are_counted_where_it_may_go_on() {
    let (kafka, low) = overfull();
    let mut source = source(&kafka, "t").on_lost(OnLost::Skip).until_end();
    let counters = source.counters();
    let mut partition = open(&mut source, "t/0", Some(0));
    assert_eq!((partition.offset(), partition.lost(), counters.lost_records()), (low, low, low));
    let read = read_until(&mut *partition, |_| false).unwrap();
    assert!(read.offsets.into_iter().eq(low..8));
}

#[test]
fn records_lost_while_reading_stop_the_source_too() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    let big = || vec![vec![b'x'; 900_000]];
    write(kafka.bootstrap_servers(), "t", 0, big());
    let make =
        |on_lost| KafkaSource::new(config(&kafka), ["t"]).unwrap().on_lost(on_lost).queue_bytes(64 * 1024);
    let (mut strict, mut lax) = (make(OnLost::Stop), make(OnLost::Skip));
    let lost = lax.counters();
    let (mut stops, mut goes_on) = (open(&mut strict, "t/0", None), open(&mut lax, "t/0", None));
    read(&mut *stops, 1);
    read(&mut *goes_on, 1);
    // The next is fetched and waits; what comes after it is dropped before it is fetched.
    for _ in 0..12 {
        write(kafka.bootstrap_servers(), "t", 0, big());
    }
    let error = read_until(&mut *stops, |_| false).unwrap_err();
    assert!(error.to_string().contains("records are lost"), "{error}");
    let rest = read_until(&mut *goes_on, |read| read.offsets.last() == Some(&12)).unwrap();
    assert_eq!(rest.offsets.len() as u64 + lost.lost_records(), 12, "each is read or counted");
    assert!(lost.lost_records() > 0);
}

#[test]
fn an_offset_beyond_the_end_is_an_error_in_any_case() {
    let kafka = hundred();
    for on_lost in [OnLost::Stop, OnLost::Skip] {
        let mut source = source(&kafka, "t").on_lost(on_lost);
        let error =
            source.open(&telemetra_core::PartitionId::new("t/0"), Some(101)).err().unwrap().to_string();
        assert!(error.contains("from offset 101") && error.contains("0 to 100"), "{error}");
    }
}

#[test]
fn a_tombstone_is_not_passed_over() {
    use rdkafka::producer::{BaseRecord, Producer};
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    let producer = crate::support::producer(kafka.bootstrap_servers());
    producer.send(BaseRecord::<str, str>::to("t").key("k")).unwrap();
    producer.send(BaseRecord::<str, str>::to("t").key("k").payload("")).unwrap();
    producer.flush(crate::support::LONG).unwrap();
    let mut source = source(&kafka, "t").until_end();
    let mut partition = open(&mut source, "t/0", None);
    let mut batch = RecordBatch::default();
    while partition.poll(&mut batch).unwrap() != Polled::Done {}
    let seen: Vec<_> = batch.records().iter().map(|record| (record.offset, record.tombstone)).collect();
    assert_eq!(seen, [(0, true), (1, false)]);
}
