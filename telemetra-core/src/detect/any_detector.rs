use std::fmt::Debug;
use std::sync::Arc;

use super::tracker::Tracker;
use crate::codec::CodecError;
use crate::detect::observed::{Finding, Observed};
use crate::time::event_time::EventTime;

/// A [`Tracker`] of any type, ready to be run: what a rule holds.
#[derive(Clone, Debug)]
pub struct AnyDetector {
    tracker: Arc<dyn ErasedTracker>,
    method: Arc<str>,
    threshold: f64,
    least: f64,
    reaches: Arc<[u32]>,
    pure: bool,
}

impl AnyDetector {
    /// Of this tracker.
    #[must_use]
    pub fn new(tracker: impl Tracker) -> Self {
        let (method, threshold, least) = (tracker.name().into(), tracker.limit(), tracker.least());
        let pure = tracker.is_pure();
        let mut reaches = Vec::new();
        tracker.reaches(&mut reaches);
        reaches.sort_unstable();
        reaches.dedup();
        Self { tracker: Arc::new(tracker), method, threshold, least, reaches: reaches.into(), pure }
    }

    /// Its name, as in a moment's `detection_method`.
    #[must_use]
    pub fn method(&self) -> &Arc<str> {
        &self.method
    }

    /// The threshold of its scores.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// The least score that a finding may have.
    #[must_use]
    pub fn least(&self) -> f64 {
        self.least
    }

    /// The lengths of baselines that it asks for, in disjoint windows, shortest first.
    #[must_use]
    pub fn reaches(&self) -> &[u32] {
        &self.reaches
    }

    /// The longest of them; 0 if there are none.
    #[must_use]
    pub fn max_samples(&self) -> u32 {
        self.reaches.last().copied().unwrap_or(0)
    }

    /// Whether it looks at baselines alone, and so may be asked about windows in any order.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        self.pure
    }

    /// After how long a silence its state is as new, in milliseconds.
    #[must_use]
    pub fn forgets_after(&self) -> u64 {
        self.tracker.forgets_after()
    }

    /// What a new key's first window would be found to be; for a pure one, what any window is.
    #[must_use]
    pub fn judge(&self, window: &Observed<'_>) -> Option<Finding> {
        self.tracker.judge_first(window)
    }

    /// Follows a new key.
    #[must_use]
    pub fn follow(&self) -> DetectorState {
        DetectorState(Arc::clone(&self.tracker).follow())
    }
}

/// One tracker following one key: its state after the newest window, and as it was before what may still change.
#[derive(Debug)]
pub struct DetectorState(Box<dyn ErasedState>);

impl DetectorState {
    /// What is found in the next window.
    pub fn next(&mut self, window: &Observed<'_>) -> Option<Finding> {
        self.0.next(window)
    }

    /// Takes the next window into what is kept for going back: it will not change any more.
    pub fn settle(&mut self, window: &Observed<'_>) {
        self.0.settle(window);
    }

    /// Goes back to what is settled.
    pub fn rewind(&mut self) {
        self.0.rewind();
    }

    /// What is settled, for a checkpoint.
    ///
    /// # Errors
    ///
    /// If the state cannot be encoded.
    pub fn save(&self) -> Result<Vec<u8>, CodecError> {
        self.0.save()
    }

    /// Takes what is settled from a checkpoint, and goes back to it.
    ///
    /// # Errors
    ///
    /// If it is not what a tracker of this type saved; nothing is changed then.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), CodecError> {
        self.0.restore(saved)
    }
}

trait ErasedTracker: Debug + Send + Sync {
    fn judge_first(&self, window: &Observed<'_>) -> Option<Finding>;
    fn follow(self: Arc<Self>) -> Box<dyn ErasedState>;
    fn forgets_after(&self) -> u64;
}

impl<T: Tracker> ErasedTracker for T {
    fn judge_first(&self, window: &Observed<'_>) -> Option<Finding> {
        self.track(&mut T::State::default(), window)
    }

    fn follow(self: Arc<Self>) -> Box<dyn ErasedState> {
        Box::new(Following { tracker: self, live: Folded::default(), settled: Folded::default() })
    }

    fn forgets_after(&self) -> u64 {
        Tracker::forgets_after(self)
    }
}

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

/// A state, and the end of the last window in it.
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
