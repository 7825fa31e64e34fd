//! Moments, which are episodes in which a metric of a key is anomalous, and the rules by which they are
//! found.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::detect::explain::{Carried, Explanation, Usual};
use crate::detect::{AnyDetector, MeanOf, MissingWindow, Tracker};
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;

/// A moment: an episode of adjacent anomalous windows of one key, found by one rule.
///
/// It is a row of the moments table of its grouping. It is upserted when it is found, when a window is added to it,
/// when it ends, when a late event changes a window that it consists of or is compared with, and when its
/// [chance](Self::chance) becomes final; it is withdrawn if a correction makes all of its windows usual.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Moment<K: Key> {
    /// The key.
    pub key: K,
    /// The rule's name.
    pub moment_type: Arc<str>,
    /// The start of the newest pane of the first anomalous window.
    pub started_at: EventTime,
    /// The end of the window with the greatest score, or of the first of several.
    pub peak_at: EventTime,
    /// The end of the last anomalous window.
    pub last_at: EventTime,
    /// True if it is still open: the next window may belong to it.
    pub open: bool,
    /// The detector's name.
    pub detection_method: Arc<str>,
    /// The value of the metric at the peak.
    pub value: Micro,
    /// The detector's threshold.
    pub threshold: Micro,
    /// The score at the peak; negative below the baseline.
    pub score: Micro,
    /// The mean of the baseline at the peak.
    pub baseline_mean: Micro,
    /// The standard deviation of the baseline at the peak.
    pub baseline_stddev: Micro,
    /// The number of samples in the baseline at the peak.
    pub baseline_samples: u32,
    /// The number of its windows.
    pub windows: u32,
    /// True if its detector's score is that of a normal distribution, so that its chance can be computed.
    pub comparable: bool,
    /// The share of moments expected to be chance among all moments of the last period that are at least as
    /// extreme, over all keys and rules of the grouping. `None` while it cannot be computed.
    pub chance: Option<Micro>,
    /// The components that made up most of the peak, by the rule's [explanation](MomentRule::explain); empty
    /// if it has none.
    pub carried: Arc<[Carried]>,
}

impl<K: Key> Moment<K> {
    /// Returns the id. It depends on key, rule and start alone, so it is the same whenever and wherever the
    /// moment is found.
    #[must_use]
    pub fn id(&self) -> MomentId {
        let text = format!("{}\u{1f}{}\u{1f}{}", self.key.text(), self.moment_type, self.started_at.0);
        MomentId(xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }

    /// Returns the end of its last window; `None` while it is open.
    #[must_use]
    pub fn ended_at(&self) -> Option<EventTime> {
        (!self.open).then_some(self.last_at)
    }
}

/// The id of a moment: 128 bits, displayed as 32 hexadecimal digits.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MomentId(pub u128);

impl fmt::Display for MomentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
impl fmt::Debug for MomentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A function that returns the number of events of a summary that a metric is the mean of.
pub type EventsOf<S> = Arc<dyn Fn(&S) -> u64 + Send + Sync>;

/// A rule that finds moments: a metric of a summary, the detector that watches it, and the name of the
/// moments' type.
///
/// ```
/// use telemetra_core::{MomentRule, Side, Tracker, VarianceFloor, ZScore};
///
/// /// The summary of a window: requests and failures.
/// struct Minute { requests: u64, failures: u64 }
///
/// // Unusually many failures, in at least two adjacent windows; then nothing for ten minutes.
/// let detector = ZScore::new(3.0)?.side(Side::Upper).floor(VarianceFloor::Poisson)?;
/// let rule = MomentRule::count("failures", detector.min_duration(2)?.cooldown(600_000), |m: &Minute| m.failures);
/// assert_eq!((rule.metric)(&Minute { requests: 90, failures: 4 }), Some(4));
/// assert_eq!(rule.max_samples(), 30);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct MomentRule<S> {
    /// The type of its moments.
    pub moment_type: Arc<str>,
    /// The function that gets the metric from a summary, in fixed point; `None` if the window has no value.
    pub metric: Arc<dyn Fn(&S) -> Option<i64> + Send + Sync>,
    /// The function that gets the number of events that the metric is the mean of; `None` if it is not a mean.
    pub events: Option<EventsOf<S>>,
    /// The number of fixed-point units that make one in the metric.
    pub scale: i64,
    /// The meaning of a window without events.
    pub missing: MissingWindow,
    /// True if baselines leave out the windows of moments, see [`include_moments`](Self::include_moments).
    pub excludes_moments: bool,
    /// The length of a silence after which baselines begin anew, see [`absent_after`](Self::absent_after).
    pub absent_after: Option<u64>,
    /// The detector.
    pub detector: AnyDetector,
    /// The detectors of keys that have their own, by the key's [text](Key::text).
    pub own: Arc<BTreeMap<String, AnyDetector>>,
    /// The function that says what carried a moment, see [`explain`](Self::explain).
    pub explanation: Option<Explanation<S>>,
}

impl<S> MomentRule<S> {
    /// A rule for a count: a metric of whole numbers, for which a window without events counts as zero.
    pub fn count(
        moment_type: &str,
        detector: impl Tracker,
        metric: impl Fn(&S) -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            missing: MissingWindow::Zero,
            ..Self::gauge(moment_type, detector, 1, move |s| {
                Some(i64::try_from(metric(s)).unwrap_or(i64::MAX))
            })
        }
    }

    /// A rule for a gauge: a metric in fixed point, `scale` units of which make one, for which a window
    /// without events has no value.
    ///
    /// ```
    /// use telemetra_core::{Micro, MomentRule, ZScore};
    /// // The temperature, in millionths of a degree; a window without a reading has none.
    /// let rule = MomentRule::gauge("departure", ZScore::new(3.0)?, Micro::SCALE, |celsius: &Option<f64>| {
    ///     celsius.map(|celsius| Micro::from(celsius).0)
    /// });
    /// assert_eq!((rule.metric)(&Some(20.5)), Some(20_500_000));
    /// assert_eq!((rule.metric)(&None), None);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn gauge(
        moment_type: &str,
        detector: impl Tracker,
        scale: i64,
        metric: impl Fn(&S) -> Option<i64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            moment_type: moment_type.into(),
            metric: Arc::new(metric),
            events: None,
            scale,
            missing: MissingWindow::Skip,
            excludes_moments: true,
            absent_after: None,
            detector: AnyDetector::new(detector),
            own: Arc::default(),
            explanation: None,
        }
    }

    /// A rule for a mean of events: a gauge that also returns the number of events of the mean, so that a
    /// detector can expect a greater deviation of a window with few events. [`ZScore`](crate::ZScore) does.
    ///
    /// ```
    /// use telemetra_core::{MeanOf, MomentRule, ZScore};
    /// struct Requests { count: u64, micros: i128 }
    /// let rule = MomentRule::mean("slow", ZScore::new(3.0)?, 1_000_000, |requests: &Requests| {
    ///     Some(MeanOf { sum: requests.micros, events: requests.count })
    /// });
    /// let requests = Requests { count: 4, micros: 10 };
    /// assert_eq!((rule.metric)(&requests), Some(2));
    /// assert_eq!((rule.events.unwrap())(&requests), 4);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    pub fn mean(
        moment_type: &str,
        detector: impl Tracker,
        scale: i64,
        metric: impl Fn(&S) -> Option<MeanOf> + Send + Sync + 'static,
    ) -> Self {
        let metric = Arc::new(metric);
        let of = Arc::clone(&metric);
        let events: EventsOf<S> = Arc::new(move |s| of(s).map_or(0, |mean| mean.events));
        let rule = Self::gauge(moment_type, detector, scale, move |s| metric(s)?.value());
        Self { events: Some(events), ..rule }
    }

    /// The same rule with the windows of moments in its baselines. Use it for a gauge that often changes its
    /// level, such as the length of a queue: each new level is then usual at once.
    ///
    /// By default they are left out, so that a moment does not hide the next one: an anomalous window is not
    /// a sample for later windows. A window that [departs](crate::Detector::departs) on a side that is not
    /// reported is not a sample either. If more than a third of the disjoint windows within reach of a
    /// baseline are anomalous, they are the new level: the baseline then begins anew after the first of them,
    /// and contains all windows up to there. So a permanent change of level is one moment, which ends when
    /// the new level has lasted for a third of the longest baseline and one window more.
    #[must_use]
    pub fn include_moments(self) -> Self {
        Self { excludes_moments: false, ..self }
    }

    /// Sets the length of a silence of the key, in milliseconds, after which baselines begin anew: they
    /// contain no window from before it. The silence is measured to the accuracy of a pane. By default a key
    /// begins anew after no event within the length of its baseline.
    ///
    /// A detector's own state is not reset; see [`Learning::forgets_after`](crate::Learning::forgets_after).
    #[must_use]
    pub fn absent_after(self, millis: u64) -> Self {
        Self { absent_after: Some(millis), ..self }
    }

    /// The same rule with an explanation of its moments: a function that says what carried a moment, heaviest
    /// first. It gets the summary of the moment's peak, and the usual windows before it. Its result is
    /// [`Moment::carried`], and the list `carried` in the column `context`: of that list, the first things are
    /// kept for which there is room in 2 KiB of JSON.
    ///
    /// The function must depend on its arguments alone. It is called again when a late event has changed the
    /// peak, or a usual window, and the moment is then corrected. A moment that was found before a rule had an
    /// explanation has none.
    ///
    /// Cost: a call for each anomalous window. Memory, for each key: the summaries of the windows that may
    /// still be corrected, which the state of the windows holds too, and of up to ten windows that may not,
    /// as bytes; for each live moment what is said of it.
    ///
    /// ```
    /// use telemetra_core::detect::{Carried, Shares};
    /// use telemetra_core::{Counted, MomentRule, ZScore};
    /// /// The requests of a window, and the pages requested most.
    /// struct Requests { count: u64, pages: Vec<Counted> }
    /// let rule = MomentRule::count("spike", ZScore::new(3.0)?, |requests: &Requests| requests.count)
    ///     .explain(|peak, usual| {
    ///         let pages = |requests: &Requests| requests.count.into();
    ///         let mut carried = vec![Carried::new("requests", "", peak.count as f64, usual.mean(pages))];
    ///         carried.extend(usual.above_usual_share("page", peak, 5, |requests| Shares {
    ///             counts: &requests.pages,
    ///             of: requests.count,
    ///             longest: 10,
    ///         }));
    ///         carried
    ///     });
    /// assert!(rule.explanation.is_some());
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn explain(
        self,
        explanation: impl Fn(&S, &Usual<'_, S>) -> Vec<Carried> + Send + Sync + 'static,
    ) -> Self {
        Self { explanation: Some(Arc::new(explanation)), ..self }
    }

    /// The same rule with another detector for one key.
    ///
    /// ```
    /// use telemetra_core::{MomentRule, ZScore};
    /// let rule = MomentRule::count("spike", ZScore::new(3.0)?, |requests: &u64| *requests)
    ///     .for_key(&"the-busy-one".to_owned(), ZScore::new(4.5)?);
    /// assert_eq!(rule.detector_of(&"the-busy-one".to_owned()).threshold(), 4.5);
    /// assert_eq!(rule.detector_of(&"any-other".to_owned()).threshold(), 3.0);
    /// # Ok::<(), telemetra_core::ConfigError>(())
    /// ```
    #[must_use]
    pub fn for_key<K: Key>(mut self, key: &K, detector: impl Tracker) -> Self {
        Arc::make_mut(&mut self.own).insert(key.text().into_owned(), AnyDetector::new(detector));
        self
    }

    /// The detector of a key.
    #[must_use]
    pub fn detector_of<K: Key>(&self, key: &K) -> &AnyDetector {
        if self.own.is_empty() {
            return &self.detector;
        }
        self.own.get(&*key.text()).unwrap_or(&self.detector)
    }

    /// Returns whether a window with this value may be anomalous by itself, or as a sample make others so:
    /// its value is not below the one below which [nothing is found](crate::Detector::quiet_below).
    pub(crate) fn is_loud(&self, value: i64) -> bool {
        // Sums and means are rounded.
        const NEARLY: f64 = 1.0 - 1e-9;
        let is_quiet = self.detector.is_pure()
            && self.own.is_empty()
            && (value.unsigned_abs() as f64)
                < self.detector.quiet_below() * self.scale.max(1) as f64 * NEARLY;
        !is_quiet
    }

    /// The length of the longest baseline that one of its detectors needs, in disjoint windows.
    #[must_use]
    pub fn max_samples(&self) -> u32 {
        let detectors = self.own.values().chain([&self.detector]);
        detectors.map(AnyDetector::max_samples).max().unwrap_or(0)
    }
}

impl<S> fmt::Debug for MomentRule<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MomentRule")
            .field("moment_type", &self.moment_type)
            .field("scale", &self.scale)
            .field("missing", &self.missing)
            .field("detector", &self.detector)
            .finish_non_exhaustive()
    }
}
