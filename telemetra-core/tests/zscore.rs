//! The z-score: that it says what the textbook says, keeps its promise, and refuses what cannot work.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use telemetra_core::testkit::detector_compliance;
use telemetra_core::{Baseline, Detector, PowerSums, Side, VarianceFloor, Verdict, ZScore};

fn judge(detector: &ZScore, value: i64, samples: &[i64], scale: i64) -> Option<Verdict> {
    let mut sums = PowerSums::default();
    samples.iter().for_each(|&sample| sums.add(sample));
    detector.judge(value, &Baseline { sums, scale, samples: &(), means: None })
}

#[test]
fn every_kind_keeps_the_contract() {
    for floor in [
        VarianceFloor::None,
        VarianceFloor::Poisson,
        VarianceFloor::Resolution(0.5),
        VarianceFloor::Relative { share: 0.1, least: 2.0 },
    ] {
        for side in [Side::Upper, Side::Lower, Side::Both] {
            detector_compliance(&ZScore::new(3.0).unwrap().side(side).floor(floor).unwrap());
        }
    }
    detector_compliance(&ZScore::new(0.1).unwrap().samples(2..=2).unwrap());
    detector_compliance(&ZScore::new(2.0).unwrap().samples(5..=1_000).unwrap());
}

/// Mean 5 and deviation 2.13809 of eight samples; the one-sided critical t of 1 in 1000 with 7 degrees of
/// freedom is 4.7853, so the line is at 5 + 4.7853 · 2.13809 · √(1 + 1/8) = 15.852.
#[test]
fn the_line_is_where_the_textbook_draws_it() {
    let samples = [2_000, 4_000, 4_000, 4_000, 5_000, 5_000, 7_000, 9_000];
    let detector = ZScore::new(3.090_232_306).unwrap();
    assert_eq!(judge(&detector, 15_851, &samples, 1_000), None);
    let verdict = judge(&detector, 15_853, &samples, 1_000).unwrap();
    assert!((verdict.score - 3.0902).abs() < 1e-3);
    assert!((verdict.mean - 5.0).abs() < 1e-12 && (verdict.stddev - 2.138_090).abs() < 1e-6);
    assert!(judge(&detector, -5_853, &samples, 1_000).unwrap().score < -3.09);
    assert_eq!(judge(&detector, -5_851, &samples, 1_000), None);
}

#[test]
fn floors_hold_deviations_up() {
    let flat = [100; 10];
    let plain = ZScore::new(3.0).unwrap();
    assert_eq!(judge(&plain, 100, &flat, 1), None);
    assert_eq!(judge(&plain, 101, &flat, 1).unwrap().score, 38.0);
    let deviation = |floor, value, samples: &[i64]| {
        judge(&plain.clone().floor(floor).unwrap(), value, samples, 1).map(|verdict| verdict.stddev)
    };
    let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
    assert!(close(deviation(VarianceFloor::Poisson, 200, &flat), 100.1f64.sqrt()));
    assert!(close(deviation(VarianceFloor::Poisson, 20, &[0; 10]), 0.1f64.sqrt()));
    assert!(close(deviation(VarianceFloor::Resolution(2.5), 200, &flat), 2.5));
    assert!(close(deviation(VarianceFloor::Relative { share: 0.05, least: 1.0 }, 200, &flat), 5.0));
    assert!(close(deviation(VarianceFloor::Relative { share: 0.05, least: 7.0 }, 200, &flat), 7.0));
    assert_eq!(deviation(VarianceFloor::Resolution(50.0), 200, &flat), None);
}

#[test]
fn small_values_are_no_moments() {
    let counts = ZScore::new(3.0).unwrap().floor(VarianceFloor::Poisson).unwrap();
    assert_eq!(judge(&counts, 9, &[0; 20], 1), None);
    assert!(judge(&counts, 10, &[0; 20], 1).is_some());
    assert!(judge(&counts.clone().min_value(0.0).unwrap(), 4, &[0; 20], 1).is_some());
    // A fall to nothing counts by what it falls from.
    assert!(judge(&counts, 0, &[100; 20], 1).is_some());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    for threshold in [0.0, -3.0, f64::NAN, f64::INFINITY, 38.0, 20.0] {
        assert!(ZScore::new(threshold).is_err(), "{threshold}");
    }
    let three = ZScore::new(3.0).unwrap();
    for (min, max) in [(0, 5), (1, 5), (2, 30), (9, 8), (8, 10_001), (8, u32::MAX)] {
        let error = three.clone().samples(min..=max).unwrap_err();
        assert_eq!(error.setting(), "samples");
    }
    let too_few = three.clone().samples(2..=30).unwrap_err().to_string();
    assert!(too_few.contains("with 2 samples a score of 3"), "{too_few}");
    assert!(three.clone().floor(VarianceFloor::Resolution(-1.0)).is_err());
    assert!(three.clone().floor(VarianceFloor::Relative { share: f64::NAN, least: 0.0 }).is_err());
    assert!(three.min_value(f64::INFINITY).is_err());
}

/// Scores of counts have no units, if events vary like independent ones or more, and are many or few.
#[test]
fn scores_of_counts_have_no_units() {
    let counts = ZScore::new(1.0).unwrap().floor(VarianceFloor::Poisson).unwrap().min_value(0.0).unwrap();
    let few = [[2; 3].as_slice(), &[0; 27]].concat();
    let series: [(&[i64], i64); 5] = [
        (&[40, 44, 39, 41, 38, 43, 40, 42], 75),
        (&[40, 44, 39, 41, 38, 43, 40, 42], 900),
        (&[10, 90, 30, 70, 20, 60, 40, 80], 400),
        (&[10, 90, 30, 70, 20, 60, 40, 80], 1),
        (&few, 3),
    ];
    for (samples, value) in series {
        let thousandths: Vec<_> = samples.iter().map(|sample| sample * 1_000).collect();
        let (plain, scaled) = (
            judge(&counts, value, samples, 1).unwrap(),
            judge(&counts, value * 1_000, &thousandths, 1_000).unwrap(),
        );
        assert!(value == 900 || plain.score < 8.0, "a score at its limit says little: {}", plain.score);
        assert!((plain.score - scaled.score).abs() < 1e-9 && (plain.mean - scaled.mean).abs() < 1e-9);
    }
}

/// SplitMix64 and Box–Muller: standard normal numbers, the same each time.
struct Gauss(u64);

impl Gauss {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    fn sample(&mut self) -> i64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        (1e6 * (10.0 + radius * (std::f64::consts::TAU * self.uniform()).cos())) as i64
    }
}

/// In pure noise 1.35 scores in a thousand lie above 3, as the threshold promises, for every length of baseline.
#[test]
fn false_alarms_are_as_many_as_promised() {
    const TRIALS: u32 = 60_000;
    let detector = ZScore::new(3.0).unwrap().side(Side::Upper);
    for n in [8, 15, 30] {
        let mut gauss = Gauss(u64::from(n as u32));
        let mut samples = vec![0; n];
        let mut alarms = 0;
        for _ in 0..TRIALS {
            samples.fill_with(|| gauss.sample());
            alarms += u32::from(judge(&detector, gauss.sample(), &samples, 1_000_000).is_some());
        }
        let ratio = f64::from(alarms) / (f64::from(TRIALS) * 1.35e-3);
        assert!((1.0 / 1.5..1.5).contains(&ratio), "{ratio} times what is promised, with {n} samples");
    }
}

fn baselines() -> impl Strategy<Value = Vec<i64>> {
    prop::collection::vec(-1_000_000i64..1_000_000, 8..40)
}

proptest! {
    /// Further out is never less anomalous, and the threshold is where the score says.
    #[test]
    fn scores_rise_with_the_value(
        samples in baselines(),
        a in -9_000_000i64..9_000_000,
        by in 1i64..9_000_000,
    ) {
        let samples = &samples[..samples.len().min(30)];
        let sensitive = ZScore::new(0.01).unwrap().side(Side::Upper);
        let detector = ZScore::new(3.0).unwrap().side(Side::Upper);
        let score = |detector: &ZScore, value| judge(detector, value, samples, 1).map_or(0.0, |v| v.score);
        let (low, high) = (score(&sensitive, a), score(&sensitive, a + by));
        prop_assert!(low <= high + 1e-12, "{} at {}, {} at {}", low, a, high, a + by);
        for (value, exact) in [(a, low), (a + by, high)] {
            let found = score(&detector, value);
            if (exact - 3.0).abs() > 1e-6 {
                prop_assert_eq!(found > 0.0, exact > 3.0);
            }
            if found > 0.0 {
                prop_assert!((found - exact).abs() < 1e-6);
            }
        }
    }

    /// A change of units or of the zero changes no score.
    #[test]
    fn scores_have_no_units(
        samples in baselines(),
        value in -9_000_000i64..9_000_000,
        shift in -1_000_000i64..1_000_000,
    ) {
        let detector = ZScore::new(2.0).unwrap();
        let moved: Vec<i64> = samples.iter().map(|x| (x + shift) * 1_000).collect();
        let a = judge(&detector, value, &samples, 1);
        let b = judge(&detector, (value + shift) * 1_000, &moved, 1_000);
        prop_assert_eq!(a.is_some(), b.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            prop_assert!((a.score - b.score).abs() < 1e-6 && (a.stddev - b.stddev).abs() < 1e-6 * a.stddev);
        }
    }
}
