//! The baseline of each window, and the moments made of findings, equal the documentation's definition,
//! computed from all windows at once: baselines, moments, looks and usual windows.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod shown;

use std::collections::BTreeMap;

use proptest::prelude::*;
use shown::key::{Key, Step};
use shown::{Kind, Plan};

const SINGLE: Plan = Plan { reaches: &[15], fewest: 5, ..Plan::COUNT };

/// Rules with long baselines, for which sums are kept from window to window.
fn long() -> Vec<Plan> {
    vec![
        SINGLE,
        Plan { kind: Kind::Gauge, absent: Some(40), ..SINGLE },
        Plan { reaches: &[4, 9], fewest: 3, ..Plan::COUNT },
        Plan { kind: Kind::Mean, reaches: &[12], ..Plan::COUNT },
        Plan { includes: true, ..SINGLE },
        Plan { stateful: true, reaches: &[6], fewest: 4, ..Plan::COUNT },
        Plan { kind: Kind::Mean, stateful: true, reaches: &[4, 8], absent: Some(60), ..Plan::COUNT },
        Plan { reaches: &[12], absent: Some(30), fewest: 4, ..Plan::COUNT },
    ]
}

/// Rules with short baselines, of which each is summed anew.
fn short() -> Vec<Plan> {
    vec![
        Plan { reaches: &[2], fewest: 2, ..Plan::COUNT },
        Plan { reaches: &[3], fewest: 1, ..Plan::COUNT },
        Plan { kind: Kind::Mean, reaches: &[4], absent: Some(30), ..Plan::COUNT },
        Plan { kind: Kind::Gauge, stateful: true, reaches: &[3, 4], ..Plan::COUNT },
        Plan { reaches: &[1, 4], fewest: 3, absent: Some(50), ..Plan::COUNT },
    ]
}

/// The value of a window, what it was thought to be at first, and how many panes later it was put right.
type Script = Vec<(Option<u64>, Option<u64>, u64)>;

fn script() -> impl Strategy<Value = Script> {
    let value = || {
        prop_oneof![
            4 => (21u64..24).prop_map(Some),
            4 => (20u64..60).prop_map(Some),
            2 => (100u64..200).prop_map(Some),
            1 => (1u64..10).prop_map(Some),
            2 => Just(None),
        ]
    };
    let silence = prop::collection::vec(Just((None, None, 0)), 3..12);
    let windows =
        prop::collection::vec((value(), value(), prop_oneof![4 => Just(0u64), 1 => 1u64..14]), 8..50);
    prop::collection::vec(prop_oneof![1 => silence.boxed(), 5 => windows.boxed()], 2..6)
        .prop_map(|parts| parts.concat())
}

/// The steps that follow a pane: restarts and the like.
fn interruptions() -> impl Strategy<Value = BTreeMap<u64, Step>> {
    let step = prop_oneof![Just(Step::Restart), Just(Step::Reorder), Just(Step::Repack)];
    prop::collection::btree_map(0u64..200, step, 0..4)
}

fn all_is_as_defined(plans: &[Plan], script: &Script, interruptions: &BTreeMap<u64, Step>, shared: bool) {
    let mut key = Key::new(plans, shared);
    let mut late: BTreeMap<u64, Vec<(u64, Option<u64>)>> = BTreeMap::new();
    let last = script.len() as u64 + 14;
    for boundary in 0..last {
        let mut set = late.remove(&boundary).unwrap_or_default();
        if let Some((value, first, after)) = script.get(boundary as usize) {
            let now = if *after == 0 { value } else { first };
            set.extend(now.map(|now| (boundary, Some(now))));
            if *after > 0 && (value.is_some() || first.is_some()) {
                late.entry(boundary + after).or_default().push((boundary, *value));
            }
        }
        key.step(boundary, &set);
        if boundary % 4 == 0 || boundary == last - 1 {
            key.check(boundary);
        }
        if let Some(step) = interruptions.get(&boundary) {
            key.interrupt(boundary, *step);
        }
    }
}

/// Every third window is missing for longer than windows are kept: its series has sums, and retires what is in them.
#[test]
fn a_series_that_rests_while_others_go_on_begins_with_what_is_still_there() {
    let value = |n: u64| (n.is_multiple_of(29)).then_some(150).or(Some(20 + n * 7 % 31));
    let rests = |n: u64| (70..140).contains(&n) && n % 3 == 1 || (170..185).contains(&n) && n % 3 == 2;
    let script: Script = (0..220).map(|n| (value(n).filter(|_| !rests(n)), None, 0)).collect();
    all_is_as_defined(&long(), &script, &BTreeMap::new(), true);
}

/// It would come too late to be compared with those of its time.
#[test]
fn a_window_that_comes_when_it_is_settled_is_not_looked_at() {
    // Twelve panes of lateness and three more.
    for (after, looks) in [(0, 5), (14, 5), (15, 0), (30, 0)] {
        let mut key = Key::new(&[SINGLE], false);
        (0..60).for_each(|number| key.step(number, &[(number, Some(20 + number % 9))]));
        key.step(60 + after, &[(60, Some(25))]);
        assert_eq!(key.looks_at(60), looks, "{after} panes later");
        assert_eq!(key.looks_at(59), 5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_baselines_are_those_of_the_definition(
        script in script(), interruptions in interruptions(), shared in any::<bool>(),
    ) {
        all_is_as_defined(&long(), &script, &interruptions, shared);
    }

    #[test]
    fn short_baselines_are_those_of_the_definition(
        script in script(), interruptions in interruptions(), shared in any::<bool>(),
    ) {
        all_is_as_defined(&short(), &script, &interruptions, shared);
    }
}
