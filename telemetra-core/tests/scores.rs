//! The scores of the z-score: numbers from closed forms of Student's t, of counts and of means.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use statrs::distribution::{ContinuousCDF, Normal};
use telemetra_core::{
    AnyDetector, Baseline, Detector, EventSums, EventTime, Means, MissingWindow, Observed, PowerSums, Side,
    VarianceFloor, Verdict, WindowSpec, ZScore,
};

/// The score of a tail.
fn z(tail: f64) -> f64 {
    -Normal::standard().inverse_cdf(tail)
}

/// The tail of Student's t with two degrees of freedom.
fn t_tail(t: f64) -> f64 {
    0.5 - t / (2.0 * (2.0 + t * t).sqrt())
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found}, not {expected}");
}

fn sums(samples: &[i64]) -> PowerSums {
    let mut sums = PowerSums::default();
    samples.iter().for_each(|sample| sums.add(*sample));
    sums
}

fn judge(detector: &ZScore, value: i64, samples: &[i64], scale: i64) -> Option<Verdict> {
    detector.judge(value, &Baseline { sums: sums(samples), scale, samples: &(), means: None })
}

/// A detector with at least three samples.
fn few(threshold: f64) -> ZScore {
    ZScore::new(threshold).unwrap().samples(3..=4).unwrap()
}

#[test]
fn scores_are_those_of_the_predictive_t() {
    // The mean is 4, the variance 3.
    let samples = [3_000, 6_000, 3_000];
    for value in [10_000, 16_000, 90_000] {
        let found = judge(&few(0.5), value, &samples, 1_000).unwrap();
        close(found.score, z(t_tail((value as f64 / 1_000.0 - 4.0) / 2.0)));
        close(found.mean, 4.0);
        close(found.stddev, 3f64.sqrt());
        close(judge(&few(0.5), 8_000 - value, &samples, 1_000).unwrap().score, -found.score);
    }
    // With a floor of 6 the statistic has √(36 · 4/3) below.
    let floored = few(0.5).floor(VarianceFloor::Resolution(6.0)).unwrap();
    let found = judge(&floored, 24_000, &samples, 1_000).unwrap();
    close(found.score, z(t_tail(20.0 / 48f64.sqrt())));
    close(found.stddev, 6.0);
}

/// The limits are those of the number of samples that there are, at most the greatest.
#[test]
fn each_number_of_samples_has_its_own_limit() {
    let threshold = z(t_tail(4.0));
    let detector = few(threshold);
    // Three samples: at 4 deviations of √(3 · 4/3).
    let found = |value| judge(&detector, value, &[3_000, 6_000, 3_000], 1_000).is_some();
    assert_eq!([found(11_999), found(12_001), found(-3_999), found(-4_001)], [false, true, false, true]);
    assert_eq!(judge(&detector, 90_000, &[3_000, 6_000], 1_000), None, "too few");
    // More samples than it asks for are judged by the limit of four.
    let alternating: Vec<i64> = (0..40).map(|n| 1_000 + n % 2 * 100).collect();
    // From the mean on, upwards, in deviations.
    let line = |samples: &[i64]| {
        let sums = sums(samples);
        let (mean, deviation) = (sums.mean().unwrap(), sums.sample_variance().unwrap().sqrt());
        let value = (mean as i64..).find(|value| judge(&detector, *value, samples, 1).is_some()).unwrap();
        (value as f64 - mean) / deviation
    };
    assert!((line(&alternating[..4]) - line(&alternating)).abs() < 0.05, "{}", line(&alternating));
}

/// After counts without an event, the tail of `x` in one window of `n + 1` is `(n + 1)^-x`, of which half counts for the
/// count itself.
#[test]
fn scores_of_counts_are_those_of_the_exact_test() {
    let counts = ZScore::new(0.5).unwrap().floor(VarianceFloor::Poisson).unwrap().min_value(0.0).unwrap();
    let found = judge(&counts, 3, &[0; 9], 1).unwrap();
    close(found.score, z(0.5 * 10f64.powi(-3)));
    close(found.stddev, (1.0f64 / 9.0).sqrt());
    // Nothing after 30 events in 9 windows.
    let found = judge(&counts, 0, &[3, 4, 3, 3, 4, 3, 3, 4, 3], 1).unwrap();
    close(found.score, -z(0.5 * 0.9f64.powi(30)));
    // Below zero there are no counts: the t, with the floor of 10/3 + 1/3.
    let counts = few(0.5).floor(VarianceFloor::Poisson).unwrap();
    let found = judge(&counts, -50_000, &[3_000, 4_000, 3_000], 1_000).unwrap();
    close(found.score, -z(t_tail((160.0 / 3.0) / (11.0f64 / 3.0 * 4.0 / 3.0).sqrt())));
}

/// Counts that scatter: the score is never above those of the t and of the exact test, and above the mean it is below
/// that of the t, as counts are skewed.
#[test]
fn scores_of_scattered_counts_are_the_least_of_three() {
    let counts = few(0.3).floor(VarianceFloor::Poisson).unwrap().min_value(0.0).unwrap();
    let plain = few(0.3);
    // The mean is 12, the variance 108.
    let samples = [6, 24, 6];
    let score = |detector: &ZScore, value| judge(detector, value, &samples, 1).map(|verdict| verdict.score);
    let below = score(&counts, 2).unwrap();
    close(below, score(&plain, 2).unwrap());
    close(below, -z(t_tail(10.0 / 12.0)));
    // Without the skew of a negative binomial of these: (2φ − 1)/√(φ m) of 1.6359 for a dispersion of 9.
    let skewness = 17.0 / 108f64.sqrt();
    for value in [40, 60, 90] {
        let t = (value as f64 - 12.0) / 12.0;
        let straight = 6.0 / skewness * ((skewness / 2.0 * t + 1.0).cbrt() - 1.0) + skewness / 6.0;
        close(score(&counts, value).unwrap(), z(t_tail(straight)));
    }
    let threshold = f64::midpoint(score(&counts, 40).unwrap(), score(&plain, 40).unwrap());
    let strict = few(threshold).floor(VarianceFloor::Poisson).unwrap();
    assert!(score(&few(threshold), 40).is_some() && score(&strict, 40).is_none(), "the least is below");
}

/// The score if all variance is within windows: by the sums of events.
#[test]
fn scores_of_means_are_the_lesser_of_two() {
    // Means of 3, 6 and 3 of so many events; the second score has a mean of 4.5 and squares of 9 · 4 / 8.
    let of_events = |events: [u64; 3]| {
        let mut sums = EventSums::default();
        [3_000, 6_000, 3_000].into_iter().zip(events).for_each(|(mean, events)| sums.add(mean, events));
        sums
    };
    let judge = |detector: &ZScore, value: i64, events: u64, of: [u64; 3]| {
        let means = Means { events, sums: of_events(of) };
        let sums = sums(&[3_000, 6_000, 3_000]);
        detector.judge(value, &Baseline { sums, scale: 1_000, samples: &(), means: Some(&means) })
    };
    let score = |value, events, of| judge(&few(0.3), value, events, of).map(|verdict| verdict.score);
    // A window of few events: (x − 4.5) / √(18 / 2 · (1/2 + 1/8)).
    close(score(14_500, 2, [3, 4, 1]).unwrap(), z(t_tail(10.0 / (9.0f64 * 0.625).sqrt())));
    // One of many: the first, (x − 4) / 2.
    close(score(14_500, 10_000, [3, 4, 1]).unwrap(), z(t_tail(10.5 / 2.0)));
    close(score(-6_500, 10_000, [3, 4, 1]).unwrap(), -z(t_tail(10.5 / 2.0)));
    // Above one mean and below the other it is neither.
    assert_eq!(score(4_400, 1_000_000, [1, 98, 1]), None);
    let strict = few(z(t_tail(4.0)));
    assert!(judge(&strict, 14_500, 10_000, [3, 4, 1]).is_some());
    assert_eq!(judge(&strict, 14_500, 1, [3, 4, 1]), None, "of one event it is not met");
    assert_eq!(score(14_500, 0, [3, 4, 1]), None, "no events say nothing");
}

#[test]
fn a_least_value_is_met_by_the_value_or_by_the_mean() {
    let least = few(1.0).min_value(50.0).unwrap();
    let found = |value, mean: i64| judge(&least, value, &[mean, mean + 1_000, mean - 1_000], 1_000).is_some();
    assert_eq!([found(49_999, 10_000), found(50_000, 10_000)], [false, true]);
    assert_eq!([found(-49_999, 10_000), found(-50_000, 10_000)], [false, true]);
    assert_eq!([found(10_000, 49_999), found(10_000, 50_000), found(10_000, -50_000)], [false, true, true]);
}

/// From the eighth sample on, in each of the ways in which a detector is asked.
#[test]
fn nothing_departs_with_too_few_samples() {
    let spec = WindowSpec::tumbling(std::time::Duration::from_secs(60)).unwrap();
    let upper = AnyDetector::new(ZScore::new(3.0).unwrap().side(Side::Upper));
    let departs = |samples: usize| {
        let sums = sums(&[100, 102, 101, 100, 102, 101, 100, 102, 101][..samples]);
        let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
        let (end, missing) = (EventTime(600_000), MissingWindow::Skip);
        let window = Observed { end, value: 20, scale: 1, events: 1, spec, missing, baselines: &baseline };
        let in_one =
            telemetra_core::Tracker::track_or_departs(&ZScore::new(3.0).unwrap().side(Side::Upper), &window);
        assert_eq!(in_one, Err(upper.departs(&window)));
        upper.departs(&window)
    };
    assert_eq!([7, 8, 9].map(departs), [false, true, true]);
}
