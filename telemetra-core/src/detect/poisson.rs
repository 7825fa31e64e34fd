//! The exact test of a count of independent events against earlier counts.

use statrs::distribution::{ContinuousCDF, Normal};
use statrs::function::beta::checked_beta_reg;

use super::tail::MAX_SCORE;

/// Below this count the modified signed root is not accurate enough.
const SMALL: f64 = 20.0;
/// The total up to which the exact tail is computed quickly.
const EXACT: f64 = 3_000.0;
/// The normal quantile of 1 in 5, the probability with which samples of independent events are found
/// overdispersed.
const DISPERSION_QUANTILE: f64 = 0.841_621_2;

/// The score of a count `x` after `n` counts with the sum `sum`, if all are counts of independent events at
/// the same rate.
///
/// Given `x + sum`, such an `x` is binomial with probability `1 / (n + 1)`, whatever the rate, so nothing has
/// to be estimated (Przyborowski and Wilenski 1940). The score is the `z` at which a standard normal has the
/// same tail probability, where half of the probability of `x` itself belongs to the tail. It is exact for
/// small counts. For others it is the modified signed root of Barndorff-Nielsen 1986, with an error of at
/// most 0.05.
pub(super) fn score(x: f64, sum: f64, n: f64) -> f64 {
    let total = x + sum;
    // If one of the counts is zero, the tail is one term.
    if sum <= 0.0 {
        return z_of_log_tail(-x * (n + 1.0).ln()).min(MAX_SCORE);
    }
    if x <= 0.0 {
        return -z_of_log_tail(-sum * (1.0 / n).ln_1p()).min(MAX_SCORE);
    }
    if x.min(sum) < SMALL
        && total < EXACT
        && let Some(score) = exact(x, sum, n)
    {
        return score.clamp(-MAX_SCORE, MAX_SCORE);
    }
    let log_ratio = (x * n / sum).ln();
    let deviance = x * (x * (n + 1.0) / total).ln() + sum * (sum * (n + 1.0) / (total * n)).ln();
    let root = (2.0 * deviance.max(0.0)).sqrt().copysign(log_ratio);
    let wald = log_ratio * (x * sum / total).sqrt();
    // Near the mean the correction is 0/0, and scores are too small to matter.
    if root.abs() < 0.1 {
        return root;
    }
    (root + (wald / root).ln() / root).clamp(-MAX_SCORE, MAX_SCORE)
}

/// The exact score, by the incomplete beta function, which is the tail of the binomial on the smaller side.
fn exact(x: f64, sum: f64, n: f64) -> Option<f64> {
    let is_below = x * n < sum;
    let (share, near, far) = if is_below { (n / (n + 1.0), sum, x) } else { (1.0 / (n + 1.0), x, sum) };
    // The tail from the count itself, and from the next count.
    let from = checked_beta_reg(near, far + 1.0, share).ok()?;
    let after = checked_beta_reg(near + 1.0, far, share).ok()?;
    let tail = f64::midpoint(from, after);
    let z = (tail > f64::MIN_POSITIVE).then(|| -Normal::standard().inverse_cdf(tail))?;
    Some(if is_below { -z } else { z })
}

/// The z at which a standard normal has a tail probability of half of `e^log_tail`.
fn z_of_log_tail(log_tail: f64) -> f64 {
    let tail = log_tail.exp() / 2.0;
    if tail > f64::MIN_POSITIVE { -Normal::standard().inverse_cdf(tail) } else { (-2.0 * log_tail).sqrt() }
}

/// Returns whether `n` samples vary more than counts of independent events: compares Fisher's index of
/// dispersion, the sum of squares over the mean, with the chi-squared distribution with `n − 1` degrees of
/// freedom, by the approximation of Wilson and Hilferty.
pub(super) fn is_overdispersed(variance: f64, mean: f64, n: f64) -> bool {
    let freedom = n - 1.0;
    let part = 2.0 / (9.0 * freedom);
    let limit = (1.0 - part + DISPERSION_QUANTILE * part.sqrt()).powi(3);
    variance > limit * mean
}

/// The number of deviations at which a normal distribution has about the upper tail that counts have at `t`
/// deviations, if they vary more than counts of independent events.
///
/// Such counts are skewed. Their skewness is taken to be that of a negative binomial distribution with the
/// same mean and variance, `(2φ − 1) / √(φ m)` with `φ` for variance over mean. The tail is that of a gamma
/// distribution of this skewness, by the approximation of Wilson and Hilferty 1931.
pub(super) fn without_skew(t: f64, mean: f64, variance: f64) -> f64 {
    let dispersion = variance / mean;
    let skewness = (2.0 * dispersion - 1.0) / (dispersion * mean).sqrt();
    if skewness.is_finite() && skewness > 1e-6 {
        6.0 / skewness * ((skewness / 2.0 * t + 1.0).cbrt() - 1.0) + skewness / 6.0
    } else {
        t
    }
}

#[cfg(test)]
mod tests {
    use statrs::distribution::{ChiSquared, Gamma};

    use super::*;

    /// The score by the tail of the binomial, term by term, including half of the term of `x` itself.
    fn term_by_term(x: u32, sum: u32, n: f64) -> f64 {
        let total = x + sum;
        let log_odds = -n.ln();
        // The sum goes up from zero, by the ratio of one term to the next.
        let mut log_term = f64::from(total) * (n / (n + 1.0)).ln();
        let (mut lower, mut upper) = (0.0, 0.0);
        for count in 0..=total {
            let term = log_term.exp();
            let below = if count < x {
                1.0
            } else if count == x {
                0.5
            } else {
                0.0
            };
            lower += below * term;
            upper += (1.0 - below) * term;
            log_term += (f64::from(total - count) / f64::from(count + 1)).ln() + log_odds;
        }
        let z = |tail: f64| -Normal::standard().inverse_cdf(tail);
        if upper < lower { z(upper) } else { -z(lower) }
    }

    #[test]
    fn scores_are_those_of_the_exact_tails() {
        for n in [2.0, 8.0, 15.0, 30.0] {
            for sum in [0, 1, 2, 5, 12, 20, 48, 200, 3_000] {
                for x in (0..60).chain((60..600).step_by(7)) {
                    let wanted = term_by_term(x, sum, n);
                    // No sensible threshold is below 1; beyond 7 the sum of terms is not exact.
                    if wanted.abs() > 1.0 && wanted.abs() < 7.0 {
                        let found = score(f64::from(x), f64::from(sum), n);
                        assert!(
                            (found - wanted).abs() < 0.05,
                            "{found}, not {wanted}: {x} after {sum} in {n}"
                        );
                    }
                }
            }
        }
    }

    /// Where one of the counts is small, nothing is approximated.
    #[test]
    fn scores_of_small_counts_are_exact() {
        for n in [2.0, 8.0, 30.0] {
            for (x, sum) in
                [(0, 40), (3, 0), (1, 1), (5, 20), (19, 4), (19, 800), (300, 19), (90, 7), (12, 96)]
            {
                let (found, wanted) = (score(f64::from(x), f64::from(sum), n), term_by_term(x, sum, n));
                if wanted.abs() < 6.0 {
                    assert!((found - wanted).abs() < 1e-6, "{found}, not {wanted}: {x} after {sum} in {n}");
                }
            }
        }
    }

    /// The accuracy where both counts are great, which is far better than that of the root alone.
    #[test]
    fn scores_of_great_counts_are_nearly_exact() {
        for (x, sum, n) in [
            (50u32, 300, 10.0),
            (60, 300, 10.0),
            (30, 500, 10.0),
            (1_200, 30_000, 30.0),
            (850, 30_000, 30.0),
            (900, 3_000, 4.0),
        ] {
            let (found, wanted) = (score(f64::from(x), f64::from(sum), n), term_by_term(x, sum, n));
            assert!((found - wanted).abs() < 0.01, "{found}, not {wanted}: {x} after {sum} in {n}");
        }
    }

    /// As far out as floats reach, and where they do not: a tail of half of `3^-x` has `z² / 2 + ln z` of
    /// `x ln 3 + ln 2 − ln √2π`.
    #[test]
    fn scores_of_nothing_before_or_after_are_those_of_one_term() {
        for x in [100.0, 400.0, 640.0, 650.0] {
            let wanted = x * 3f64.ln() + 2f64.ln() - (2.0 * std::f64::consts::PI).sqrt().ln();
            let z = score(x, 0.0, 2.0);
            assert!((z * z / 2.0 + z.ln() - wanted).abs() < 5.0 && z < MAX_SCORE, "{z} for {x}");
            // None after so many, with 1 in 3 odds each.
            let below = score(0.0, x, 0.5);
            assert!((below + z).abs() < 1e-9, "{below}, not -{z}");
        }
        assert_eq!((score(660.0, 0.0, 2.0), score(0.0, 660.0, 0.5)), (MAX_SCORE, -MAX_SCORE));
    }

    #[test]
    fn counts_are_overdispersed_above_the_quantile_of_their_index() {
        for n in [3u32, 8, 15, 30, 100] {
            let freedom = f64::from(n - 1);
            let index = ChiSquared::new(freedom).map_or(0.0, |law| law.inverse_cdf(0.8));
            for mean in [0.5, 40.0] {
                let found = |index: f64| is_overdispersed(index / freedom * mean, mean, f64::from(n));
                assert_eq!([0.98, 1.02].map(|part| found(part * index)), [false, true], "{n} samples");
            }
        }
        assert!(!is_overdispersed(0.0, 0.0, 8.0), "no events");
    }

    /// A gamma distribution of the skewness of the counts.
    #[test]
    fn without_skew_a_distance_is_that_of_the_same_tail() {
        for (mean, dispersion) in [(20.0, 2.0), (4.0, 1.5), (100.0, 5.0), (9.0, 1.0)] {
            // The skewness of a negative binomial whose successes have probability p: (2 − p) / √(r (1 − p)).
            let p: f64 = 1.0 / dispersion;
            let skewness = if p < 1.0 { (2.0 - p) / (mean * p).sqrt() } else { 1.0 / f64::sqrt(mean) };
            let shape = 4.0 / (skewness * skewness);
            for t in [1.0, 2.0, 3.0, 5.0] {
                let tail = Gamma::new(shape, 1.0).map_or(0.0, |law| law.sf(shape + t * shape.sqrt()));
                let wanted = -Normal::standard().inverse_cdf(tail);
                let found = without_skew(t, mean, dispersion * mean);
                assert!(
                    (found - wanted).abs() < 0.03,
                    "{found}, not {wanted}, at {t} for {mean}, {dispersion}"
                );
            }
        }
        // Counts that vary less than half as much as independent ones have none.
        assert_eq!(without_skew(3.0, 10.0, 5.0), 3.0);
        assert_eq!(without_skew(3.0, 10.0, 2.0), 3.0);
        assert_eq!(without_skew(3.0, 0.0, 2.0), 3.0, "no mean");
    }

    #[test]
    fn scores_rise_and_stay_finite() {
        for n in [2.0, 30.0, 10_000.0] {
            for sum in [0.0, 1.0, 100.0, 1e9, 1e18] {
                let mut before = f64::NEG_INFINITY;
                for step in 0..400 {
                    let x = if step == 0 { 0.0 } else { 10f64.powf(f64::from(step) / 20.0).round() };
                    let found = score(x, sum, n);
                    assert!(
                        found.is_finite() && found >= before - 0.02,
                        "{found} after {before} at {x}, {sum}, {n}"
                    );
                    before = found;
                }
            }
        }
    }
}
