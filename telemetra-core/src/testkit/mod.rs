//! Compliance suites for the contracts, and a seeded workload. For tests, yours and ours.

mod accumulator;
mod detector;

pub use accumulator::accumulator_compliance;
pub use detector::detector_compliance;
