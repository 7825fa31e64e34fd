//! The test kit for pipelines over live streams: workloads, short scripts of events, and the compliance suite
//! of scorers. [`core::testkit`](crate::core::testkit) has the suites of all other contracts.

mod script;
mod sentiment;
mod workload;

pub use script::{ScriptConfig, script};
pub use sentiment::sentiment_compliance;
pub use workload::Workload;
