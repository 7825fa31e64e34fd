//! The pipeline: sources, groupings, rules, sinks and a checkpoint store, checked, run and watched.
//!
//! Built on the graph API: ingest, windows, moments and changes are the operators that a dataflow of your own may use.

pub(crate) mod builder;
pub(crate) mod checks;
pub(crate) mod finish;
pub(crate) mod graph;
pub(crate) mod group;
pub(crate) mod handle;
pub(crate) mod kept;
pub(crate) mod key_of;
mod last_group;
pub(crate) mod plan;
pub(crate) mod start;
pub(crate) mod windows;
pub(crate) mod worker;
