use std::borrow::Cow;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tracker::Tracker;
use crate::detect::Verdict;
use crate::detect::observed::{Finding, MissingWindow, Observed};
use crate::error::ConfigError;
use crate::time::event_time::EventTime;
use crate::time::window::Window;

/// A stream that is silent for longer than so many windows is absent: its silence is no sample.
const ABSENT: u64 = 30;
/// A week: a season by the hour of the week outlives a day without a stream.
const WEEK: u64 = 604_800_000;

/// A value that a model judges or learns.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The window that it is of.
    pub window: Window,
    /// The metric, in fixed point.
    pub value: i64,
    /// Fixed-point units per one of the metric; at least 1.
    pub scale: i64,
}

impl Sample {
    /// In the metric's own units.
    #[must_use]
    pub fn in_units(&self) -> f64 {
        self.value as f64 / self.scale as f64
    }
}

/// Learns what is normal for one metric of one key, one disjoint window after the other.
///
/// A model knows nothing of time that slides, of silence or of corrections; [`learning`](Self::learning) makes a
/// [`Tracker`] of it, which sees to these.
///
/// # Contract
///
/// * **A fold**: what is learnt depends on the samples in their order, and on nothing else.
/// * **Judging changes nothing**, and is of a window that is not yet learnt and shares no data with what is.
/// * **Total**, and findings are finite, as for a [`Detector`](crate::Detector).
pub trait Model: Debug + Send + Sync + 'static {
    /// What has been learnt.
    type State: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// Its name, as in a moment's `detection_method`.
    fn method(&self) -> &'static str;

    /// The threshold of its score, as in a moment's `threshold`.
    fn threshold(&self) -> f64;

    /// The same with another threshold.
    ///
    /// # Errors
    ///
    /// If it cannot work.
    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError>
    where
        Self: Sized;

    /// The fewest samples with which it speaks.
    fn min_samples(&self) -> u32;

    /// The verdict, if the sample is anomalous.
    fn judge(&self, state: &Self::State, sample: &Sample) -> Option<Verdict>;

    /// Learns a sample that was judged, or a silence that was not.
    fn learn(&self, state: &mut Self::State, sample: &Sample, anomalous: bool);

    /// The tracker that learns by this model.
    fn learning(self) -> Learning<Self>
    where
        Self: Sized,
    {
        Learning { model: self, forgets_after: WEEK }
    }
}

/// A tracker that judges every window by a [`Model`] of disjoint earlier ones.
///
/// The model learns the windows that end at a multiple of their size, each as soon as a window that shares nothing with it
/// is judged. So there is one model for a key and not one for each of the `size / slide` places where a
/// window may lie, and what is learnt last ended less than two sizes ago.
///
/// To a rule for counts silence is a sample of zero. A stream that says nothing for longer than 30 windows is absent:
/// that teaches nothing, and when it is back, what began before it was is no whole window, and is not judged.
#[derive(Clone, Debug)]
pub struct Learning<M> {
    model: M,
    forgets_after: u64,
}

impl<M> Learning<M> {
    /// After how long a silence what was learnt is given up, in milliseconds; a week by default.
    #[must_use]
    pub fn forgets_after(mut self, millis: u64) -> Self {
        self.forgets_after = millis;
        self
    }
}

/// What a model has learnt of a key, and what it is about to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt<S> {
    model: S,
    samples: u32,
    /// The end of the last window seen.
    last: Option<EventTime>,
    /// The first window that holds nothing of before the stream was there ends here.
    whole: EventTime,
    /// The end of the next window to be learnt.
    next: EventTime,
    pending: Option<(i64, bool)>,
}

impl<M: Model> Learning<M> {
    fn learn(&self, state: &mut Learnt<M::State>, window: &Observed<'_>, (value, anomalous): (i64, bool)) {
        let sample =
            Sample { window: window.spec.window_ending(state.next), value, scale: window.scale.max(1) };
        self.model.learn(&mut state.model, &sample, anomalous);
        state.samples = state.samples.saturating_add(1);
    }

    /// Learns what no longer shares data with this window.
    fn catch_up(&self, state: &mut Learnt<M::State>, window: &Observed<'_>) {
        let (size, slide) = (window.spec.size(), window.spec.slide());
        if state.last.is_some_and(|last| window.since(last) <= ABSENT * size) {
            while state.next.plus(size) <= window.end {
                match state.pending.take() {
                    Some(pending) => self.learn(state, window, pending),
                    None if window.missing == MissingWindow::Zero => self.learn(state, window, (0, false)),
                    None => {}
                }
                state.next = state.next.plus(size);
            }
            return;
        }
        if let Some(pending) = state.pending.take() {
            self.learn(state, window, pending);
        }
        state.whole = match window.missing {
            MissingWindow::Zero => window.end.plus(size - slide),
            MissingWindow::Skip => window.end,
        };
        state.next = EventTime(state.whole.0.div_ceil(size).saturating_mul(size));
    }
}

impl<M: Model> Tracker for Learning<M> {
    type State = Learnt<M::State>;

    fn name(&self) -> Cow<'static, str> {
        self.model.method().into()
    }

    fn limit(&self) -> f64 {
        self.model.threshold()
    }

    fn reaches(&self, _reaches: &mut Vec<u32>) {}

    fn forgets_after(&self) -> u64 {
        self.forgets_after
    }

    fn sensitive(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { model: self.model.with_threshold(threshold)?, forgets_after: self.forgets_after })
    }

    fn track(&self, state: &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        self.catch_up(state, window);
        state.last = Some(window.end);
        let speaks = window.end >= state.whole && state.samples >= self.model.min_samples();
        let sample = Sample { window: window.window(), value: window.value, scale: window.scale.max(1) };
        let verdict = speaks.then(|| self.model.judge(&state.model, &sample)).flatten();
        if window.end == state.next {
            state.pending = Some((window.value, verdict.is_some()));
        }
        verdict.map(|verdict| Finding { verdict, samples: state.samples })
    }
}
