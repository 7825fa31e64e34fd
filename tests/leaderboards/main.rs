//! The newest summaries, the boards made of them and their join with rows by key equal their plain
//! definition, update by update.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod answers;
mod collections;
mod events;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use answers::{Answer, Said, consolidated};
use collections::{Records, RowChanges, changes, of_collections, spans};
use events::{defined, graph, script, two_lives};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use support::{reference_fates, small_time};
use telemetra::core::*;

fn cases() -> u32 {
    std::env::var("TELEMETRA_ORACLE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(100)
}

/// The first difference says more than two long lists.
fn equal(found: &[Said], expected: &[Said]) -> Result<(), TestCaseError> {
    for (found, expected) in found.iter().zip(expected) {
        prop_assert_eq!(found, expected);
    }
    prop_assert_eq!(found.len(), expected.len());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_to_events_equal_the_plain_definition(
        script in script(),
        workers in 1usize..=4,
        per_poll in 1usize..40,
        retires in any::<bool>(),
    ) {
        let mut time = small_time();
        if !retires {
            time.horizon = Some(Duration::from_secs(1_000));
        }
        let (fates, counted) = reference_fates(&script, &time);
        let (mut found, found_fates) = graph(&script, &time, workers, per_poll);
        let mut expected = defined(&counted, &time);
        if retires {
            // By definition nothing ever retires; the newest summaries do not notice, the rows made of all summaries do.
            let notices = |answer: &Answer| matches!(answer, Answer::OfAll(_) | Answer::Enriched(..));
            found.retain(|(answer, ..)| !notices(answer));
            expected.retain(|(answer, ..)| !notices(answer));
        }
        prop_assert_eq!(found_fates, fates);
        equal(&found, &expected)?;
    }

    /// Also of such collections as no windows make: with windows that come early, are corrected in time, or are there twice.
    #[test]
    fn answers_to_any_collections_equal_the_plain_definition(
        records in spans((0u8..5, 1u64..14, 0u64..6)),
        rows in spans((0u8..6, 0u64..3)),
        workers in 1usize..=4,
    ) {
        let spec = small_time().windows;
        let records: Records = changes(&records)
            .into_iter()
            .map(|((key, pane, value), at, diff)| {
                let window = spec.window_ending(EventTime(10 * pane));
                let value = Arc::new((value, 0, (value > 1).then_some(value / 2)));
                ((format!("k{key}"), Summary { window, value }), at, diff)
            })
            .collect();
        let rows: RowChanges = changes(&rows)
            .into_iter()
            .map(|((key, updated), at, diff)| {
                ((format!("k{key}"), updated), at, diff)
            })
            .collect();
        let found = of_collections(&records, &rows, Some(workers));
        let expected = of_collections(&records, &rows, None);
        equal(&found, &expected)?;
    }
}

/// The random scripts reach what can go differently; else equality would say little.
#[test]
fn random_scripts_reach_silence_lateness_and_new_leaders() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let time = small_time();
    let (mut late, mut silent, mut leaders, mut restated) = (0, 0, 0, 0);
    for _ in 0..20 {
        let script = script().new_tree(&mut runner).unwrap().current();
        let (said, fates) = graph(&script, &time, 2, 10);
        late += fates.of(Fate::LateApplied);
        for (answer, at, diff) in &said {
            let replaced = |test: &dyn Fn(&Answer) -> bool| {
                said.iter().any(|(other, then, diff)| then == at && *diff > 0 && test(other))
            };
            match answer {
                Answer::Latest(key, _) if *diff < 0 => {
                    silent +=
                        u32::from(!replaced(&|other| matches!(other, Answer::Latest(k, _) if k == key)));
                }
                Answer::Ranked(place) if place.rank == 1 && *diff < 0 => {
                    leaders += u32::from(replaced(&|other| {
                        matches!(other, Answer::Ranked(new)
                            if new.rank == 1 && new.board == place.board && new.key != place.key)
                    }));
                }
                Answer::OfAll(answer) => {
                    restated += u32::from(
                        *diff < 0
                            && matches!(&**answer, Answer::Enriched(_, summary, Some(_)) if summary.window.end < *at),
                    )
                }
                _ => {}
            }
        }
    }
    assert!(
        late > 100 && silent > 50 && leaders > 50 && restated > 100,
        "{late} late, {silent} fell silent, {leaders} new leaders, {restated} old summaries restated"
    );
}

/// Nothing of it is kept in checkpoints: it follows from the summaries and rows that are.
#[test]
fn answers_after_a_restart_equal_those_of_an_undisturbed_run() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut time = small_time();
    time.horizon = Some(Duration::from_secs(1_000));
    let mut compared = 0;
    for lives in 0..12 {
        let mut script = script().new_tree(&mut runner).unwrap().current();
        // A partition of which nothing was read yet would hold back the first run.
        script.retain(|records| records.len() > 1);
        if script.is_empty() {
            continue;
        }
        let (mut undisturbed, _) = graph(&script, &time, 2, 10);
        let mut second = two_lives(&script, &time, (2, 1 + lives % 4));
        // From the restart on; what was there before comes at once.
        let Some(restart) = second.iter().map(|(_, at, _)| *at).min() else { continue };
        undisturbed.iter_mut().chain(&mut second).for_each(|(_, at, _)| *at = restart.max(*at));
        let (found, expected) = (consolidated(second), consolidated(undisturbed));
        compared += found
            .iter()
            .filter(|(answer, at, _)| *at > restart && matches!(answer, Answer::Ranked(_)))
            .count();
        equal(&found, &expected).unwrap();
    }
    assert!(compared > 100, "{compared} places changed after a restart");
}
