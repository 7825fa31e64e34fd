/// Which departures matter.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub enum Side {
    /// Above the mean.
    Upper,
    /// Below the mean.
    Lower,
    /// Both. A threshold holds for each side by itself, so there are twice as many false alarms as with one.
    #[default]
    Both,
}

impl Side {
    /// Whether a departure of this sign matters. None does not.
    pub(super) fn takes(self, departure: f64) -> bool {
        match self {
            Self::Upper => departure > 0.0,
            Self::Lower => departure < 0.0,
            Self::Both => departure != 0.0,
        }
    }
}

/// The least deviation that a baseline is believed to have. A few samples that happen to be alike do not
/// mean that the next must be.
#[derive(Copy, Clone, Debug, Default, PartialEq)]
pub enum VarianceFloor {
    /// None: after samples that are all equal any departure is as far out as can be.
    #[default]
    None,
    /// For counts: a variance of at least `m + 1/n`, for a mean of `m` over `n` samples. Events that come
    /// independently of each other scatter by `m`; the `1/n` is one event more than was seen, so that a
    /// baseline of zeros does not make a single event a moment of endless score.
    Poisson,
    /// A deviation of at least this much, in the metric's own units: what cannot be told apart.
    Resolution(f64),
    /// A deviation of at least `share` of the mean, and of at least `least` in the metric's own units.
    Relative {
        /// The share of the mean.
        share: f64,
        /// The least deviation.
        least: f64,
    },
}

impl VarianceFloor {
    /// The least variance, in fixed-point units, of `count` samples of this mean.
    pub(super) fn variance(self, mean: f64, count: f64, scale: f64) -> f64 {
        match self {
            Self::None => 0.0,
            Self::Poisson => scale * mean.max(0.0) + scale * scale / count,
            Self::Resolution(least) => (least * scale).powi(2),
            Self::Relative { share, least } => (share * mean).abs().max(least * scale).powi(2),
        }
    }

    /// Whether its numbers can be used.
    pub(super) fn is_valid(self) -> bool {
        let good = |x: f64| x.is_finite() && x >= 0.0;
        match self {
            Self::None | Self::Poisson => true,
            Self::Resolution(least) => good(least),
            Self::Relative { share, least } => good(share) && good(least),
        }
    }
}
