//! The state that a key keeps is bounded, is given up when it is of no more use, and is counted.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use telemetra_core::detect::Carried;
use telemetra_core::engine::{KeyEpisodes, WindowChange};
use telemetra_core::{EventTime, MomentRule, Side, TimeConfig, Tracker, WindowRules, WindowSpec, ZScore};

/// A summary of some size.
type Summary = (u64, [u64; 16]);

fn end(number: u64) -> EventTime {
    EventTime(30_000 + 10 * number)
}

struct Key {
    rules: Vec<MomentRule<Summary>>,
    windows: WindowRules,
    episodes: KeyEpisodes<String, Summary>,
    rows: BTreeMap<u64, Arc<Summary>>,
    /// True if the windows hold the summaries too, as those of a busy key.
    shared: bool,
}

fn rule(detector: impl Tracker) -> MomentRule<Summary> {
    MomentRule::gauge("high", detector, 1, |summary: &Summary| Some(summary.0 as i64))
}

fn detector() -> ZScore {
    ZScore::new(2.0).unwrap().samples(3..=5).unwrap().side(Side::Upper)
}

fn explained() -> MomentRule<Summary> {
    rule(detector()).explain(|peak, usual| {
        let usual = usual.mean(|summary| summary.0.into());
        vec![Carried::new("peak", "", peak.0 as f64, usual)]
    })
}

impl Key {
    fn new(rule: MomentRule<Summary>, shared: bool) -> Self {
        let time = TimeConfig {
            windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10)).unwrap(),
            allowed_lateness: Duration::from_millis(120),
            ..TimeConfig::default()
        };
        let windows = time.window_rules(rule.max_samples());
        Self { rules: vec![rule], windows, episodes: KeyEpisodes::new(1), rows: BTreeMap::new(), shared }
    }

    /// Sets a window of each number, or none, and retires what is old.
    fn step(&mut self, boundary: u64, set: &[(u64, u64)]) {
        let mut changes = Vec::new();
        for (number, value) in set {
            let summary = Arc::new((*value, [*value; 16]));
            self.rows.insert(*number, Arc::clone(&summary));
            changes.push(WindowChange { end: end(*number), now: Some(summary) });
            if !self.shared {
                self.rows.insert(*number, Arc::default());
            }
        }
        while let Some(first) = self.rows.first_entry()
            && self.windows.is_retired(end(*first.key()), end(boundary))
        {
            changes.push(WindowChange { end: end(*first.key()), now: None });
            first.remove();
        }
        let Self { rules, windows, episodes, .. } = self;
        episodes.advance(rules, windows, &"key".to_owned(), end(boundary), &mut changes, (None, |_, _| ()));
    }

    /// Memory, and the bytes of a checkpoint and of the packed key.
    fn sizes(&self) -> [usize; 3] {
        let mut packed = Vec::new();
        assert!(self.episodes.pack(&mut packed).unwrap());
        let state = self.episodes.state().unwrap().map(|state| bincode::serialize(&state).unwrap());
        [self.episodes.memory(), state.map_or(0, |state| state.len()), packed.len()]
    }
}

/// Mostly usual. Of each two that are high the one or the other is higher.
fn value(number: u64) -> u64 {
    match number % 30 {
        10 => 900,
        11 => 950,
        25 => 980,
        26 => 940,
        _ => 100 + number * 7 % 5,
    }
}

#[test]
fn a_key_keeps_no_more_after_a_long_time_than_after_some() {
    for (rule, shared) in [(rule(detector()), true), (explained(), true), (explained(), false)] {
        let mut key = Key::new(rule, shared);
        // The greatest of each size until then, and after.
        let (mut before, mut after) = ([0; 3], [0; 3]);
        for number in 0u64..400 {
            // Corrected a little later, and once more.
            let corrected = number.saturating_sub(3);
            key.step(number, &[(number, value(number)), (corrected, value(corrected))]);
            let greatest = if number < 120 { &mut before } else { &mut after };
            greatest.iter_mut().zip(key.sizes()).for_each(|(greatest, size)| *greatest = size.max(*greatest));
        }
        assert!((0..3).all(|n| 0 < after[n] && after[n] <= before[n]), "{after:?} after {before:?}");
    }
}

/// The memory of a key with a hundred windows behind it is bounded by what it keeps.
#[test]
fn memory_is_that_of_what_is_kept() {
    let key = |rule: MomentRule<Summary>, shared: bool| {
        let mut key = Key::new(rule, shared);
        (0..100).for_each(|number| key.step(number, &[(number, 100 + number % 50)]));
        key
    };
    let plain = key(rule(detector()), true);
    let (windows, plain) = (plain.rows.len(), plain.sizes()[0]);
    // At least a byte and two times for each window; a queue has at most about twice the room that it needs.
    assert!((windows * 17..windows * 17 * 3).contains(&plain), "{plain} for {windows} windows");
    // Summaries that somebody else holds: a time and a pointer for each, and the room of the settled ones, which will
    // be held by nobody else.
    let shared = key(explained(), true);
    let held: Vec<_> = shared.rows.iter().filter(|(_, held)| Arc::strong_count(held) > 1).collect();
    let settled = held.iter().filter(|(number, _)| **number < 85).count();
    let needed = 16 * held.len() + settled * size_of::<Summary>();
    let found = shared.sizes()[0] - plain;
    assert!((needed..needed + 16 * held.len() + 256).contains(&found), "{found}, where {needed} are needed");
    // Equal summaries in a row are held once while they may change.
    let mut quiet = Key::new(explained(), true);
    (0..100).for_each(|number| quiet.step(number, &[(number, 100)]));
    assert!(quiet.sizes()[0] + 16 * (held.len() - settled) < found + plain, "{}", quiet.sizes()[0]);
    // Settled summaries that nobody else holds are bytes, of which small numbers take one.
    let alone = key(explained(), false).sizes()[0] - plain;
    assert!(alone < found && alone > 16 * (held.len() - settled) + settled * 17, "{alone}");
}

#[test]
fn a_summary_that_was_corrected_is_given_up() {
    let mut key = Key::new(explained(), true);
    (0..50).for_each(|number| key.step(number, &[(number, value(number))]));
    let old = |key: &Key, number: u64| Arc::clone(&key.rows[&number]);
    for number in [48, 45, 40] {
        let held = old(&key, number);
        assert_eq!(Arc::strong_count(&held), 3, "by the test, its windows and the key");
        key.step(49, &[(number, 777)]);
        assert_eq!(Arc::strong_count(&held), 1, "window {number}");
        assert_eq!(Arc::strong_count(&key.rows[&number]), 2);
    }
    // That of the newest is given up with the next window.
    let held = old(&key, 49);
    key.step(49, &[(49, 779)]);
    key.step(50, &[(50, value(50))]);
    assert_eq!(Arc::strong_count(&held), 1);
    // Corrected again, which leaves nothing of the first correction.
    let held = old(&key, 45);
    key.step(50, &[(45, 778)]);
    assert_eq!(Arc::strong_count(&held), 1);
}

/// A summary that had another owner when it was settled is dropped with the windows that need it.
#[test]
fn settled_summaries_are_given_up_beyond_the_reach_of_explanations() {
    let mut key = Key::new(explained(), true);
    (0..100).for_each(|number| key.step(number, &[(number, value(number))]));
    let kept: Vec<_> =
        key.rows.iter().filter(|(_, held)| Arc::strong_count(held) > 1).map(|(n, _)| *n).collect();
    // Up to 99 − 14 none changes any more: of these the last six that ended at a multiple of their size are kept.
    let (settled, open): (Vec<_>, Vec<_>) = kept.into_iter().partition(|number| *number <= 85);
    assert_eq!(open, (86..100).collect::<Vec<_>>());
    assert!(settled.iter().all(|number| number % 3 == 0 || *number == 85), "{settled:?}");
    assert!((5..=7).contains(&settled.len()), "{settled:?}");
}
