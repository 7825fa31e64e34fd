//! ClickHouse, against real servers.
#![cfg(feature = "clickhouse")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/support/services.rs"]
mod services;

mod compliance;
mod failures;
mod tables;

use serde_json::Value as Json;
use services::{Kind, Place, shared};
use telemetra_sinks::ClickHouse;

/// A database of a test's own, on the server that the tests share.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Database {
    pub(crate) fn new() -> Self {
        let Place { url, name } = shared(Kind::ClickHouse);
        Self::made(url, name)
    }

    pub(crate) fn made(url: String, name: String) -> Self {
        let database = Self { url, name };
        ask(&database.url, &format!("CREATE DATABASE {}", database.name));
        database
    }

    pub(crate) fn sink(&self) -> ClickHouse {
        ClickHouse::new(&self.url).unwrap().database(&self.name)
    }

    /// The answer to a query.
    pub(crate) fn ask(&self, sql: &str) -> String {
        ask(&format!("{}/?database={}", self.url, self.name), sql)
    }

    /// The rows of a query, as objects.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Json> {
        let text = self.ask(&format!("{sql} FORMAT JSONEachRow"));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn ask(url: &str, sql: &str) -> String {
    let mut response = ureq::post(url).config().http_status_as_error(false).build().send(sql).unwrap();
    let (status, text) = (response.status().as_u16(), response.body_mut().read_to_string().unwrap());
    assert_eq!(status, 200, "{sql}: {text}");
    text
}
