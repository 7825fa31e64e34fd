//! Compliance suites for the contracts, and a seeded workload. For tests, yours and ours.

mod accumulator;
mod decoder;
mod detector;
mod history;
mod noise;
mod script;
mod sentiment;
mod sink;
mod source;
mod store;
mod tracker;
mod watch;
mod workload;

pub use script::{ScriptConfig, script};
pub use sentiment::sentiment_compliance;
pub use source::source_compliance;
pub use workload::Workload;

pub use sink::{HeldRow, sink_compliance};
pub use store::store_compliance;
pub use tracker::{judge_compliance, tracker_compliance};

pub use noise::{Law, Noise};
pub use watch::{Seen, WatchedCounts};

pub use accumulator::accumulator_compliance;
pub use decoder::decoder_compliance;
pub use detector::detector_compliance;
