//! The client that all partitions of the process share, and the life of the thread that looks after them.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer;
use telemetra_core::{ExternalError, PartitionId};

use super::assign::give_up;
use super::context::{Client, Context};
use super::held::partition_count;
use super::keeper::Keeper;
use super::lane::{Lane, Lanes, lock};
use super::{KafkaCounters, Settings};
use crate::kafka::config::KafkaConfig;
use crate::kafka::error::failed;
use crate::kafka::report::Reporter;

/// How long to wait before asking again for a topic that is not there yet.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// The client, the partitions, and the thread, which ends with the last who holds this.
pub(super) struct Shared {
    pub(super) client: Arc<Client>,
    pub(super) lanes: Lanes,
    pub(super) settings: Settings,
    pub(super) counters: KafkaCounters,
    stop: Arc<AtomicBool>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("lanes", &self.lanes).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn start(
        config: &KafkaConfig,
        client: ClientConfig,
        settings: &Settings,
        counters: &KafkaCounters,
    ) -> Result<Arc<Self>, ExternalError> {
        let what = || format!("cannot make a Kafka client for {}", config.servers());
        let lanes = Lanes::default();
        let context = Context {
            reporter: Reporter::new(config),
            lanes: Arc::clone(&lanes),
            commits: AtomicU64::new(0),
        };
        let client: Client = client.create_with_context(context).map_err(|error| failed(what(), error))?;
        let client = Arc::new(client);
        let stop = Arc::new(AtomicBool::new(false));
        let keeper = Keeper::new(
            Arc::clone(&client),
            Arc::clone(&lanes),
            settings,
            counters.clone(),
            Arc::clone(&stop),
        );
        let thread = std::thread::Builder::new()
            .name("kafka source".into())
            .spawn(move || keeper.run())
            .map_err(|error| ExternalError::permanent(what()).because(error))?;
        Ok(Arc::new(Self {
            client,
            lanes,
            settings: settings.clone(),
            counters: counters.clone(),
            stop,
            keeper: Mutex::new(Some(thread)),
        }))
    }

    /// The partitions of the topics, by the order of the topics, then by number.
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

    fn missing(&self, topic: &str) -> ExternalError {
        let servers = self.client.context().reporter.servers();
        ExternalError::permanent(format!(
            "the topic `{topic}` does not exist at {servers}; create it, check its name, or have the source wait with `wait_for_topics`"
        ))
    }

    /// How many partitions a topic has; `None` if it does not exist.
    fn count(&self, topic: &str) -> Result<Option<usize>, ExternalError> {
        partition_count(&self.client, topic, self.settings.timeout)
    }

    /// Whether the partition is being read; one that was read is given up.
    pub(super) fn is_open(&self, id: &PartitionId) -> bool {
        let mut lanes = lock(&self.lanes);
        lanes.retain(|lane| {
            let gone = lane.id == *id && lane.closed.load(Ordering::Acquire);
            if gone {
                give_up(&self.client, lane);
            }
            !gone
        });
        lanes.iter().any(|lane| lane.id == *id)
    }

    pub(super) fn add(&self, lane: &Arc<Lane>) {
        lock(&self.lanes).push(Arc::clone(lane));
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(keeper) = lock(&self.keeper).take() {
            // It has nothing to say if it panicked: the partitions are gone.
            let _ = keeper.join();
        }
    }
}
