//! Formats besides lines of JSON: what producers write comes out as events, and what is wrong with it is said by field.
#![cfg(all(feature = "csv", feature = "msgpack", feature = "avro", feature = "protobuf"))]
#![allow(clippy::unwrap_used, clippy::panic)]

mod avro;
mod csv;
mod elements;
mod msgpack;
mod protobuf;
#[cfg(feature = "schema-registry")]
mod registry;
mod support;

#[path = "../../../tests/support/services.rs"]
mod services;
