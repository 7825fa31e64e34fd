//! The methods of the builder that configure the grouping that was added last.

use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::VecCollection;
use telemetra_core::checkpoint::Migration;
use telemetra_core::{
    Aggregate, EventTime, Events, Key, Layout, Moment, MomentRule, Row, SummaryRow, Tracker,
};

use crate::pipeline::builder::Pipeline;
use crate::pipeline::group::{Group, OutputOf};
use crate::pipeline::group_graph::GroupGraph;
use crate::pipeline::key_of::KeyOf;

/// Settings of the grouping that was added last.
impl<E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> Pipeline<E, Group<E, K, A, F>> {
    /// Sets the names of the key columns. Default: `key`, or `key_1`, `key_2`, … for a key of several
    /// columns. [`start`](Self::start) fails if their number is not that of the key's columns.
    #[must_use]
    pub fn key_columns<const N: usize>(mut self, names: [&'static str; N]) -> Self {
        self.last.key_columns = Some(names.to_vec());
        self
    }

    /// Aggregates only the events for which `keeps` returns true. Default: all events. A second call replaces
    /// the first.
    ///
    /// Events that are left out still count in the [fates](crate::Report::fates) and still move the
    /// watermark. The condition is not part of the settings that a checkpoint is compared with: when you
    /// change it, also change the table's name or start without the old checkpoints.
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

    /// Sets the name under which checkpoints keep the grouping's state. Default: the name of its table. Set
    /// it to the old name to keep the state when the table is renamed, or to a new one to let the grouping
    /// start empty.
    #[must_use]
    pub fn state_name(mut self, name: &str) -> Self {
        self.last.state.name = Some(name.to_owned());
        self
    }

    /// Sets the version of the grouping's state, that is of its aggregate's accumulator and output. Default:
    /// 0. Raise it when either changes, and give a [migration](Self::migrate_state) from each version that
    /// checkpoints may still have.
    #[must_use]
    pub fn state_version(mut self, version: u32) -> Self {
        self.last.state.version = version;
        self
    }

    /// Migrates the grouping's state from version `from` to the present one: the accumulators of panes and sessions
    /// by `state`, and the results of closed windows by `output`. Without a migration, a checkpoint of another version
    /// is refused, and so is one of the same version whose state has another
    /// [shape](telemetra_core::checkpoint::shape_of).
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

    /// Leaves the grouping without a table of summaries. They are still computed for the rules, and for
    /// operators added by [`publish`](Self::publish) and [`extend`](Self::extend); the moments table is
    /// written as before.
    #[must_use]
    pub fn unpublished(mut self) -> Self {
        self.last.is_published = false;
        self
    }

    /// Adds a rule on a count: `detector` judges the number that `metric` returns for each window, and a
    /// window without any event of the key counts as 0.
    ///
    /// Anomalous windows become rows of the [moments table](Self::moments_table), together with those of the
    /// other rules. Each rule needs a `moment_type` of its own. For a rule with different detectors for some
    /// keys, build a [`MomentRule`] and pass it to [`rules`](Self::rules).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, site: u32, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_core::ZScore;
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .count_moments("burst", ZScore::new(3.0)?, |readings| *readings)
    ///     .moments_table("bursts");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn count_moments(
        self,
        moment_type: &str,
        detector: impl Tracker,
        metric: impl Fn(&OutputOf<E, A>) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.rules([MomentRule::count(moment_type, detector, metric)])
    }

    /// Adds a rule on a gauge: a measured value that is unknown in a window without any event of the key.
    /// `scale` is the number of units of the metric that make one:
    /// [`Micro::SCALE`](telemetra_core::Micro::SCALE) for aggregates of floats, 1 for those of integers.
    /// Otherwise like [`count_moments`](Self::count_moments).
    #[must_use]
    pub fn gauge_moments(
        self,
        moment_type: &str,
        detector: impl Tracker,
        scale: i64,
        metric: impl Fn(&OutputOf<E, A>) -> Option<i64> + Send + Sync + 'static,
    ) -> Self {
        self.rules([MomentRule::gauge(moment_type, detector, scale, metric)])
    }

    /// Adds rules for moments, beside those that were added before. [`start`](Self::start) refuses rules on
    /// session windows, and two rules with the same moment type.
    ///
    /// The horizon grows with the longest baseline of the rules, and with it the number of summaries that are
    /// kept for each key: see [`TimeConfig::least_horizon`](telemetra_core::TimeConfig::least_horizon).
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = MomentRule<OutputOf<E, A>>>) -> Self {
        self.last.rules.extend(rules);
        self
    }

    /// Sets the period of event time over which moments are compared with each other for their
    /// [chance](Moment::chance), over all keys and rules of the grouping. Default: 30 minutes.
    ///
    /// In a longer period there are more looks (judged windows), so a moment must be more extreme to be
    /// trusted, but the share of chance is estimated better. State: some numbers for each pane of the period.
    /// The period must hold at least one pane; [`start`](Self::start) refuses less.
    #[must_use]
    pub fn chance_period(mut self, period: Duration) -> Self {
        self.last.chance = Some(period);
        self
    }

    /// Switches off the estimation of [chance](Moment::chance) for the grouping's moments: the column is
    /// null, and no comparison is made. Saves one message per pane and rule between all workers, and the
    /// revision of a moment when its chance becomes final.
    #[must_use]
    pub fn without_chance(mut self) -> Self {
        self.last.chance = None;
        self
    }

    /// Sets the name of the table of the grouping's moments. Default: the grouping's table name followed by
    /// `_moments`.
    #[must_use]
    pub fn moments_table(mut self, table: &str) -> Self {
        self.last.moments_table = Some(table.to_owned());
        self
    }

    /// Sets the layouts of summaries and moments: the tables, columns and indexes, and the values of each
    /// row. Default: [`Layout::summaries`] and [`Layout::moments`]. They replace
    /// [`key_columns`](Self::key_columns) and [`moments_table`](Self::moments_table).
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

    /// Adds operators of your own on the grouping's collections. It can be called several times.
    ///
    /// The closure is called once on every worker, and once more at a start with checkpoints to learn which
    /// operators it builds; it must build the same operators each time. What it captures must be `Send +
    /// Sync`.
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

    /// Publishes rows of a type of your own, which `build` makes from the grouping's collections. It declares
    /// the row type's table too. A shorthand for [`table`](Self::table), [`extend`](Self::extend) and
    /// [`Graph::publish`](crate::Graph::publish), where the rules for rows are.
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
