//! The Postgres sink and store, against real servers that the tests start and stop.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)]

mod change_log;
#[path = "../common/mod.rs"]
mod common;
mod compliance;
mod connect;
mod failures;
mod fencing;
mod keys;
mod proxy;
mod retention;
mod schema;
mod server;
#[path = "../../../tests/support/services.rs"]
mod services;
mod start_over;
mod throughput;
mod tls;
mod values;
