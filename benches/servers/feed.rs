//! Filling the topic: at once, or at a pace.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use telemetra::core::{Clock, Polled, RecordBatch};
use telemetra::livestream::JsonDecoder;
use telemetra::livestream::generate::{Generator, GeneratorConfig};
use telemetra::livestream::testkit::Workload;
use telemetra::prelude::*;
use telemetra::sinks::event_time_by;

use crate::Options;

/// How long before the first paced event the feed begins.
pub(crate) const LEAD: Duration = Duration::from_secs(20);

pub(crate) const TOPIC: &str = "telemetra.events.chat";

/// Makes the topic.
pub(crate) fn create(servers: &str, partitions: u64) -> Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", servers).create()?;
    let topic = NewTopic::new(TOPIC, i32::try_from(partitions)?, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let made = runtime.block_on(admin.create_topics([&topic], &AdminOptions::new()))?;
    made.into_iter()
        .try_for_each(|made| made.map(drop).map_err(|(topic, code)| anyhow::anyhow!("{topic}: {code}")))
}

fn producer(servers: &str) -> Result<ThreadedProducer<DefaultProducerContext>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers).set("linger.ms", "5").set("compression.type", "none");
    Ok(config.set("queue.buffering.max.kbytes", "65536").create()?)
}

/// Sends, and waits where the queue is full.
fn send(producer: &ThreadedProducer<DefaultProducerContext>, partition: usize, payload: &[u8]) -> Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(TOPIC).payload(payload).partition(i32::try_from(partition)?);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                std::thread::sleep(Duration::from_millis(2));
                record = back;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

/// Fills the topic with the workload, partition by partition in turn.
pub(crate) fn fill(options: &Options, servers: &str) -> Result<()> {
    let workload = Workload::standard()
        .events(options.number("events")?)
        .streams(u32::try_from(options.number("streams")?)?)
        .minutes(u32::try_from(options.number("minutes")?)?)
        .partitions(u32::try_from(options.number("partitions")?)?);
    let producer = producer(servers)?;
    let mut source = workload.source()?;
    let mut open = Vec::new();
    for (number, id) in source.partitions()?.iter().enumerate() {
        open.push((number, source.open(id, None)?));
    }
    let mut batch = RecordBatch::default();
    while !open.is_empty() {
        let mut at = 0;
        while at < open.len() {
            let (number, partition) = &mut open[at];
            let polled = partition.poll(&mut batch)?;
            for record in batch.records() {
                send(&producer, *number, batch.bytes_of(record))?;
            }
            batch.clear();
            if polled == Polled::Done { drop(open.remove(at)) } else { at += 1 }
        }
    }
    producer.flush(Duration::from_secs(120))?;
    Ok(())
}

/// Sends events of now, as they happen: what is sent does not depend on whether anybody keeps up.
pub(crate) fn paced(options: &Options) -> Result<()> {
    let clock = Clock::system();
    // Deciding what to send takes a while, and must not make a backlog.
    let start = EventTime(clock.now().0 / 1000 * 1000 + LEAD.as_secs() * 1000);
    let mut generator = Generator::new(GeneratorConfig {
        streams: u32::try_from(options.number("streams")?)?,
        partitions: 1,
        start,
        duration_ms: options.number("seconds")? * 1000,
        events_per_second: options.number("rate")? as f64,
        ..GeneratorConfig::chat_only()
    })?;
    let producer = producer(options.text("kafka")?)?;
    let partitions = usize::try_from(options.number("partitions")?)?;
    let time_of = event_time_by(JsonDecoder::mixed());
    let id = generator.partitions()?.remove(0);
    let mut partition = generator.open(&id, None)?;
    let mut batch = RecordBatch::default();
    // A record is due with the newest event before it: it may be old itself.
    let (mut sent, mut due, mut late) = (0_usize, Duration::ZERO, Duration::ZERO);
    let begun = Instant::now();
    let origin = clock.now();
    loop {
        let polled = partition.poll(&mut batch)?;
        for record in batch.records() {
            let payload = batch.bytes_of(record);
            if let Some(time) = time_of(payload) {
                due = due.max(Duration::from_millis(time - origin));
                let now = begun.elapsed();
                if due > now + Duration::from_millis(1) {
                    std::thread::sleep(due - now);
                } else {
                    late = late.max(now.saturating_sub(due));
                }
            }
            send(&producer, sent % partitions, payload)?;
            sent += 1;
        }
        batch.clear();
        if polled == Polled::Done {
            break;
        }
    }
    producer.flush(Duration::from_secs(30))?;
    writeln!(std::io::stdout(), "{sent} events, {late:?} behind at most")?;
    Ok(())
}
