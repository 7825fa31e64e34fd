use std::borrow::Cow;

use super::tracker::Tracker;
use crate::{Finding, Observed, Verdict};

/// What either of two trackers finds; made by [`Tracker::max`].
///
/// Of two findings it takes the one further above its own threshold. The scores of the second are put on the scale of
/// the first, so that one threshold holds for both.
///
/// ```
/// use telemetra_core::{Ewma, Model, Tracker, ZScore};
/// let either = ZScore::new(3.0)?.max(Ewma::new(4.0)?.learning());
/// assert_eq!(either.name(), "max(zscore, ewma)");
/// assert_eq!(either.limit(), 3.0);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Max<A, B>(pub(super) A, pub(super) B);

/// What both of two trackers find, on the same side; made by [`Tracker::all`].
///
/// It takes the finding that is less far above its own threshold, on the scale of the first.
///
/// ```
/// use telemetra_core::{Model, RobustZScore, Tracker, ZScore};
/// let both = ZScore::new(3.0)?.all(RobustZScore::new(3.5)?.learning());
/// assert_eq!(both.name(), "all(zscore, robust_zscore)");
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct All<A, B>(pub(super) A, pub(super) B);

/// A finding of the second on the scale of the first.
fn on_scale(from: f64, to: f64, found: Finding) -> Finding {
    let Finding { verdict, samples } = found;
    let score = verdict.score / from * to;
    Finding { verdict: Verdict { score, ..verdict }, samples }
}

/// Both findings on one scale.
fn pair<A: Tracker, B: Tracker>(
    (a, b): (&A, &B),
    (state_a, state_b): &mut (A::State, B::State),
    window: &Observed<'_>,
) -> (Option<Finding>, Option<Finding>) {
    let found = b.track(state_b, window).map(|found| on_scale(b.limit(), a.limit(), found));
    (a.track(state_a, window), found)
}

impl<A: Tracker, B: Tracker> Tracker for Max<A, B> {
    type State = (A::State, B::State);

    fn name(&self) -> Cow<'static, str> {
        format!("max({}, {})", self.0.name(), self.1.name()).into()
    }

    fn limit(&self) -> f64 {
        self.0.limit()
    }

    fn least(&self) -> f64 {
        self.0.least().min(self.1.least() / self.1.limit() * self.0.limit())
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        self.0.reaches(reaches);
        self.1.reaches(reaches);
    }

    fn is_pure(&self) -> bool {
        self.0.is_pure() && self.1.is_pure()
    }

    fn forgets_after(&self) -> u64 {
        self.0.forgets_after().max(self.1.forgets_after())
    }

    fn track(&self, state: &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        match pair((&self.0, &self.1), state, window) {
            (Some(a), Some(b)) if b.verdict.score.abs() > a.verdict.score.abs() => Some(b),
            (a, b) => a.or(b),
        }
    }
}

impl<A: Tracker, B: Tracker> Tracker for All<A, B> {
    type State = (A::State, B::State);

    fn name(&self) -> Cow<'static, str> {
        format!("all({}, {})", self.0.name(), self.1.name()).into()
    }

    fn limit(&self) -> f64 {
        self.0.limit()
    }

    fn least(&self) -> f64 {
        self.0.least().min(self.1.least() / self.1.limit() * self.0.limit())
    }

    fn reaches(&self, reaches: &mut Vec<u32>) {
        self.0.reaches(reaches);
        self.1.reaches(reaches);
    }

    fn is_pure(&self) -> bool {
        self.0.is_pure() && self.1.is_pure()
    }

    fn forgets_after(&self) -> u64 {
        self.0.forgets_after().max(self.1.forgets_after())
    }

    fn track(&self, state: &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
        let (Some(a), Some(b)) = pair((&self.0, &self.1), state, window) else { return None };
        if a.verdict.score.is_sign_positive() != b.verdict.score.is_sign_positive() {
            return None;
        }
        Some(if b.verdict.score.abs() < a.verdict.score.abs() { b } else { a })
    }
}
