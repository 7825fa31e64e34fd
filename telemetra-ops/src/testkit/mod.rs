//! What proves operators and pipelines: the operators' executable specification in plain differential dataflow, the compliance suites of
//! tactics and keyed processes, and a world in a box.

mod process;
pub mod spec;
mod spec_moments;
mod tactic;
pub mod world;

pub use process::process_compliance;
pub use tactic::{collection_compliance, tactic_compliance};
