//! The pipeline: a builder of sources, groupings, rules, sinks and a checkpoint store, and the handle of the
//! running job.
//!
//! The pipeline is written on the graph API. Ingest, windows, moments and changes are the same operators that
//! a dataflow of your own can use.

pub(crate) mod builder;
pub(crate) mod checks;
pub(crate) mod describe;
pub(crate) mod finish;
pub(crate) mod graph;
pub(crate) mod group;
pub(crate) mod group_graph;
mod group_rules;
pub(crate) mod group_state;
mod groupings;
pub(crate) mod handle;
pub(crate) mod kept;
pub(crate) mod key_of;
mod last_group;
mod observed;
pub(crate) mod plan;
mod reading;
pub(crate) mod report;
pub(crate) mod restore;
mod restore_from;
mod sinks;
pub(crate) mod start;
pub(crate) mod start_workers;
mod take_over;
pub(crate) mod windows;
pub(crate) mod worker;
