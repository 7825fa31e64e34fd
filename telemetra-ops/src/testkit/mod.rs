//! What proves operators: their executable specification in plain differential dataflow, and the compliance suites of tactics and keyed processes.

mod process;
pub mod spec;
mod tactic;

pub use process::process_compliance;
pub use tactic::{collection_compliance, tactic_compliance};
