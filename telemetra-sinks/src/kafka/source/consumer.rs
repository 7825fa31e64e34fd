//! The Kafka consumer that all partitions of a source share: it owns the client and starts and stops the
//! consumer thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use telemetra_core::{ExternalError, PartitionId};

use super::assign::give_up;
use super::buffered::partition_count;
use super::consumer_thread::ConsumerThread;
use super::context::{Client, Context};
use super::partition_state::{PartitionState, Partitions, lock};
use super::{KafkaCounters, Settings};
use crate::kafka::config::KafkaConfig;
use crate::kafka::error::failed;
use crate::kafka::report::Reporter;

/// The pause before the next request for a topic that does not exist yet.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The client, its partitions and its thread. The thread ends when the last reference is dropped.
pub(super) struct SharedConsumer {
    pub(super) client: Arc<Client>,
    pub(super) partitions: Partitions,
    /// The partitions that are open and not assigned yet.
    pub(super) opened: Partitions,
    pub(super) settings: Settings,
    pub(super) counters: KafkaCounters,
    stop: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for SharedConsumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedConsumer").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl SharedConsumer {
    /// Creates the client and starts the consumer thread.
    pub(super) fn start(
        config: &KafkaConfig,
        client: ClientConfig,
        settings: &Settings,
        counters: &KafkaCounters,
    ) -> Result<Arc<Self>, ExternalError> {
        let what = || format!("cannot make a Kafka client for {}", config.servers());
        let partitions = Partitions::default();
        let context = Context {
            reporter: Reporter::new(config),
            partitions: Arc::clone(&partitions),
            commits: AtomicU64::new(0),
        };
        let client: Client = client.create_with_context(context).map_err(|error| failed(what(), error))?;
        let client = Arc::new(client);
        let stop = Arc::new(AtomicBool::new(false));
        let consumer_thread = ConsumerThread::new(
            Arc::clone(&client),
            Arc::clone(&partitions),
            settings,
            counters.clone(),
            Arc::clone(&stop),
        );
        let thread = std::thread::Builder::new()
            .name("kafka source".into())
            .spawn(move || consumer_thread.run())
            .map_err(|error| ExternalError::permanent(what()).because(error))?;
        Ok(Arc::new(Self {
            client,
            partitions,
            opened: Partitions::default(),
            settings: settings.clone(),
            counters: counters.clone(),
            stop,
            thread: Mutex::new(Some(thread)),
        }))
    }

    /// Returns the partitions of the topics, in the order of the topics and of their numbers.
    pub(super) fn list(&self, topics: &[String]) -> Result<Vec<PartitionId>, ExternalError> {
        let deadline = Instant::now() + self.settings.wait_for_topics.min(Duration::from_secs(1 << 30));
        let mut ids = Vec::new();
        for topic in topics {
            let count = loop {
                match self.count(topic)? {
                    Some(count) => break count,
                    None if Instant::now() < deadline => std::thread::sleep(ASK_AGAIN),
                    None => return Err(self.missing(topic)),
                }
            };
            ids.extend((0..count).map(|number| PartitionId::new(&format!("{topic}/{number}"))));
        }
        Ok(ids)
    }

    /// Builds the error of a topic that does not exist.
    fn missing(&self, topic: &str) -> ExternalError {
        let servers = self.client.context().reporter.servers();
        ExternalError::permanent(format!(
            "the topic `{topic}` does not exist at {servers}; create it, check its name, or have the source wait with `wait_for_topics`"
        ))
    }

    /// Returns the number of partitions of a topic; `None` if it does not exist.
    fn count(&self, topic: &str) -> Result<Option<usize>, ExternalError> {
        partition_count(&self.client, topic, self.settings.timeout)
    }

    /// Returns whether the partition is being read. A partition that was closed is unassigned here.
    pub(super) fn is_open(&self, id: &PartitionId) -> bool {
        let mut partitions = lock(&self.partitions);
        partitions.retain(|partition| {
            let gone = partition.id == *id && partition.closed.load(Ordering::Acquire);
            if gone {
                give_up(&self.client, partition);
            }
            !gone
        });
        partitions.iter().any(|partition| partition.id == *id)
    }

    /// Adds a partition to those that the consumer thread looks after, and to those that are assigned when one of them
    /// is polled.
    pub(super) fn add(&self, partition: &Arc<PartitionState>) {
        lock(&self.partitions).push(Arc::clone(partition));
        lock(&self.opened).push(Arc::clone(partition));
    }
}

impl Drop for SharedConsumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = lock(&self.thread).take() {
            // A panic of the thread needs no report here: the partitions are gone.
            let _ = thread.join();
        }
    }
}
