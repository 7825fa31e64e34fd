//! For tests and benchmarks of pipelines over live streams: workloads, short scripts of events, and the compliance suite of
//! scorers. The suites of all other contracts are in [`core::testkit`](crate::core::testkit).

mod script;
mod sentiment;
mod workload;

pub use script::{ScriptConfig, script};
pub use sentiment::sentiment_compliance;
pub use workload::Workload;
