//! A Kafka cluster inside the process, for tests and demos: librdkafka's mock cluster.

use std::fmt;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use telemetra_core::{ConfigError, ExternalError};

use super::config::KafkaConfig;
use super::error::failed;

pub(super) type Cluster = MockCluster<'static, DefaultProducerContext>;
/// A call that runs on the cluster's thread.
type Job = Box<dyn FnOnce(&Cluster) + Send>;

/// A Kafka cluster inside the process, for tests, demos and fault injection: librdkafka's mock cluster.
/// Faults are injected by [`broker_down`](Self::broker_down), [`slow_broker`](Self::slow_broker),
/// [`move_leader`](Self::move_leader) and [`fail_requests`](Self::fail_requests).
///
/// It serves the Kafka protocol on local ports, so other processes can connect too. It runs until the value
/// is dropped. For a test of transactions, compaction or TLS, run a real broker.
///
/// # Limits
///
/// * **A partition keeps 5 MiB or 100,000 batches** and then silently drops the oldest. A
///   [`KafkaSource`](crate::KafkaSource) that has fallen behind notices and stops. Give a topic [enough
///   partitions](Self::partitions_for), and [check](Self::check_retained) that nothing was dropped.
/// * All data is in memory and lost when the value is dropped.
/// * It has no transactions (they are accepted and ignored), no compaction, no deletion, no offset lookup by
///   time, no creation of topics by clients (so [`create_topics`](crate::KafkaSink::create_topics) does not
///   work), no TLS and no SASL.
/// * A fetch that finds nothing is answered only after `fetch.wait.max.ms`, so a new record may wait for that
///   long. [Set](KafkaConfig::set) the property to about 5 if latency matters.
///
/// ```
/// use telemetra_core::{Polled, RecordBatch, Source};
/// use telemetra_sinks::{EmbeddedKafka, KafkaConfig, KafkaSource};
///
/// let kafka = EmbeddedKafka::start(1)?;
/// kafka.create_topic("readings", 4)?;
/// let mut source = KafkaSource::new(KafkaConfig::new(kafka.bootstrap_servers()), ["readings"])?.until_end();
/// let ids = source.partitions()?;
/// assert_eq!(ids[3].as_str(), "readings/3");
/// let mut partition = source.open(&ids[3], None)?;
/// assert_eq!(partition.poll(&mut RecordBatch::default())?, Polled::Done);
/// kafka.check_retained("readings")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct EmbeddedKafka {
    servers: String,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedKafka {
    /// The number of bytes that a partition keeps: 5 MiB. It also keeps no more than 100,000 batches.
    pub const PARTITION_BYTES: u64 = 5 * 1024 * 1024;

    /// Starts a cluster of `brokers` brokers.
    ///
    /// # Errors
    ///
    /// If `brokers` is 0 or more than 1000, or the process cannot open ports or start a thread.
    pub fn start(brokers: u16) -> Result<Self, ExternalError> {
        if !(1..=1000).contains(&brokers) {
            let what = format!("cannot start a Kafka cluster of {brokers} brokers; give 1 to 1000");
            return Err(ExternalError::permanent(what));
        }
        let (jobs, queue) = channel::<Job>();
        let (ready, started) = channel();
        // The cluster cannot be sent to another thread, so it has a thread of its own.
        let run = move || {
            let cluster = MockCluster::new(i32::from(brokers));
            let servers = cluster.as_ref().map(Cluster::bootstrap_servers).map_err(Clone::clone);
            if ready.send(servers).is_err() {
                return;
            }
            if let Ok(cluster) = cluster {
                queue.into_iter().for_each(|job| job(&cluster));
            }
        };
        let could_not = "cannot start a Kafka cluster in the process";
        let thread = std::thread::Builder::new()
            .name("embedded kafka".into())
            .spawn(run)
            .map_err(|error| ExternalError::permanent(could_not).because(error))?;
        match started.recv() {
            Ok(Ok(servers)) => Ok(Self { servers, jobs: Some(jobs), thread: Some(thread) }),
            Ok(Err(error)) => Err(failed(could_not, error)),
            Err(error) => Err(ExternalError::permanent(could_not).because(error)),
        }
    }

    /// Returns the addresses of the brokers, as [`KafkaConfig::new`] takes them.
    #[must_use]
    pub fn bootstrap_servers(&self) -> &str {
        &self.servers
    }

    /// Returns how many partitions a topic needs to keep `bytes` bytes, with a fifth to spare, as keys are
    /// not spread evenly.
    ///
    /// ```
    /// use telemetra_sinks::EmbeddedKafka;
    /// assert_eq!(EmbeddedKafka::partitions_for(1_000), 1);
    /// assert_eq!(EmbeddedKafka::partitions_for(100 * 1024 * 1024), 24);
    /// ```
    #[must_use]
    pub fn partitions_for(bytes: u64) -> u32 {
        u32::try_from((bytes.saturating_mul(6) / 5).div_ceil(Self::PARTITION_BYTES))
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// Creates a topic with this number of partitions.
    ///
    /// # Errors
    ///
    /// If the topic exists already, or Kafka does not accept the name or the number, which may be 1 to 10,000.
    ///
    /// ```
    /// use telemetra_sinks::EmbeddedKafka;
    /// let kafka = EmbeddedKafka::start(1)?;
    /// kafka.create_topic("readings", 4)?;
    /// assert!(kafka.create_topic("readings", 4).is_err());
    /// assert!(kafka.create_topic("alarms", 0).is_err());
    /// # Ok::<(), telemetra_core::ExternalError>(())
    /// ```
    pub fn create_topic(&self, topic: &str, partitions: u32) -> Result<(), ExternalError> {
        let what = format!("cannot create the topic `{topic}` with {partitions} partitions");
        let count = i32::try_from(partitions).ok().filter(|count| (1..=10_000).contains(count));
        let Some(count) = count else { return Err(ExternalError::permanent(what + "; give 1 to 10,000")) };
        let name = topic.to_owned();
        self.with(move |cluster| cluster.create_topic(&name, count, 1)).map_err(|error| failed(what, error))
    }

    /// Checks that no partition of the topic has dropped records.
    ///
    /// # Errors
    ///
    /// A permanent error if a partition has dropped records; another error if the cluster does not answer within
    /// 10 s.
    pub fn check_retained(&self, topic: &str) -> Result<(), ExternalError> {
        let what = format!("cannot check what the topic `{topic}` keeps");
        let refused = |error: ConfigError| ExternalError::permanent(what.clone()).because(error);
        let client = KafkaConfig::new(&self.servers).client(&[], &[], &[]).map_err(refused)?;
        let asked = || -> Result<Vec<(i32, i64)>, rdkafka::error::KafkaError> {
            let consumer: BaseConsumer = client.create()?;
            let timeout = Duration::from_secs(10);
            let metadata = consumer.fetch_metadata(Some(topic), timeout)?;
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            partitions.map(|p| Ok((p.id(), consumer.fetch_watermarks(topic, p.id(), timeout)?.0))).collect()
        };
        for (partition, low) in asked().map_err(|error| failed(what, error))? {
            if low > 0 {
                return Err(ExternalError::permanent(format!(
                    "the embedded Kafka dropped the first {low} records of `{topic}/{partition}`, as a partition keeps 5 MiB; \
                     create the topic with more partitions, or write no faster than is read"
                )));
            }
        }
        Ok(())
    }

    /// Runs `job` on the thread of the cluster.
    pub(super) fn with<R: Send + 'static>(&self, job: impl FnOnce(&Cluster) -> R + Send + 'static) -> R {
        let (answer, answered) = channel();
        if let Some(jobs) = &self.jobs {
            // Without the thread there is no answer.
            let _ = jobs.send(Box::new(move |cluster| drop(answer.send(job(cluster)))));
        }
        answered.recv().unwrap_or_else(|_| panic!("the thread of the embedded Kafka has panicked"))
    }
}

impl Drop for EmbeddedKafka {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The caller of the job has reported the panic.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for EmbeddedKafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedKafka").field("servers", &self.servers).finish_non_exhaustive()
    }
}
