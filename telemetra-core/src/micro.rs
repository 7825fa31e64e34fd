//! Fixed-point numbers with six decimals.

use serde::{Deserialize, Serialize};

/// A fixed-point number with six decimals, stored as an integer. Unlike a float it has a total order and a
/// hash, so it can be in a collection, and sums do not depend on the order of adding.
///
/// ```
/// use telemetra_core::Micro;
/// assert_eq!(Micro::from(-12.5).0, -12_500_000);
/// assert_eq!(Micro(1_500_000).to_f64(), 1.5);
/// ```
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Micro(pub i64);

impl Micro {
    /// The number of units that make one.
    pub const SCALE: i64 = 1_000_000;

    /// The nearest fixed-point number. Values out of range become the least or the greatest; NaN becomes 0.
    #[must_use]
    pub fn from_f64(value: f64) -> Self {
        Self((value * 1e6).round() as i64)
    }

    /// The number as a float.
    #[must_use]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl From<f64> for Micro {
    fn from(value: f64) -> Self {
        Self::from_f64(value)
    }
}
