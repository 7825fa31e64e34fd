//! Delivery: from changes in the dataflow to the threads of the sinks.

pub(crate) mod deliver;
pub(crate) mod placement;
pub(crate) mod publication;
pub(crate) mod sink_thread;
