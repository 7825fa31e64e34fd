//! Moments: episodes in which a metric of a key departs from its baseline.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::detect::{AnyDetector, MissingWindow, Tracker};
use crate::key::Key;
use crate::micro::Micro;
use crate::time::event_time::EventTime;

/// An episode of adjacent anomalous windows of one key and one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Moment<K: Key> {
    /// The key.
    pub key: K,
    /// The rule's name.
    pub moment_type: Arc<str>,
    /// The start of the pane that tipped the first anomalous window: that window's newest.
    pub started_at: EventTime,
    /// The end of the window with the greatest score; of several, the first.
    pub peak_at: EventTime,
    /// The end of the last anomalous window.
    pub last_at: EventTime,
    /// Whether the next window may still go on with it.
    pub open: bool,
    /// The detector's name.
    pub detection_method: Arc<str>,
    /// The metric at the peak.
    pub value: Micro,
    /// The detector's threshold.
    pub threshold: Micro,
    /// The score at the peak; its sign is the side.
    pub score: Micro,
    /// The mean of the baseline at the peak.
    pub baseline_mean: Micro,
    /// The deviation of the baseline at the peak.
    pub baseline_stddev: Micro,
    /// The number of samples in the baseline at the peak.
    pub baseline_samples: u32,
    /// How many windows it holds.
    pub windows: u32,
}

impl<K: Key> Moment<K> {
    /// Its id: the same whenever and wherever it is found, as it depends on key, rule and start alone.
    #[must_use]
    pub fn id(&self) -> MomentId {
        let text = format!("{}\u{1f}{}\u{1f}{}", self.key.text(), self.moment_type, self.started_at.0);
        MomentId(xxhash_rust::xxh3::xxh3_128(text.as_bytes()))
    }

    /// When it ended; `None` while open.
    #[must_use]
    pub fn ended_at(&self) -> Option<EventTime> {
        (!self.open).then_some(self.last_at)
    }
}

/// A moment's id: 128 bits, written as 32 hexadecimal digits.
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

/// Which metric of a summary is watched, by which detector, and what its moments are called.
#[derive(Clone)]
pub struct MomentRule<S> {
    /// The type of the moments it makes.
    pub moment_type: Arc<str>,
    /// The metric in fixed point, `None` where the window has none.
    pub metric: Arc<dyn Fn(&S) -> Option<i64> + Send + Sync>,
    /// Fixed-point units per one of the metric.
    pub scale: i64,
    /// What silence means.
    pub missing: MissingWindow,
    /// The detector.
    pub detector: AnyDetector,
    /// The detectors of keys that have one of their own, by the key's [text](Key::text).
    pub own: Arc<BTreeMap<String, AnyDetector>>,
}

impl<S> MomentRule<S> {
    /// A rule for a count: whole numbers; a window without any event counts as zero.
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

    /// A rule for a gauge in fixed point, `scale` units to one; a window without any event says nothing.
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

    /// The same with a detector of its own for one key.
    ///
    /// ```
    /// use telemetra_core::{MomentRule, ZScore};
    /// let rule = MomentRule::count("spike", ZScore::new(3.0)?, |messages: &u64| *messages)
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

    /// The longest baseline that any of its detectors asks for, in disjoint windows.
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
