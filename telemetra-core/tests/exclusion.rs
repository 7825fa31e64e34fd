//! Moments stay out of baselines: a burst does not hide the next one, a change of level is one moment and then
//! the usual, and a key that was absent begins anew.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use telemetra_core::testkit::{Noise, WatchedCounts};
use telemetra_core::{MomentRule, Side, TimeConfig, Tracker, VarianceFloor, WindowSpec, ZScore};

/// Panes of ten seconds in a minute.
const MINUTE: u64 = 6;

fn spike() -> ZScore {
    ZScore::new(3.0).unwrap().side(Side::Upper).floor(VarianceFloor::Poisson).unwrap()
}

fn rule(detector: impl Tracker) -> MomentRule<u64> {
    MomentRule::count("watched", detector, |count: &u64| *count)
}

fn watched(rule: MomentRule<u64>) -> WatchedCounts {
    WatchedCounts::of_rule(&TimeConfig::default(), rule)
}

/// Panes at some rate: how many windows were anomalous, and how many moments began.
fn panes(watched: &mut WatchedCounts, noise: &mut Noise, panes: u64, mean: f64) -> (usize, usize) {
    let law = noise.law(mean);
    let seen: Vec<_> = (0..panes).map(|_| watched.pane(noise.count(&law))).collect();
    (seen.iter().filter(|seen| seen.anomalous).count(), seen.iter().filter(|seen| seen.begins).count())
}

/// The number of seeds for which the second of two like bursts is found, so many minutes after the first.
fn second_found(minutes: u64, rule: impl Fn() -> MomentRule<u64>) -> usize {
    let second = |seed| {
        let (mut watched, mut noise) = (watched(rule()), Noise::new(seed));
        panes(&mut watched, &mut noise, 40 * MINUTE, 20.0);
        panes(&mut watched, &mut noise, MINUTE, 40.0);
        panes(&mut watched, &mut noise, minutes * MINUTE, 20.0);
        panes(&mut watched, &mut noise, MINUTE, 40.0).0 > 0
    };
    (0..50).filter(|seed| second(*seed)).count()
}

#[test]
fn a_burst_does_not_hide_the_next_one() {
    for minutes in [2, 5, 20] {
        let found = second_found(minutes, || rule(spike()));
        let with_moments = second_found(minutes, || rule(spike()).include_moments());
        assert!(found >= 49, "{found} of 50, {minutes} minutes after the first");
        assert!(with_moments < found, "{with_moments}: else the test shows nothing");
    }
}

#[test]
fn trackers_with_state_leave_moments_out_as_well() {
    let found = second_found(5, || rule(spike().hysteresis(2.5).unwrap().min_duration(2).unwrap()));
    assert!(found >= 48, "{found} of 50");
}

/// A third of thirty windows and one more.
#[test]
fn a_rise_of_level_is_one_moment_and_then_the_usual() {
    let (mut watched, mut noise) = (watched(rule(spike())), Noise::new(1));
    panes(&mut watched, &mut noise, 40 * MINUTE, 20.0);
    let (anomalous, begun) = panes(&mut watched, &mut noise, 13 * MINUTE, 60.0);
    assert_eq!(begun, 1, "reported once");
    assert!((11 * MINUTE..=12 * MINUTE).contains(&(anomalous as u64)), "{anomalous} windows");
    assert_eq!(panes(&mut watched, &mut noise, 30 * MINUTE, 60.0), (0, 0), "the usual");
    // A burst at the new level is found as one at the old level was.
    assert!(panes(&mut watched, &mut noise, MINUTE, 100.0).0 > 0);
}

/// The fall is no spike, but what was before it is not the usual any more.
#[test]
fn after_a_busy_phase_a_burst_is_found_again() {
    let after = |rule: MomentRule<u64>| {
        let (mut watched, mut noise) = (watched(rule), Noise::new(2));
        panes(&mut watched, &mut noise, 40 * MINUTE, 80.0);
        assert_eq!(panes(&mut watched, &mut noise, 15 * MINUTE, 20.0).0, 0);
        panes(&mut watched, &mut noise, MINUTE, 40.0).0
    };
    assert!(after(rule(spike())) > 0);
    assert_eq!(after(rule(spike()).include_moments()), 0, "hidden by the busy phase");
}

/// The detector judges by all samples where exclusion would leave fewer than it needs.
#[test]
fn a_detector_keeps_the_samples_that_it_needs() {
    let time = TimeConfig {
        windows: WindowSpec::tumbling(Duration::from_secs(60)).unwrap(),
        ..TimeConfig::default()
    };
    let detector = || spike().samples(8..=8).unwrap();
    let mut watched = WatchedCounts::of_rule(&time, rule(detector()));
    assert!((0..8).all(|_| !watched.pane(100).anomalous));
    assert!(watched.pane(200).anomalous);
    assert!(watched.pane(2_000).anomalous, "with the first in its baseline");
}

/// A broadcast that begins after a silence is not compared with the last one.
#[test]
fn a_key_that_was_absent_begins_anew() {
    let second_broadcast = |rule: MomentRule<u64>, silence: u64| {
        let (mut watched, mut noise) = (watched(rule), Noise::new(3));
        panes(&mut watched, &mut noise, 40 * MINUTE, 20.0);
        panes(&mut watched, &mut noise, silence, 0.0);
        panes(&mut watched, &mut noise, 6 * MINUTE, 60.0).0
    };
    let anew = || rule(spike()).absent_after(300_000);
    assert_eq!(second_broadcast(anew(), 32), 0);
    assert!(second_broadcast(anew(), 20) > 0, "the silence was shorter");
    assert!(second_broadcast(rule(spike()), 32) > 0, "by default, nothing in reach is forgotten");
}
