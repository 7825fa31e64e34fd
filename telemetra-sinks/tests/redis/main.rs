//! The Redis sink against real servers, which the tests start, break and stop.
#![cfg(feature = "redis")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../../../tests/support/services.rs"]
mod services;

mod access;
mod cluster;
mod compliance;
mod failures;
mod keys;
mod messages;
mod model;
mod random;
mod tables;
mod throughput;

use std::time::Duration;

use common::{Readings, moment_of, moments_in, readings_in, readings_row, tables as all_tables};
use redis::Connection;
use telemetra_core::{Action, Batch, Change, EventTime, Sink};
use telemetra_sinks::{RedisKeys, RedisServer, RedisSink, RedisTable};

/// A time-out that is long for a server that works, and short for a test.
const TIME_OUT: Duration = Duration::from_millis(500);

fn connect(url: &str) -> Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

/// Windows and moments under names of one's own.
fn names(prefix: &str) -> RedisKeys {
    let latest = RedisTable::latest("device_minute").key("device:{}:latest").message("metrics");
    let ranked = latest.rank("devices:by_rate", "per_second").rank("devices:by_mean", "mean");
    let moments = RedisTable::moments("moments").key("device:{}:moments").message("moment");
    RedisKeys::new(prefix)
        .table(ranked.subject_field("device"))
        .table(moments.subject_field("device"))
        .as_of_key("device:{}:as_of")
}

fn latest(prefix: &str, device: &str) -> String {
    names(prefix).latest("device_minute", device)
}

fn at(server: RedisServer, prefix: &str) -> RedisSink {
    RedisSink::new(server.timeout(TIME_OUT)).keys(names(prefix))
}

fn sink(url: &str, prefix: &str) -> RedisSink {
    at(RedisServer::url(url), prefix)
}

/// Opens it with all tables.
fn open(sink: &mut RedisSink, resume: Option<EventTime>) -> Result<(), telemetra_core::ExternalError> {
    sink.open(&all_tables(), resume).map(|durable| assert_eq!(durable, None))
}

/// The readings of the `nth` window in a table, their revision, and whether they are there.
fn readings_of(
    table: &'static str,
    device: &str,
    nth: u64,
    count: u64,
    revision: u32,
    action: Action,
) -> Change {
    let mut readings = Readings { count, least: -(count as i64), ..Readings::default() };
    if count.is_multiple_of(2) {
        readings.mean = Some(count as i64 * 10_000_000);
        readings.peak = Some(count * 11);
        readings.tags = vec!["a \"tag\"".into()];
    }
    common::change(&readings_in(table), readings_row(device, nth, readings), revision, action)
}

fn readings(device: &str, nth: u64, count: u64, revision: u32, action: Action) -> Change {
    readings_of("device_minute", device, nth, count, revision, action)
}

/// A moment that starts in the newest pane of the `nth` window and has lasted for `windows`.
fn moment(device: &str, nth: u64, windows: u32, open: bool, revision: u32, action: Action) -> Change {
    common::change(&moments_in("moments"), moment_of(device, nth, windows, open), revision, action)
}

/// A batch without moments: each device's `nth` window with that many readings.
fn tick(nth: u64, devices: &[(&str, u64)]) -> Batch {
    let change = |(device, count): &(&str, u64)| readings(device, nth, *count, 0, Action::Upsert);
    common::batch(nth, devices.iter().map(change).collect())
}
