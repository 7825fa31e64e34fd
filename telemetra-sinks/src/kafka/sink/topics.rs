//! Making topics, and finding out how many partitions they have.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as Waiting, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::producer::Producer as _;
use telemetra_core::ExternalError;

use super::context::{Context, Producer};
use super::settings::Settings;
use crate::kafka::error::failed;
use crate::kafka::report::Reporter;

/// How topics are made that do not exist.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct CreateTopics {
    /// How many partitions each has.
    pub partitions: u32,
    /// How many replicas each partition has.
    pub replication: u16,
    /// Whether topics of summaries and moments are compacted: they then hold the newest of each row for ever. The topic of
    /// dead letters keeps what it is given for as long as the broker keeps records.
    pub compact: bool,
}

impl Default for CreateTopics {
    /// One partition, one replica, compacted.
    fn default() -> Self {
        Self { partitions: 1, replication: 1, compact: true }
    }
}

/// Makes the topics that do not exist.
pub(super) fn create(settings: &Settings, how: CreateTopics) -> Result<(), ExternalError> {
    let what = || format!("cannot create topics at {}", settings.config.servers());
    let refused = |error| ExternalError::permanent(what()).because(error);
    let client = settings.client().map_err(refused)?;
    let context = Context::new(Reporter::new(&settings.config));
    let client: AdminClient<Context> =
        client.create_with_context(context).map_err(|error| failed(what(), error))?;
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let topics: Vec<_> = settings
        .topics()
        .map(|(topic, rows)| {
            let replication = TopicReplication::Fixed(i32::from(how.replication));
            let topic = NewTopic::new(topic, number(how.partitions), replication);
            if rows && how.compact { topic.set("cleanup.policy", "compact") } else { topic }
        })
        .collect();
    let options =
        AdminOptions::new().request_timeout(Some(settings.timeout)).operation_timeout(Some(settings.timeout));
    let reporter = &client.inner().context().reporter;
    let made =
        wait(client.create_topics(&topics, &options)).map_err(|error| reporter.timed_out(&what(), error))?;
    for topic in made {
        match topic {
            Ok(topic) => tracing::info!(topic, partitions = how.partitions, "created a topic of Kafka"),
            Err((_, Code::TopicAlreadyExists)) => {}
            Err((topic, code)) => {
                return Err(failed(format!("cannot create the topic `{topic}`"), KafkaError::AdminOp(code)));
            }
        }
    }
    Ok(())
}

/// How many partitions the topic has.
pub(super) fn partitions(
    producer: &Producer,
    topic: &str,
    timeout: Duration,
) -> Result<usize, ExternalError> {
    let what = format!("cannot write to the topic `{topic}`");
    let reporter = &producer.context().reporter;
    let deadline = Instant::now() + timeout;
    loop {
        // Events come to who polls, and say why nobody answers.
        producer.poll(Duration::ZERO);
        let asked = producer.client().fetch_metadata(Some(topic), Duration::from_millis(500).min(timeout));
        producer.poll(Duration::ZERO);
        let metadata = match asked {
            Ok(metadata) => metadata,
            Err(_) if Instant::now() < deadline => continue,
            Err(error) => return Err(reporter.timed_out(&what, error)),
        };
        reporter.clear();
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let count = found.map_or(0, |found| found.partitions().len());
        match found.and_then(|found| found.error()).map(Code::from) {
            None | Some(Code::LeaderNotAvailable) if count > 0 => return Ok(count),
            // One that was just made, or that the broker makes because it was asked for, takes a moment.
            None | Some(Code::LeaderNotAvailable) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(100));
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) | None => {
                let servers = reporter.servers();
                return Err(ExternalError::permanent(format!(
                    "{what}: it does not exist at {servers}; create it, or have the sink do so with `create_topics`"
                )));
            }
            Some(code) => return Err(failed(what, KafkaError::MetadataFetch(code))),
        }
    }
}

/// Waits for what the client's own thread will finish.
fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Waiting::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
