//! The least that reading a topic costs: an rdkafka consumer that counts, and does nothing else.

use std::time::{Duration, Instant};

use anyhow::Result;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::feed::TOPIC;
use crate::throughput::{Figures, print};
use crate::{Options, usage};

pub(crate) fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", options.text("kafka")?)
        .set("group.id", "bare")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(options.number("partitions")?)? {
        list.add_partition_offset(TOPIC, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let before = usage::cpu_seconds()?;
    let (mut events, mut bytes) = (0, 0);
    while events < options.number("events")? {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            bytes += message?.payload_len();
            events += 1;
        }
    }
    let cpu = usage::cpu_seconds()? - before;
    assert!(bytes > 0, "records have bytes");
    print(&Figures { events, cpu, wall: begun.elapsed().as_secs_f64(), ..Figures::default() });
    Ok(())
}
