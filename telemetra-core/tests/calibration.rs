//! Calibrated scores and comparisons of moments: their numbers are those of their definition, searched step by step.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use telemetra_core::engine::{Calibration, Comparison, Level, Looks, Rates, upcrossings};
use telemetra_core::{EventTime, Micro, TimeConfig, WindowSpec};

/// A score in hundredths.
fn level(hundredths: u64) -> Level {
    Level::of(Micro(hundredths as i64 * 10_000))
}

fn hundredths(level: Level) -> u64 {
    (level.score() * 100.0).round() as u64
}

/// The rates of all scores in hundredths, by the number of panes in a window.
static RATES: LazyLock<Vec<Vec<f64>>> = LazyLock::new(|| {
    let rates = |panes| (0..900).map(|score| upcrossings(f64::from(score) / 100.0, panes)).collect();
    (0..8).map(rates).collect()
});

/// Looks and moments of one rule.
#[derive(Clone, Debug)]
struct Found {
    threshold: u64,
    looks: i64,
    /// The scores of the moments.
    scores: Vec<u64>,
    panes: usize,
}

impl Found {
    fn moments(&self, from: u64) -> i64 {
        self.scores.iter().filter(|score| **score >= from).count() as i64
    }

    /// The greatest score up to `most` that chance reaches this often.
    fn reached(&self, number: f64, most: u64) -> u64 {
        let reaches = |score: &u64| self.looks as f64 * RATES[self.panes][*score as usize] >= number;
        (0..=most).rev().find(reaches).unwrap_or(0)
    }

    /// The numerator and the denominator of the factor of scores: the least of three.
    fn factor(&self) -> (u64, u64) {
        let mut least = (1, 1);
        for above in [0, 50, 100] {
            let (from, number) = (self.threshold + above, self.moments(self.threshold + above));
            if number >= 25 {
                let surely = number as f64 - 2.0 * (number as f64).sqrt();
                let usual = self.reached(surely, from);
                if usual * least.1 < least.0 * from {
                    least = (usual, from);
                }
            }
        }
        least
    }

    fn calibrated(&self, score: u64) -> u64 {
        let (usual, found) = self.factor();
        let scaled = |score: u64| score * usual / found;
        let number = self.moments(self.threshold);
        let inside =
            self.scores.iter().filter(|score| (self.threshold..=self.threshold + 100).contains(*score));
        let inside = inside.count();
        if number < 25 || inside == 0 || score <= self.threshold {
            return scaled(score);
        }
        // The rate of an exponential tail of which what lies beyond a whole score is censored: the events over the
        // time at risk.
        let above = self.scores.iter().filter(|score| **score >= self.threshold);
        let excess: f64 = above.map(|score| (score - self.threshold).min(100) as f64 + 0.5).sum();
        let rate = inside as f64 / excess;
        let expected = number as f64 * (-rate * (score - self.threshold) as f64).exp();
        self.reached(expected, scaled(score)).max(scaled(self.threshold))
    }

    fn calibration(&self, rates: &mut Rates) -> Calibration {
        Calibration::of(level(self.threshold), |_| self.looks, |level| self.moments(hundredths(level)), rates)
    }
}

fn found() -> impl Strategy<Value = Found> {
    let scores = prop::collection::vec((0u64..260, 0u64..260), 0..120);
    (150u64..350, 2u32..7, scores, any::<bool>(), 1usize..8).prop_map(
        |(threshold, looks, scores, heavy, panes)| {
            let score =
                |(one, other): (u64, u64)| threshold + if heavy { one.max(other) } else { one.min(other) };
            let scores = scores.into_iter().map(score).collect();
            Found { threshold, looks: 10i64.pow(looks), scores, panes }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scores_are_calibrated_as_defined(found in found(), scores in prop::collection::vec(0u64..900, 8)) {
        let mut rates = Rates::new(found.panes as u64);
        let calibration = found.calibration(&mut rates);
        for score in scores.into_iter().chain([found.threshold, found.threshold + 1]) {
            let calibrated = hundredths(calibration.apply(level(score), &mut rates));
            prop_assert_eq!(calibrated, found.calibrated(score), "{}", score);
        }
    }
}

#[test]
fn fewer_than_twenty_five_moments_calibrate_nothing() {
    let apply = |moments: usize, at: u64| {
        let found = Found { threshold: 300, looks: 100, scores: vec![at; moments], panes: 1 };
        let mut rates = Rates::new(1);
        let calibration = found.calibration(&mut rates);
        [200, 300, 450, 900].map(|score| hundredths(calibration.apply(level(score), &mut rates)))
    };
    assert_eq!(apply(24, 300), [200, 300, 450, 900]);
    assert_ne!(apply(25, 300), [200, 300, 450, 900]);
    // All are beyond what is looked at one by one: no tail, and a factor by their number alone.
    let [low, at, high, far] = apply(25, 401);
    assert!(low < 200 && at < 300 && high * 300 / 450 == at && far == high * 2, "{low} {at} {high} {far}");
}

#[test]
fn a_level_is_the_score_in_hundredths_rounded_down() {
    let of = |score: f64| Level::of(Micro::from_f64(score)).score();
    assert_eq!([of(3.0), of(3.019), of(-3.02), of(0.0)], [3.0, 3.01, 3.02, 0.0]);
    assert_eq!(of(1e9), 655.35, "the greatest");
}

/// Over a hundred milliseconds, of windows of ten.
fn comparison() -> Comparison {
    let windows = WindowSpec::tumbling(Duration::from_millis(10)).unwrap();
    let time = TimeConfig { windows, allowed_lateness: Duration::from_millis(7), ..TimeConfig::default() };
    Comparison::new(100, time.window_rules(10))
}

/// The boundary from which on the pane that ends at a time is settled.
fn settled(pane: u64) -> EventTime {
    EventTime(pane + 37)
}

fn looks(rule: u16, threshold: u64, number: i64, scores: &[u64]) -> Looks {
    let mut looks = Looks::default();
    looks.look(rule, level(threshold), number);
    scores.iter().for_each(|score| looks.moment(rule, level(*score), 1));
    looks
}

#[test]
fn counts_add_up_in_any_order_and_leave_nothing() {
    let (one, other) = (looks(1, 300, 7, &[310, 310]), looks(2, 400, 3, &[450]));
    let mut sum = Looks::default();
    assert!(sum.is_empty());
    sum.add(&one, 1);
    sum.add(&other, 1);
    sum.look(1, level(300), 0);
    sum.look(3, level(300), 0);
    let mut wanted = looks(2, 400, 3, &[450]);
    wanted.add(&looks(1, 300, 7, &[310, 310]), 1);
    let text = |looks: &Looks| serde_json::to_string(looks).unwrap();
    sum.add(&looks(3, 500, 1, &[]), 1);
    assert_ne!(text(&sum), text(&wanted));
    sum.add(&looks(3, 500, 1, &[]), -1);
    sum.add(&one, -1);
    assert!(!sum.is_empty());
    sum.add(&looks(2, 400, 3, &[]), -1);
    assert!(!sum.is_empty(), "a moment is left");
    sum.moment(2, level(450), -1);
    assert!(sum.is_empty());
    sum.look(0, level(300), 5);
    assert!(!sum.is_empty(), "looks alone are something");
}

#[test]
fn moments_per_hour_are_those_of_the_part_that_was_looked_at() {
    let mut compared = comparison();
    assert_eq!(compared.per_hour(), (0.0, 0.0));
    compared.advance(settled(30));
    compared.add(EventTime(20), &looks(0, 300, 1_000, &[300, 400]));
    compared.add(EventTime(30), &looks(1, 350, 500, &[]));
    // From 20 to the end of the pane after 30.
    let hours = 20.0 / 3_600_000.0;
    let expected = 1_000.0 * upcrossings(3.0, 1) + 500.0 * upcrossings(3.5, 1);
    let (chance, found) = compared.per_hour();
    assert!((chance * hours / expected - 1.0).abs() < 1e-9, "{chance}");
    assert!((found * hours - 2.0).abs() < 1e-9, "{found}");
    // No more than the period is covered, however long it goes on.
    compared.advance(settled(115));
    compared.add(EventTime(110), &looks(0, 300, 0, &[]));
    let hours = 100.0 / 3_600_000.0;
    assert!((compared.per_hour().1 * hours - 2.0).abs() < 1e-9);
}

#[test]
fn a_period_holds_the_panes_that_ended_within_it() {
    let mut compared = comparison();
    for pane in [10, 20, 110] {
        compared.add(EventTime(pane), &looks(0, 300, 10, &[]));
    }
    assert_eq!(compared.last(), Some(EventTime(110)));
    let per_look = upcrossings(3.0, 1);
    let looks_at = |compared: &mut Comparison, boundary: EventTime| {
        compared.advance(boundary);
        let hours = (compared.newest().plus(10).0 - 10).min(100) as f64 / 3_600_000.0;
        (compared.newest().0, (compared.per_hour().0 * hours / per_look).round())
    };
    assert_eq!(looks_at(&mut compared, EventTime(settled(100).0 - 1)), (90, 30.0));
    assert_eq!(looks_at(&mut compared, settled(100)), (100, 30.0));
    assert_eq!(looks_at(&mut compared, settled(110)), (110, 20.0), "the first is over");
    assert_eq!(looks_at(&mut compared, settled(120)), (120, 10.0));
    let mut restored = comparison();
    restored.restore(compared.state().clone());
    assert_eq!(looks_at(&mut restored, settled(120)), (120, 10.0));
    assert_eq!(restored.last(), Some(EventTime(110)));
}

/// A pane with moments and no looks is no part of what was looked at.
#[test]
fn what_is_covered_begins_with_the_first_look() {
    let mut compared = comparison();
    compared.advance(settled(50));
    compared.add(EventTime(20), &looks(0, 300, 0, &[400]));
    assert_eq!(compared.provisional(0, level(400)), None);
    compared.add(EventTime(40), &looks(0, 300, 100, &[]));
    compared.add(EventTime(50), &looks(0, 300, 100, &[]));
    // Two of ten panes were looked at, so five times as many looks are expected; the moment itself is one of two.
    let expected = 5.0 * 200.0 * upcrossings(4.0, 1) / 2.0;
    let chance = compared.provisional(0, level(400)).unwrap().to_f64();
    assert!((chance - expected).abs() < 2e-6, "{chance}, not {expected}");
    // An earlier look comes late.
    compared.add(EventTime(20), &looks(0, 300, 1, &[]));
    let expected = 2.5 * 201.0 * upcrossings(4.0, 1) / 2.0;
    let chance = compared.provisional(0, level(400)).unwrap().to_f64();
    assert!((chance - expected).abs() < 2e-6, "{chance}, not {expected}");
}

#[test]
fn rules_that_are_renumbered_keep_their_counts() {
    let mut compared = comparison();
    compared.add(EventTime(50), &looks(0, 300, 1_000, &[400]));
    compared.add(EventTime(50), &looks(1, 300, 70_000, &[300, 300]));
    let renumbered = compared.state().clone().arrange(|rule| (rule == 0).then_some(4));
    let mut restored = comparison();
    restored.restore(renumbered);
    restored.advance(settled(50));
    let mut wanted = comparison();
    wanted.add(EventTime(50), &looks(4, 300, 1_000, &[400]));
    wanted.advance(settled(50));
    assert_eq!(restored.state(), wanted.state());
    assert_eq!(restored.chance(4, level(400)), wanted.chance(4, level(400)));
}

#[test]
fn a_chance_is_never_nothing_and_never_more_than_certain() {
    let mut compared = comparison();
    compared.advance(settled(50));
    compared.add(EventTime(50), &looks(0, 100, 1_000_000, &[100, 3_000]));
    assert_eq!(compared.chance(0, level(100)), Micro(1_000_000));
    assert_eq!(compared.chance(0, level(3_000)), Micro(1), "rounded up");
    assert_eq!(compared.chance(7, level(3_000)), Micro(1), "by a rule without moments");
}
