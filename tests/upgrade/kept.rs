//! Groupings that come and go, and settings of time that change.

use std::time::Duration;

use telemetra::core::*;
use telemetra::ops::{LastPlan, Pipeline, RestoreAction, RestorePlan, tumbling};

use crate::lives::{Lives, records, rows, time, undisturbed, window_end};
use crate::support::{BASE, Saying};

const TEN: Duration = Duration::from_millis(10);

fn one(pipeline: Pipeline<Saying>) -> Pipeline<Saying, impl LastPlan<Saying>> {
    pipeline.group("sayings", tumbling(TEN), |a| a.count("sayings"))
}

fn two(pipeline: Pipeline<Saying>) -> Pipeline<Saying, impl LastPlan<Saying>> {
    let user = |saying: &Saying| saying.user.clone();
    let users = pipeline.group_by("users", user, tumbling(TEN), |a| a.count("sayings"));
    users.group("sayings", tumbling(TEN), |a| a.count("sayings"))
}

fn step(plan: &RestorePlan, part: &str) -> (RestoreAction, String) {
    let step = plan.steps.iter().find(|step| step.part == part);
    let step = step.unwrap_or_else(|| panic!("{part} is not in {plan}"));
    (step.action, step.detail.clone())
}

#[test]
fn an_added_grouping_starts_at_the_checkpoint_and_the_others_do_not_notice() {
    let (records, lives) = (records(0..300), Lives::default());
    lives.first(&records[..records.len() / 2], one);
    let boundary = lives.boundary();
    let plan = lives.last(&records, two).restored.unwrap();
    let (action, words) = step(&plan, "windows users");
    assert_eq!(action, RestoreAction::Starts);
    assert_eq!(words, format!("from {boundary} on; windows that began before are not whole"));
    assert_eq!(step(&plan, "windows sayings"), (RestoreAction::Kept, String::new()));
    let always = undisturbed(&time(), &records, two);
    assert_eq!(rows(&lives.sink, "sayings"), rows(&always, "sayings"));
    let whole = |sink| {
        let mut rows = rows(sink, "users");
        rows.retain(|row| window_end(row) > boundary.plus(30));
        rows
    };
    assert_eq!(whole(&lives.sink), whole(&always));
    assert!(whole(&always).len() > 20);
    assert!(rows(&lives.sink, "users").iter().all(|row| window_end(row) > boundary));
}

#[test]
fn the_rows_of_a_removed_grouping_stay_and_its_state_is_dropped_by_name() {
    let (records, lives) = (records(0..300), Lives::default());
    lives.first(&records[..records.len() / 2], two);
    let held = rows(&lives.sink, "users");
    assert!(held.len() > 20);
    let plan = lives.last(&records, one).restored.unwrap();
    for part in ["ingest users", "windows users", "changes users"] {
        assert_eq!(step(&plan, part).0, RestoreAction::Dropped, "{plan}");
    }
    assert_eq!(rows(&lives.sink, "users"), held);
    let never = undisturbed(&time(), &records, two);
    assert_eq!(rows(&lives.sink, "sayings"), rows(&never, "sayings"));
}

/// Records of which some are late by more than a lateness of 40 ms allows, and by less than one of 200 ms.
fn with_late(records: &[String]) -> Vec<String> {
    let time = |record: &str| record.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    let mut mixed = Vec::new();
    for (number, record) in records.iter().enumerate() {
        mixed.push(record.clone());
        if number % 100 == 50 {
            let late = time(record).saturating_sub(120).max(BASE);
            mixed.push(format!("k1 {late} late{number} u9 late"));
        }
    }
    mixed
}

#[test]
fn more_lateness_and_a_longer_horizon_keep_what_there_is_and_say_from_when_it_is_whole() {
    let records = with_late(&records(0..700));
    let mut lives = Lives::default();
    let before = lives.first(&records[..records.len() / 2], one);
    assert!(before.fates.too_late > 3);
    let boundary = lives.boundary();
    lives.time.allowed_lateness = Duration::from_millis(200);
    lives.time.horizon = Some(Duration::from_millis(2_000));
    let report = lives.last(&records, one);
    let plan = report.restored.unwrap();
    let (action, words) = step(&plan, "allowed lateness");
    assert_eq!(action, RestoreAction::Changed);
    assert!(
        words.starts_with(&format!("200 ms instead of 40 ms, whole from {} on", boundary.plus(160))),
        "{words}"
    );
    let (action, words) = step(&plan, "windows sayings");
    assert_eq!(action, RestoreAction::Changed);
    assert_eq!(words, format!("it keeps 2000 ms instead of 800 ms, whole from {} on", boundary.plus(1_200)));

    // Each row counts what its window has, late events with it, or it is as it was: none is made of late events alone.
    let patient = undisturbed(&lives.time, &records, one);
    let hasty = undisturbed(&time(), &records, one);
    let (found, patient, hasty) =
        (rows(&lives.sink, "sayings"), rows(&patient, "sayings"), rows(&hasty, "sayings"));
    assert!(patient != hasty);
    let floor = EventTime(boundary.0 / 10 * 10);
    for ((found, patient), hasty) in found.iter().zip(&patient).zip(&hasty) {
        let expected = if window_end(found) < floor.minus(40) { hasty } else { patient };
        assert_eq!(found, expected, "the checkpoint is of {boundary}");
    }
    assert_eq!(found.len(), patient.len());
    let late = report.fates.late_applied - before.fates.late_applied;
    assert!(late > 3, "{late} late events have counted since");
}

#[test]
fn a_limit_of_what_can_be_revised_outlives_another_restart() {
    let records = with_late(&records(0..600));
    let mut lives = Lives::default();
    lives.first(&records[..records.len() / 2], one);
    let floor = EventTime(lives.boundary().0 / 10 * 10);
    lives.time.allowed_lateness = Duration::from_millis(200);
    // A second run that ends soon after the first, and a third.
    lives.first(&records[..records.len() / 2 + 100], one);
    lives.last(&records, one);
    let patient = rows(&undisturbed(&lives.time, &records, one), "sayings");
    let hasty = rows(&undisturbed(&time(), &records, one), "sayings");
    for ((found, patient), hasty) in rows(&lives.sink, "sayings").iter().zip(&patient).zip(&hasty) {
        let expected = if window_end(found) < floor.minus(40) { hasty } else { patient };
        assert_eq!(found, expected);
    }
}

#[test]
fn a_check_says_what_a_start_would_do_and_changes_nothing() {
    let (records, lives) = (records(0..200), Lives::default());
    lives.first(&records[..records.len() / 2], two);
    let (stored, held) = (lives.stored(), lives.sink.rows());
    let plan = one(lives.pipeline(&records, true)).check_restore().unwrap().unwrap();
    assert!(plan.is_possible() && !plan.is_unchanged());
    let text = plan.to_string();
    assert!(text.starts_with(&format!("from the checkpoint of {}\n", lives.boundary())), "{text}");
    assert!(text.contains("\n  windows users dropped: "), "{text}");
    assert!(text.ends_with("\n  windows sayings kept"), "{text}");

    let other =
        |pipeline: Pipeline<Saying>| pipeline.group("sayings", tumbling(2 * TEN), |a| a.count("sayings"));
    let plan = other(lives.pipeline(&records, true)).check_restore().unwrap().unwrap();
    let (action, words) = step(&plan, "windows sayings");
    assert_eq!(action, RestoreAction::Refused);
    assert!(
        words.contains("windows of 10 ms every 10 ms, and is now made with windows of 20 ms every 20 ms"),
        "{words}"
    );
    assert!(words.contains("give the state another name"), "{words}");
    assert_eq!(lives.stored(), stored);
    assert_eq!(lives.sink.rows(), held);

    // The cure: under another name it starts empty.
    let named = |pipeline| other(pipeline).state_name("sayings by twenty");
    let plan = lives.last(&records, named).restored.unwrap();
    assert_eq!(step(&plan, "windows sayings by twenty").0, RestoreAction::Starts);
}
