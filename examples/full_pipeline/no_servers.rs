//! The build without the clients of Kafka, Postgres, Redis and object stores, webhooks and Parquet files. It compiles in a
//! fraction of the time, and refuses settings that need one of these clients.

use std::sync::Arc;

use anyhow::Result;
use telemetra::core::checkpoint::CheckpointStore;
use telemetra::livestream::{LiveEvents, LiveStreams};
use telemetra::prelude::*;

use crate::places::Source;
use crate::settings::{Output, Settings};

/// The embedded broker, which this build does not have.
pub(crate) enum Embedded {}

/// The counters of a source on a server, which this build does not have.
pub(crate) enum Counters {}

/// Refuses settings that need a client of a server.
pub(crate) fn check(settings: &Settings) -> Result<(), ConfigError> {
    let name = match settings.source {
        Source::Kafka => "kafka",
        Source::Embedded => "embedded-kafka",
        _ if settings.postgres.host.is_some() => "postgres-host",
        _ if settings.redis.url.0.is_some() => "redis",
        _ if settings.webhook.0.is_some() => "webhook",
        _ if settings.outputs.iter().any(|output| matches!(output, Output::Parquet(_))) => "output",
        Source::Generator | Source::Lines => match settings.objects().next() {
            Some((name, _)) => name,
            None => return Ok(()),
        },
    };
    Err(refused(name))
}

fn refused(name: &'static str) -> ConfigError {
    let detail = "this program was built without the clients of Kafka, Postgres, Redis and object stores, webhooks and \
                  Parquet files";
    ConfigError::new(name, detail, "run `cargo run --release --example full_pipeline`, which has them")
}

pub(crate) fn read(
    _pipeline: LiveStreams,
    _settings: &Settings,
    _decoder: Arc<dyn Decoder<LiveEvents>>,
) -> Result<(LiveStreams, Counters)> {
    Err(refused("kafka").into())
}

pub(crate) fn write(pipeline: LiveStreams, settings: &Settings, _samples: u32) -> Result<LiveStreams> {
    check(settings)?;
    Ok(pipeline)
}

pub(crate) fn store(_settings: &Settings, _name: Option<&str>) -> Result<Option<Box<dyn CheckpointStore>>> {
    Err(refused("checkpoint").into())
}

pub(crate) fn object_store(_url: &str) -> Result<Box<dyn CheckpointStore>> {
    Err(refused("checkpoint").into())
}

impl Counters {
    pub(crate) fn lost_records(&self) -> u64 {
        match *self {}
    }
}

impl Embedded {
    pub(crate) fn start(_settings: &Settings) -> Result<Self> {
        Err(refused("embedded-kafka").into())
    }

    pub(crate) fn servers(&self) -> &str {
        match *self {}
    }

    pub(crate) fn write(&self, _settings: &Settings) -> Result<()> {
        match *self {}
    }

    pub(crate) fn is_read(&self, _read: u64) -> Result<bool> {
        match *self {}
    }
}
