//! Formats and sources that producers of others use, in whole pipelines: events that wait for their schema, topics of
//! several formats, a folder of logs, events that are pushed by HTTP.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod folder;
mod http_push;
mod prepare;
mod topics;

#[path = "../support/services.rs"]
mod services;
#[path = "../support/watch.rs"]
#[allow(dead_code, unreachable_pub, reason = "each test uses its part")]
mod watch;

use telemetra::prelude::*;

#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Reading {
    pub(crate) device: String,
    pub(crate) time: EventTime,
}

impl Event for Reading {
    type Key = String;
    fn time(&self) -> EventTime {
        self.time
    }
    fn key(&self) -> &str {
        &self.device
    }
}

pub(crate) fn line(device: &str, time: u64) -> String {
    format!("{{\"device\": \"{device}\", \"time\": {time}}}")
}

/// How many readings each device has in all rows of the table `device_second`.
pub(crate) fn counts(tables: &MemorySink) -> std::collections::BTreeMap<String, u64> {
    let mut counts = std::collections::BTreeMap::new();
    for row in tables.rows_of::<SummaryRow<String, u64>>() {
        *counts.entry(row.key).or_default() += *row.summary.value;
    }
    counts
}
