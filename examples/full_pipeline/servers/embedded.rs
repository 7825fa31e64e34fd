//! A Kafka in this process, and a thread on which the generator writes to it.
//!
//! The broker keeps 5 MiB per partition and drops the oldest records without an error, so the writer is never
//! further ahead of the reader than fits into one partition.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use telemetra::livestream::generate::Generator;
use telemetra::sinks::EmbeddedKafka;

use crate::common::sender::{Sender, Taken};
use crate::kafka::Kafka;
use crate::settings::Settings;

/// The greatest number of records that are written and not read yet: with 400 bytes at most, they fit into a
/// partition.
const AHEAD: u64 = 10_000;
const WAIT: Duration = Duration::from_millis(1);
/// The number of partitions of each topic.
const PARTITIONS: u32 = 4;

/// The broker and its writer.
pub(crate) struct Embedded {
    kafka: EmbeddedKafka,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The number of records read by all processes.
    read: AtomicU64,
    /// The number of records written in all, or the error, once that is known.
    written: Mutex<Option<Result<u64>>>,
    stop: AtomicBool,
}

impl Embedded {
    /// Starts the broker.
    pub(crate) fn start(settings: &Settings) -> Result<Self> {
        let kafka = EmbeddedKafka::start(1)?;
        for topic in settings.kafka.topics().names() {
            kafka.create_topic(topic, PARTITIONS)?;
        }
        let Kafka { summaries, moments, .. } = settings.kafka.clone();
        for topic in [settings.kafka.dead_letter_topic(), summaries, moments].into_iter().flatten() {
            kafka.create_topic(&topic, 1)?;
        }
        Ok(Self { kafka, shared: Arc::default() })
    }

    pub(crate) fn servers(&self) -> &str {
        self.kafka.bootstrap_servers()
    }

    /// Starts writing.
    pub(crate) fn write(&self, settings: &Settings) -> Result<()> {
        let generator = Generator::new(telemetra::livestream::generate::GeneratorConfig {
            partitions: 1,
            ..settings.generator.clone()
        })?;
        let sender = Sender::new(self.servers(), &[], settings.kafka.topics())?;
        let shared = Arc::clone(&self.shared);
        let write = move || {
            let written = write_all(&generator, &sender, &shared);
            *shared.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
        };
        let thread = std::thread::Builder::new().name("generator".to_owned()).spawn(write);
        thread.map(drop).context("could not start the thread of the generator")
    }

    /// Sets the number of records that were read. Returns whether these are all.
    pub(crate) fn is_read(&self, read: u64) -> Result<bool> {
        self.shared.read.store(read, Ordering::Release);
        let mut written = self.shared.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.take() {
            None => Ok(false),
            Some(Ok(all)) => {
                *written = Some(Ok(all));
                Ok(read >= all)
            }
            Some(Err(error)) => Err(error),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

fn write_all(generator: &Generator, sender: &Sender, shared: &Shared) -> Result<u64> {
    let Some(mut feed) = generator.feed(0) else { bail!("the generator has no partition") };
    let (mut bytes, mut sent) = (Vec::new(), 0);
    while let Some(record) = feed.next(&mut bytes) {
        while sent >= shared.read.load(Ordering::Acquire) + AHEAD
            || sender.send(&record, &bytes)? == Taken::Full
        {
            if shared.stop.load(Ordering::Acquire) {
                return Ok(sent);
            }
            sender.serve(WAIT);
        }
        sent += 1;
        bytes.clear();
    }
    while sender.queued() > 0 && !shared.stop.load(Ordering::Acquire) {
        sender.serve(WAIT);
    }
    match sender.counts() {
        (_, 0) => Ok(sent),
        (_, failed) => bail!("{failed} of {sent} records were not delivered to the embedded Kafka"),
    }
}
