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

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

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

    /// A database on each of the two versions: the server, and the engine of the newer one.
    pub(crate) fn of_each_version() -> [Self; 2] {
        [Self::new(), Self::made(newer().to_owned(), Self::name())]
    }

    /// A name that no other database has.
    pub(crate) fn name() -> String {
        shared(Kind::ClickHouse).name
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

/// The URL of the engine of a newer version, which is there as a package of Python and not of Debian.
pub(crate) fn newer() -> &'static str {
    // It ends when this process does, and our end of the pipe with it.
    static SERVER: OnceLock<(String, Child)> = OnceLock::new();
    let (url, _) = SERVER.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let output = Command::new(&script).arg("python").stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "there is no Python with the engine of ClickHouse: {said}");
        let python = String::from_utf8(output.stdout).unwrap();
        let mut server = Command::new(python.trim())
            .args(["-c", include_str!("newer.py")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        (format!("http://127.0.0.1:{}", port.trim()), server)
    });
    url
}

fn ask(url: &str, sql: &str) -> String {
    let mut response = ureq::post(url).config().http_status_as_error(false).build().send(sql).unwrap();
    let (status, text) = (response.status().as_u16(), response.body_mut().read_to_vec().unwrap());
    // Bytes that are no text come as they are.
    let text = String::from_utf8_lossy(&text).into_owned();
    assert_eq!(status, 200, "{sql}: {text}");
    text
}
