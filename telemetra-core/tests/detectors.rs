//! Every detector keeps the contract; the default keeps its promise on noise, from the first verdict on, and
//! is quick.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::testkit::{Noise, WatchedCounts, detector_compliance, tracker_compliance};
use telemetra_core::{
    AnyDetector, Baseline, ConfigError, Detector, EventTime, Ewma, MissingWindow, Model, MomentRule,
    NoveltyGap, Observed, RobustZScore, Side, TimeConfig, Tracker, Unseen, VarianceFloor, Verdict,
    WindowSpec, ZScore,
};

/// The share of false alarms that a threshold of 3 promises: the tail of the normal distribution above it.
const PROMISE: f64 = 1.349_898e-3;
/// Events a second.
const RATES: [f64; 7] = [0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];

fn spike() -> ZScore {
    ZScore::new(3.0).unwrap().side(Side::Upper).floor(VarianceFloor::Poisson).unwrap()
}

#[test]
fn every_tracker_keeps_the_contract() {
    detector_compliance(&spike());
    tracker_compliance(spike());
    for floor in [
        VarianceFloor::None,
        VarianceFloor::Poisson,
        VarianceFloor::Resolution(0.5),
        VarianceFloor::Relative { share: 0.1, least: 2.0 },
    ] {
        for side in [Side::Upper, Side::Lower, Side::Both] {
            let robust = RobustZScore::new(3.5).unwrap().side(side).floor(floor).unwrap();
            tracker_compliance(robust.learning());
            let ewma = Ewma::new(3.0).unwrap().side(side).floor(floor).unwrap();
            tracker_compliance(ewma.clone().learning());
            tracker_compliance(ewma.probabilistic(0.9).unwrap().learning());
        }
    }
    tracker_compliance(spike().influence(0.1).unwrap());
    tracker_compliance(NoveltyGap::new(0.01).unwrap().learning());
    tracker_compliance(Unseen::new(0.01).unwrap().learning());
    tracker_compliance(Unseen::new(1e-6).unwrap().memory(130).unwrap().learning());
}

#[test]
fn combinations_keep_the_contract() {
    let ewma = || Ewma::new(2.0).unwrap().learning();
    tracker_compliance(spike().max(ewma()));
    tracker_compliance(spike().all(ZScore::new(1.0).unwrap().samples(2..=9).unwrap()));
    tracker_compliance(spike().hysteresis(1.5).unwrap().min_duration(3).unwrap().cooldown(120_000));
    tracker_compliance(ewma().hysteresis(1.0).unwrap().max(ewma().all(ewma()).cooldown(0)));
    tracker_compliance(spike().cooldown(60_000).min_duration(2).unwrap().hysteresis(1.0).unwrap());
}

#[test]
fn settings_that_cannot_work_are_refused() {
    assert!(NoveltyGap::new(0.0).is_err() && NoveltyGap::new(1.0).is_err() && Unseen::new(f64::NAN).is_err());
    assert!(Unseen::new(0.1).unwrap().memory(10).is_err());
    assert!(Ewma::new(-1.0).is_err() && Ewma::new(3.0).unwrap().weight(1.0).is_err());
    assert!(
        Ewma::new(3.0).unwrap().probabilistic(1.5).is_err()
            && Ewma::new(3.0).unwrap().min_samples(2).is_err()
    );
    assert!(RobustZScore::new(99.0).is_err() && RobustZScore::new(3.0).unwrap().samples(1..=2).is_err());
    assert!(spike().influence(0.0).is_err() && spike().influence(1.0).is_err());
    assert!(spike().min_duration(0).is_err());
    let error = spike().hysteresis(4.0).unwrap_err();
    assert_eq!(error.setting(), "hysteresis");
    assert!(spike().max(spike()).hysteresis(1.0).is_err(), "a combination has one threshold");
}

/// Anomalous windows as a multiple of what is promised, over `hours` of noise from the first window on.
fn alarms(rate: f64, hours: u64, seed: u64) -> f64 {
    let time = TimeConfig::default();
    let mut noise = Noise::new(seed);
    let law = noise.law(rate * 10.0);
    let mut watched = WatchedCounts::new(&time, spike());
    let windows = hours * 360;
    let anomalous = (0..windows).filter(|_| watched.pane(noise.count(&law)).anomalous).count();
    anomalous as f64 / windows as f64 / PROMISE
}

#[test]
fn false_alarms_of_the_default_are_as_many_as_promised_at_every_rate() {
    for (seed, rate) in (1..).zip(RATES) {
        let ratio = alarms(rate, 1_000, seed);
        assert!(
            (1.0 / 1.5..1.5).contains(&ratio),
            "{ratio} times what is promised at {rate} events a second"
        );
    }
}

/// Keys that end with their first verdict, which stands on eight samples.
#[test]
fn false_alarms_are_as_many_as_promised_from_the_first_verdict_on() {
    const KEYS: u32 = 60_000;
    let time = TimeConfig {
        windows: WindowSpec::tumbling(Duration::from_secs(60)).unwrap(),
        ..TimeConfig::default()
    };
    let detector = spike();
    for (seed, rate) in (100..).zip([0.2, 1.0, 10.0, 100.0]) {
        let mut noise = Noise::new(seed);
        let law = noise.law(rate * 60.0);
        let mut anomalous = 0;
        for _ in 0..KEYS {
            let mut watched = WatchedCounts::new(&time, detector.clone());
            (0..8).for_each(|_| assert!(!watched.pane(noise.count(&law)).anomalous, "too early to say"));
            anomalous += u32::from(watched.pane(noise.count(&law)).anomalous);
        }
        let ratio = f64::from(anomalous) / f64::from(KEYS) / PROMISE;
        assert!(
            (1.0 / 1.5..1.5).contains(&ratio),
            "{ratio} times what is promised at {rate} events a second"
        );
    }
}

/// The pane after the start of each burst in which the default reports it, if it does before the burst has
/// left the windows.
fn delays(rate: f64, factor: f64, bursts: u64, seed: u64) -> Vec<Option<u64>> {
    let mut noise = Noise::new(seed);
    let (usual, burst) = (noise.law(rate * 10.0), noise.law(rate * factor * 10.0));
    let mut watched = WatchedCounts::new(&TimeConfig::default(), spike());
    let burst = |watched: &mut WatchedCounts, noise: &mut Noise| {
        for _ in 0..240 {
            watched.pane(noise.count(&usual));
        }
        let mut found = None;
        for pane in 0..12 {
            let law = if pane < 6 { &burst } else { &usual };
            let seen = watched.pane(noise.count(law));
            found = found.or(seen.anomalous.then_some(pane + 1));
        }
        found
    };
    (0..bursts).map(|_| burst(&mut watched, &mut noise)).collect()
}

#[test]
fn a_threefold_burst_is_reported_within_twenty_seconds_at_the_median() {
    for (seed, rate) in (200..).zip([1.0, 3.0, 10.0, 100.0]) {
        let mut delays: Vec<u64> =
            delays(rate, 3.0, 200, seed).iter().map(|d| d.unwrap_or(u64::MAX)).collect();
        delays.sort_unstable();
        let median = delays[delays.len() / 2];
        assert!(median <= 2, "{median} panes at {rate} events a second");
    }
}

/// No later than with the pane that shows it: the window that ends with it is judged when it ends.
#[test]
fn a_moment_is_reported_with_the_first_window_that_shows_it() {
    assert!(AnyDetector::new(spike()).is_pure(), "the default needs no memory");
    let mut watched = WatchedCounts::new(&TimeConfig::default(), spike());
    assert!((0..100).all(|_| !watched.pane(20).anomalous));
    let seen = watched.pane(200);
    assert!(seen.begins && seen.anomalous);
    assert!((0..5).all(|_| watched.pane(20).anomalous), "while the pane is in the window");
    assert!(!watched.pane(20).anomalous);
}

/// So many panes of twenty.
fn repeat(watched: &mut WatchedCounts, panes: u32) {
    for _ in 0..panes {
        watched.pane(20);
    }
}

/// With an influence a moment does not hide the next one.
#[test]
fn influence_keeps_moments_out_of_baselines() {
    let found = |tracker: &mut WatchedCounts| {
        repeat(tracker, 240);
        let mut found = Vec::new();
        for burst in [60, 40] {
            found.push((0..12).filter(|_| tracker.pane(burst).anomalous).count() > 0);
            repeat(tracker, 12);
        }
        found
    };
    let time = TimeConfig::default();
    let plain = ZScore::new(3.0).unwrap().side(Side::Upper).floor(VarianceFloor::Resolution(5.0)).unwrap();
    let included = MomentRule::count("watched", plain.clone(), |count: &u64| *count).include_moments();
    assert_eq!(found(&mut WatchedCounts::of_rule(&time, included)), [true, false]);
    assert_eq!(found(&mut WatchedCounts::new(&time, plain.clone())), [true, true], "by default");
    assert_eq!(found(&mut WatchedCounts::new(&time, plain.influence(0.1).unwrap())), [true, true]);
}

/// Scores a twentieth of the value, whatever was before.
#[derive(Clone, Debug)]
struct Twentieth(f64, f64);

impl Detector for Twentieth {
    fn method(&self) -> &'static str {
        "twentieth"
    }
    fn threshold(&self) -> f64 {
        self.0
    }
    fn min_samples(&self) -> u32 {
        1
    }
    fn max_samples(&self) -> u32 {
        1
    }
    fn judge(&self, value: i64, _: &Baseline<'_>) -> Option<Verdict> {
        let score = value as f64 / 20.0;
        (score >= self.0).then_some(Verdict { score: score * self.1, mean: 0.0, stddev: 1.0 })
    }
    fn with_threshold(&self, threshold: f64) -> Result<Self, ConfigError> {
        Ok(Self(threshold, self.1))
    }
}

#[test]
fn combinations_shape_moments() {
    let time = TimeConfig {
        windows: WindowSpec::tumbling(Duration::from_secs(60)).unwrap(),
        ..TimeConfig::default()
    };
    let run = |mut watched: WatchedCounts, counts: &[u64]| {
        watched.pane(1);
        counts.iter().map(|count| if watched.pane(*count).anomalous { 'x' } else { '.' }).collect::<String>()
    };
    let high = || Twentieth(3.0, 1.0);
    assert_eq!(run(WatchedCounts::new(&time, high()), &[60, 59, 60]), "x.x");
    let steady = high().min_duration(2).unwrap();
    assert_eq!(run(WatchedCounts::new(&time, steady), &[60, 60, 1, 60, 60, 60]), ".x..xx");
    let lasting = high().hysteresis(1.0).unwrap();
    assert_eq!(run(WatchedCounts::new(&time, lasting), &[30, 60, 30, 20, 19, 30, 60]), ".xxx..x");
    let rare = high().cooldown(180_000);
    assert_eq!(run(WatchedCounts::new(&time, rare), &[60, 60, 1, 60, 60, 60, 60]), "xx...xx");
    // Either needs one; both need both, on the same side.
    let both = || high().all(Twentieth(1.0, 1.0));
    assert_eq!(run(WatchedCounts::new(&time, both()), &[20, 60, 59]), ".x.");
    assert_eq!(run(WatchedCounts::new(&time, high().max(Twentieth(1.0, 1.0))), &[19, 20, 60]), ".xx");
    assert_eq!(run(WatchedCounts::new(&time, high().all(Twentieth(1.0, -1.0))), &[20, 60, 90]), "...");
}

/// One of each kind that a value can reach.
fn detectors() -> Vec<AnyDetector> {
    let z = || ZScore::new(2.0).unwrap().samples(3..=6).unwrap();
    vec![
        AnyDetector::new(RobustZScore::new(2.0).unwrap().samples(3..=9).unwrap().learning()),
        AnyDetector::new(Ewma::new(1.0).unwrap().min_samples(3).unwrap().learning()),
        AnyDetector::new(Ewma::new(1.0).unwrap().probabilistic(0.9).unwrap().learning()),
        AnyDetector::new(NoveltyGap::new(1e-9).unwrap().learning()),
        AnyDetector::new(Unseen::new(1e-9).unwrap().learning()),
        AnyDetector::new(z().influence(0.5).unwrap()),
        AnyDetector::new(z().floor(VarianceFloor::Poisson).unwrap().influence(0.5).unwrap().cooldown(10)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any values at any distance: no panic, and numbers that are numbers.
    #[test]
    fn no_values_break_a_detector(
        windows in prop::collection::vec((1u64..5_000_000_000, any::<i64>(), 0u32..63), 1..400),
        near in any::<bool>(),
        counts in any::<bool>(),
        scale in prop_oneof![Just(1i64), Just(1_000_000), any::<i64>()],
    ) {
        let spec = WindowSpec::sliding(Duration::from_millis(60), Duration::from_millis(10)).unwrap();
        let missing = if counts { MissingWindow::Zero } else { MissingWindow::Skip };
        for detector in detectors() {
            let mut follower = detector.follow();
            let mut end = EventTime(0);
            for &(apart, value, shift) in &windows {
                end = end.plus(10 * if near { 1 + apart % 9 } else { apart });
                let window = Observed { end, value: value >> shift, scale, events: 1, spec, missing, baselines: &() };
                if let Some(found) = follower.next(&window) {
                    let verdict = found.verdict;
                    prop_assert!(verdict.score.is_finite() && verdict.mean.is_finite(), "{:?}", verdict);
                    prop_assert!(verdict.stddev.is_finite() && verdict.stddev >= 0.0, "{:?}", verdict);
                    prop_assert!(verdict.score.abs() >= detector.least(), "{:?}", verdict);
                }
            }
        }
    }
}
