//! The router over a live view of own events, as its clients see it: over real connections.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[allow(dead_code, reason = "the tests of the API use the rest")]
#[path = "../api/client.rs"]
mod client;
mod devices;
mod document;
mod errors;
mod follow;
mod follower;
mod rows;
#[path = "../support/schema.rs"]
mod schema;
mod settings;
