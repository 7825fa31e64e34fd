//! The operators equal their specification: change by change, for random events.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use support::*;
use telemetra::core::*;

fn check(script: &Script, time: &TimeConfig, workers: usize, per_poll: usize) -> Result<(), TestCaseError> {
    let (fates, counted) = reference_fates(script, time);
    let (sink, report) = run(script, time, workers, per_poll).unwrap();
    prop_assert_eq!(report.fates, fates, "fates");
    let expected = specified(&counted, time);
    let found = published(&sink.batches());
    for (found, expected) in found.iter().zip(&expected) {
        prop_assert_eq!(found, expected);
    }
    prop_assert_eq!(found.len(), expected.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(120), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn windows_and_moments_equal_the_plain_definition(
        script in script(),
        workers in 1usize..=4,
        per_poll in 1usize..40,
        tumbling in prop::bool::weighted(0.2),
    ) {
        let mut time = small_time();
        if tumbling {
            time.windows = WindowSpec::tumbling(Duration::from_millis(10)).unwrap();
        }
        check(&script, &time, workers, per_poll)?;
    }
}

/// The random scripts reach everything that can go differently; else equality would say little.
#[test]
fn random_scripts_reach_every_fate_and_correct_moments() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut fates, mut corrections, mut withdrawn) = (Fates::default(), 0, 0);
    let (mut chances, mut explained) = (BTreeSet::new(), 0);
    for _ in 0..40 {
        let script = script().new_tree(&mut runner).unwrap().current();
        let (sink, report) = run(&script, &small_time(), 2, 10).unwrap();
        fates += report.fates;
        for change in sink.batches().iter().flat_map(|batch| &batch.changes) {
            corrections +=
                usize::from(change.revision > 0 && matches!(Published::of(change), Published::Summary(..)));
            let is_moment = matches!(Published::of(change), Published::Moment(_));
            if let Published::Moment(moment) = Published::of(change) {
                chances.insert(moment.chance);
                let usual = moment.carried.iter().filter(|carried| carried.usual.is_some());
                explained += usual.count();
            }
            withdrawn += usize::from(change.action == Action::Withdraw && is_moment);
        }
    }
    assert!(Fate::ALL.iter().all(|&fate| fates.of(fate) > 20), "{fates:?}");
    assert!(chances.contains(&None) && chances.len() > 100, "{} values of chance", chances.len());
    assert!(explained > 500, "{explained} moments are explained by usual windows");
    assert!(corrections > 100 && withdrawn > 10, "{corrections} corrections, {withdrawn} withdrawn moments");
}
