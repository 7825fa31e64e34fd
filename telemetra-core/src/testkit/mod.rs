//! Compliance suites for the contracts, and a seeded workload. For tests, yours and ours.

mod accumulator;
mod detector;

pub use accumulator::accumulator_compliance;
pub use detector::detector_compliance;
mod script;
mod source;
mod workload;

pub use script::{ScriptConfig, script};
pub use source::source_compliance;
pub use workload::Workload;
mod history;
mod sink;
mod store;

pub use sink::{HeldRow, sink_compliance};
pub use store::store_compliance;
mod decoder;

pub use decoder::decoder_compliance;
