//! Compliance suites for the contracts, and a seeded workload. For tests, yours and ours.

mod history;
mod sink;
mod store;

pub use sink::{HeldRow, sink_compliance};
pub use store::store_compliance;
