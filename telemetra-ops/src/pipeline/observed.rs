//! The settings by which a pipeline is observed: its name, the measurement of operators, and the warning of
//! slow batches.

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
    /// `telemetra_operator_busy_seconds_total` and for
    /// [`PipelineStatus::operator_times`](crate::PipelineStatus::operator_times). Default: off, as measuring
    /// reads the clock twice whenever an operator is scheduled.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let mut source = Memory::default();
    /// let readings = source.handle("readings");
    /// let running = Pipeline::<Reading>::new()
    ///     .name("readings")
    ///     .operator_times(true)
    ///     .source(source, SerdeJson::new())
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?;
    /// // The times are published about once a second.
    /// while !running.status().operator_times.contains_key("windows device_minute") {
    ///     std::thread::sleep(std::time::Duration::from_millis(10));
    /// }
    /// readings.end();
    /// running.wait()?;
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn operator_times(mut self, measured: bool) -> Self {
        self.parts.operator_times = measured;
        self
    }

    /// Sets the time within which the complete rows of one event time should be durable in a sink. Default:
    /// 10 s.
    ///
    /// The time is measured from the moment when the batch is complete, so it includes the sink's queue. When
    /// it is exceeded, a warning is logged, with the event time and a few of the
    /// [traces](telemetra_core::TraceParent) of the records that the rows came from. There is at most one
    /// warning a minute for each shard of a sink; it says how many others were left out. The setting changes
    /// nothing else.
    #[must_use]
    pub fn slow_batch_after(mut self, bound: Duration) -> Self {
        self.parts.slow_batch = bound;
        self
    }
}
