//! Combinations of two trackers.

use std::borrow::Cow;

use super::tracker::Tracker;
use crate::detect::Verdict;
use crate::detect::chance::NormalScores;
use crate::detect::observed::{Finding, Observed};

/// A tracker that reports what either of two trackers finds; made by [`Tracker::max`].
///
/// Of two findings it takes the one that is further above its own threshold. Scores of the second tracker are
/// converted to the scale of the first, so that one threshold applies to both.
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

/// A tracker that reports what both of two trackers find, on the same side; made by [`Tracker::all`].
///
/// It takes the finding that is less far above its own threshold, on the scale of the first tracker.
///
/// ```
/// use telemetra_core::{Model, RobustZScore, Tracker, ZScore};
/// let both = ZScore::new(3.0)?.all(RobustZScore::new(3.5)?.learning());
/// assert_eq!(both.name(), "all(zscore, robust_zscore)");
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct All<A, B>(pub(super) A, pub(super) B);

/// Converts a finding from one threshold's scale to another's.
fn on_scale(from: f64, to: f64, found: Finding) -> Finding {
    let Finding { verdict, samples } = found;
    let score = verdict.score / from * to;
    Finding { verdict: Verdict { score, ..verdict }, samples }
}

/// Implements `Tracker` for a combination of two, given how to choose between their findings.
macro_rules! combines {
    ($type:ident, $name:literal, $choose:expr, $scores:expr) => {
        impl<A: Tracker, B: Tracker> Tracker for $type<A, B> {
            type State = (A::State, B::State);

            fn name(&self) -> Cow<'static, str> {
                format!(concat!($name, "({}, {})"), self.0.name(), self.1.name()).into()
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

            fn fewest(&self) -> u32 {
                self.0.fewest().max(self.1.fewest())
            }

            fn quiet_below(&self) -> f64 {
                self.0.quiet_below().min(self.1.quiet_below())
            }

            fn is_pure(&self) -> bool {
                self.0.is_pure() && self.1.is_pure()
            }

            fn forgets_after(&self) -> u64 {
                self.0.forgets_after().max(self.1.forgets_after())
            }

            fn departs(&self, window: &Observed<'_>) -> bool {
                self.0.departs(window) || self.1.departs(window)
            }

            fn normal_scores(&self) -> Option<NormalScores> {
                let same = self.0.limit() == self.1.limit();
                $scores(self.0.normal_scores(), self.1.normal_scores().filter(|_| same))
            }

            fn track(&self, (a, b): &mut Self::State, window: &Observed<'_>) -> Option<Finding> {
                let second = self.1.track(b, window);
                let second = second.map(|found| on_scale(self.1.limit(), self.0.limit(), found));
                $choose(self.0.track(a, window), second)
            }
        }
    };
}

combines!(Max, "max", further, of_either);
combines!(All, "all", nearer_of_both, of_both);

/// Either may reach a score by chance.
fn of_either(a: Option<NormalScores>, b: Option<NormalScores>) -> Option<NormalScores> {
    let (a, b) = (a?, b?);
    Some(NormalScores { sides: a.sides + b.sides, min_samples: a.min_samples.min(b.min_samples) })
}

/// Both reach a score by chance at most as often as each alone.
fn of_both(a: Option<NormalScores>, b: Option<NormalScores>) -> Option<NormalScores> {
    let (one, other) = (a.or(b)?, b.or(a)?);
    Some(NormalScores {
        sides: one.sides.min(other.sides),
        min_samples: one.min_samples.max(other.min_samples),
    })
}

/// The finding with the greater score.
fn further(a: Option<Finding>, b: Option<Finding>) -> Option<Finding> {
    match (a, b) {
        (Some(a), Some(b)) if b.verdict.score.abs() > a.verdict.score.abs() => Some(b),
        (a, b) => a.or(b),
    }
}

/// The finding with the lesser score, if there are two on the same side.
fn nearer_of_both(a: Option<Finding>, b: Option<Finding>) -> Option<Finding> {
    let (a, b) = (a?, b?);
    if a.verdict.score.is_sign_positive() != b.verdict.score.is_sign_positive() {
        return None;
    }
    Some(if b.verdict.score.abs() < a.verdict.score.abs() { b } else { a })
}
