//! Models and trackers: the numbers of their verdicts are those of the formulas in their documentation.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use statrs::distribution::{ContinuousCDF, Normal};
use telemetra_core::{
    AnyDetector, Baseline, EventTime, Ewma, MissingWindow, Model, NoveltyGap, Observed, PowerSums,
    RobustZScore, Sample, Side, Unseen, VarianceFloor, Verdict, WindowSpec, ZScore,
};

fn minutes() -> WindowSpec {
    WindowSpec::tumbling(Duration::from_secs(60)).unwrap()
}

fn observed<'a>(value: i64, baselines: &'a Baseline<'a>) -> Observed<'a> {
    let (end, missing) = (EventTime(600_000), MissingWindow::Skip);
    Observed { end, value, scale: 1, events: 1, spec: minutes(), missing, baselines }
}

/// The verdict on a value in thousandths after these samples.
fn judged<M: Model>(model: &M, samples: &[i64], value: i64) -> Option<Verdict> {
    let mut state = M::State::default();
    let sample =
        |value| Sample { window: minutes().window_ending(EventTime(60_000)), value, scale: 1_000, events: 1 };
    samples.iter().for_each(|value| model.learn(&mut state, &sample(*value), false));
    model.judge(&state, &sample(value))
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found}, not {expected}");
}

#[test]
fn a_weighted_mean_follows_the_recurrence_of_its_documentation() {
    let ewma = Ewma::new(1.0).unwrap().weight(0.5).unwrap().min_samples(3).unwrap();
    let first = [10_000, 20_000, 14_000];
    // The means are 10, 15, 14.5, the variances 0, 25, 12.75, which is worth 19.125 for three values.
    let found = judged(&ewma, &first, 24_500).unwrap();
    close(found.mean, 14.5);
    close(found.stddev, 19.125f64.sqrt());
    // The tail of Student's t with two degrees of freedom has a closed form.
    let t = 10.0 / (19.125f64 * 4.0 / 3.0).sqrt();
    let tail = 0.5 - t / (2.0 * (2.0 + t * t).sqrt());
    close(found.score, -Normal::standard().inverse_cdf(tail));
    assert_eq!(ewma.method(), "ewma");
}

#[test]
fn an_unlikely_value_has_less_weight_in_a_probabilistic_mean() {
    let ewma = Ewma::new(1.0).unwrap().weight(0.5).unwrap().min_samples(3).unwrap();
    let pewma = ewma.probabilistic(0.5).unwrap();
    let found = judged(&pewma, &[10_000, 20_000, 14_000, 19_500], 90_000).unwrap();
    let likelihood = (-25.0 / (19.125f64 * 4.0 / 3.0) / 2.0).exp();
    let weight = 0.5 * (1.0 - 0.5 * (1.0 - likelihood));
    close(found.mean, 14.5 + weight * 5.0);
    close(found.stddev, ((1.0 - weight) * (12.75 + weight * 25.0) * 1.5).sqrt());
    assert_eq!(pewma.method(), "pewma");
}

#[test]
fn a_robust_score_is_in_deviations_from_the_median() {
    let robust = RobustZScore::new(3.5).unwrap();
    let varied: Vec<i64> = (1..=15).map(|value| value * 1_000).collect();
    let found = judged(&robust, &varied, 40_000).unwrap();
    close(found.mean, 8.0);
    close(found.stddev, 4.0 / 0.6745);
    close(found.score, 32.0 * 0.6745 / 4.0);
    // More than half are equal: the standard deviation takes the place of a median deviation of 0.
    let mut equal = vec![5_000; 14];
    equal.push(11_000);
    let found = judged(&robust, &equal, 20_000).unwrap();
    close(found.stddev, 2.4f64.sqrt());
    close(found.score, 15.0 / 2.4f64.sqrt());
    // All are equal: the least unit of the metric does.
    close(judged(&robust, &[5_000; 15], 5_004).unwrap().score, 4.0);
    assert_eq!(judged(&robust, &[5_000; 15], 5_003), None);
}

#[test]
fn models_say_their_names_and_how_many_samples_they_need() {
    let (gap, unseen) = (NoveltyGap::new(0.1).unwrap(), Unseen::new(0.1).unwrap());
    let (robust, ewma) = (RobustZScore::new(3.0).unwrap(), Ewma::new(3.0).unwrap());
    let least = [gap.min_samples(), unseen.min_samples(), robust.min_samples(), Model::min_samples(&ewma)];
    assert_eq!(least, [76, 120, 15, 8]);
    let names = [
        AnyDetector::new(gap.learning()),
        AnyDetector::new(unseen.learning()),
        AnyDetector::new(robust.learning()),
        AnyDetector::new(ewma.learning()),
    ];
    let names = names.map(|detector| detector.method().to_string());
    assert_eq!(names, ["novelty_gap", "unseen", "robust_zscore", "ewma"]);
}

#[test]
fn a_window_departs_only_on_a_side_that_is_not_reported() {
    let mut sums = PowerSums::default();
    (0..10).for_each(|n| sums.add(100 + n % 3));
    let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
    let departs = |side, value| {
        let detector = AnyDetector::new(ZScore::new(3.0).unwrap().side(side));
        detector.departs(&observed(value, &baseline))
    };
    let on_each_side = |side| [20, 101, 200].map(|value| departs(side, value));
    assert_eq!(on_each_side(Side::Upper), [true, false, false]);
    assert_eq!(on_each_side(Side::Lower), [false, false, true]);
    assert_eq!(on_each_side(Side::Both), [false, false, false]);
    let window = observed(0, &baseline).window();
    assert_eq!((window.start.or_epoch(), window.end), (EventTime(540_000), EventTime(600_000)));
}

/// With five samples at least; scores are in units of the deviation from the median.
#[test]
fn the_median_of_an_even_number_of_samples_lies_between_two() {
    let robust = RobustZScore::new(1.0).unwrap().samples(3..=6).unwrap();
    // Of the last six, the median is 12.5, and the distances are 0.5, 0.5, 2.5, 2.5, 7.5 and 7.5: the upper median
    // of these is 2.5.
    let samples = [1_000, 13_000, 5_000, 12_000, 20_000, 10_000, 15_000];
    let found = judged(&robust, &samples, 42_500).unwrap();
    close(found.mean, 12.5);
    close(found.stddev, 2.5 / 0.6745);
    close(found.score, 30.0 * 0.6745 / 2.5);
    close(judged(&robust, &samples, -17_500).unwrap().score, -30.0 * 0.6745 / 2.5);
    assert_eq!(judged(&robust, &samples, 12_500), None);
}

#[test]
fn floors_hold_the_deviations_of_models_up() {
    let relative = VarianceFloor::Relative { share: 0.5, least: 3.0 };
    let robust = RobustZScore::new(0.1).unwrap().samples(3..=9).unwrap();
    let deviation = |floor, samples: &[i64], value| {
        judged(&robust.clone().floor(floor).unwrap(), samples, value).unwrap().stddev
    };
    // A mean of 8 over 4 samples.
    let samples = [8_000, 8_000, 8_000, 8_000];
    close(deviation(VarianceFloor::None, &samples, 9_000), 0.001);
    close(deviation(VarianceFloor::Resolution(2.0), &samples, 9_000), 2.0);
    close(deviation(VarianceFloor::Poisson, &samples, 9_000), 8.25f64.sqrt());
    close(deviation(relative, &samples, 9_000), 4.0);
    close(deviation(relative, &[-2_000; 4], 9_000), 3.0);
    close(deviation(relative, &[-20_000; 4], 9_000), 10.0);
    // The counts of a mean below nothing are none.
    close(deviation(VarianceFloor::Poisson, &[-8_000; 4], 9_000), 0.5);
    // What is greater than the floor stays.
    close(deviation(VarianceFloor::Resolution(2.0), &[1_000, 8_000, 15_000], 90_000), 7.0 / 0.6745);
    let ewma = Ewma::new(0.1).unwrap().weight(0.5).unwrap().min_samples(3).unwrap();
    let floored = ewma.clone().floor(VarianceFloor::Resolution(6.0)).unwrap();
    // As good as three values; the variance of the recurrence is less than that of the floor.
    let found = judged(&floored, &[10_000, 20_000, 14_000], 24_500).unwrap();
    close(found.stddev, 6.0);
    let t = 10.0 / (36.0f64 * 4.0 / 3.0).sqrt();
    close(found.score, -Normal::standard().inverse_cdf(0.5 - t / (2.0 * (2.0 + t * t).sqrt())));
    close(judged(&floored, &[10_000, 20_000, 14_000], 4_500).unwrap().score, -found.score);
    // Counts: the mean of 14.5 of three values.
    let counts = ewma.floor(VarianceFloor::Poisson).unwrap();
    let variance = f64::max(19.125, 14.5 + 1.0 / 3.0);
    close(judged(&counts, &[10_000, 20_000, 14_000], 24_500).unwrap().stddev, variance.sqrt());
}

/// The threshold is met where the score is.
#[test]
fn a_model_finds_what_scores_its_threshold_and_nothing_less() {
    let samples: Vec<i64> = (1..=15).map(|value| value * 1_000).collect();
    // 8 ± 4 / 0.6745 for each deviation; 20 is at 12 · 0.6745 / 4.
    let score = 12.0 * 0.6745 / 4.0;
    let found = |threshold| judged(&RobustZScore::new(threshold).unwrap(), &samples, 20_000).is_some();
    assert_eq!([found(score - 1e-9), found(score + 1e-9)], [true, false]);
    let ewma = |threshold| Ewma::new(threshold).unwrap().weight(0.5).unwrap().min_samples(3).unwrap();
    let first = [10_000, 20_000, 14_000];
    let score = judged(&ewma(0.1), &first, 24_500).unwrap().score;
    let found = |threshold: f64| judged(&ewma(threshold), &first, 24_500).is_some();
    assert_eq!([found(score - 1e-9), found(score), found(score + 1e-9)], [true, true, false]);
}

/// A scale of nothing makes means that are not finite.
#[test]
fn verdicts_are_finite_whatever_the_scale() {
    fn check<M: Model>(model: &M) {
        let sample = |value, scale| {
            let window = minutes().window_ending(EventTime(60_000));
            Sample { window, value, scale, events: 1 }
        };
        let mut state = M::State::default();
        (0..200).for_each(|n| model.learn(&mut state, &sample(100 + n % 7, 1), false));
        for (value, scale) in
            [(5_000, 0), (-5_000, 0), (5_000, -1), (i64::MAX, i64::MAX), (i64::MIN, i64::MIN)]
        {
            let verdict = model.judge(&state, &sample(value, scale));
            let numbers = verdict.map(|verdict| [verdict.score, verdict.mean, verdict.stddev]);
            assert!(numbers.is_none_or(|numbers| numbers.iter().all(|x| x.is_finite())), "{verdict:?}");
        }
        assert!(model.judge(&state, &sample(5_000, 1)).is_some());
    }
    check(&RobustZScore::new(3.0).unwrap());
    check(&Ewma::new(3.0).unwrap());
    check(&NoveltyGap::new(0.1).unwrap());
    check(&Unseen::new(0.1).unwrap());
}
