//! The methods of the builder that set the rules of the last grouping and the table of its moments.

use std::time::Duration;

use telemetra_core::{Aggregate, Events, Key, MomentRule, Tracker};

use crate::pipeline::builder::Pipeline;
use crate::pipeline::group::{Group, OutputOf};
use crate::pipeline::key_of::KeyOf;

/// Rules of the grouping that was added last, and its moments.
impl<E: Events, K: Key, A: Aggregate<E>, F: KeyOf<E, K>> Pipeline<E, Group<E, K, A, F>> {
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
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{MomentRule, SerdeJson, ZScore, source::Memory};
    /// use telemetra_ops::{Pipeline, minutes, tumbling};
    ///
    /// let rule = |threshold| Ok(MomentRule::count("burst", ZScore::new(threshold)?, |readings: &u64| *readings));
    /// let pipeline = Pipeline::<Reading>::new()
    ///     .source(Memory::default().partition("readings", [""; 0]), SerdeJson::new())
    ///     .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///     .rules([rule(3.0)?, rule(5.0)?]);
    /// let refused = pipeline.start().unwrap_err();
    /// assert!(refused.to_string().contains("two rules make moments of the type `burst`"), "{refused}");
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = MomentRule<OutputOf<E, A>>>) -> Self {
        self.last.rules.extend(rules);
        self
    }

    /// Sets the period of event time over which the [chance](telemetra_core::Moment::chance) of moments is estimated: the
    /// expected share of false alarms among moments as extreme as one, over all keys and rules of the
    /// grouping. Default: 30 minutes.
    ///
    /// In a longer period more windows are judged, so a moment must be more extreme to have a small chance,
    /// but the estimate is better. State: a few numbers for each pane and rule of the period. A grouping with
    /// rules needs a period of at least one slide; [`start`](Self::start) refuses less.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::{SerdeJson, ZScore, source::Memory};
    /// use telemetra_ops::{Pipeline, hours, minutes, seconds, tumbling};
    ///
    /// let detector = ZScore::new(3.0)?;
    /// let pipeline = || {
    ///     let source = Memory::default().partition("readings", [""; 0]);
    ///     let pipeline = Pipeline::<Reading>::new().source(source, SerdeJson::new());
    ///     let group = pipeline.group("device_minute", tumbling(minutes(1)), |a| a.count("readings"));
    ///     group.count_moments("burst", detector.clone(), |readings| *readings)
    /// };
    /// pipeline().chance_period(hours(2)).start()?.wait()?;
    /// assert!(pipeline().chance_period(seconds(30)).start().is_err(), "shorter than a slide");
    /// pipeline().without_chance().start()?.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn chance_period(mut self, period: Duration) -> Self {
        self.last.chance = Some(period);
        self
    }

    /// Switches off the estimation of [chance](telemetra_core::Moment::chance) for the grouping's moments, so that the column
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
}
