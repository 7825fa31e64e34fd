//! How a pipeline is observed: its name, and what is measured and said of it.

use std::time::Duration;

use telemetra_core::Events;

use crate::pipeline::builder::Pipeline;

impl<E: Events, L> Pipeline<E, L> {
    /// Sets the name of the pipeline: the label `pipeline` of its [metrics](crate::metric), and the name
    /// under which sinks store progress unless they have one of their own. Default: `telemetra`. Every
    /// pipeline of a process needs its own.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.parts.name = name.into();
        self
    }

    /// Measures the time that each operator takes, from timely's event log, for the metric
    /// `telemetra_operator_busy_seconds_total`. Default: off, as measuring reads the clock whenever an
    /// operator is scheduled.
    #[must_use]
    pub fn operator_times(mut self, measured: bool) -> Self {
        self.parts.operator_times = measured;
        self
    }

    /// Sets how long it may take until the rows of one time are durable in a sink, from when they are complete, before the
    /// log has a warning of it, with the times and a few of the [traces](telemetra_core::TraceParent) of the records
    /// that they came from. Default: 10 s. There is one warning a minute for each shard of a sink, with the number of
    /// those that were withheld.
    #[must_use]
    pub fn slow_batch_after(mut self, bound: Duration) -> Self {
        self.parts.slow_batch = bound;
        self
    }
}
