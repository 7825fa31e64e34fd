//! The cost of [`KafkaSource`] beside a bare consumer that only counts.
//!
//! `cargo bench --bench kafka -- [--records 1000000] [--rounds 5]`; with `--memory` it says what a source takes that is not read. The broker is the embedded one, in another process, so that its processor time is not
//! counted; with `KAFKA_BOOTSTRAP_SERVERS` it is a real one, in which a topic is made. Both readers run in turn in this process, over the same
//! records of 280 bytes. Processor time is that of the process; librdkafka's share is that of its own threads, where fetched data is
//! unpacked, apart from what it does in the thread that takes the messages.
#![allow(missing_docs, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use telemetra::core::{Partition, Polled, RecordBatch, Source};
use telemetra::sinks::{CreateTopics, EmbeddedKafka, KafkaConfig, KafkaSink, KafkaSource};

const RECORD_BYTES: usize = 280;
const BROKER: &str = "--broker";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).map_or(default, |text| text.parse().unwrap())
    };
    let (records, rounds) = (number("--records", 1_000_000), number("--rounds", 5));
    // A real broker keeps what earlier runs left.
    let topic = format!("telemetra.bench.{}", std::process::id());
    if arguments.iter().any(|argument| argument == BROKER) {
        return broker(&arguments[2], records);
    }
    let mut child = None;
    let servers = std::env::var("KAFKA_BOOTSTRAP_SERVERS").unwrap_or_else(|_| {
        let (started, servers) = start_broker(&topic, records);
        child = Some(started);
        servers
    });
    if child.is_none() {
        let how = CreateTopics { partitions: 16, replication: 1, compact: false };
        let sink = KafkaSink::new(KafkaConfig::new(&servers)).unwrap();
        telemetra::core::Sink::open(&mut sink.dead_letters_to(&*topic).create_topics(how), &[], None)
            .unwrap();
        fill(&servers, &topic, records);
    }
    if arguments.iter().any(|argument| argument == "--memory") {
        memory(&servers, &topic);
    } else {
        compare(&servers, &topic, records, rounds);
    }
    if let Some(mut child) = child {
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

fn compare(servers: &str, topic: &str, records: u64, rounds: u64) {
    println!("{records} records of {RECORD_BYTES} bytes; CPU seconds per million");
    println!("| reader | CPU s | of it librdkafka's threads | wall s |\n|---|---|---|---|");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        bare.push(measure(|| read_bare(servers, topic)));
        ours.push(measure(|| read_source(servers, topic)));
    }
    let (bare, ours) = (median(bare, records), median(ours, records));
    for (name, cost) in [("bare consumer", &bare), ("`KafkaSource`", &ours)] {
        println!(
            "| {name} | {:.2} | {:.0} % | {:.2} |",
            cost.cpu,
            100.0 * cost.library / cost.cpu,
            cost.wall
        );
    }
    println!("`KafkaSource` takes {:.2} times the processor time of the bare consumer", ours.cpu / bare.cpu);
}

/// How much memory a source takes that has fetched all it may, and is not read.
fn memory(servers: &str, topic: &str) {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    };
    let before = resident();
    let mut source = KafkaSource::new(KafkaConfig::new(servers), [topic]).unwrap();
    let ids = source.partitions().unwrap();
    let mut open: Vec<_> = ids.iter().map(|id| source.open(id, None).unwrap()).collect();
    // Fetching begins with the first poll.
    open[0].poll(&mut RecordBatch::default()).unwrap();
    std::thread::sleep(Duration::from_secs(10));
    println!("{} partitions that are not read hold {} MiB", open.len(), resident() - before);
}

/// The broker's process: it lives until its standard input ends.
fn broker(topic: &str, records: u64) {
    let kafka = EmbeddedKafka::start(1).unwrap();
    // What lies in a partition is more than the records.
    kafka.create_topic(topic, EmbeddedKafka::partitions_for(records * (RECORD_BYTES as u64 + 40))).unwrap();
    fill(kafka.bootstrap_servers(), topic, records);
    kafka.check_retained(topic).unwrap();
    println!("{}", kafka.bootstrap_servers());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn start_broker(topic: &str, records: u64) -> (Child, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([BROKER, topic, "--records", &records.to_string()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut servers = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut servers).unwrap();
    (child, servers.trim().to_owned())
}

fn fill(servers: &str, topic: &str, records: u64) {
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", servers).set("linger.ms", "50").create().unwrap();
    let metadata = producer.client().fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let partitions = metadata.topics()[0].partitions().len() as u64;
    for n in 0..records {
        let value = format!("{n:0RECORD_BYTES$}");
        let partition = i32::try_from(n / 100 % partitions).unwrap();
        let mut record = BaseRecord::<(), _>::to(topic).partition(partition).payload(&value);
        while let Err((_, unsent)) = producer.send(record) {
            record = unsent;
            producer.poll(Duration::from_millis(1));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

/// Counts what comes until all partitions have ended.
fn read_bare(servers: &str, topic: &str) -> (u64, f64) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).unwrap();
    let mut list = TopicPartitionList::new();
    for partition in metadata.topics()[0].partitions() {
        list.add_partition_offset(topic, partition.id(), Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let (mut count, mut bytes, mut open) = (0, 0, list.count());
    while open > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                count += 1;
                bytes += message.payload_len();
            }
            Some(Err(KafkaError::PartitionEOF(_))) => open -= 1,
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    assert_eq!(bytes, count as usize * RECORD_BYTES);
    (count, library_cpu())
}

fn read_source(servers: &str, topic: &str) -> (u64, f64) {
    let mut source = KafkaSource::new(KafkaConfig::new(servers), [topic]).unwrap().until_end();
    let ids = source.partitions().unwrap();
    let mut open: Vec<Box<dyn Partition>> = ids.iter().map(|id| source.open(id, None).unwrap()).collect();
    let (mut count, mut batch) = (0, RecordBatch::default());
    while !open.is_empty() {
        let mut idle = true;
        open.retain_mut(|partition| {
            batch.clear();
            let polled = partition.poll(&mut batch).unwrap();
            count += batch.records().len() as u64;
            idle &= batch.is_empty();
            polled != Polled::Done
        });
        if idle {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    (count, library_cpu())
}

/// Seconds.
struct Cost {
    cpu: f64,
    library: f64,
    wall: f64,
}

fn measure(read: impl FnOnce() -> (u64, f64)) -> (u64, Cost) {
    let (cpu, wall) = (cpu_of("/proc/self/stat"), Instant::now());
    let (count, library) = read();
    (count, Cost { cpu: cpu_of("/proc/self/stat") - cpu, library, wall: wall.elapsed().as_secs_f64() })
}

/// The median of each, per million records.
fn median(costs: Vec<(u64, Cost)>, records: u64) -> Cost {
    assert!(costs.iter().all(|(count, _)| *count == records), "not all records were read");
    let middle = |of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(|(_, cost)| of(cost) * 1e6 / records as f64).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Cost {
        cpu: middle(|cost| cost.cpu),
        library: middle(|cost| cost.library),
        wall: middle(|cost| cost.wall),
    }
}

/// What librdkafka's threads have used: those of the client that is alive, as none outlives its reader.
fn library_cpu() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let of_library = tasks
        .filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("rdk:")));
    of_library.map(|task| cpu_of(task.join("stat").to_str().unwrap())).sum()
}

/// The user and system time of a process or thread in seconds.
fn cpu_of(path: &str) -> f64 {
    let stat = std::fs::read_to_string(path).unwrap();
    // The name is in parentheses and may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}
