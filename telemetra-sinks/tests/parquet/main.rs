//! Parquet files, read back by DuckDB and by PyArrow.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
#[cfg(feature = "object-store")]
#[path = "../common/gateway.rs"]
mod gateway;
#[cfg(feature = "object-store")]
#[path = "../../../tests/support/services.rs"]
mod services;

mod compliance;
mod files;
mod instants;
mod kill;
#[cfg(feature = "object-store")]
mod objects;
mod progress;
mod reader;
