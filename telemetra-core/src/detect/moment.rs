//! Moments, which are episodes in which a metric of a key is anomalous, and the rules by which they are
//! found.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::detect::{AnyDetector, MissingWindow, Tracker};
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;

/// A moment: an episode of adjacent anomalous windows of one key, found by one rule.
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
    /// Whether the next window may still belong to it.
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
    /// Whether its detector's score is a normal one, so that its chance can be told.
    pub comparable: bool,
    /// The share expected to be chance among all moments of the last period that are at least as extreme, over
    /// all keys and rules of the grouping. `None` before anything can be said.
    pub chance: Option<Micro>,
}

impl<K: Key> Moment<K> {
    /// The id. It depends on key, rule and start alone, so it is the same whenever and wherever the moment is
    /// found.
    #[must_use]
    pub fn id(&self) -> MomentId {
        let text = format!("{}\u{1f}{}\u{1f}{}", self.key.text(), self.moment_type, self.started_at.0);
        MomentId(xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }

    /// The end of its last window; `None` while it is open.
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

/// A rule that finds moments: a metric of a summary, the detector that watches it, and the name of the
/// moments' type.
#[derive(Clone)]
pub struct MomentRule<S> {
    /// The type of its moments.
    pub moment_type: Arc<str>,
    /// The function that gets the metric from a summary, in fixed point; `None` if the window has no value.
    pub metric: Arc<dyn Fn(&S) -> Option<i64> + Send + Sync>,
    /// The number of fixed-point units that make one in the metric.
    pub scale: i64,
    /// The meaning of a window without events.
    pub missing: MissingWindow,
    /// The detector.
    pub detector: AnyDetector,
    /// The detectors of keys that have their own, by the key's [text](Key::text).
    pub own: Arc<BTreeMap<String, AnyDetector>>,
}

impl<S> MomentRule<S> {
    /// A rule for a count: a metric of whole numbers, for which a window without events counts as zero.
    pub fn count(
        moment_type: &str,
        detector: impl Tracker,
        metric: impl Fn(&S) -> u64 + Send + Sync + 'static,
    ) -> Self {
        Self {
            moment_type: moment_type.into(),
            metric: Arc::new(move |s| Some(i64::try_from(metric(s)).unwrap_or(i64::MAX))),
            scale: 1,
            missing: MissingWindow::Zero,
            detector: AnyDetector::new(detector),
            own: Arc::default(),
        }
    }

    /// A rule for a gauge: a metric in fixed point, `scale` units of which make one, for which a window
    /// without events has no value.
    pub fn gauge(
        moment_type: &str,
        detector: impl Tracker,
        scale: i64,
        metric: impl Fn(&S) -> Option<i64> + Send + Sync + 'static,
    ) -> Self {
        Self {
            moment_type: moment_type.into(),
            metric: Arc::new(metric),
            scale,
            missing: MissingWindow::Skip,
            detector: AnyDetector::new(detector),
            own: Arc::default(),
        }
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
