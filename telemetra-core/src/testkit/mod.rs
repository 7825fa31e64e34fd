//! Compliance suites for the contracts, and a seeded workload. For tests, yours and ours.

mod script;
mod source;
mod workload;

pub use script::{ScriptConfig, script};
pub use source::source_compliance;
pub use workload::Workload;
