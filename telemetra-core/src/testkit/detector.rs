//! The compliance suite of detectors.

use crate::aggregate::power_sums::PowerSums;
use crate::detect::{Baseline, Detector, EventSums, Means, Samples, Verdict};

/// Checks that a detector keeps the contract of [`Detector`].
///
/// The suite calls it with baselines that are constant, noisy, huge, empty and inconsistent, at several
/// scales, and with values from the least to the greatest. It must not panic, and must return the same
/// verdict twice. Each verdict must be finite, not below the threshold, and have the sign of the departure
/// from the mean. The settings must be valid.
///
/// # Panics
///
/// If the contract is broken. The message describes the violation.
///
/// ```
/// use telemetra_core::ZScore;
/// use telemetra_core::testkit::detector_compliance;
/// detector_compliance(&ZScore::new(3.0)?);
/// # Ok::<(), telemetra_core::ConfigError>(())
/// ```
pub fn detector_compliance(detector: &dyn Detector) {
    let method = detector.method();
    assert!(!method.is_empty(), "a detector must have a name");
    let threshold = detector.threshold();
    assert!(threshold.is_finite() && threshold > 0.0, "`{method}` has a threshold of {threshold}");
    let (min, max) = (detector.min_samples(), detector.max_samples());
    assert!(min <= max, "`{method}` asks for at least {min} samples and at most {max}");

    let shapes: [fn(i64) -> i64; 9] = [
        |_| 0,
        |_| 1,
        |_| -1_000,
        |i| i % 2,
        |i| 100 + (i * 7919) % 41,
        |i| (i * 7919) % 41 - 100_000,
        |i| if i == 0 { 1_000_000_000 } else { 3 },
        |_| i64::MAX,
        |i| if i % 2 == 0 { i64::MIN } else { i64::MAX },
    ];
    let edges = [i64::MIN, -1_000_001, -101, -1, 0, 1, 2, 99, 131, 1_000, 1_000_000_007, i64::MAX];
    let mut lengths = vec![min, min.midpoint(max), max];
    lengths.dedup();
    for shape in shapes {
        for &length in &lengths {
            let samples = Listed((0..i64::from(length)).map(shape).collect());
            for scale in [1, 1_000, 1_000_000] {
                let baseline = Baseline { sums: samples.sums(), scale, samples: &samples, means: None };
                edges.iter().for_each(|&value| check(detector, value, &baseline));
                samples.0.iter().take(2).for_each(|&value| check(detector, value, &baseline));
            }
        }
    }

    // No samples have these sums. The detector must only not panic.
    let wild = [i128::MIN, -1, 0, 1, i128::MAX];
    for (sum, sum_sq) in wild.into_iter().flat_map(|a| wild.map(|b| (a, b))) {
        for count in [0, u64::from(min), u64::MAX] {
            for scale in [i64::MIN, 0, 1, i64::MAX] {
                let sums = PowerSums { count, sum, sum_sq };
                let baseline = Baseline { sums, scale, samples: &(), means: None };
                edges.iter().for_each(|&value| check_total(detector, value, &baseline));
                for (events, earlier) in [(0, 0), (0, 1), (1, 0), (1, u64::MAX), (u64::MAX, 1)] {
                    let means = Means { events, sums: EventSums { events: earlier, sum, sum_sq } };
                    let baseline = Baseline { means: Some(&means), ..baseline };
                    edges.iter().for_each(|&value| check_total(detector, value, &baseline));
                }
            }
        }
    }
}

fn check_total(detector: &dyn Detector, value: i64, baseline: &Baseline<'_>) {
    if let Some(verdict) = detector.judge(value, baseline) {
        assert_finite(detector.method(), &verdict);
    }
}

fn check(detector: &dyn Detector, value: i64, baseline: &Baseline<'_>) {
    let method = detector.method();
    let verdict = detector.judge(value, baseline);
    assert_eq!(verdict, detector.judge(value, baseline), "`{method}` gives two verdicts on {value}");
    check_quiet(detector, value, baseline);
    let Some(verdict) = verdict else { return };
    assert_finite(method, &verdict);
    assert!(
        verdict.score.abs() >= detector.threshold(),
        "`{method}` finds {value} anomalous with a score of {}, below its threshold",
        verdict.score
    );
    assert!(verdict.stddev >= 0.0, "`{method}` gives a deviation of {}", verdict.stddev);
    let departure = value as f64 / baseline.scale as f64 - verdict.mean;
    assert!(
        departure * verdict.score > 0.0,
        "`{method}` scores {value}, which is {departure} from the mean, at {}: its sign should be the side",
        verdict.score
    );
}

/// Below [`Detector::quiet_below`] nothing may be found.
fn check_quiet(detector: &dyn Detector, value: i64, baseline: &Baseline<'_>) {
    let quiet = detector.quiet_below() * baseline.scale as f64;
    let mut greatest = value.unsigned_abs();
    baseline.samples.visit(&mut |_, sample| greatest = greatest.max(sample.unsigned_abs()));
    let found = detector.judge_or_departs(value, baseline);
    assert!(
        found == Err(false) || greatest as f64 >= quiet,
        "`{}` finds {found:?} at {value}, though it is quiet below {quiet}",
        detector.method()
    );
}

fn assert_finite(method: &str, verdict: &Verdict) {
    let finite = [verdict.score, verdict.mean, verdict.stddev].iter().all(|x| x.is_finite());
    assert!(finite, "`{method}` gives numbers that are not finite: {verdict:?}");
}

/// Samples without missing windows.
#[derive(Debug)]
struct Listed(Vec<i64>);

impl Listed {
    fn sums(&self) -> PowerSums {
        let mut sums = PowerSums::default();
        self.0.iter().for_each(|&value| sums.add(value));
        sums
    }
}

impl Samples for Listed {
    fn visit(&self, visit: &mut dyn FnMut(u32, i64)) {
        (1..).zip(&self.0).for_each(|(back, &value)| visit(back, value));
    }
}
