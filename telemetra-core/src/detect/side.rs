//! Settings that detectors share: the side on which values are anomalous, and the floor of the deviation.

/// The side of the mean on which values are anomalous.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Values above the mean are anomalous.
    Upper,
    /// Values below the mean are anomalous.
    Lower,
    /// Values on both sides are anomalous. A threshold applies to each side, so there are twice as many false
    /// alarms as with one side.
    #[default]
    Both,
}

impl Side {
    /// The side that is not watched, if there is one.
    pub(super) fn other(self) -> Option<Self> {
        match self {
            Self::Upper => Some(Self::Lower),
            Self::Lower => Some(Self::Upper),
            Self::Both => None,
        }
    }

    /// The number of sides of the mean that are watched.
    pub(super) fn count(self) -> u32 {
        if self == Self::Both { 2 } else { 1 }
    }

    /// Returns whether a departure of this sign is watched; a departure of zero is not.
    pub(super) fn takes(self, departure: f64) -> bool {
        match self {
            Self::Upper => departure > 0.0,
            Self::Lower => departure < 0.0,
            Self::Both => departure != 0.0,
        }
    }
}

/// The least standard deviation that a detector assumes. If a few samples happen to be equal, the next one
/// may still differ.
///
/// ```
/// use telemetra_core::{Baseline, Detector, PowerSums, VarianceFloor, ZScore};
/// // Ten windows of exactly 40 requests; then 41.
/// let mut sums = PowerSums::default();
/// (0..10).for_each(|_| sums.add(40));
/// let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
/// assert!(ZScore::new(3.0)?.judge(41, &baseline).is_some(), "any other value is anomalous");
/// assert!(ZScore::new(3.0)?.floor(VarianceFloor::Poisson)?.judge(41, &baseline).is_none());
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub enum VarianceFloor {
    /// No floor: after samples that are all equal, any other value has the greatest score.
    #[default]
    None,
    /// A floor for counts: a variance of `m + 1/n` for a mean of `m` over `n` samples. Counts of independent
    /// events have a variance of `m`; the `1/n` stands for one more event than was seen, so that after a
    /// baseline of zeros a single event does not have an infinite score.
    Poisson,
    /// A fixed deviation in the metric's own units: the resolution of the metric.
    Resolution(f64),
    /// A deviation of `share` of the mean, and of at least `least` in the metric's own units.
    Relative {
        /// The share of the mean.
        share: f64,
        /// The least deviation.
        least: f64,
    },
}

impl VarianceFloor {
    /// The least variance for `count` samples with this mean, in fixed-point units.
    pub(super) fn variance(self, mean: f64, count: f64, scale: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Poisson => scale * mean.max(0.0) + scale * scale / count,
            Self::Resolution(least) => (least * scale).powi(2),
            Self::Relative { share, least } => (share * mean).abs().max(least * scale).powi(2),
        }
    }

    /// Returns whether its numbers are finite and not negative.
    pub(super) fn is_valid(self) -> bool {
        let good = |x: f64| x.is_finite() && x >= 0.0;
        match self {
            Self::None | Self::Poisson => true,
            Self::Resolution(least) => good(least),
            Self::Relative { share, least } => good(share) && good(least),
        }
    }
}
