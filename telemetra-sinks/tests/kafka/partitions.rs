//! Several partitions: found while running, paused, apart from each other.

use std::time::{Duration, Instant};

use telemetra_core::{Partition, PartitionId, Polled, RecordBatch, Source};
use telemetra_sinks::{EmbeddedKafka, KafkaSource};

use crate::support::{LONG, config, open, read, read_until, source, write_numbers};

fn names(ids: &[PartitionId]) -> Vec<&str> {
    ids.iter().map(PartitionId::as_str).collect()
}

#[test]
fn partitions_are_listed_by_topic_and_number() {
    let kafka = EmbeddedKafka::start(3).unwrap();
    kafka.create_topic("z", 11).unwrap();
    kafka.create_topic("a", 1).unwrap();
    let mut source = KafkaSource::new(config(&kafka), ["z", "a"]).unwrap();
    let ids = source.partitions().unwrap();
    let z: Vec<_> = (0..11).map(|n| format!("z/{n}")).collect();
    assert_eq!(names(&ids), z.iter().map(String::as_str).chain(["a/0"]).collect::<Vec<_>>());
}

#[test]
fn a_topic_may_come_later_if_it_is_waited_for() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    let error = source(&kafka, "late").partitions().unwrap_err();
    assert_eq!(error.retry(), telemetra_core::Retry::Permanent);
    assert!(error.to_string().contains("`late` does not exist"), "{error}");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| source(&kafka, "late").wait_for_topics(LONG).partitions().unwrap());
        std::thread::sleep(Duration::from_millis(300));
        assert!(!waiting.is_finished());
        kafka.create_topic("late", 2).unwrap();
        assert_eq!(names(&waiting.join().unwrap()), ["late/0", "late/1"]);
    });
}

#[test]
fn one_that_does_not_exist_cannot_be_opened_nor_one_twice() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    let mut source = source(&kafka, "t").timeout(Duration::from_secs(5));
    for (id, what) in [("t", "topic/number"), ("t/-1", "topic/number"), ("t/7", "does not exist")] {
        let error = source.open(&PartitionId::new(id), None).err().unwrap().to_string();
        assert!(error.contains(what) && error.contains(id), "{error}");
    }
    let first = open(&mut source, "t/0", None);
    let error = source.open(&PartitionId::new("t/0"), None).err().unwrap().to_string();
    assert!(error.contains("open it once"), "{error}");
    drop(first);
    write_numbers(kafka.bootstrap_servers(), "t", 0, 0..5);
    assert!(read(&mut *open(&mut source, "t/0", None), 5).numbers().into_iter().eq(0..5));
}

#[test]
fn many_partitions_are_read_each_from_its_own_queue() {
    let kafka = EmbeddedKafka::start(2).unwrap();
    kafka.create_topic("t", 40).unwrap();
    for partition in 0..40 {
        let first = u64::try_from(partition).unwrap() * 1_000;
        write_numbers(kafka.bootstrap_servers(), "t", partition, first..first + 50);
    }
    let mut source = source(&kafka, "t").until_end();
    let ids = source.partitions().unwrap();
    let mut opened: Vec<_> = ids.iter().map(|id| source.open(id, None).unwrap()).collect();
    for (n, partition) in opened.iter_mut().enumerate() {
        let read = read_until(&mut **partition, |_| false).unwrap();
        let first = n as u64 * 1_000;
        assert!(read.numbers().into_iter().eq(first..first + 50), "partition {n}");
    }
}

#[test]
fn a_partition_that_is_not_polled_is_paused_and_goes_on_where_it_was() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 2).unwrap();
    let servers = kafka.bootstrap_servers();
    write_numbers(servers, "t", 0, 0..1_000);
    write_numbers(servers, "t", 1, 0..10);
    let mut source = source(&kafka, "t");
    let counters = source.counters();
    let (mut still, mut busy) = (open(&mut source, "t/0", None), open(&mut source, "t/1", None));
    let head = read(&mut *still, 1);
    let started = Instant::now();
    let mut seen = read(&mut *busy, 10).numbers();
    let mut more = 10;
    while counters.pauses() == 0 {
        assert!(started.elapsed() < LONG, "it is never paused");
        // The other one is not held up.
        write_numbers(servers, "t", 1, more..more + 1);
        seen.extend(read(&mut *busy, 1).numbers());
        more += 1;
    }
    assert!(seen.into_iter().eq(0..more));
    // While it is paused no fetch shows where its log ends, so it is asked.
    write_numbers(servers, "t", 0, 1_000..1_500);
    while still.lag() != Some(1_500 - still.offset()) {
        assert!(started.elapsed() < LONG, "its lag is {:?} at {}", still.lag(), still.offset());
        read_until(&mut *busy, |_| true).unwrap();
        let _ = busy.poll(&mut telemetra_core::RecordBatch::default());
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut all = head.numbers();
    all.extend(read_until(&mut *still, |read| read.offsets.last() == Some(&1_499)).unwrap().numbers());
    assert!(all.into_iter().eq(0..1_500), "each once, in order");
    assert_eq!(still.lag(), Some(0));
}

/// Polls until it says that it has nothing: well before it would be taken to be silent without its end having been seen.
/// A pause outlasts the assignment in librdkafka.
#[test]
fn a_partition_that_is_paused_before_its_first_poll_and_closed_is_read_by_whoever_opens_it_next() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 2).unwrap();
    for partition in 0..2 {
        write_numbers(kafka.bootstrap_servers(), "t", partition, 0..100);
    }
    let mut source = source(&kafka, "t");
    let counters = source.counters();
    let never_polled = open(&mut source, "t/0", None);
    let mut other = open(&mut source, "t/1", None);
    assert!(read(&mut *other, 100).numbers().into_iter().eq(0..100));
    let mut batch = RecordBatch::default();
    let started = Instant::now();
    while counters.pauses() == 0 {
        assert!(started.elapsed() < LONG, "it is not paused");
        other.poll(&mut batch).unwrap();
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(never_polled);
    let mut again = open(&mut source, "t/0", None);
    assert!(read(&mut *again, 100).numbers().into_iter().eq(0..100));
}

fn is_silent_soon(partition: &mut dyn Partition) {
    let (started, mut batch) = (Instant::now(), RecordBatch::default());
    while !matches!(partition.poll(&mut batch), Ok(Polled::Idle(_))) {
        assert!(batch.is_empty() && started.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_partition_is_silent_at_its_end_and_pending_before_and_while_it_is_paused() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 3).unwrap();
    let servers = kafka.bootstrap_servers();
    write_numbers(servers, "t", 0, 0..10);
    write_numbers(servers, "t", 1, 0..1_000);
    let mut source = source(&kafka, "t");
    let counters = source.counters();
    let [mut short, mut long, mut empty] = ["t/0", "t/1", "t/2"].map(|id| open(&mut source, id, None));
    let mut batch = RecordBatch::default();
    kafka.slow_broker(1, Duration::from_secs(1)).unwrap();
    assert!(matches!(empty.poll(&mut batch), Ok(Polled::Pending(_))), "nothing was fetched yet");
    kafka.slow_broker(1, Duration::ZERO).unwrap();
    is_silent_soon(&mut *empty);
    read(&mut *short, 10);
    is_silent_soon(&mut *short);
    // Both are left alone for so long that fetching stops, one in the midst and one at its end.
    read(&mut *long, 1);
    let started = Instant::now();
    while counters.pauses() == 0 {
        assert!(started.elapsed() < LONG, "it is never paused");
        write_numbers(servers, "t", 2, 0..1);
        read(&mut *empty, 1);
    }
    let mut rest = 1_000 - long.offset();
    while rest > 0 {
        assert!(started.elapsed() < LONG, "{rest} are missing");
        batch.clear();
        assert!(!matches!(long.poll(&mut batch), Ok(Polled::Idle(_))), "it has more");
        rest -= batch.records().len() as u64;
    }
    batch.clear();
    is_silent_soon(&mut *long);
    is_silent_soon(&mut *short);
    is_silent_soon(&mut *empty);
}

#[test]
fn a_queue_far_smaller_than_the_log_gives_all() {
    let kafka = EmbeddedKafka::start(1).unwrap();
    kafka.create_topic("t", 1).unwrap();
    // 4 MB, where 64 KiB and one fetch may wait.
    crate::support::write(kafka.bootstrap_servers(), "t", 0, (0..400).map(|_| vec![b'x'; 10_000]));
    let config = config(&kafka).set("fetch.message.max.bytes", "100000");
    let mut source = KafkaSource::new(config, ["t"]).unwrap().queue_bytes(64 * 1024).until_end();
    let mut partition = open(&mut source, "t/0", None);
    assert_eq!(read_until(&mut *partition, |_| false).unwrap().records.len(), 400);
}
