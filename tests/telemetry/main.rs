//! The telemetry of a pipeline beside metrics: spans, the traces of records, and a log without secrets.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod capture;
#[path = "../support/program.rs"]
mod program;
mod secrets;
#[path = "../support/services.rs"]
mod services;
mod spans;
mod traces;
