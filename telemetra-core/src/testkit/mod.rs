//! Compliance suites for the contracts, and a seeded workload. For tests, yours and ours.

mod decoder;

pub use decoder::decoder_compliance;
