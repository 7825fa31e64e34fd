//! Parquet files, read back by DuckDB and by PyArrow.
#![cfg(feature = "parquet")]
#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;

mod compliance;
mod files;
mod instants;
mod kill;
mod reader;
