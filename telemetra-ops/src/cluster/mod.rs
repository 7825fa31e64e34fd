//! Coordination of the processes of a cluster, outside the dataflow.

pub(crate) mod addresses;
pub(crate) mod coordinator;
pub(crate) mod progress;
