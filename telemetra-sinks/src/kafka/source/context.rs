//! The callbacks of the Kafka consumer: logs, errors, statistics, OAuth tokens, and the results of commits.

use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::partition_state::Partitions;
use super::stats::Statistics;
use crate::kafka::report::Reporter;

pub(super) type Client = BaseConsumer<Context>;

/// The callbacks of the consumer.
pub(super) struct Context {
    pub(super) reporter: Reporter,
    pub(super) partitions: Partitions,
    /// The number of commits that have ended, successfully or not.
    pub(super) commits: AtomicU64,
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, kind: &str, line: &str) {
        self.reporter.log(level, kind, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporter.error(&error, reason);
    }

    fn stats_raw(&self, json: &[u8]) {
        match serde_json::from_slice::<Statistics>(json) {
            Ok(statistics) => statistics.publish(&self.partitions),
            Err(error) => tracing::debug!(%error, "could not read librdkafka's statistics"),
        }
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.reporter.token()
    }
}

impl ConsumerContext for Context {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        self.commits.fetch_add(1, Ordering::Release);
        if let Err(error) = result
            && let Some(withheld) = self.reporter.admit("commit")
        {
            // Only lag monitors use committed offsets; a restart uses the checkpoint.
            tracing::warn!(withheld, %error, "could not commit offsets to Kafka");
        }
    }
}
