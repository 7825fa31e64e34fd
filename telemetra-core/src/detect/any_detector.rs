//! Trackers behind a trait object, and their state for one key.

use std::fmt::Debug;
use std::sync::Arc;

use super::chance::{Level, NormalScores};
use super::tracker::Tracker;
use crate::codec::CodecError;
use crate::detect::observed::{Finding, Observed};
use crate::micro::Micro;
use crate::time::event_time::EventTime;

/// A [`Tracker`] of any type behind a trait object, as a [`MomentRule`](crate::MomentRule) contains it.
#[derive(Clone, Debug)]
pub struct AnyDetector {
    tracker: Arc<dyn ErasedTracker>,
    method: Arc<str>,
    threshold: f64,
    level: Level,
    least: f64,
    reaches: Arc<[u32]>,
    fewest: u32,
    quiet_below: f64,
    pure: bool,
    normal_scores: Option<NormalScores>,
}

impl AnyDetector {
    /// Wraps a tracker.
    #[must_use]
    pub fn new(tracker: impl Tracker) -> Self {
        let (method, threshold, least) = (tracker.name().into(), tracker.limit(), tracker.least());
        let (pure, fewest, quiet_below) = (tracker.is_pure(), tracker.fewest(), tracker.quiet_below());
        let (normal_scores, level) = (tracker.normal_scores(), Level::of(Micro::from_f64(threshold)));
        let mut reaches = Vec::new();
        tracker.reaches(&mut reaches);
        reaches.sort_unstable();
        reaches.dedup();
        let (tracker, reaches) = (Arc::new(tracker), reaches.into());
        Self { tracker, method, threshold, level, least, reaches, fewest, quiet_below, pure, normal_scores }
    }

    /// The name of the method, which is a moment's `detection_method`.
    #[must_use]
    pub fn method(&self) -> &Arc<str> {
        &self.method
    }

    /// The threshold of the score.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The threshold as the comparison of moments counts it.
    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// The least score that a finding may have.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.least
    }

    /// The lengths of the baselines that it needs, in disjoint windows, shortest first.
    #[must_use]
    pub fn reaches(&self) -> &[u32] {
        &self.reaches
    }

    /// The length of the longest baseline that it needs; 0 if it needs none.
    #[must_use]
    pub fn max_samples(&self) -> u32 {
        self.reaches.last().copied().unwrap_or(0)
    }

    /// The least number of samples in each baseline with which it may find anything.
    #[must_use]
    pub fn min_samples(&self) -> u32 {
        self.fewest
    }

    /// The value below which nothing is found, in the units of the metric; 0 if there is none.
    #[must_use]
    pub fn quiet_below(&self) -> f64 {
        self.quiet_below
    }

    /// The sides and the least baseline of the detector, if its [scores are normal](Tracker::normal_scores).
    #[must_use]
    pub fn normal_scores(&self) -> Option<NormalScores> {
        self.normal_scores
    }

    /// Returns whether its findings depend on value and baselines alone, so that windows may be evaluated in
    /// any order.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        self.pure
    }

    /// The length of a silence of the key after which its state is reset, in milliseconds.
    #[must_use]
    pub fn forgets_after(&self) -> u64 {
        self.tracker.forgets_after()
    }

    /// The finding in a window, by a new state: for a [pure](Self::is_pure) tracker, the finding in any
    /// window.
    #[must_use]
    pub fn judge(&self, window: &Observed<'_>) -> Option<Finding> {
        self.tracker.track_first(window)
    }

    /// The finding in a window, as by [`judge`](Self::judge); without a finding, whether the window departs
    /// on a side that is not reported.
    pub(super) fn judge_or_departs(&self, window: &Observed<'_>) -> Result<Finding, bool> {
        self.tracker.track_or_departs(window)
    }

    /// Returns whether a window without a finding departs from its baseline on a side that is not reported.
    #[must_use]
    pub fn departs(&self, window: &Observed<'_>) -> bool {
        self.tracker.departs(window)
    }

    /// The state for a new key.
    #[must_use]
    pub fn follow(&self) -> DetectorState {
        DetectorState(Arc::clone(&self.tracker).follow())
    }
}

/// The state of a tracker for one key: after the newest window, and after the newest window that is final. A
/// final, or *settled*, window cannot be corrected any more.
#[derive(Debug)]
pub struct DetectorState(Box<dyn ErasedState>);

impl DetectorState {
    /// Evaluates the next window.
    pub fn next(&mut self, window: &Observed<'_>) -> Option<Finding> {
        self.0.next(window)
    }

    /// Adds the next window to the settled state.
    pub fn settle(&mut self, window: &Observed<'_>) {
        self.0.settle(window);
    }

    /// Returns to the settled state.
    pub fn rewind(&mut self) {
        self.0.rewind();
    }

    /// The settled state, for a checkpoint.
    ///
    /// # Errors
    ///
    /// If the state cannot be encoded.
    pub fn save(&self) -> Result<Vec<u8>, CodecError> {
        self.0.save()
    }

    /// Restores the settled state from a checkpoint, and returns to it.
    ///
    /// # Errors
    ///
    /// If a tracker of another type saved it. The state is then unchanged.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), CodecError> {
        self.0.restore(saved)
    }
}

/// The object-safe form of [`Tracker`].
trait ErasedTracker: Debug + Send + Sync {
    fn track_first(&self, window: &Observed<'_>) -> Option<Finding>;
    fn departs(&self, window: &Observed<'_>) -> bool;
    fn track_or_departs(&self, window: &Observed<'_>) -> Result<Finding, bool>;
    fn follow(self: Arc<Self>) -> Box<dyn ErasedState>;
    fn forgets_after(&self) -> u64;
}

impl<T: Tracker> ErasedTracker for T {
    fn track_first(&self, window: &Observed<'_>) -> Option<Finding> {
        self.track(&mut T::State::default(), window)
    }

    fn departs(&self, window: &Observed<'_>) -> bool {
        Tracker::departs(self, window)
    }

    fn track_or_departs(&self, window: &Observed<'_>) -> Result<Finding, bool> {
        Tracker::track_or_departs(self, window)
    }

    fn follow(self: Arc<Self>) -> Box<dyn ErasedState> {
        Box::new(Following { tracker: self, live: Folded::default(), settled: Folded::default() })
    }

    fn forgets_after(&self) -> u64 {
        Tracker::forgets_after(self)
    }
}

/// The object-safe form of a tracker with its states.
trait ErasedState: Debug + Send {
    fn next(&mut self, window: &Observed<'_>) -> Option<Finding>;
    fn settle(&mut self, window: &Observed<'_>);
    fn rewind(&mut self);
    fn save(&self) -> Result<Vec<u8>, CodecError>;
    fn restore(&mut self, saved: &[u8]) -> Result<(), CodecError>;
}

#[derive(Debug)]
struct Following<T: Tracker> {
    tracker: Arc<T>,
    live: Folded<T::State>,
    settled: Folded<T::State>,
}

/// A state, and the end of the last window that is in it.
#[derive(Clone, Debug, Default)]
struct Folded<S> {
    last: Option<EventTime>,
    state: S,
}

impl<S: Default> Folded<S> {
    fn fold<T: Tracker<State = S>>(&mut self, tracker: &T, window: &Observed<'_>) -> Option<Finding> {
        if self.last.is_some_and(|last| window.since(last) > Tracker::forgets_after(tracker)) {
            self.state = S::default();
        }
        self.last = Some(window.end);
        tracker.track(&mut self.state, window)
    }
}

impl<T: Tracker> ErasedState for Following<T> {
    fn next(&mut self, window: &Observed<'_>) -> Option<Finding> {
        self.live.fold(&*self.tracker, window)
    }

    fn settle(&mut self, window: &Observed<'_>) {
        let _ = self.settled.fold(&*self.tracker, window);
    }

    fn rewind(&mut self) {
        self.live.clone_from(&self.settled);
    }

    fn save(&self) -> Result<Vec<u8>, CodecError> {
        Ok(bincode::serialize(&(&self.settled.last, &self.settled.state))?)
    }

    fn restore(&mut self, saved: &[u8]) -> Result<(), CodecError> {
        let (last, state) = bincode::deserialize(saved)?;
        self.settled = Folded { last, state };
        self.rewind();
        Ok(())
    }
}
