//! The chance of moments: what it says of noise, of bursts in noise, and of what is published before all is settled.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::time::Duration;

use telemetra_core::engine::{Comparison, Level, Looks, upcrossings};
use telemetra_core::testkit::{ComparedCounts, Law, Noise};
use telemetra_core::*;

const PERIOD: Duration = Duration::from_secs(1800);
/// Panes of ten seconds.
const PER_HOUR: usize = 360;

fn detector() -> ZScore {
    let detector = ZScore::new(3.0).unwrap().floor(VarianceFloor::Poisson).unwrap();
    detector.min_value(0.0).unwrap()
}

/// The moments in the noise of so many keys.
fn in_noise(keys: u64, hours: usize, law: impl Fn(&Noise) -> Law) -> Vec<Moment<String>> {
    let mut compared = ComparedCounts::new(&TimeConfig::default(), detector(), PERIOD);
    for key in 0..keys {
        let mut noise = Noise::new(1_000 + key);
        let law = law(&noise);
        compared.key(&key.to_string(), (0..hours * PER_HOUR).map(|_| noise.count(&law)));
    }
    compared.moments()
}

fn trusted(moments: &[Moment<String>], limit: f64) -> Vec<&Moment<String>> {
    moments.iter().filter(|moment| moment.chance.unwrap().to_f64() <= limit).collect()
}

/// Sums of six independent normal numbers that slide by one, by the method of Box and Muller.
fn sliding_sums(number: usize) -> Vec<f64> {
    let mut noise = Noise::new(11);
    let mut normal = || {
        let (radius, angle) = ((-2.0 * noise.uniform().ln()).sqrt(), std::f64::consts::TAU * noise.uniform());
        radius * angle.cos()
    };
    let panes: Vec<f64> = (0..number + 5).map(|_| normal()).collect();
    panes.windows(6).map(|window| window.iter().sum::<f64>() / 6f64.sqrt()).collect()
}

#[test]
fn runs_begin_as_often_as_the_rate_says() {
    let sums = sliding_sums(2_000_000);
    for (score, margin) in [(1.0, 0.02), (2.0, 0.02), (3.0, 0.05), (3.5, 0.1)] {
        let begun = sums.windows(2).filter(|pair| pair[0] <= score && pair[1] > score).count();
        let expected = upcrossings(score, 6) * (sums.len() - 1) as f64;
        let ratio = begun as f64 / expected;
        assert!((ratio - 1.0).abs() < margin, "{ratio} times as many as expected above {score}");
    }
    // Without overlap, and far out, each window is a run of its own.
    assert!((upcrossings(2.0, 1) - 0.022_750 * 0.977_25).abs() < 1e-5);
    assert!((upcrossings(8.0, 6) / 6.220_96e-16 - 1.0).abs() < 0.05);
    assert!(upcrossings(38.0, 6) >= 0.0);
}

#[test]
fn of_moments_in_noise_hardly_any_is_trusted() {
    let (keys, hours) = (40, 20);
    let moments = in_noise(keys, hours, |noise| noise.law(20.0));
    // Two sides, 360 windows an hour.
    let expected = upcrossings(3.0, 6) * (2 * keys as usize * hours * PER_HOUR) as f64;
    let share = moments.len() as f64 / expected;
    assert!((0.7..1.2).contains(&share), "{share} times as many moments as expected");
    // In 0.05 of 40 periods one may be trusted: in two. Six or more come once in sixty.
    let trusted = trusted(&moments, 0.05);
    assert!(trusted.len() <= 5, "{} of {} are trusted: {trusted:?}", trusted.len(), moments.len());
}

#[test]
fn bursts_are_trusted_among_many_keys() {
    let mut compared = ComparedCounts::new(&TimeConfig::default(), detector(), PERIOD);
    for key in 0..200 {
        let mut noise = Noise::new(key);
        let (usual, burst) = (noise.law(10.0), noise.law(30.0));
        let counts = (0..720).map(|pane| {
            let bursts = key % 20 == 0 && (500..506).contains(&pane);
            noise.count(if bursts { &burst } else { &usual })
        });
        compared.key(&key.to_string(), counts);
    }
    let moments = compared.moments();
    let trusted = trusted(&moments, 0.1);
    let right = trusted.iter().filter(|moment| moment.key.parse::<u64>().unwrap().is_multiple_of(20)).count();
    assert!(right == 10 && trusted.len() <= 12, "{right} of 10 bursts, {} trusted", trusted.len());
    assert!(moments.len() > 40, "{} moments: chance ones are among them", moments.len());
}

/// A comparison of tumbling windows of ten milliseconds without lateness, over a hundred.
fn comparison() -> Comparison {
    let windows = WindowSpec::tumbling(Duration::from_millis(10)).unwrap();
    let time = TimeConfig { windows, allowed_lateness: Duration::ZERO, ..TimeConfig::default() };
    Comparison::new(100, time.window_rules(10))
}

fn level(score: f64) -> Level {
    Level::of(Micro::from_f64(score))
}

fn looks(number: i64, scores: &[f64]) -> Looks {
    let mut looks = Looks::default();
    looks.look(0, level(3.0), number);
    scores.iter().for_each(|score| looks.moment(0, level(*score), 1));
    looks
}

/// The boundary at which the pane that ends at a time is settled.
fn settled(pane: u64) -> EventTime {
    EventTime(pane + 30)
}

#[test]
fn chance_is_the_least_ratio_over_all_scores_below() {
    let mut compared = comparison();
    compared.advance(settled(100));
    compared.add(EventTime(100), &looks(10_000, &[3.0, 3.1, 4.0, 6.0]));
    let ratio = |score: f64, found: f64| 10_000.0 * upcrossings(score, 1) / found;
    let mut near = |score: f64, expected: f64| {
        let chance = compared.chance(0, level(score)).to_f64();
        assert!((chance - expected.min(1.0)).abs() < 2e-6, "{chance} instead of {expected} at {score}");
    };
    near(3.0, ratio(3.0, 4.0));
    near(3.1, ratio(3.1, 3.0).min(ratio(3.0, 4.0)));
    near(4.0, ratio(4.0, 2.0));
    near(6.0, ratio(6.0, 1.0));
    let chances = [3.0, 3.1, 4.0, 6.0].map(|score| compared.chance(0, level(score)));
    assert!(chances.is_sorted_by(|less, more| less >= more), "the more extreme, the less chance");
}

#[test]
fn a_rule_is_no_part_of_the_comparison_below_its_threshold() {
    let mut compared = comparison();
    compared.advance(settled(100));
    let mut both = looks(1_000_000, &[3.0, 4.5]);
    compared.add(EventTime(100), &both);
    let mut of = |score| compared.chance(0, level(score)).to_f64();
    let without = (of(3.0), of(5.2));
    both = Looks::default();
    both.look(1, level(5.0), 1_000_000);
    compared.add(EventTime(100), &both);
    let mut of = |score| compared.chance(0, level(score)).to_f64();
    assert!((of(3.0) - without.0).abs() < 1e-9);
    let twice = of(5.2) / without.1;
    assert!((twice - 2.0).abs() < 0.01, "{twice}");
}

#[test]
fn the_period_ends_with_the_newest_settled_pane() {
    let mut compared = comparison();
    assert_eq!(compared.provisional(0, level(4.0)), None, "nothing was looked at");
    for pane in (10..=200).step_by(10) {
        compared.advance(settled(pane));
        compared.add(EventTime(pane), &looks(100, if pane == 100 { &[3.5] } else { &[] }));
    }
    assert_eq!(compared.newest(), EventTime(200));
    let mut restored = comparison();
    restored.restore(compared.state().clone());
    restored.advance(settled(200));
    let score = level(4.0);
    assert_eq!(restored.provisional(0, score), compared.provisional(0, score));
    // Ten panes of a hundred looks, and the moment itself.
    let expected = 1_000.0 * upcrossings(4.0, 1);
    assert!((compared.provisional(0, score).unwrap().to_f64() - expected).abs() < 2e-6);
}

#[test]
fn of_less_than_a_period_more_looks_are_expected() {
    let mut compared = comparison();
    compared.advance(settled(10));
    compared.add(EventTime(10), &looks(100, &[]));
    let early = compared.provisional(0, level(4.0)).unwrap().to_f64();
    let expected = 10.0 * 100.0 * upcrossings(4.0, 1);
    assert!((early - expected).abs() < 2e-6, "{early} instead of {expected}");
}

#[test]
fn scores_are_calibrated_where_noise_scatters_more() {
    let mut compared = comparison();
    compared.advance(settled(100));
    // As many moments as chance makes of scores with a deviation of 1.2, and of 1.
    let mut noisy = Looks::default();
    for (rule, deviation) in [(0, 1.2), (1, 1.0)] {
        noisy.look(rule, level(3.0), 100_000);
        for step in 0..150u32 {
            let score = 3.0 + f64::from(step) / 100.0;
            let above = |score: f64| 100_000.0 * upcrossings(score / deviation, 1);
            let number = above(score).round() - above(score + 0.01).round();
            noisy.moment(rule, level(score), number as i64);
        }
        noisy.moment(rule, level(5.8), 1);
    }
    compared.add(EventTime(100), &noisy);
    let (noisy, usual) = (compared.chance(0, level(5.8)).to_f64(), compared.chance(1, level(5.8)).to_f64());
    assert!(usual < 0.05, "{usual}");
    let expected = 200_000.0 * upcrossings(5.8 / 1.2, 1) / 2.0;
    // An exponential tail is heavier than this one.
    assert!((0.3..8.0).contains(&(noisy / expected)), "{noisy} where {expected} is true");
}

#[test]
fn the_tail_of_a_rule_is_taken_from_its_moments() {
    let mut compared = comparison();
    compared.advance(settled(100));
    // At the threshold as many as chance makes, and twice as many for each half less: far more than normal scores have.
    let looks_made = 200.0 / upcrossings(3.0, 1);
    let mut heavy = Looks::default();
    heavy.look(0, level(3.0), looks_made as i64);
    let above = |score: f64| (200.0 * 2f64.powf((3.0 - score) / 0.5)).round() as i64;
    for step in 0..300u32 {
        let score = 3.0 + f64::from(step) / 100.0;
        heavy.moment(0, level(score), above(score) - above(score + 0.01));
    }
    compared.add(EventTime(100), &heavy);
    for score in [4.0, 5.0, 5.8] {
        let chance = compared.chance(0, level(score)).to_f64();
        assert!(chance > 0.6, "{chance} at {score}, though all are noise");
    }
    // What is beyond the tail is no noise, however heavy that is.
    let mut burst = Looks::default();
    burst.moment(0, level(12.0), 3);
    compared.add(EventTime(100), &burst);
    let chance = compared.chance(0, level(12.0)).to_f64();
    assert!(chance < 0.01, "{chance}");
}

#[test]
fn scores_that_are_not_normal_say_nothing_of_chance() {
    let unseen = AnyDetector::new(Unseen::new(0.05).unwrap().learning());
    assert_eq!(unseen.normal_scores(), None);
    let scores = |tracker: AnyDetector| tracker.normal_scores().map(|scores| scores.sides);
    let upper = || detector().side(Side::Upper);
    assert_eq!(scores(AnyDetector::new(upper())), Some(1));
    assert_eq!(scores(AnyDetector::new(detector())), Some(2));
    assert_eq!(scores(AnyDetector::new(upper().max(detector()))), Some(3), "either may fire by chance");
    assert_eq!(scores(AnyDetector::new(upper().all(detector()))), Some(1), "both at once hardly do");
    let filtered = upper().hysteresis(2.0).unwrap().min_duration(2).unwrap().cooldown(60_000);
    assert_eq!(scores(AnyDetector::new(filtered)), Some(1));
    let other = upper().max(Unseen::new(0.05).unwrap().learning());
    assert_eq!(scores(AnyDetector::new(other)), None, "one of them is on another scale");
}
