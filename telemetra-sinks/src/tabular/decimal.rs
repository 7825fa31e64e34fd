//! An amount in millionths, formatted as an exact decimal.

use std::fmt;

use telemetra_core::AMOUNT_SCALE;

/// An amount, shown as an exact decimal: at least two decimals, at most six.
///
/// ```
/// use telemetra_sinks::Decimal;
/// assert_eq!(Decimal(12_500_000).to_string(), "12.50");
/// assert_eq!(Decimal(-1).to_string(), "-0.000001");
/// assert_eq!(Decimal(3_000_000_000_000).to_string(), "3000000.00");
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Decimal(
    /// In units of `1 /` [`AMOUNT_SCALE`].
    pub i128,
);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SCALE: u128 = AMOUNT_SCALE as u128;
        let (whole, mut part) = (self.0.unsigned_abs() / SCALE, self.0.unsigned_abs() % SCALE);
        let mut places = SCALE.ilog10() as usize;
        while places > 2 && part.is_multiple_of(10) {
            part /= 10;
            places -= 1;
        }
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{whole}.{part:0places$}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn loses_nothing(units in any::<i64>()) {
            let text = Decimal(i128::from(units)).to_string();
            let (whole, part) = text.trim_start_matches('-').split_once('.').unwrap();
            prop_assert!((2..=6).contains(&part.len()));
            let padded: i128 = format!("{whole}{part:0<6}").parse().unwrap();
            prop_assert_eq!(if units < 0 { -padded } else { padded }, i128::from(units));
        }
    }
}
