//! The part of the builder that is about the grouping that was added last.

use std::sync::Arc;
use std::time::Duration;

use differential_dataflow::VecCollection;
use telemetra_core::{
    Aggregate, EventTime, Events, Key, Layout, Moment, MomentRule, Row, SummaryRow, Tracker,
};

use crate::pipeline::builder::Pipeline;
use crate::pipeline::group::{Group, GroupGraph, OutputOf};
use crate::pipeline::key_of::KeyOf;

/// The grouping that was added last.
impl<E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> Pipeline<E, Group<E, K, A, F>> {
    /// The names of the key columns; by default `key`, or `key_1`, `key_2`, … of a key of several columns.
    #[must_use]
    pub fn key_columns<const N: usize>(mut self, names: [&'static str; N]) -> Self {
        self.last.key_columns = Some(names.to_vec());
        self
    }

    /// Aggregates only the events for which the condition holds. It is no part of what checkpoints are compared by: change the table's name
    /// when you change the condition, or begin with fresh checkpoints.
    #[must_use]
    pub fn filter(mut self, keeps: impl for<'a> Fn(&E::Of<'a>) -> bool + Send + Sync + 'static) -> Self {
        self.last.filter = Some(Arc::new(keeps));
        self
    }

    /// Publishes no table of the summaries: they are for the rules, and for what [`publish`](Self::publish) and [`extend`](Self::extend) build on
    /// them.
    #[must_use]
    pub fn unpublished(mut self) -> Self {
        self.last.is_published = false;
        self
    }

    /// Finds moments of a count: windows for which `detector` finds it anomalous. A window without any event counts 0.
    ///
    /// Moments go to the [moments table](Self::moments_table), with those of the rules given before. A rule with detectors of its own
    /// for some keys is made by [`MomentRule`] and given to [`rules`](Self::rules).
    #[must_use]
    pub fn count_moments(
        self,
        moment_type: &str,
        detector: impl Tracker,
        metric: impl Fn(&OutputOf<E, A>) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.rules([MomentRule::count(moment_type, detector, metric)])
    }

    /// Finds moments of a gauge, a number that is unknown in a window without any event. `scale` units of the metric make one:
    /// [`Micro::SCALE`](telemetra_core::Micro::SCALE) for aggregates of floats, 1 for those of integers.
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

    /// Finds moments by these rules, besides those given before.
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = MomentRule<OutputOf<E, A>>>) -> Self {
        self.last.rules.extend(rules);
        self
    }

    /// The period of event time over which moments are compared with each other for their
    /// [chance](Moment::chance), over all keys and rules of the grouping; by default 30 minutes. In a longer one
    /// there are more looks, so a moment must be more extreme to be trusted, but the ratio is known better.
    #[must_use]
    pub fn chance_period(mut self, period: Duration) -> Self {
        self.last.chance = Some(period);
        self
    }

    /// Says nothing of the chance of moments, and saves comparing them.
    #[must_use]
    pub fn without_chance(mut self) -> Self {
        self.last.chance = None;
        self
    }

    /// The table of the grouping's moments, by default `{table of the grouping}_moments`.
    #[must_use]
    pub fn moments_table(mut self, table: &str) -> Self {
        self.last.moments_table = Some(table.to_owned());
        self
    }

    /// The layouts of summaries and moments, with tables, columns and indexes of your own.
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

    /// Adds operators of your own behind the grouping, on every worker's graph.
    #[must_use]
    pub fn extend(
        mut self,
        extension: impl for<'scope> Fn(&GroupGraph<'scope, K, OutputOf<E, A>>) + Send + Sync + 'static,
    ) -> Self {
        self.last.extensions.push(Arc::new(extension));
        self
    }

    /// Publishes the rows of a type of your own that `build` makes of the grouping's collections.
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
