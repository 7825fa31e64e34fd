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
    /// Sets the names of the key columns, in the tables of summaries and of moments. A key that is a
    /// tuple has a column for each part. Default: `key`, or `key_1`, `key_2`, … for several columns.
    /// [`start`](Self::start) fails if the number of names is not the number of columns.
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

    /// Adds a rule that finds anomalies of a count: `detector` compares the number that `metric` returns for
    /// each window with the key's windows before it. A window without any event of the key counts as 0. For
    /// measured values, such as a mean, use [`gauge_moments`](Self::gauge_moments).
    ///
    /// Adjacent anomalous windows are one row of the [moments table](Self::moments_table), which all rules of
    /// the grouping share. Each rule needs a `moment_type` of its own. For a rule with different detectors
    /// for some keys, build a [`MomentRule`] and pass it to [`rules`](Self::rules).
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

    /// Adds a rule that finds anomalies of a gauge: a measured value, which is unknown in a window without
    /// any event of the key, so that such a window is no sample of the baseline. `metric` returns it as an
    /// integer, and `None` where it is unknown.
    ///
    /// `scale` is the number by which that integer must be divided to get the value:
    /// [`Micro::SCALE`](telemetra_core::Micro::SCALE), a million, for aggregates of floats, and 1 for
    /// aggregates of integers. Otherwise like [`count_moments`](Self::count_moments).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime, celsius: f64 }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_core::{Micro, ZScore};
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.mean("celsius", |r| r.celsius))
    ///     .gauge_moments("departure", ZScore::new(3.0)?, Micro::SCALE, |celsius| celsius.rounded());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// Adds anomaly rules to the rules that the grouping has already. Use it for rules that are read from a
    /// settings file, or that have options of [`MomentRule`]; [`count_moments`](Self::count_moments) and
    /// [`gauge_moments`](Self::gauge_moments) are short forms for one rule. [`start`](Self::start) refuses
    /// rules on session windows, and two rules with the same moment type.
    ///
    /// Cost: one judgement for each rule, key and window, and two for detectors with state. If no horizon is
    /// set, it grows with the longest baseline of the rules, and with it the number of summaries that are
    /// kept for each key: see [`TimeConfig::least_horizon`](telemetra_core::TimeConfig::least_horizon).
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = MomentRule<OutputOf<E, A>>>) -> Self {
        self.last.rules.extend(rules);
        self
    }

    /// Sets the period of event time over which the [chance](Moment::chance) of moments is estimated: the
    /// expected share of false alarms among moments as extreme as one, over all keys and rules of the
    /// grouping. Default: 30 minutes.
    ///
    /// In a longer period more windows are judged, so a moment must be more extreme to have a small chance,
    /// but the estimate is better. State: a few numbers for each pane and rule of the period. A grouping with
    /// rules needs a period of at least one slide; [`start`](Self::start) refuses less.
    #[must_use]
    pub fn chance_period(mut self, period: Duration) -> Self {
        self.last.chance = Some(period);
        self
    }

    /// Switches off the estimation of [chance](Moment::chance) for the grouping's moments, so that the column
    /// is null. This saves a message from each worker to each other worker for every pane, and the revision
    /// of a moment when its chance becomes final.
    #[must_use]
    pub fn without_chance(mut self) -> Self {
        self.last.chance = None;
        self
    }

    /// Sets the name of the table of the grouping's moments. Default: the name of the grouping's table,
    /// followed by `_moments`. A grouping without rules has no such table.
    #[must_use]
    pub fn moments_table(mut self, table: &str) -> Self {
        self.last.moments_table = Some(table.to_owned());
        self
    }

    /// Sets the layouts of summaries and moments: the name, columns and indexes of each of the two tables,
    /// and the values of their rows. Use it for tables that exist already with other columns. Default:
    /// [`Layout::summaries`] and [`Layout::moments`], with the names of this grouping. The layouts take the
    /// place of [`key_columns`](Self::key_columns) and [`moments_table`](Self::moments_table).
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
