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
mod throughput;

use std::time::Duration;

use redis::Connection;
use telemetra_core::{Action, Batch, Change, Currency, Micro, Moment, Row, StreamId, StreamSummary, Summary};
use telemetra_sinks::{RedisServer, RedisSink};

/// A time-out that is long for a server that works, and short for a test.
const TIME_OUT: Duration = Duration::from_millis(500);

fn connect(url: &str) -> Connection {
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

fn sink(url: &str, prefix: &str) -> RedisSink {
    RedisSink::new(RedisServer::url(url).time_out(TIME_OUT)).prefix(prefix)
}

/// The summary of the `nth` window, its revision, and whether it is there.
fn summary(stream: &str, nth: u64, chats: u64, revision: u32, action: Action) -> Change<StreamSummary> {
    let mut value = StreamSummary { chat_count: chats, unique_chatters: chats / 2, ..Default::default() };
    if chats.is_multiple_of(2) {
        value.viewer_sum = u128::from(chats) * 30;
        value.viewer_events = 3;
        value.peak_viewers = Some(chats * 11);
        value.transaction_amount[Currency::Eur as usize] = 12_500_000;
    }
    let summary = Summary { window: common::window(nth), value: value.into() };
    Change { row: Row::Summary(StreamId::new(stream), summary), revision, action }
}

/// A moment that starts in the newest pane of the `nth` window and has lasted for `windows`.
fn moment(
    stream: &str,
    nth: u64,
    windows: u32,
    open: bool,
    revision: u32,
    action: Action,
) -> Change<StreamSummary> {
    let mut moment: Moment = common::moment(stream, nth, open);
    moment.last_at = moment.started_at.plus(10_000 * u64::from(windows));
    moment.windows = windows;
    moment.score = Micro(4_000_000 + i64::from(windows));
    Change { row: Row::Moment(moment), revision, action }
}

/// A batch without moments: each stream's `nth` window with that many messages.
fn tick(nth: u64, streams: &[(&str, u64)]) -> Batch<StreamSummary> {
    let change = |(stream, chats): &(&str, u64)| summary(stream, nth, *chats, 0, Action::Upsert);
    common::batch(nth, streams.iter().map(change).collect())
}
