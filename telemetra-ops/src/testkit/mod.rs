//! What proves operators: their executable specification in plain differential dataflow.

pub mod spec;
