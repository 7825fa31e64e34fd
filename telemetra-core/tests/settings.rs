//! The settings of detectors: their bounds, at the bounds themselves, and what they change.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use telemetra_core::{
    AnyDetector, Baseline, ConfigError, Detector, EventTime, Ewma, Model, NormalScores, NoveltyGap,
    PowerSums, RobustZScore, Sample, Side, Tracker, Unseen, VarianceFloor, WindowSpec, ZScore,
};

fn taken<T>(results: impl IntoIterator<Item = Result<T, ConfigError>>) -> Vec<bool> {
    results.into_iter().map(|result| result.is_ok()).collect()
}

const ABOVE_NOTHING: [f64; 4] = [0.0, f64::MIN_POSITIVE, -1.0, f64::NAN];

#[test]
fn thresholds_in_deviations_are_above_nothing_and_below_38() {
    let bounds = [[true, false], [false, false]].concat();
    assert_eq!(taken([37.9, 38.0, 0.0, -3.0].map(RobustZScore::new)), bounds);
    assert_eq!(taken([37.9, 38.0, 0.0, -3.0].map(Ewma::new)), bounds);
    assert_eq!(taken(ABOVE_NOTHING.map(Ewma::new)), [false, true, false, false]);
    let robust = RobustZScore::new(3.0).unwrap();
    assert_eq!(taken([37.9, 38.0, 0.0, -3.0].map(|threshold| robust.with_threshold(threshold))), bounds);
    let ewma = Ewma::new(3.0).unwrap();
    assert_eq!(taken([37.9, 38.0, 0.0, -3.0].map(|threshold| ewma.with_threshold(threshold))), bounds);
}

#[test]
fn shares_are_between_nothing_and_one() {
    let (shares, wanted) = ([0.0, 1e-9, 1.0 - 1e-9, 1.0], [false, true, true, false]);
    assert_eq!(taken(shares.map(NoveltyGap::new)), wanted);
    assert_eq!(taken(shares.map(Unseen::new)), wanted);
    let (ewma, zscore) = (Ewma::new(3.0).unwrap(), ZScore::new(3.0).unwrap());
    assert_eq!(taken(shares.map(|share| ewma.clone().weight(share))), wanted);
    assert_eq!(taken(shares.map(|share| ewma.clone().probabilistic(share))), wanted);
    assert_eq!(taken(shares.map(|share| zscore.clone().influence(share))), wanted);
    let error = NoveltyGap::new(1.5).unwrap_err();
    assert_eq!(error.setting(), "threshold");
    assert!(error.to_string().contains("1.5"), "{error}");
}

#[test]
fn numbers_of_samples_have_both_bounds() {
    let unseen = Unseen::new(0.1).unwrap();
    let memory = [119, 120, 1_000_000, 1_000_001].map(|values| unseen.clone().memory(values));
    assert_eq!(taken(memory), [false, true, true, false]);
    let ewma = Ewma::new(3.0).unwrap();
    let least = [2, 3, 1_000_000, 1_000_001].map(|samples| ewma.clone().min_samples(samples));
    assert_eq!(taken(least), [false, true, true, false]);
    let robust = RobustZScore::new(3.0).unwrap();
    let samples = [(2, 5), (3, 3), (6, 5), (9, 100_000), (9, 100_001)]
        .map(|(least, most)| robust.clone().samples(least..=most));
    assert_eq!(taken(samples), [false, true, false, true, false]);
    let low = ZScore::new(1.0).unwrap();
    let samples = [(1, 5), (2, 2), (6, 5), (9_999, 10_000), (9_999, 10_001)]
        .map(|(least, most)| low.clone().samples(least..=most));
    assert_eq!(taken(samples), [false, true, false, true, false]);
}

#[test]
fn floors_are_finite_and_not_negative() {
    let relative = |share, least| VarianceFloor::Relative { share, least };
    let floors = [
        VarianceFloor::Resolution(0.0),
        VarianceFloor::Resolution(-0.1),
        VarianceFloor::Resolution(f64::INFINITY),
        relative(0.0, 0.0),
        relative(-0.1, 1.0),
        relative(0.1, -1.0),
        relative(f64::NAN, 1.0),
    ];
    let wanted = [true, false, false, true, false, false, false];
    assert_eq!(taken(floors.map(|floor| ZScore::new(3.0).unwrap().floor(floor))), wanted);
    assert_eq!(taken(floors.map(|floor| Ewma::new(3.0).unwrap().floor(floor))), wanted);
    assert_eq!(taken(floors.map(|floor| RobustZScore::new(3.0).unwrap().floor(floor))), wanted);
    let values = [0.0, 5.0, -0.1, f64::NAN, f64::INFINITY];
    let least = values.map(|least| ZScore::new(3.0).unwrap().min_value(least));
    assert_eq!(taken(least), [true, true, false, false, false]);
}

#[test]
fn a_detector_is_quiet_below_its_least_value() {
    let zscore = || ZScore::new(3.0).unwrap();
    let counts = || zscore().floor(VarianceFloor::Poisson).unwrap();
    let quiet = [zscore(), counts(), counts().min_value(4.0).unwrap(), zscore().min_value(2.5).unwrap()];
    assert_eq!(quiet.map(|detector| AnyDetector::new(detector).quiet_below()), [0.0, 10.0, 4.0, 2.5]);
}

#[test]
fn one_side_is_half_as_likely_by_chance_as_two() {
    let sides = |detector: AnyDetector| detector.normal_scores();
    let scores = |sides, min_samples| Some(NormalScores { sides, min_samples });
    for (side, number) in [(Side::Upper, 1), (Side::Lower, 1), (Side::Both, 2)] {
        assert_eq!(sides(AnyDetector::new(ZScore::new(3.0).unwrap().side(side))), scores(number, 8));
        let ewma = Ewma::new(3.0).unwrap().side(side).min_samples(5).unwrap();
        assert_eq!(sides(AnyDetector::new(ewma.learning())), scores(number, 5));
    }
    assert_eq!(sides(AnyDetector::new(RobustZScore::new(3.0).unwrap().learning())), None);
}

/// With another threshold all else stays.
#[test]
fn a_lower_threshold_changes_nothing_else() {
    let zscore = ZScore::new(3.0).unwrap().samples(4..=7).unwrap().side(Side::Lower);
    let zscore = zscore.floor(VarianceFloor::Resolution(2.0)).unwrap().min_value(9.0).unwrap();
    let lower = zscore.with_threshold(2.0).unwrap();
    let settings = |detector: &ZScore| format!("{:?} {:?}", detector.min_samples(), detector.max_samples());
    assert_eq!((Detector::threshold(&lower), settings(&lower)), (2.0, settings(&zscore)));
    assert_eq!(
        (Detector::quiet_below(&lower), Detector::normal_scores(&lower)),
        (9.0, Detector::normal_scores(&zscore))
    );
    let mut sums = PowerSums::default();
    (0..7).for_each(|n| sums.add(50 + n % 2));
    let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
    let judged = |detector: &ZScore| [20, 90].map(|value| detector.judge(value, &baseline));
    assert_eq!(judged(&lower), judged(&zscore));
    assert!(judged(&lower)[0].is_some_and(|verdict| verdict.stddev == 2.0) && judged(&lower)[1].is_none());
}

/// The verdicts of a model on a value above and one below.
fn sides<M: Model>(model: &M) -> [bool; 2] {
    let spec = WindowSpec::tumbling(Duration::from_secs(60)).unwrap();
    let sample = |value| Sample { window: spec.window_ending(EventTime(60_000)), value, scale: 1, events: 1 };
    let mut state = M::State::default();
    (0..20).for_each(|n| model.learn(&mut state, &sample(100 + n % 3), false));
    [400, -200].map(|value| model.judge(&state, &sample(value)).is_some())
}

#[test]
fn models_report_the_side_that_is_set_also_with_another_threshold() {
    let wanted = [(Side::Upper, [true, false]), (Side::Lower, [false, true]), (Side::Both, [true, true])];
    for (side, wanted) in wanted {
        let robust = RobustZScore::new(3.0).unwrap().side(side);
        let ewma = Ewma::new(3.0).unwrap().side(side);
        assert_eq!((sides(&robust), sides(&ewma)), (wanted, wanted));
        assert_eq!(sides(&robust.with_threshold(2.0).unwrap()), wanted);
        assert_eq!(sides(&ewma.with_threshold(2.0).unwrap()), wanted);
        assert_eq!(Model::threshold(&robust.with_threshold(2.0).unwrap()), 2.0);
        assert_eq!(Model::threshold(&ewma.with_threshold(2.0).unwrap()), 2.0);
    }
    let sensitive = Ewma::new(3.0).unwrap().learning().hysteresis(1.0).unwrap();
    assert_eq!((sensitive.limit(), sensitive.least()), (3.0, 1.0));
}
