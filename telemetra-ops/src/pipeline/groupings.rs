//! The methods of the builder that say what is computed from the events: groupings, rows and streams.
//!
//! Each adds one plan, which every worker turns into an output of ingest and the operators behind it.

use std::sync::Arc;

use telemetra_core::{Aggregate, Aggregates, EventTime, Events, Key, Layout, Row};
use timely::ExchangeData;
use timely::dataflow::StreamVec;

use crate::pipeline::builder::Pipeline;
use crate::pipeline::graph::Graph;
use crate::pipeline::group::Group;
use crate::pipeline::kept::Collect;
use crate::pipeline::key_of::{ByKey, OwnKey};
use crate::pipeline::plan::LastPlan;
use crate::pipeline::windows::WindowKind;

/// Groupings, and rows and streams made directly from events.
impl<E: Events, L: LastPlan<E>> Pipeline<E, L> {
    /// Adds a grouping, as `keyBy(…).window(…).aggregate(…)` of Flink: events are aggregated by their own key
    /// in windows, and each window of a key is a row of the table `table`. `make` composes the aggregate from
    /// named parts, whose names become columns; several parts are a tuple.
    ///
    /// The table has the key's columns (see [`key_columns`](Self::key_columns)), then `window_start`,
    /// `window_end`, the columns of the aggregate, `revision` and `updated_at`. A key has no row for a window
    /// without any of its events. A row is written when its window ends, and again, with `revision` raised by
    /// one, for each event time at which late events changed it.
    ///
    /// The methods that follow configure this grouping, until another one is added: for example
    /// [`filter`](Self::filter), [`count_moments`](Self::count_moments) and [`extend`](Self::extend). A
    /// pipeline may have any number of groupings; the input is read and decoded once.
    ///
    /// `table` is also the name of the grouping's state in checkpoints, unless
    /// [`state_name`](Self::state_name) gives another. Two tables of one name, and names that are not valid,
    /// are refused by [`start`](Self::start).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_ops::{Pipeline, minutes, seconds, sliding};
    ///
    /// // Each device has a row for every minute, beginning every ten seconds, with the columns
    /// // `device`, `window_start`, `window_end`, `readings`, `celsius`, `revision` and `updated_at`.
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("device_minute", sliding(minutes(1), seconds(10)), |a| {
    ///         (a.count("readings"), a.mean("celsius", |r| r.celsius))
    ///     })
    ///     .key_columns(["device"]);
    /// ```
    #[must_use]
    pub fn group<A: Aggregate<E>>(
        self,
        table: &str,
        windows: WindowKind,
        make: impl FnOnce(Aggregates<E>) -> A,
    ) -> Pipeline<E, Group<E, E::Key, A, OwnKey>> {
        self.with_last(Group::new(table, OwnKey, windows, make(Aggregates::new())))
    }

    /// Adds a grouping by a key that a closure computes from the event, such as a site or a pair of columns.
    /// Otherwise like [`group`](Self::group).
    ///
    /// The closure is called once for each event and makes an owned key; [`group`](Self::group) looks keys up
    /// by reference, and makes an owned one only for a key that is new in its pane. It must be a pure
    /// function of the event. A checkpoint does not record which function it was: when you change it, also
    /// change the table's name or the [`state_name`](Self::state_name), so that the grouping starts empty.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_ops::{Pipeline, hours, tumbling};
    ///
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group_by("site_hour", |r| r.site, tumbling(hours(1)), |a| a.count("readings"))
    ///     .key_columns(["site"]);
    /// ```
    #[must_use]
    pub fn group_by<K: Key, A: Aggregate<E>, F>(
        self,
        table: &str,
        key: F,
        windows: WindowKind,
        make: impl FnOnce(Aggregates<E>) -> A,
    ) -> Pipeline<E, Group<E, K, A, ByKey<F>>>
    where
        F: for<'a> Fn(&E::Of<'a>) -> K + Send + Sync + 'static,
    {
        self.with_last(Group::new(table, ByKey(key), windows, make(Aggregates::new())))
    }

    /// Writes single events to a table: one row for each event for which `pick` returns one. It also declares
    /// the table of the row type.
    ///
    /// Each row is inserted at the effective time of its event, once, and never corrected. An event that is
    /// late within the allowed lateness is inserted like any other; events that become [dead
    /// letters](telemetra_core::DeadLetter), such as duplicates and events that are too late, are not. Give
    /// the rows a key that differs between events, as rows of the same key replace each other. Nothing is
    /// kept in memory once the rows were sent.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// # use telemetra_core::{Batch, ExternalError, Sink, Table};
    /// # #[derive(Clone, Default)] struct Rows(std::sync::Arc<std::sync::Mutex<Vec<String>>>);
    /// # impl Sink for Rows {
    /// #     fn name(&self) -> &str { "rows" }
    /// #     fn open(&mut self, _: &[std::sync::Arc<Table>], _: Option<telemetra_core::EventTime>) -> Result<Option<telemetra_core::EventTime>, ExternalError> { Ok(None) }
    /// #     fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
    /// #         let tables = batches.iter().flat_map(|batch| &batch.changes).map(|change| change.table().to_owned());
    /// #         Ok(self.0.lock().unwrap().extend(tables))
    /// #     }
    /// # }
    ///
    /// use serde::{Deserialize, Serialize};
    /// use telemetra_core::{Column, ColumnKind, EventTime, Row, SerdeJson, Value, source::Memory};
    /// use telemetra_ops::Pipeline;
    ///
    /// /// A reading at night, before six o'clock UTC.
    /// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    /// struct Night { device: String, at: EventTime }
    ///
    /// impl Row for Night {
    ///     fn table() -> Table {
    ///         Table::new("nights").key(Column::new("device", ColumnKind::Text)).key(Column::new("at", ColumnKind::Time))
    ///     }
    ///     fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
    ///         put(Value::Text(&self.device));
    ///         put(Value::Time(self.at));
    ///     }
    /// }
    ///
    /// let rows = Rows::default(); // A sink that lists the tables of the rows that it gets.
    /// let times = ["2026-01-01T03:00:00Z", "2026-01-01T05:00:00Z", "2026-01-01T09:00:00Z"];
    /// let lines = times.map(|time| format!(r#"{{"device": "d1", "time": "{time}"}}"#));
    /// Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .sink(rows.clone())
    ///     .rows(|r| (r.time.0 % 86_400_000 < 21_600_000).then(|| Night { device: r.device.clone(), at: r.time }))
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!(*rows.0.lock().unwrap(), ["nights", "nights"]);
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn rows<R: Row, F>(self, pick: F) -> Pipeline<E>
    where
        F: for<'a> Fn(&E::Of<'a>) -> Option<R> + Send + Sync + 'static,
    {
        let mut pipeline = self.finish_group();
        pipeline.parts.plans.push(Box::new(Collect::rows(Layout::<R>::of_row(), pick)));
        pipeline
    }

    /// Builds operators of your own on a timely stream of values that `pick` takes from events, for
    /// computations that no grouping expresses: joins and deduplication by
    /// [`ProcessByKey`](crate::ProcessByKey), or a [`Tactic`](crate::Tactic). For operators on the results of
    /// a grouping use [`extend`](Self::extend).
    ///
    /// `build` receives the graph and the stream, and is called once on every worker. At a start with
    /// checkpoints it is called once more, on a graph that never runs, to find out which operators it builds.
    /// It must build the same operators each time. To write results, pass a collection to
    /// [`Graph::publish`](crate::Graph::publish).
    ///
    /// Each value has the effective time of its event as its timely timestamp, and is sent when the floor
    /// passes that time; until then it is kept in memory, and in checkpoints under `name`. So `name` must be
    /// unique and stay the same from run to run. Events that become dead letters are not in the stream.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::Pipeline;
    /// use timely::dataflow::operators::Inspect;
    ///
    /// let lines = [r#"{"device": "d1", "time": 1000, "celsius": 81.5}"#, r#"{"device": "d1", "time": 2000, "celsius": 20.0}"#];
    /// let hot = Arc::new(AtomicU64::new(0));
    /// let seen = Arc::clone(&hot);
    /// Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .collect("hot", |r| (r.celsius > 80.0).then(|| r.device.clone()), move |_graph, devices| {
    ///         let seen = Arc::clone(&seen);
    ///         devices.inspect(move |_device| { seen.fetch_add(1, Ordering::Relaxed); });
    ///     })
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!(hot.load(Ordering::Relaxed), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn collect<D: ExchangeData, F>(
        self,
        name: &str,
        pick: F,
        build: impl for<'scope> Fn(&Graph<'scope>, StreamVec<'scope, EventTime, D>) + Send + Sync + 'static,
    ) -> Pipeline<E>
    where
        F: for<'a> Fn(&E::Of<'a>) -> Option<D> + Send + Sync + 'static,
    {
        let mut pipeline = self.finish_group();
        let (name, tables) = (name.to_owned(), Vec::new());
        let collect = Collect { name, tables, pick: Arc::new(pick), build: Arc::new(build) };
        pipeline.parts.plans.push(Box::new(collect));
        pipeline
    }

    /// Returns the pipeline with another last grouping; the previous one is finished.
    fn with_last<N>(self, last: N) -> Pipeline<E, N> {
        Pipeline { parts: self.finish_group().parts, last }
    }

    /// Ends the configuration of the last grouping and returns a plain `Pipeline<E>`, so that a function can
    /// take and return a pipeline without naming the type of a grouping. The grouping itself stays as it is.
    /// Adding another grouping, [`rows`](Self::rows), [`collect`](Self::collect) and [`start`](Self::start)
    /// do the same.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    /// fn by_device(pipeline: Pipeline<Reading>) -> Pipeline<Reading> {
    ///     let grouped = pipeline.group("device_minute", tumbling(minutes(1)), |a| a.count("readings"));
    ///     grouped.key_columns(["device"]).finish_group()
    /// }
    /// let pipeline = by_device(Pipeline::new());
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn finish_group(mut self) -> Pipeline<E> {
        self.parts.plans.extend(self.last.finish());
        Pipeline { parts: self.parts, last: () }
    }
}
