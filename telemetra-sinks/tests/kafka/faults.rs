//! Brokers go down, leaders move, requests fail: nothing is lost, nothing is read twice, and it goes on by itself.

use std::time::Duration;

use telemetra_core::{Partition, RecordBatch, Retry};
use telemetra_sinks::KafkaFault::{Disconnected, GroupRefused, NotLeader, TimedOut, TopicRefused, Unknown};
use telemetra_sinks::{EmbeddedKafka, KafkaRequest};

use crate::support::{open, read, read_until, source, write_numbers};

fn cluster(brokers: u16, partitions: u32) -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(brokers).unwrap();
    kafka.create_topic("t", partitions).unwrap();
    kafka
}

/// Polls until it fails, and says how.
fn error_of(partition: &mut dyn Partition) -> telemetra_core::ExternalError {
    let started = std::time::Instant::now();
    loop {
        assert!(started.elapsed() < crate::support::LONG, "it does not fail");
        if let Err(error) = partition.poll(&mut RecordBatch::default()) {
            return error;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_broker_that_is_down_is_an_error_that_passes() {
    let kafka = cluster(1, 1);
    let servers = kafka.bootstrap_servers();
    write_numbers(servers, "t", 0, 0..100);
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    assert!(read(&mut *partition, 100).numbers().into_iter().eq(0..100));

    kafka.broker_down(1).unwrap();
    let error = error_of(&mut *partition);
    assert_eq!(error.retry(), Retry::Transient);
    assert!(error.to_string().contains("`t/0`") && error.to_string().contains("offset 100"), "{error}");

    kafka.broker_up(1).unwrap();
    write_numbers(servers, "t", 0, 100..200);
    assert!(read(&mut *partition, 100).numbers().into_iter().eq(100..200));
}

#[test]
fn only_the_partitions_of_the_broker_that_is_down_fail() {
    let kafka = cluster(2, 2);
    let servers = kafka.bootstrap_servers();
    kafka.move_leader("t", 0, 1).unwrap();
    kafka.move_leader("t", 1, 2).unwrap();
    for partition in 0..2 {
        write_numbers(servers, "t", partition, 0..10);
    }
    let mut source = source(&kafka, "t");
    let (mut first, mut second) = (open(&mut source, "t/0", None), open(&mut source, "t/1", None));
    read(&mut *first, 10);
    read(&mut *second, 10);
    kafka.broker_down(1).unwrap();
    assert!(error_of(&mut *first).to_string().contains("`t/0`"));
    write_numbers(servers, "t", 1, 10..20);
    assert!(read(&mut *second, 10).transient.is_empty());
}

#[test]
fn a_leader_that_moves_costs_nothing() {
    let kafka = cluster(3, 1);
    let servers = kafka.bootstrap_servers().to_owned();
    kafka.move_leader("t", 0, 1).unwrap();
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    let mut all = Vec::new();
    for (round, leader) in [2, 3, 1, 3].into_iter().enumerate() {
        let first = round as u64 * 500;
        write_numbers(&servers, "t", 0, first..first + 500);
        kafka.move_leader("t", 0, leader).unwrap();
        all.extend(read(&mut *partition, 500).numbers());
    }
    assert!(all.into_iter().eq(0..2_000));
}

#[test]
fn fetches_that_fail_are_repeated() {
    let kafka = cluster(1, 1);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..2_000);
    kafka.fail_requests(KafkaRequest::Fetch, &[Disconnected, NotLeader, TimedOut, Unknown, Disconnected]);
    let mut source = source(&kafka, "t").until_end();
    let mut partition = open(&mut source, "t/0", None);
    let read = read_until(&mut *partition, |_| false).unwrap();
    assert!(read.numbers().into_iter().eq(0..2_000));
}

#[test]
fn no_right_to_a_topic_stops_the_source() {
    let kafka = cluster(1, 1);
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    kafka.fail_requests(KafkaRequest::Fetch, &[TopicRefused; 100]);
    let error = read_until(&mut *partition, |_| false).unwrap_err();
    assert!(error.to_string().contains("`t/0`") && error.to_string().contains("grant"), "{error}");
}

#[test]
fn a_commit_that_fails_harms_nobody() {
    let kafka = cluster(1, 1);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..10);
    kafka.fail_requests(KafkaRequest::OffsetCommit, &[GroupRefused; 100]);
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    partition.committed(5);
    assert!(read(&mut *partition, 10).numbers().into_iter().eq(0..10));
    partition.committed(10);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 10..20);
    assert!(read(&mut *partition, 10).numbers().into_iter().eq(10..20));
}

#[test]
fn a_slow_broker_is_slow_and_no_error() {
    let kafka = cluster(1, 1);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..100);
    kafka.slow_broker(1, Duration::from_millis(300)).unwrap();
    let started = std::time::Instant::now();
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    let read = read(&mut *partition, 100);
    assert!(read.transient.is_empty() && read.numbers().into_iter().eq(0..100));
    assert!(started.elapsed() >= Duration::from_millis(300), "{:?}", started.elapsed());
}

#[test]
fn what_is_not_there_is_named() {
    let kafka = cluster(2, 1);
    let errors = [
        (kafka.broker_down(3), "broker 3"),
        (kafka.broker_up(3), "broker 3"),
        (kafka.slow_broker(3, Duration::ZERO), "broker 3"),
        (kafka.move_leader("t", 0, 3), "broker 3 the leader of `t/0`"),
        (kafka.move_leader("t", 7, 1), "`t/7`"),
        (kafka.move_leader("t", u32::MAX, 1), "`t/4294967295`"),
    ];
    for (refused, words) in errors {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
