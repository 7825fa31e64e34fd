//! Brokers go down, leaders move, requests fail: nothing is lost, nothing is read twice, and it goes on by itself.

use std::time::Duration;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use telemetra_core::{Partition, RecordBatch, Retry};
use telemetra_sinks::EmbeddedKafka;

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

    kafka.with(|cluster| cluster.broker_down(1)).unwrap();
    let error = error_of(&mut *partition);
    assert_eq!(error.retry(), Retry::Transient);
    assert!(error.to_string().contains("`t/0`") && error.to_string().contains("offset 100"), "{error}");

    kafka.with(|cluster| cluster.broker_up(1)).unwrap();
    write_numbers(servers, "t", 0, 100..200);
    assert!(read(&mut *partition, 100).numbers().into_iter().eq(100..200));
}

#[test]
fn only_the_partitions_of_the_broker_that_is_down_fail() {
    let kafka = cluster(2, 2);
    let servers = kafka.bootstrap_servers();
    kafka
        .with(|cluster| {
            cluster.partition_leader("t", 0, Some(1)).and_then(|()| cluster.partition_leader("t", 1, Some(2)))
        })
        .unwrap();
    for partition in 0..2 {
        write_numbers(servers, "t", partition, 0..10);
    }
    let mut source = source(&kafka, "t");
    let (mut first, mut second) = (open(&mut source, "t/0", None), open(&mut source, "t/1", None));
    read(&mut *first, 10);
    read(&mut *second, 10);
    kafka.with(|cluster| cluster.broker_down(1)).unwrap();
    assert!(error_of(&mut *first).to_string().contains("`t/0`"));
    write_numbers(servers, "t", 1, 10..20);
    assert!(read(&mut *second, 10).transient.is_empty());
}

#[test]
fn a_leader_that_moves_costs_nothing() {
    let kafka = cluster(3, 1);
    let servers = kafka.bootstrap_servers().to_owned();
    kafka.with(|cluster| cluster.partition_leader("t", 0, Some(1))).unwrap();
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    let mut all = Vec::new();
    for (round, leader) in [2, 3, 1, 3].into_iter().enumerate() {
        let first = round as u64 * 500;
        write_numbers(&servers, "t", 0, first..first + 500);
        kafka.with(move |cluster| cluster.partition_leader("t", 0, Some(leader))).unwrap();
        all.extend(read(&mut *partition, 500).numbers());
    }
    assert!(all.into_iter().eq(0..2_000));
}

#[test]
fn fetches_that_fail_are_repeated() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__TRANSPORT as CUT, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as MOVED,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as LATE, RD_KAFKA_RESP_ERR_UNKNOWN as UNKNOWN,
    };
    let kafka = cluster(1, 1);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..2_000);
    kafka.with(|cluster| cluster.request_errors(RDKafkaApiKey::Fetch, &[CUT, MOVED, LATE, UNKNOWN, CUT]));
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
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    kafka.with(move |cluster| cluster.request_errors(RDKafkaApiKey::Fetch, &refusals));
    let error = read_until(&mut *partition, |_| false).unwrap_err();
    assert!(error.to_string().contains("`t/0`") && error.to_string().contains("grant"), "{error}");
}

#[test]
fn a_commit_that_fails_harms_nobody() {
    let kafka = cluster(1, 1);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..10);
    let refusals = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED; 100];
    kafka.with(move |cluster| cluster.request_errors(RDKafkaApiKey::OffsetCommit, &refusals));
    let mut source = source(&kafka, "t");
    let mut partition = open(&mut source, "t/0", None);
    partition.committed(5);
    assert!(read(&mut *partition, 10).numbers().into_iter().eq(0..10));
    partition.committed(10);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 10..20);
    assert!(read(&mut *partition, 10).numbers().into_iter().eq(10..20));
}
