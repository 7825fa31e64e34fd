//! The methods of the builder that configure the grouping that was added last.

use std::sync::Arc;

use differential_dataflow::VecCollection;
use telemetra_core::checkpoint::Migration;
use telemetra_core::{Aggregate, EventTime, Events, Key, Layout, Moment, Row, SummaryRow};

use crate::pipeline::builder::Pipeline;
use crate::pipeline::group::{Group, OutputOf};
use crate::pipeline::group_graph::GroupGraph;
use crate::pipeline::key_of::KeyOf;

/// Settings of the grouping that was added last.
impl<E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> Pipeline<E, Group<E, K, A, F>> {
    /// Sets the names of the key columns, in the tables of summaries and of moments. A key that is a
    /// tuple has a column for each part. Default: `key`, or `key_1`, `key_2`, … for several columns.
    /// [`start`](Self::start) fails if the number of names is not the number of columns.
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
    /// // A key of two parts has two columns.
    /// let pipeline = || {
    ///     Pipeline::<Reading>::new()
    ///         .source(Memory::default().partition("readings", [""; 0]), SerdeJson::new())
    ///         .group_by("hours", |r| (r.device.clone(), r.time.0 / 3_600_000 % 24), tumbling(minutes(60)), |a| a.count("readings"))
    /// };
    /// pipeline().key_columns(["device", "hour"]).start()?.wait()?;
    /// let refused = pipeline().key_columns(["device"]).start().unwrap_err();
    /// assert!(refused.to_string().contains("key_columns"), "{refused}");
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn key_columns<const N: usize>(mut self, names: [&'static str; N]) -> Self {
        self.last.key_columns = Some(names.to_vec());
        self
    }

    /// Aggregates only the events for which `keeps` returns true. Default: all events. A second call replaces
    /// the first. Other groupings are not affected.
    ///
    /// Events that are left out still count in the [fates](crate::Report::fates) and still move the
    /// watermark. A checkpoint does not record which condition it was: when you change it, also change the
    /// table's name or the [`state_name`](Self::state_name), so that the grouping starts empty.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("hot_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .filter(|r| r.celsius > 40.0);
    /// ```
    #[must_use]
    pub fn filter(mut self, keeps: impl for<'a> Fn(&E::Of<'a>) -> bool + Send + Sync + 'static) -> Self {
        self.last.filter = Some(Arc::new(keeps));
        self
    }

    /// Sets the name under which checkpoints store the grouping's state, like `uid` of Flink. Default: the
    /// name of its table. Set it to the old name to keep the state when the table is renamed, or to a new
    /// name to let the grouping start empty.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::checkpoint::Directory;
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, RestoreAction, minutes, tumbling};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let pipeline = |table| {
    ///     let lines = [r#"{"device": "d1", "time": "2026-01-01T00:00:00Z"}"#; 2];
    ///     Pipeline::<Reading>::new()
    ///         .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///         .checkpoints(Directory::new(folder.path()), minutes(1))
    ///         .group(table, tumbling(minutes(1)), |a| a.count("readings"))
    /// };
    /// pipeline("readings").start()?.wait()?;
    ///
    /// let renamed = pipeline("device_minute").state_name("readings");
    /// let plan = renamed.check_restore()?.expect("there is a checkpoint");
    /// let windows = plan.steps.iter().find(|step| step.part == "windows readings");
    /// assert_eq!(windows.map(|step| step.action), Some(RestoreAction::Kept));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn state_name(mut self, name: &str) -> Self {
        self.last.state.name = Some(name.to_owned());
        self
    }

    /// Sets the version of the grouping's state: a number that you raise when the aggregate's accumulator or
    /// output changes its fields or their meaning. Default: 0. Give a [migration](Self::migrate_state) from
    /// each version that checkpoints may still have.
    ///
    /// A changed shape under the same version is noticed at the start and refused. A changed meaning is not
    /// noticed, so it needs a new version.
    #[must_use]
    pub fn state_version(mut self, version: u32) -> Self {
        self.last.state.version = version;
        self
    }

    /// Gives the migration of the grouping's state from version `from` to the present
    /// [version](Self::state_version): `state` converts the accumulators of panes and sessions, and `output`
    /// the results of closed windows. It runs at the start from a checkpoint, once for each of them.
    ///
    /// Without a migration from its version, [`start`](Self::start) refuses a checkpoint with
    /// [`RestoreError::Refused`](crate::RestoreError::Refused). It also refuses one of the same version whose
    /// state has another [shape](telemetra_core::checkpoint::shape_of).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_core::checkpoint::Migration;
    /// use telemetra_core::{Count, Mean};
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// // Before, the aggregate was `a.count("readings")`: its state was a `Count`, its result a `u64`.
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("device_minute", tumbling(minutes(1)), |a| (a.count("readings"), a.mean("celsius", |r| r.celsius)))
    ///     .state_version(1)
    ///     .migrate_state(
    ///         0,
    ///         Migration::new(|count: Count| (count, Mean::default())),
    ///         Migration::new(|readings: u64| (readings, Default::default())),
    ///     );
    /// ```
    #[must_use]
    pub fn migrate_state(
        mut self,
        from: u32,
        state: Migration<A::State>,
        output: Migration<OutputOf<E, A>>,
    ) -> Self {
        self.last.state.migrations.insert(from, (state, output));
        self
    }

    /// Writes no table of summaries for this grouping. Summaries are still computed for the rules, and for
    /// operators added by [`publish`](Self::publish) and [`extend`](Self::extend); the moments table is
    /// written as before. Default: the table is written.
    #[must_use]
    pub fn unpublished(mut self) -> Self {
        self.last.is_published = false;
        self
    }

    /// Sets the layouts of summaries and moments: the name, columns and indexes of each of the two tables,
    /// and the values of their rows. Use it for tables that exist already with other columns. Default:
    /// [`Layout::summaries`] and [`Layout::moments`], with the names of this grouping. The layouts take the
    /// place of [`key_columns`](Self::key_columns) and [`moments_table`](Self::moments_table).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{Column, ColumnKind, Layout, Moment, SummaryRow, Value, ZScore};
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// // A column for the readings per second, which the aggregate does not have.
    /// let columns = vec![Column::new("per_second", ColumnKind::Float)];
    /// let summaries = Layout::<SummaryRow<String, u64>>::summaries("rates", &["device"], columns, |readings, window, put| {
    ///     put(Value::Float(*readings as f64 / window.seconds()));
    /// });
    /// let moments = Layout::<Moment<String>>::moments("bursts", &["device"])
    ///     .map_table(|table| table.index(["device", "started_at"]));
    /// assert_eq!(summaries.table().position("per_second"), Some(3), "after the key and the window");
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .count_moments("burst", ZScore::new(3.0)?, |readings| *readings)
    ///     .layouts(summaries, moments);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn layouts(
        mut self,
        summaries: Layout<SummaryRow<K, OutputOf<E, A>>>,
        moments: Layout<Moment<K>>,
    ) -> Self {
        self.last.summary_layout = Some(summaries);
        self.last.moment_layout = Some(moments);
        self
    }

    /// Adds timely and differential operators of your own on the grouping's summaries and moments. It can be
    /// called several times. To write the result to a table, [`publish`](Self::publish) is shorter.
    ///
    /// The closure is called once on every worker. At a start with checkpoints it is called once more, on a
    /// graph that never runs, to find out which operators it builds. It must build the same operators each
    /// time.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .extend(|group| {
    ///         group.summaries.clone().inspect(|((device, summary), _, diff)| {
    ///             println!("{device}: {} readings, {diff:+}", summary.value);
    ///         });
    ///     });
    /// ```
    #[must_use]
    pub fn extend(
        mut self,
        extension: impl for<'scope> Fn(&GroupGraph<'scope, K, OutputOf<E, A>>) + Send + Sync + 'static,
    ) -> Self {
        self.last.extensions.push(Arc::new(extension));
        self
    }

    /// Writes a table of your own: `build` makes a collection of rows from the grouping's summaries and
    /// moments, and every sink keeps the table equal to it. It is short for [`table`](Self::table),
    /// [`extend`](Self::extend) and [`Graph::publish`](crate::Graph::publish), whose page has the rules for
    /// rows. `build` is called as the closure of [`extend`](Self::extend) is.
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
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// /// A minute in which a device was busy.
    /// #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    /// struct Busy { device: String, until: EventTime }
    ///
    /// impl Row for Busy {
    ///     fn table() -> Table {
    ///         Table::new("busy").key(Column::new("device", ColumnKind::Text)).key(Column::new("until", ColumnKind::Time))
    ///     }
    ///     fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
    ///         put(Value::Text(&self.device));
    ///         put(Value::Time(self.until));
    ///     }
    ///     fn time(&self) -> Option<EventTime> { Some(self.until) }
    /// }
    ///
    /// let rows = Rows::default(); // A sink that lists the tables of the rows that it gets.
    /// let lines = [1, 2, 3, 70].map(|second| format!(r#"{{"device": "d1", "time": {second}000}}"#));
    /// Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///     .sink(rows.clone())
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .unpublished()
    ///     .publish::<Busy>(|group| {
    ///         let busy = group.summaries.clone().filter(|(_, summary)| *summary.value >= 3);
    ///         busy.map(|(device, summary)| Busy { device, until: summary.window.end })
    ///     })
    ///     .start()?
    ///     .wait()?;
    /// assert_eq!(*rows.0.lock().unwrap(), ["busy"], "three readings in the first minute, one in the second");
    /// # Ok::<(), telemetra_ops::PipelineError>(())
    /// ```
    #[must_use]
    pub fn publish<R: Row>(
        self,
        build: impl for<'scope> Fn(
            &GroupGraph<'scope, K, OutputOf<E, A>>,
        ) -> VecCollection<'scope, EventTime, R, isize>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        self.table::<R>().extend(move |group| group.publish(build(group)))
    }
}
