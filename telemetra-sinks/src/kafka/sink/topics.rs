//! The creation of topics, and the lookup of their numbers of partitions.

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
use super::settings::{CreateTopics, Settings};
use crate::kafka::error::failed;
use crate::kafka::report::Reporter;

/// The time for which one request waits for an answer.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The pause before the next request.
const PAUSE: Duration = Duration::from_millis(100);

/// Creates these topics, each with whether it holds rows.
pub(super) fn create(
    settings: &Settings,
    topics: &[(&str, bool)],
    how: CreateTopics,
) -> Result<(), ExternalError> {
    let what = "cannot create topics";
    if settings.config.token().is_some() {
        // The client that creates topics cannot request tokens.
        let hint = "while logging in by OAUTHBEARER; create them by other means";
        let missing: Vec<_> = topics.iter().map(|(topic, _)| format!("`{topic}`")).collect();
        return Err(ExternalError::permanent(format!("{what} ({}) {hint}", missing.join(", "))));
    }
    let client = settings.client().map_err(|error| ExternalError::permanent(what).because(error))?;
    let context = Context::new(Reporter::new(&settings.config));
    let client: AdminClient<Context> =
        client.create_with_context(context).map_err(|error| failed(what, error))?;
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let new = |&(topic, rows)| {
        let replication = TopicReplication::Fixed(i32::from(how.replication));
        let topic = NewTopic::new(topic, number(how.partitions), replication);
        if rows && how.compact { topic.set("cleanup.policy", "compact") } else { topic }
    };
    let new: Vec<_> = topics.iter().map(new).collect();
    let options =
        AdminOptions::new().request_timeout(Some(settings.timeout)).operation_timeout(Some(settings.timeout));
    let reporter = &client.inner().context().reporter;
    let made = wait(client.create_topics(&new, &options)).map_err(|error| reporter.timed_out(what, error))?;
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

/// Returns the number of partitions of a topic; `None` if it does not exist.
pub(super) fn partitions(
    producer: &Producer,
    topic: &str,
    timeout: Duration,
) -> Result<Option<usize>, ExternalError> {
    let what = format!("cannot write to the topic `{topic}`");
    let reporter = &producer.context().reporter;
    let deadline = Instant::now() + timeout;
    loop {
        // The client reports errors only when it is polled; they explain why nobody answers.
        producer.poll(Duration::ZERO);
        let asked = producer.client().fetch_metadata(Some(topic), ASK_AGAIN.min(timeout));
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
            None | Some(Code::LeaderNotAvailable) if count > 0 => return Ok(Some(count)),
            None | Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return Ok(None),
            // The topic is being created.
            Some(Code::LeaderNotAvailable) if Instant::now() < deadline => std::thread::sleep(PAUSE),
            Some(code) => return Err(failed(what, KafkaError::MetadataFetch(code))),
        }
    }
}

/// Returns the number of partitions of a topic that must exist; a new topic takes a moment to become known.
pub(super) fn known(
    producer: &Producer,
    topic: &str,
    timeout: Duration,
    made: bool,
) -> Result<usize, ExternalError> {
    let deadline = Instant::now() + timeout;
    loop {
        match partitions(producer, topic, timeout)? {
            Some(count) => return Ok(count),
            None if made && Instant::now() < deadline => std::thread::sleep(PAUSE),
            None => {
                let servers = producer.context().reporter.servers();
                return Err(ExternalError::permanent(format!(
                    "cannot write to the topic `{topic}`: it does not exist at {servers}; create it, or have the sink do so with `create_topics`"
                )));
            }
        }
    }
}

/// Blocks on a future that the client's own thread completes.
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
