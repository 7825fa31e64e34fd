//! Filters and combinations of trackers: they pass on what their trackers say of themselves, and what they find is what
//! their documentation says, for any findings.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::borrow::Cow;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::{
    AnyDetector, Baseline, ConfigError, Detector, EventTime, Finding, MissingWindow, NormalScores, Observed,
    PowerSums, Tracker, Verdict, WindowSpec,
};

/// A tracker whose scores are the values, with settings of its own.
#[derive(Clone, Debug)]
struct Plain {
    limit: f64,
    least: f64,
    /// All other settings.
    number: u32,
    pure: bool,
}

impl Plain {
    fn new(limit: f64, number: u32) -> Self {
        Self { limit, least: limit, number, pure: true }
    }
}

impl Tracker for Plain {
    type State = ();

    fn name(&self) -> Cow<'static, str> {
        format!("plain {}", self.number).into()
    }
    fn limit(&self) -> f64 {
        self.limit
    }
    fn least(&self) -> f64 {
        self.least
    }
    fn reaches(&self, reaches: &mut Vec<u32>) {
        reaches.extend([self.number + 5, 3]);
    }
    fn fewest(&self) -> u32 {
        self.number
    }
    fn quiet_below(&self) -> f64 {
        f64::from(self.number) / 2.0
    }
    fn is_pure(&self) -> bool {
        self.pure
    }
    fn normal_scores(&self) -> Option<NormalScores> {
        (self.number > 1).then_some(NormalScores { sides: self.number, min_samples: 10 + self.number })
    }
    fn forgets_after(&self) -> u64 {
        100 * u64::from(self.number)
    }
    fn departs(&self, window: &Observed<'_>) -> bool {
        window.value == -i64::from(self.number)
    }
    fn track(&self, (): &mut (), window: &Observed<'_>) -> Option<Finding> {
        let score = window.value as f64;
        let verdict = Verdict { score, mean: f64::from(self.number), stddev: 1.0 };
        (score.abs() >= self.limit).then_some(Finding { verdict, samples: self.number })
    }
    fn sensitive(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self { limit: threshold, least: threshold, ..self.clone() })
    }
}

fn window(number: u64, value: i64) -> Observed<'static> {
    let spec = WindowSpec::sliding(Duration::from_millis(60), Duration::from_millis(10)).unwrap();
    let (end, missing) = (EventTime(1_000 + 10 * number), MissingWindow::Skip);
    Observed { end, value, scale: 1, events: 1, spec, missing, baselines: &() }
}

/// All that a tracker says of itself but its least score, its silence, and whether it is pure.
type Said = (String, f64, Vec<u32>, u32, Option<NormalScores>, [bool; 2]);

fn said(tracker: impl Tracker) -> Said {
    let detector = AnyDetector::new(tracker);
    let departs = [-4, -5].map(|value| detector.departs(&window(0, value)));
    let (name, reaches) = (detector.method().to_string(), detector.reaches().to_vec());
    (name, detector.threshold(), reaches, detector.min_samples(), detector.normal_scores(), departs)
}

#[test]
fn filters_pass_on_what_their_tracker_says_of_itself() {
    let plain = || Plain { least: 6.0, ..Plain::new(7.0, 4) };
    let scores = Some(NormalScores { sides: 4, min_samples: 14 });
    let wanted: Said = ("plain 4".to_owned(), 7.0, vec![3, 9], 4, scores, [true, false]);
    assert_eq!(said(plain()), wanted);
    assert_eq!(said(plain().hysteresis(2.0).unwrap()), wanted);
    assert_eq!(said(plain().min_duration(2).unwrap()), wanted);
    assert_eq!(said(plain().cooldown(50)), wanted);
    let least_and_silence = |detector: AnyDetector| (detector.least(), detector.forgets_after());
    assert_eq!(least_and_silence(AnyDetector::new(plain())), (6.0, 400));
    assert_eq!(least_and_silence(AnyDetector::new(plain().hysteresis(2.0).unwrap())), (2.0, 400));
    assert_eq!(least_and_silence(AnyDetector::new(plain().min_duration(2).unwrap())), (6.0, 400));
    assert_eq!(least_and_silence(AnyDetector::new(plain().cooldown(50))), (6.0, 400));
    assert_eq!(least_and_silence(AnyDetector::new(plain().cooldown(500))), (6.0, 500), "as long as it lasts");
    // What depends on the windows before is not pure, and has no value below which nothing is looked at.
    let filtered = AnyDetector::new(plain().hysteresis(2.0).unwrap().min_duration(1).unwrap().cooldown(1));
    assert!(!filtered.is_pure() && filtered.quiet_below() == 0.0);
    assert_eq!(AnyDetector::new(plain()).quiet_below(), 2.0);
    let sensitive = plain().min_duration(2).unwrap().cooldown(50).hysteresis(3.0).unwrap();
    assert_eq!((sensitive.least(), sensitive.limit()), (3.0, 7.0));
}

#[test]
fn a_second_threshold_is_above_nothing_and_not_above_the_first() {
    let refused = |lower| Plain::new(7.0, 4).hysteresis(lower).is_err();
    assert_eq!([0.0, -1.0, 7.01, f64::NAN, 7.0, 0.01].map(refused), [true, true, true, true, false, false]);
    assert_eq!([0, 1].map(|windows| Plain::new(7.0, 4).min_duration(windows).is_err()), [true, false]);
}

#[test]
fn combinations_need_what_either_needs() {
    let (one, other) = (|| Plain { least: 3.0, ..Plain::new(6.0, 4) }, || Plain::new(6.0, 5));
    let either = NormalScores { sides: 9, min_samples: 14 };
    let wanted: Said =
        ("max(plain 4, plain 5)".to_owned(), 6.0, vec![3, 9, 10], 5, Some(either), [true, true]);
    assert_eq!(said(one().max(other())), wanted);
    let both = NormalScores { sides: 4, min_samples: 15 };
    let wanted: Said = ("all(plain 4, plain 5)".to_owned(), 6.0, vec![3, 9, 10], 5, Some(both), [true, true]);
    assert_eq!(said(one().all(other())), wanted);
    let detector = AnyDetector::new(one().max(other()));
    assert_eq!((detector.least(), detector.quiet_below(), detector.forgets_after()), (3.0, 2.0, 500));
    assert!(detector.is_pure());
    for (a, b) in [(true, false), (false, true), (false, false)] {
        let (one, other) = (Plain { pure: a, ..one() }, Plain { pure: b, ..other() });
        assert!(!AnyDetector::new(one.max(other)).is_pure());
    }
    // A threshold of 2 is as far as one of 6 on the scale of the first, and so is a least score of 1 as 3.
    let scaled = Plain { least: 1.5, ..Plain::new(2.0, 5) };
    assert_eq!(Plain::new(6.0, 4).all(scaled).least(), 4.5);
}

/// Either of two trackers has normal scores if both have them on one scale; both at once, if one of them has.
#[test]
fn scores_of_combinations_are_normal_where_their_trackers_have_one_scale() {
    let scores =
        |tracker: AnyDetector| tracker.normal_scores().map(|scores| (scores.sides, scores.min_samples));
    let (of_4, of_1) = (|| Plain::new(6.0, 4), || Plain::new(6.0, 1));
    assert_eq!(scores(AnyDetector::new(of_4().max(Plain::new(5.0, 5)))), None);
    assert_eq!(scores(AnyDetector::new(of_4().max(of_1()))), None);
    assert_eq!(scores(AnyDetector::new(of_1().max(of_4()))), None);
    // Both at once are at most as frequent as the one that is known.
    assert_eq!(scores(AnyDetector::new(of_4().all(Plain::new(5.0, 5)))), Some((4, 14)));
    assert_eq!(scores(AnyDetector::new(of_4().all(of_1()))), Some((4, 14)));
    assert_eq!(scores(AnyDetector::new(of_1().all(of_4()))), Some((4, 14)));
    assert_eq!(scores(AnyDetector::new(of_1().all(of_1()))), None);
}

/// The score of two findings is on the scale of the first, and the finding says whose numbers they are.
#[test]
fn of_two_findings_the_one_that_is_further_or_less_far_is_taken() {
    let found = |tracker: AnyDetector, value| {
        tracker.judge(&window(0, value)).map(|found| (found.verdict.score, found.verdict.mean, found.samples))
    };
    let max = |a, b| AnyDetector::new(Plain::new(a, 1).max(Plain::new(b, 2)));
    let all = |a, b| AnyDetector::new(Plain::new(a, 1).all(Plain::new(b, 2)));
    // 8 is 8/4 thresholds of the second, which is 12 on the scale of the first.
    assert_eq!(found(max(6.0, 4.0), 8), Some((12.0, 2.0, 2)));
    assert_eq!(found(max(6.0, 4.0), -8), Some((-12.0, 2.0, 2)));
    assert_eq!(found(max(6.0, 4.0), 5), Some((7.5, 2.0, 2)));
    assert_eq!(found(max(4.0, 6.0), 5), Some((5.0, 1.0, 1)));
    assert_eq!(found(max(6.0, 6.0), 6), Some((6.0, 1.0, 1)), "the first of equal ones");
    assert_eq!(found(max(6.0, 4.0), 3), None);
    assert_eq!(found(all(6.0, 4.0), 8), Some((8.0, 1.0, 1)));
    assert_eq!(found(all(4.0, 8.0), 12), Some((6.0, 2.0, 2)));
    assert_eq!(found(all(4.0, 8.0), -12), Some((-6.0, 2.0, 2)));
    assert_eq!(found(all(4.0, 4.0), 4), Some((4.0, 1.0, 1)), "the first of equal ones");
    assert_eq!([found(all(6.0, 4.0), 5), found(all(4.0, 6.0), 5)], [None, None]);
}

/// The scores of windows by number; a window may be missing.
fn values() -> impl Strategy<Value = Vec<(u64, i64)>> {
    let value = prop_oneof![Just(None), (-12i64..12).prop_map(Some)];
    prop::collection::vec(value, 1..40)
        .prop_map(|values| (0..).zip(values).filter_map(|(number, value)| Some((number, value?))).collect())
}

fn reported(tracker: impl Tracker, values: &[(u64, i64)]) -> Vec<u64> {
    let mut state = AnyDetector::new(tracker).follow();
    let found = values.iter().filter(|(number, value)| state.next(&window(*number, *value)).is_some());
    found.map(|(number, _)| *number).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_hysteresis_reports_runs_above_the_second_threshold_from_the_first_on(values in values()) {
        let mut wanted: Vec<u64> = Vec::new();
        for &(number, value) in &values {
            let before = values.iter().find(|(other, _)| other + 1 == number);
            let goes_on = wanted.last().is_some_and(|last| last + 1 == number)
                && before.is_some_and(|(_, before)| (*before > 0) == (value > 0));
            if value.abs() >= 8 || (value.abs() >= 4 && goes_on) {
                wanted.push(number);
            }
        }
        prop_assert_eq!(reported(Plain::new(8.0, 1).hysteresis(4.0).unwrap(), &values), wanted);
    }

    #[test]
    fn a_least_duration_reports_what_enough_adjacent_windows_precede(values in values(), least in 1u32..4) {
        let high = |number: u64| values.iter().any(|(other, value)| *other == number && value.abs() >= 4);
        let lasts = |number: u64| (0..u64::from(least)).all(|back| number.checked_sub(back).is_some_and(high));
        let wanted: Vec<_> = values.iter().map(|(number, _)| *number).filter(|number| lasts(*number)).collect();
        prop_assert_eq!(reported(Plain::new(4.0, 1).min_duration(least).unwrap(), &values), wanted);
    }

    #[test]
    fn a_cooldown_reports_nothing_for_its_time_after_a_moment(values in values(), slides in 0u64..6) {
        let mut wanted: Vec<u64> = Vec::new();
        for &(number, _) in values.iter().filter(|(_, value)| value.abs() >= 4) {
            let since = wanted.last().map(|last| number - last);
            if since.is_none_or(|since| since == 1 || since > slides) {
                wanted.push(number);
            }
        }
        prop_assert_eq!(reported(Plain::new(4.0, 1).cooldown(10 * slides), &values), wanted);
    }
}

/// A detector of at least three samples, whose scores are the values.
#[derive(Clone, Debug)]
struct Least;

impl Detector for Least {
    fn method(&self) -> &'static str {
        "least"
    }
    fn threshold(&self) -> f64 {
        2.5
    }
    fn min_samples(&self) -> u32 {
        3
    }
    fn max_samples(&self) -> u32 {
        9
    }
    fn judge(&self, value: i64, _: &Baseline<'_>) -> Option<Verdict> {
        (value >= 3).then_some(Verdict { score: value as f64, mean: 0.0, stddev: 0.0 })
    }
}

#[test]
fn a_detector_is_a_tracker_without_state_that_takes_enough_samples() {
    let detector = AnyDetector::new(Least);
    assert_eq!((&**detector.method(), detector.threshold(), detector.least()), ("least", 2.5, 2.5));
    assert_eq!((detector.reaches(), detector.max_samples(), detector.min_samples()), (&[9][..], 9, 3));
    assert!(detector.is_pure() && detector.normal_scores().is_none() && detector.quiet_below() == 0.0);
    assert_eq!(detector.forgets_after(), 86_400_000, "a day");
    let found = |samples: u64, value| {
        let sums = PowerSums { count: samples, sum: 0, sum_sq: 0 };
        let baseline = Baseline { sums, scale: 1, samples: &(), means: None };
        let window = Observed { baselines: &baseline, ..window(0, value) };
        let in_one = Tracker::track_or_departs(&Least, &window);
        assert_eq!(in_one.ok(), detector.judge(&window), "two ways to ask the same");
        assert_eq!(in_one.err(), detector.judge(&window).is_none().then_some(false));
        assert!(!detector.departs(&window), "by default nothing does");
        detector.judge(&window).map(|found| found.samples)
    };
    assert_eq!([found(2, 5), found(3, 5), found(4, 5), found(3, 2)], [None, Some(3), Some(4), None]);
    // Without a baseline there is nothing to compare with.
    assert_eq!(detector.judge(&window(0, 5)), None);
    assert!(Tracker::sensitive(&Least, 1.0).is_err(), "its threshold is fixed");
    assert!(AnyDetector::new(Least).follow().next(&window(0, 5)).is_none());
}
