//! Conversion between Student's t and the z of a normal distribution, by equal tail probabilities.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The greatest score, which belongs to the least tail probability that a float can represent.
pub(super) const MAX_SCORE: f64 = 38.0;

/// The probability that a standard normal is above `z`.
fn normal_tail(z: f64) -> f64 {
    Normal::standard().sf(z)
}

/// The probability that Student's t is above `t`.
fn t_tail(t: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom).map_or(0.0, |student| student.sf(t))
}

/// The z at which a standard normal has the tail probability that Student's t has at `t` ≥ 0; at most
/// [`MAX_SCORE`].
pub(super) fn score_of(t: f64, freedom: f64) -> f64 {
    let tail = t_tail(t, freedom);
    // A tail of NaN means that `t` is beyond what can be computed.
    if tail > 0.0 { (-Normal::standard().inverse_cdf(tail)).min(MAX_SCORE) } else { MAX_SCORE }
}

/// The t at which Student's t has the tail probability that a standard normal has at `z` > 0; `None` if it is
/// above `limit`.
pub(super) fn critical_t(z: f64, freedom: f64, limit: f64) -> Option<f64> {
    let tail = normal_tail(z);
    if t_tail(limit, freedom) > tail {
        return None;
    }
    // The tails of t are heavier, so `z` is a lower bound.
    let (mut low, mut high) = (z.min(limit), limit);
    for _ in 0..60 {
        let middle = low.midpoint(high);
        if t_tail(middle, freedom) > tail { low = middle } else { high = middle }
    }
    Some(high)
}

/// The probability that a sliding window is above `z` and the one before it is not: the rate at which runs
/// above `z` begin by chance. Windows consist of `panes` panes that are independent and identically
/// distributed, such as sums of noise.
///
/// Neighbouring windows are normal with a correlation of `1 − 1/panes`, as they share all panes but one.
/// Where they share most panes and `z` is small, runs begin half as often as there are windows above `z`;
/// where `z` is great, as often.
#[must_use]
pub fn upcrossings(z: f64, panes: u64) -> f64 {
    const STEPS: u32 = 400;
    let tail = normal_tail(z);
    if panes <= 1 {
        return tail * (1.0 - tail);
    }
    let shared = 1.0 - 1.0 / panes as f64;
    let own = (1.0 - shared * shared).sqrt();
    // The density of the window at `z + x`, times the probability that its neighbour is below `z`.
    let at = |x: f64| {
        let above = z + x;
        (-above * above / 2.0).exp() * normal_tail((shared * above - z) / own)
    };
    // Beyond this the density is below e⁻⁴⁰ of that at `z`.
    let furthest = 40.0 / (z.max(0.0) + 5.0);
    let step = furthest / f64::from(STEPS);
    // Simpson's rule.
    let inner: f64 = (1..STEPS).map(|n| at(f64::from(n) * step) * if n % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (at(0.0) + inner + at(furthest)) * step / 3.0 / (2.0 * std::f64::consts::PI).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn critical_values_are_those_of_the_tables() {
        // The normal quantile, the degrees of freedom, and the t in any textbook.
        for (z, freedom, t) in [
            (1.644_853_627, 7.0, 1.8946),
            (1.644_853_627, 29.0, 1.6991),
            (2.326_347_874, 7.0, 2.9980),
            (2.326_347_874, 14.0, 2.6245),
            (2.326_347_874, 29.0, 2.4620),
            (3.090_232_306, 7.0, 4.7853),
            (3.090_232_306, 29.0, 3.3962),
        ] {
            let found = critical_t(z, freedom, 100.0).unwrap_or(f64::NAN);
            assert!((found - t).abs() < 6e-5, "{found} instead of {t} at {freedom} degrees of freedom");
            assert!((score_of(found, freedom) - z).abs() < 1e-9);
        }
    }

    #[test]
    fn far_tails_are_finite_and_in_order() {
        for freedom in [1.0, 7.0, 29.0, 9_999.0] {
            let mut before = 0.0;
            for step in 1..=700 {
                let score = score_of(10f64.powf(f64::from(step) / 2.0 - 0.5).min(f64::MAX), freedom);
                assert!(score.is_finite() && score >= before, "{score} after {before}");
                before = score;
            }
            assert!(score_of(f64::INFINITY, freedom) == MAX_SCORE);
        }
        // With many degrees of freedom t is nearly normal.
        assert!((score_of(6.0, 1e6) - 6.0).abs() < 1e-3);
    }

    /// At a threshold of 0 the bivariate normal distribution has a closed form.
    #[test]
    fn upcrossings_are_those_of_the_bivariate_normal() {
        for panes in [2, 3, 6, 12] {
            let shared = 1.0 - 1.0 / panes as f64;
            let wanted = shared.acos() / (2.0 * std::f64::consts::PI);
            let found = upcrossings(0.0, panes);
            assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted} with {panes} panes");
        }
        assert_eq!(upcrossings(0.0, 1), 0.25);
    }

    /// Elsewhere the probability that both windows are above is an integral over the correlation (Drezner and
    /// Wesolowsky 1990).
    #[test]
    fn upcrossings_above_zero_are_those_of_the_bivariate_normal() {
        for panes in [2, 3, 6, 60] {
            for z in [-1.0, 0.5, 1.0, 2.0, 3.0, 4.0] {
                let most = (1.0 - 1.0 / panes as f64).asin();
                let steps = 20_000;
                let at = |step: i32| {
                    let angle = most * (f64::from(step) + 0.5) / f64::from(steps);
                    (-z * z / (1.0 + angle.sin())).exp()
                };
                let integral = (0..steps).map(at).sum::<f64>() * most / f64::from(steps);
                let both = normal_tail(z).powi(2) + integral / (2.0 * std::f64::consts::PI);
                let (found, wanted) = (upcrossings(z, panes), normal_tail(z) - both);
                assert!(
                    (found / wanted - 1.0).abs() < 1e-5,
                    "{found}, not {wanted}, above {z} with {panes} panes"
                );
            }
        }
        let tail = normal_tail(2.0);
        assert_eq!([upcrossings(2.0, 0), upcrossings(2.0, 1)], [tail * (1.0 - tail); 2]);
    }

    #[test]
    fn critical_values_beyond_the_limit_are_none() {
        // With one degree of freedom the tail of t is that of Cauchy, ½ − atan(t)/π.
        let z = 2.326_347_874;
        let t = (std::f64::consts::PI * 0.49).tan();
        assert!((critical_t(z, 1.0, 40.0).unwrap_or(f64::NAN) - t).abs() < 1e-5);
        assert!(critical_t(z, 1.0, t + 0.01).is_some());
        assert_eq!(critical_t(z, 1.0, t - 0.01), None);
        assert_eq!(score_of(0.0, 5.0), 0.0);
    }
}
