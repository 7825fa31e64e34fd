//! Checks that the servers and their topics exist.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use crate::common::sender::Sender;
use crate::common::topics::Topics;
use crate::options::Settings;

const PATIENCE: Duration = Duration::from_secs(10);

/// Checks that the topics exist, and creates the missing ones if it should. Returns a text for each.
pub(crate) fn ensure(sender: &Sender, topics: &Topics, settings: &Settings) -> Result<Vec<String>> {
    let existing = sender.existing(PATIENCE).map_err(|error| {
        anyhow!(
            "could not reach Kafka at {} within {} s: {error}; start one with `make services-up`, or name another \
             by --kafka or KAFKA_BOOTSTRAP_SERVERS",
            settings.servers,
            PATIENCE.as_secs()
        )
    })?;
    let missing: Vec<&str> = topics.names().filter(|name| !existing.contains_key(*name)).collect();
    if !settings.create_topics || missing.is_empty() {
        let told =
            |name: &str| existing.get(name).map(|count| format!("{name} is there, of {count} partitions"));
        return Ok(topics.names().filter_map(told).collect());
    }
    create(&missing, settings)?;
    let told = |name: &str| format!("created {name}, of {} partitions", settings.partitions);
    Ok(missing.into_iter().map(told).collect())
}

fn create(names: &[&str], settings: &Settings) -> Result<()> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &settings.servers);
    // Only properties of the connection matter here; the client ignores those for producers, with a log line.
    config.extend(settings.properties.0.iter().cloned());
    let admin: AdminClient<DefaultClientContext> =
        config.create().context("could not set up Kafka's admin client")?;
    let topic =
        |name| NewTopic::new(name, settings.partitions, TopicReplication::Fixed(settings.replication));
    let wanted: Vec<_> = names.iter().copied().map(topic).collect();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE));
    let runtime =
        tokio::runtime::Builder::new_current_thread().build().context("could not wait for Kafka")?;
    let hint = "create them yourself and give --no-create-topics";
    let created = runtime
        .block_on(admin.create_topics(&wanted, &options))
        .with_context(|| format!("could not create the topics {}; {hint}", names.join(", ")))?;
    for topic in created {
        match topic {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => bail!(
                "could not create the topic {name} of {} partitions and {} replicas: {error}; {hint}",
                settings.partitions,
                settings.replication
            ),
        }
    }
    Ok(())
}
