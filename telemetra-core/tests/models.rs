//! Models and trackers: the numbers of their verdicts are those of the formulas in their documentation.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use statrs::distribution::{ContinuousCDF, Normal};
use telemetra_core::{
    AnyDetector, Baseline, EventTime, Ewma, MissingWindow, Model, NoveltyGap, Observed, PowerSums,
    RobustZScore, Sample, Side, Unseen, Verdict, WindowSpec, ZScore,
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
    assert_eq!((window.start, window.end), (EventTime(540_000), EventTime(600_000)));
}
