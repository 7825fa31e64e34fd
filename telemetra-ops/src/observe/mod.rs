//! Observability: metrics, gauges, and the status of a running pipeline.

pub(crate) mod checkpoint_gauge;
pub(crate) mod comparison;
pub(crate) mod exporter;
pub mod metrics;
pub(crate) mod operator_times;
pub(crate) mod spans;
pub(crate) mod state_size;
pub(crate) mod status;
pub(crate) mod traces;
