//! The live-stream domain as a user sees it.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod bursts;
mod carried;
mod chat;
mod decode;
mod events;
mod generator;
mod generator_settings;
mod lexicon;
mod rows;
mod scored;
mod sentiment;
mod summarize;
mod vader;
mod workload;
