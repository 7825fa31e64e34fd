//! The settings of reading: sources, event time, watermarks, the clock, and how far to read ahead.

use std::sync::Arc;
use std::time::Duration;

use telemetra_core::{Clock, Decoder, Events, PartitionId, Source, TimeConfig, WatermarkStrategy};

use crate::pipeline::builder::Pipeline;

/// Sources, and how they are read.
impl<E: Events, L> Pipeline<E, L> {
    /// Adds a source, whose records `decoder` turns into events. Call it once for each source; each has a
    /// decoder of its own, so formats can be mixed.
    ///
    /// The watermark of the pipeline is the least one of all partitions of all sources, so a slow source
    /// holds back the windows of all; one without records is left out after
    /// [`idle_after`](TimeConfig::idle_after) (5 s by default). Partitions are spread over the processes of a
    /// cluster; within a process any worker may decode any batch, so one partition uses all cores.
    ///
    /// Errors while reading: a record that the decoder refuses is counted as malformed and becomes a [dead
    /// letter](telemetra_core::DeadLetter); it does not stop the pipeline. A transient error of a partition
    /// is retried without limit. A permanent one ends the pipeline with
    /// [`PipelineError::Source`](crate::PipelineError::Source).
    ///
    /// [`start`](Self::start) fails if there is no source, or if two partitions have the same name.
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
    /// use telemetra_ops::Pipeline;
    ///
    /// let new = Memory::default().partition("new", [r#"{"device": "d1", "time": 1000}"#, "no JSON"]);
    /// let old = Memory::default().partition("old", [r#"{"device": "d2", "time": 2000}"#]);
    /// let report = Pipeline::<Reading>::new()
    ///     .source(new, SerdeJson::new())
    ///     .source(old, SerdeJson::new())
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!((report.fates.on_time, report.fates.malformed), (2, 1));
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn source(mut self, source: impl Source + 'static, decoder: impl Decoder<E> + 'static) -> Self {
        self.parts.sources.push((Box::new(source), Arc::new(decoder)));
        self
    }

    /// Sets the time settings: default windows, out-of-orderness, allowed lateness, horizon, idleness,
    /// duplicates. Default: [`TimeConfig::default`], which has windows of one minute that slide by 10 s, 10 s
    /// of out-of-orderness and 5 minutes of allowed lateness.
    ///
    /// The out-of-orderness delays every result; the allowed lateness delays none, but keeps more panes for
    /// each key. The settings may change from one run to the next; the [restore plan](crate::RestorePlan)
    /// says which state of a checkpoint is then kept and which is refused.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{SerdeJson, TimeConfig, WindowSpec, source::Memory};
    /// use telemetra_ops::{Pipeline, WindowKind, minutes, seconds};
    ///
    /// // A result waits for events that are up to 2 s out of order, and is corrected for 30 s.
    /// let time = TimeConfig {
    ///     windows: WindowSpec::tumbling(minutes(1))?,
    ///     out_of_orderness: seconds(2),
    ///     allowed_lateness: seconds(30),
    ///     ..TimeConfig::default()
    /// };
    /// let seconds_of_events = [100, 130, 119, 200, 100];
    /// let lines = seconds_of_events.map(|second| format!(r#"{{"device": "d1", "time": {second}000}}"#));
    /// let report = Pipeline::<Reading>::new()
    ///     .time(time)
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .group("device_minute", WindowKind::default(), |a| a.count("readings"))
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!((report.fates.on_time, report.fates.late_applied, report.fates.too_late), (3, 1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn time(mut self, time: TimeConfig) -> Self {
        self.parts.ingress.time = time;
        self
    }

    /// Sets the watermark strategy of each partition, which `strategy` makes from the partition's id.
    /// Default: bounded out-of-orderness, by the [time settings](Self::time). With a strategy of your own,
    /// the `out_of_orderness` and `idle_after` of those settings have no effect, as the strategy decides
    /// both.
    ///
    /// Each start makes the strategies again. A strategy must depend on nothing but the records of its
    /// partition; otherwise an event could be late in one run and on time after a restart.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{BoundedOutOfOrderness, EventTime, SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, minutes, seconds};
    ///
    /// let lines = [r#"{"device": "d1", "time": 600000}"#];
    /// let source = Memory::default().partition("gateway", lines).partition("battery", lines);
    /// let report = Pipeline::<Reading>::new()
    ///     .source(source, SerdeJson::new())
    ///     .watermarks(|partition| {
    ///         let bound = if partition.as_str() == "battery" { minutes(5) } else { seconds(1) };
    ///         Box::new(BoundedOutOfOrderness::new(bound).idle_after(Some(seconds(30))))
    ///     })
    ///     .start()?
    ///     .wait()?;
    /// let watermarks: Vec<_> = report.partitions.iter().map(|partition| partition.watermark).collect();
    /// assert_eq!(watermarks, [EventTime(599_000), EventTime(300_000)]);
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn watermarks(
        mut self,
        strategy: impl Fn(&PartitionId) -> Box<dyn WatermarkStrategy> + Send + Sync + 'static,
    ) -> Self {
        self.parts.ingress.watermarks = Some(Arc::new(strategy));
        self
    }

    /// Sets the clock that gives processing time, by which a partition becomes idle and an event is judged to
    /// be from the future. Default: the system's clock. Pass another one to tests, and to replays that must
    /// give the same fates each time. The lags in [metrics](crate::metric) are measured by it too; timeouts
    /// and the pauses of retries are not.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{Clock, EventTime, SerdeJson, source::Memory};
    /// use telemetra_ops::Pipeline;
    ///
    /// // The second event is an hour ahead of the clock: more than `max_future_skew`, 10 minutes by default.
    /// let lines = [r#"{"device": "d1", "time": 1000000}"#, r#"{"device": "d1", "time": 4600000}"#];
    /// let report = Pipeline::<Reading>::new()
    ///     .clock(Clock::fixed(EventTime(1_000_000)))
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!((report.fates.on_time, report.fates.from_future), (1, 1));
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.parts.ingress.clock = clock;
        self
    }

    /// Sets how far, in event time, a partition may be read ahead of the slowest partition and of the slowest
    /// sink. Default: two minutes, or two panes if that is longer. [`start`](Self::start) refuses less than
    /// two panes.
    ///
    /// This is the back-pressure of the pipeline, and the only bound on the memory of unfinished work: at
    /// most the changes of this span of event time wait for a slow sink, and at most the partials of this
    /// span wait for a slow partition. It is a bound on event time, not on bytes. A larger value lets fast
    /// partitions be read further while another one stalls.
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
    /// let pipeline = |drift| {
    ///     Pipeline::<Reading>::new()
    ///         .source(Memory::default().partition("readings", [""; 0]), SerdeJson::new())
    ///         .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///         .max_watermark_drift(drift)
    /// };
    /// let refused = pipeline(minutes(1)).start().unwrap_err();
    /// assert!(refused.to_string().contains("max_watermark_drift"), "{refused}");
    /// pipeline(minutes(10)).start()?.wait()?;
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn max_watermark_drift(mut self, drift: Duration) -> Self {
        self.parts.ingress.max_watermark_drift = Some(drift);
        self
    }
}
