//! The servers that a case writes to.

use anyhow::Result;
use tempfile::TempDir;

use crate::Options;
use crate::services::{Kind, Server};

/// Servers that hold nothing and are as durable as in production, and a folder for checkpoints. They go when this is dropped.
pub(crate) struct Rig {
    postgres: Server,
    redis: Server,
    folder: TempDir,
}

impl Rig {
    pub(crate) fn start() -> Result<Self> {
        let postgres = Server::of(Kind::Postgres).durable().start();
        Ok(Self { postgres, redis: Server::redis(), folder: tempfile::tempdir()? })
    }

    /// The same, and Postgres knows when each row was committed.
    pub(crate) fn with_commit_times() -> Result<Self> {
        let postgres = Server::of(Kind::Postgres).durable().set("track_commit_timestamp", "on").start();
        Ok(Self { postgres, redis: Server::redis(), folder: tempfile::tempdir()? })
    }

    /// The options, with where all servers are.
    pub(crate) fn options(&self, options: &Options, kafka: &Server) -> Options {
        options
            .with("kafka", kafka.url())
            .with("postgres", self.postgres.url())
            .with("redis", self.redis.url())
            .with("folder", self.folder.path().display())
    }
}
