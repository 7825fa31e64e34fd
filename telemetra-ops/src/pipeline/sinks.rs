//! The sinks of a pipeline: one for all rows, or several shards of one.

use telemetra_core::{Events, Shard, Sink};

use crate::deliver::placement::SinkPlan;
use crate::pipeline::builder::Pipeline;

impl<E: Events, L> Pipeline<E, L> {
    /// Adds a sink, which receives the rows of all tables. Call it once for each sink. Each sink runs on a
    /// thread of its own, behind a queue of 64 batches; in a cluster it runs in process 0.
    ///
    /// The rows of one event time are one [`Batch`](telemetra_core::Batch). Batches come in time order; one
    /// call gives up to 16 of them to a sink that is behind. After a transient error the call is repeated
    /// without limit, with pauses that double from 10 ms to 10 s, or last as long as the error asks for.
    /// Meanwhile the input is read on until it is the [drift](Self::max_watermark_drift) ahead. A permanent
    /// error or a panic of a sink ends the pipeline with [`PipelineError::Sink`](crate::PipelineError::Sink).
    ///
    /// Where one connection is too slow for the rows of all keys, use a [`sharded_sink`](Self::sharded_sink).
    ///
    /// A pipeline without sinks computes, counts and checkpoints as any other, and its rows go nowhere.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use std::sync::{Arc, Mutex};
    /// use telemetra_core::{
    ///     Batch, EventTime, ExternalError, SerdeJson, Sink, Table, Value, source::Memory,
    /// };
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// /// Lists the texts and numbers of the columns of each row.
    /// struct Columns(Arc<Mutex<Vec<String>>>);
    ///
    /// impl Sink for Columns {
    ///     fn name(&self) -> &str { "columns" }
    ///     fn open(&mut self, _: &[Arc<Table>], _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
    ///         // Nothing is kept from one run to the next.
    ///         Ok(None)
    ///     }
    ///     fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
    ///         for batch in batches {
    ///             for change in &batch.changes {
    ///                 change.values(batch.time, &mut |value| match value {
    ///                     Value::Text(text) => self.0.lock().unwrap().push(text.to_owned()),
    ///                     Value::Unsigned(n) => self.0.lock().unwrap().push(n.to_string()),
    ///                     _ => {}
    ///                 });
    ///             }
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let written = Arc::new(Mutex::new(Vec::new()));
    /// let lines = [r#"{"device": "d1", "time": 1000}"#; 2];
    /// Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .sink(Columns(Arc::clone(&written)))
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!(*written.lock().unwrap(), ["d1", "2", "0"], "the key, the count and the revision");
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn sink(self, sink: impl Sink + 'static) -> Self {
        self.boxed_sink(Box::new(sink))
    }

    /// Adds a sink that was chosen at run time, for example from a settings file. Otherwise like
    /// [`sink`](Self::sink).
    #[must_use]
    pub fn boxed_sink(mut self, sink: Box<dyn Sink>) -> Self {
        self.parts.sinks.push(SinkPlan::whole(sink));
        self
    }

    /// Adds a sink of several shards, which write in parallel: for a target that one connection cannot write
    /// to fast enough. The shard of a row is chosen by the hash of its
    /// [subject](telemetra_core::Layout::subject), so all rows about one subject go to the same shard. The
    /// shard of a dead letter is chosen by the name of its partition.
    ///
    /// The shards are spread evenly over the workers of all processes. In each process,
    /// [`start`](Self::start) calls `make` for the shards that run there; each has a thread of its own. A
    /// time counts as durable when it is durable in every shard. One shard is the same as a
    /// [`sink`](Self::sink); `start` refuses 0.
    ///
    /// All processes must be given the same number of shards. The number may change from one run to the next.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use std::sync::{Arc, Mutex};
    /// use telemetra_core::{
    ///     Batch, EventTime, ExternalError, SerdeJson, Shard, Sink, Table, source::Memory,
    /// };
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// /// Lists the subject of each row, with the number of the shard.
    /// struct Subjects(Shard, Arc<Mutex<Vec<(usize, String)>>>);
    ///
    /// impl Sink for Subjects {
    ///     fn name(&self) -> &str { "subjects" }
    ///     fn open(&mut self, _: &[Arc<Table>], _: Option<EventTime>) -> Result<Option<EventTime>, ExternalError> {
    ///         Ok(None)
    ///     }
    ///     fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
    ///         let changes = batches.iter().flat_map(|batch| &batch.changes);
    ///         let subjects = changes.map(|change| (self.0.index, change.row.subject().into_owned()));
    ///         self.1.lock().expect("no shard panics").extend(subjects);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let written = Arc::new(Mutex::new(Vec::new()));
    /// let list = Arc::clone(&written);
    /// let lines = (0..9).map(|n| format!(r#"{{"device": "d{n}", "time": "2026-01-01T00:00:00Z"}}"#));
    /// Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .sharded_sink(3, move |shard| Subjects(shard, Arc::clone(&list)))
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .start()?
    ///     .wait()?;
    /// let written = written.lock().expect("no shard panics");
    /// assert_eq!(written.len(), 9);
    /// assert!(written.iter().all(|(shard, device)| *shard == Shard::index_of(device, 3)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn sharded_sink<K: Sink + 'static>(
        mut self,
        shards: usize,
        make: impl FnMut(Shard) -> K + Send + 'static,
    ) -> Self {
        self.parts.sinks.push(SinkPlan::sharded(shards, make));
        self
    }
}
