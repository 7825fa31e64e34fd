//! Checkpoints in an object store: in a real server with the API of S3, and in memory.
#![cfg(feature = "object-store")]
#![allow(clippy::unwrap_used)]

#[path = "../common/gateway.rs"]
mod gateway;
#[path = "../../../tests/support/services.rs"]
mod services;

mod errors;
mod fencing;
mod kill;
mod stored;

use std::path::PathBuf;

use services::{Kind, Place, Server, shared};
use telemetra_core::{ExternalError, Retry};
use telemetra_sinks::{ObjectCheckpoints, ObjectStoreConfig};

/// A server of the test's own, whose folder can be looked at.
pub(crate) struct Own {
    pub(crate) server: Server,
    prefix: &'static str,
}

impl Own {
    pub(crate) fn start() -> Self {
        Self { server: Server::of(Kind::S3).start(), prefix: "checkpoints/of/one" }
    }

    pub(crate) fn config(&self) -> ObjectStoreConfig {
        gateway::config(&self.server.url(), self.prefix)
    }

    pub(crate) fn store(&self) -> ObjectCheckpoints {
        ObjectCheckpoints::new(&self.config()).unwrap()
    }

    /// The folder of the objects.
    pub(crate) fn folder(&self) -> PathBuf {
        gateway::folder(self.server.folder(), self.prefix)
    }

    /// The names of the objects that hold blobs.
    pub(crate) fn blobs(&self) -> Vec<String> {
        let Ok(found) = std::fs::read_dir(self.folder().join("blobs")) else { return Vec::new() };
        let mut names: Vec<_> =
            found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// A prefix of the server that the tests share.
pub(crate) fn config() -> ObjectStoreConfig {
    let Place { url, name } = shared(Kind::S3);
    gateway::config(&url, &name)
}

pub(crate) fn store(config: &ObjectStoreConfig) -> ObjectCheckpoints {
    ObjectCheckpoints::new(config).unwrap()
}

/// An error and its causes, as one text.
pub(crate) fn told(error: &ExternalError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

pub(crate) fn lost(error: &ExternalError) {
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("another process has taken over place"), "{error}");
}
