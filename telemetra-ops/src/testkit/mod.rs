//! What proves operators: their executable specification in plain differential dataflow, and the compliance suite of tactics.

pub mod spec;
mod tactic;

pub use tactic::tactic_compliance;
