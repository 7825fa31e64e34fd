//! Writing to topics and reading partitions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedMessage;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetra_core::{ExternalError, Partition, PartitionId, Polled, RecordBatch, Retry, Source};
use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSource};

/// A time that is longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) fn config(kafka: &EmbeddedKafka) -> KafkaConfig {
    KafkaConfig::new(kafka.bootstrap_servers())
        .set("fetch.wait.max.ms", "5")
        .set("reconnect.backoff.max.ms", "200")
}

pub(crate) fn source(kafka: &EmbeddedKafka, topic: &str) -> KafkaSource {
    KafkaSource::new(config(kafka), [topic]).unwrap()
}

pub(crate) fn producer(servers: &str) -> BaseProducer {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", servers).set("linger.ms", "0").set("reconnect.backoff.max.ms", "200");
    client.create().unwrap()
}

/// Writes these values, in order, and waits until they are there.
pub(crate) fn write<V: AsRef<[u8]>>(
    servers: &str,
    topic: &str,
    partition: i32,
    values: impl IntoIterator<Item = V>,
) {
    let producer = producer(servers);
    for value in values {
        let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(value.as_ref());
        while let Err((_, unsent)) = producer.send(record) {
            record = unsent;
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.flush(LONG).unwrap();
}

pub(crate) fn write_numbers(servers: &str, topic: &str, partition: i32, numbers: std::ops::Range<u64>) {
    write(servers, topic, partition, numbers.map(|n| n.to_string()));
}

/// The result of polling a partition.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) offsets: Vec<u64>,
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) transient: Vec<String>,
    pub(crate) done: bool,
}

impl Read {
    /// The records as numbers.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.records.iter().map(|record| String::from_utf8_lossy(record).parse().unwrap()).collect()
    }
}

/// Polls until `enough`, the end or a permanent error.
pub(crate) fn read_until(
    partition: &mut dyn Partition,
    enough: impl Fn(&Read) -> bool,
) -> Result<Read, ExternalError> {
    let (mut read, mut batch) = (Read::default(), RecordBatch::default());
    let started = Instant::now();
    while !enough(&read) {
        assert!(started.elapsed() < LONG, "not enough came: {read:?}");
        batch.clear();
        let polled = partition.poll(&mut batch);
        for record in batch.records() {
            read.offsets.push(record.offset);
            read.records.push(batch.bytes_of(record).to_vec());
        }
        match polled {
            Ok(Polled::Ready) => {}
            Ok(Polled::Idle(pause) | Polled::Pending(pause)) => std::thread::sleep(pause),
            Ok(Polled::Done) => {
                read.done = true;
                return Ok(read);
            }
            Err(error) if error.retry() == Retry::Transient => {
                read.transient.push(error.to_string());
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

pub(crate) fn read(partition: &mut dyn Partition, records: usize) -> Read {
    read_until(partition, |read| read.records.len() >= records).unwrap()
}

pub(crate) fn open(source: &mut KafkaSource, id: &str, from: Option<u64>) -> Box<dyn Partition> {
    source.open(&PartitionId::new(id), from).unwrap()
}

/// All messages of a topic that are committed, in the order of offsets within a partition.
pub(crate) fn messages(servers: &str, topic: &str) -> Vec<OwnedMessage> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "reader")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "5")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), LONG).unwrap();
    let partitions: Vec<i32> = metadata.topics()[0].partitions().iter().map(|p| p.id()).collect();
    let mut list = TopicPartitionList::new();
    for partition in &partitions {
        list.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut messages, mut ended) = (Vec::new(), BTreeSet::new());
    while ended.len() < partitions.len() {
        match consumer.poll(LONG).expect("the topic comes to an end") {
            Ok(message) => messages.push(message.detach()),
            Err(KafkaError::PartitionEOF(partition)) => drop(ended.insert(partition)),
            Err(error) => panic!("{error}"),
        }
    }
    messages
}

/// Waits for what another thread will finish.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
