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
