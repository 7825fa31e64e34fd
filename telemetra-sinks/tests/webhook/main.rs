//! The webhook against HTTP servers, which the tests start, break and stop.
#![cfg(feature = "webhook")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod compliance;
mod failures;
mod receiver;
mod requests;
mod tls;
