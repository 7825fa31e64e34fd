//! Models that learn from one sample after the other, and the tracker that runs them.

use std::borrow::Cow;
use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::tracker::Tracker;
use crate::detect::Verdict;
use crate::detect::chance::NormalScores;
use crate::detect::observed::{Finding, MissingWindow, Observed};
use crate::error::ConfigError;
use crate::time::event_time::EventTime;
use crate::time::window::Window;

/// The number of windows without events after which a key is absent: its missing windows are then no samples.
const ABSENT: u64 = 30;
/// A week: the means by hour of the week are kept over some days without events.
const WEEK: u64 = 604_800_000;

/// The value of a metric in one window, as a model sees it.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The window.
    pub window: Window,
    /// The value of the metric, in fixed point.
    pub value: i64,
    /// The number of fixed-point units that make one in the metric; at least 1.
    pub scale: i64,
    /// The number of events that the value is the [mean](crate::MomentRule::mean) of; 1 for other metrics.
    pub events: u64,
}

impl Sample {
    /// The value in the metric's own units.
    #[must_use]
    pub fn in_units(&self) -> f64 {
        self.value as f64 / self.scale as f64
    }
}

/// An online model: it learns the usual values of one metric of one key from one disjoint window after the
/// other, and evaluates a window by what it has learnt.
///
/// A model does not deal with sliding windows, missing windows and corrections. [`learning`](Self::learning)
/// makes a [`Tracker`] of it, which does.
///
/// # Contract
///
/// * **A fold.** The state depends on the samples in their order, and on nothing else.
/// * **Separate steps.** A window is evaluated before it is learnt, by a state that contains no data of it.
///   Evaluating does not change the state.
/// * **Total.** No samples make it panic, and verdicts are finite, as for a [`Detector`](crate::Detector).
///
/// Checked by [`tracker_compliance`](crate::testkit::tracker_compliance) of its tracker:
///
/// ```
/// use telemetra_core::testkit::tracker_compliance;
/// use telemetra_core::{ConfigError, Model, Sample, Tracker, Verdict};
///
/// /// Anomalous is what exceeds everything that the key ever had by this factor.
/// #[derive(Debug)]
/// struct AllTimeHigh(f64);
///
/// impl Model for AllTimeHigh {
///     /// The greatest value.
///     type State = i64;
///     fn method(&self) -> &'static str { "all_time_high" }
///     fn threshold(&self) -> f64 { self.0 }
///     fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> { Ok(Self(threshold)) }
///     fn min_samples(&self) -> u32 { 60 }
///     fn judge(&self, greatest: &i64, sample: &Sample) -> Option<Verdict> {
///         let greatest = (*greatest).max(sample.scale) as f64;
///         let score = sample.value as f64 / greatest;
///         (score >= self.0).then_some(Verdict { score, mean: greatest / sample.scale as f64, stddev: 0.0 })
///     }
///     fn learn(&self, greatest: &mut i64, sample: &Sample, _anomalous: bool) {
///         *greatest = (*greatest).max(sample.value);
///     }
/// }
///
/// tracker_compliance(AllTimeHigh(1.5).learning());
/// ```
pub trait Model: Debug + Send + Sync + 'static {
    /// The state: all that was learnt of a key.
    type State: Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// The name of the method, which is a moment's `detection_method`.
    fn method(&self) -> &'static str;

    /// The threshold of the score, which is a moment's `threshold`.
    fn threshold(&self) -> f64;

    /// The sides and the least baseline of the detector, if its scores are normal: in noise, a score of `z`
    /// or more is as frequent as in a standard normal distribution. Only then can the
    /// [chance](crate::Moment::chance) of its moments be computed. By default `None`.
    fn normal_scores(&self) -> Option<NormalScores> {
        None
    }

    /// The same model with another threshold.
    ///
    /// # Errors
    ///
    /// If the threshold cannot work.
    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError>
    where
        Self: Sized;

    /// Returns the least number of learnt samples for a verdict. Before, windows are learnt and not judged, so
    /// that a new key raises no alarm.
    fn min_samples(&self) -> u32;

    /// The verdict if the sample is anomalous, else `None`.
    fn judge(&self, state: &Self::State, sample: &Sample) -> Option<Verdict>;

    /// Learns a sample; `anomalous` says whether it had a verdict. A missing window may be a sample of zero,
    /// without an evaluation.
    fn learn(&self, state: &mut Self::State, sample: &Sample, anomalous: bool);

    /// Returns the tracker that runs this model, for a [`MomentRule`](crate::MomentRule). Its state of a key is
    /// dropped after a week without events of the key; see [`Learning::forgets_after`].
    fn learning(self) -> Learning<Self>
    where
        Self: Sized,
    {
        Learning { model: self, forgets_after: WEEK }
    }
}

/// The tracker that runs a [`Model`]: it evaluates every window by the model, and lets it learn from disjoint
/// windows.
///
/// The model learns the windows that end at a multiple of their size, each when the first window that does
/// not overlap it is evaluated. So there is one model per key, not one for each of the `size / slide` series
/// of disjoint windows, and the last learnt window ended less than two sizes ago.
///
/// For a rule for counts, a missing window is a sample of zero. A key without events for more than 30 windows
/// is absent: its missing windows are not learnt. After it is back, windows that began before its first pane
/// are incomplete, so they are not evaluated.
#[derive(Clone, Debug)]
pub struct Learning<M> {
    model: M,
    forgets_after: u64,
}

impl<M> Learning<M> {
    /// Sets the length of a silence of the key after which the model is reset, in milliseconds; by default a
    /// week.
    #[must_use]
    pub fn forgets_after(mut self, millis: u64) -> Self {
        self.forgets_after = millis;
        self
    }
}

/// The state of a [`Learning`] tracker for one key: the model's state, and the window to be learnt next.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt<S> {
    model: S,
    samples: u32,
    /// The end of the last window.
    last: Option<EventTime>,
    /// The end of the first window that began when the key was not absent.
    whole: EventTime,
    /// The end of the next window to be learnt.
    next: EventTime,
    /// The value of that window, its number of events, and whether it is anomalous, if it was seen.
    pending: Option<(i64, u64, bool)>,
}

impl<M: Model> Learning<M> {
    fn learn(
        &self,
        state: &mut Learnt<M::State>,
        observed: &Observed<'_>,
        (value, events, anomalous): (i64, u64, bool),
    ) {
        let window = observed.spec.window_ending(state.next);
        let sample = Sample { window, value, scale: observed.scale.max(1), events };
        self.model.learn(&mut state.model, &sample, anomalous);
        state.samples = state.samples.saturating_add(1);
    }

    /// Learns the windows that do not overlap this window.
    fn catch_up(&self, state: &mut Learnt<M::State>, window: &Observed<'_>) {
        let (size, slide) = (window.spec.size(), window.spec.slide());
        if state.last.is_some_and(|last| window.since(last) <= ABSENT * size) {
            while state.next.plus(size) <= window.end {
                match state.pending.take() {
                    Some(pending) => self.learn(state, window, pending),
                    None if window.missing == MissingWindow::Zero => self.learn(state, window, (0, 1, false)),
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

    fn normal_scores(&self) -> Option<NormalScores> {
        self.model.normal_scores()
    }

    fn sensitive(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { model: self.model.with_threshold(threshold)?, forgets_after: self.forgets_after })
    }

    fn track(&self, state: &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        self.catch_up(state, window);
        state.last = Some(window.end);
        let ready = window.end >= state.whole && state.samples >= self.model.min_samples();
        let Observed { value, events, .. } = *window;
        let sample = Sample { window: window.window(), value, scale: window.scale.max(1), events };
        let verdict = ready.then(|| self.model.judge(&state.model, &sample)).flatten();
        if window.end == state.next {
            state.pending = Some((value, events, verdict.is_some()));
        }
        verdict.map(|verdict| Finding { verdict, samples: state.samples })
    }
}
