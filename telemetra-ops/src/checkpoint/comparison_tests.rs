//! Tests of a restart with a definition that has changed; `tests/upgrade` checks it with whole pipelines.

use telemetra_core::EventTime;
use telemetra_core::checkpoint::Migration;

use crate::checkpoint::comparison::compare;
use crate::checkpoint::definition::{Definition, OperatorDefinition, RuleDefinition, Takeover};
use crate::support::restore_plan::{RestoreAction, RestorePlan};

const BOUNDARY: EventTime = EventTime(60_000);
const OPERATOR: &str = "windows device_minute";

fn definition() -> Definition {
    Definition {
        decoders: vec!["json".to_owned()],
        operators: [(OPERATOR.to_owned(), OperatorDefinition::default())].into(),
        tables: ["alerts".to_owned(), "device_minute".to_owned()].into(),
        revisable_from: EventTime(30_000),
        ..Definition::default()
    }
}

/// A definition that a change was made to.
fn with(change: impl FnOnce(&mut Definition)) -> Definition {
    let mut definition = definition();
    change(&mut definition);
    definition
}

/// A definition with that operator.
fn with_operator(name: &str, operator: OperatorDefinition) -> Definition {
    with(|definition| definition.operators = [(name.to_owned(), operator)].into())
}

fn plan(found: &Definition, now: &Definition, taken: Vec<(&str, Takeover<()>)>) -> RestorePlan {
    let taken: Vec<_> = taken.into_iter().map(|(name, takeover)| (name.to_owned(), takeover)).collect();
    compare(BOUNDARY, (found, now), &taken, &|operator| vec![format!("table of {operator}")])
}

/// The plan for the only operator.
fn taken_over(found: &Definition, now: &Definition, takeover: Takeover<()>) -> RestorePlan {
    let name = now.operators.keys().next().cloned().unwrap_or_default();
    plan(found, now, vec![(&name, takeover)])
}

fn lines(plan: &RestorePlan) -> Vec<String> {
    plan.steps.iter().map(ToString::to_string).collect()
}

fn operator(reach: u64) -> OperatorDefinition {
    OperatorDefinition { reach, ..OperatorDefinition::default() }
}

fn rule(name: &str, method: &str, details: u64) -> RuleDefinition {
    RuleDefinition { name: name.to_owned(), method: method.to_owned(), details }
}

fn grouping(rules: &[RuleDefinition]) -> OperatorDefinition {
    OperatorDefinition { rules: rules.to_vec(), ..OperatorDefinition::default() }
}

#[test]
fn what_has_not_changed_is_kept_and_changes_no_table() {
    let plan = plan(&definition(), &definition(), vec![(OPERATOR, Takeover::Same)]);
    assert_eq!(lines(&plan), ["windows device_minute kept"]);
    assert_eq!((plan.boundary, plan.moves_times, plan.savepoint), (BOUNDARY, None, None));
    assert!(plan.changed_tables.is_empty(), "{:?}", plan.changed_tables);
}

#[test]
fn another_lateness_says_what_cannot_be_revised_and_changes_all_tables() {
    let lateness = |lateness| with(|definition| definition.time.lateness = lateness);
    let longer = plan(&lateness(1_000), &lateness(5_000), vec![]);
    let (from, whole) = (EventTime(30_000), EventTime(64_000));
    let expected = format!(
        "allowed lateness changed: 5000 ms instead of 1000 ms, whole from {whole} on: until then panes that ended before {from} cannot be revised"
    );
    assert!(lines(&longer).contains(&expected), "{longer}");
    assert_eq!(longer.changed_tables, ["alerts", "device_minute"]);
    let shorter = plan(&lateness(5_000), &lateness(1_000), vec![]);
    let expected =
        "allowed lateness changed: 1000 ms instead of 5000 ms; what is later is too late from now on";
    assert!(lines(&shorter).contains(&expected.to_owned()), "{shorter}");
    assert_eq!((shorter.changed_tables, shorter.moves_times), (longer.changed_tables, None));
}

#[test]
fn other_panes_move_times() {
    let pane = |pane| with(|definition| definition.time.pane = pane);
    let plan = plan(&pane(10_000), &pane(5_000), vec![]);
    let words = "panes of 5000 ms instead of 10000 ms";
    assert_eq!(lines(&plan), [format!("panes changed: {words}")]);
    assert_eq!(plan.moves_times.as_deref(), Some(words));
}

#[test]
fn settings_that_state_cannot_follow_are_refused_with_both_values() {
    let refusal = |was: &str, is: &str| {
        format!(
            "settings refused: it was made with other settings ({was}; now {is}); use those, or start afresh with another store"
        )
    };
    let disorder = with(|definition| definition.time.disorder = 20);
    assert_eq!(lines(&plan(&definition(), &disorder, vec![])), [refusal("disorder 0", "disorder 20")]);
    let once = with(|definition| definition.time.deduplicate = true);
    let expected = refusal("deduplicate false", "deduplicate true");
    assert_eq!(lines(&plan(&definition(), &once, vec![])), [expected]);
    let decoders = |parts: &[&str]| {
        with(|definition| definition.decoders = parts.iter().map(|part| (*part).to_owned()).collect())
    };
    let (found, now) = (decoders(&["json", "one", "two"]), decoders(&["json", "three"]));
    assert_eq!(lines(&plan(&found, &now, vec![])), [refusal("one; two", "three")]);
}

#[test]
fn each_takeover_of_state_is_reported_with_the_tables_that_it_changes() {
    let unchanged = Migration::unchanged;
    let derived = Takeover::Derived { from: "windows old".to_owned(), migration: unchanged() };
    let now = with_operator(OPERATOR, OperatorDefinition { version: 2, ..OperatorDefinition::default() });
    for (takeover, expected) in [
        (derived, "rebuilt: from the state of `windows old`"),
        (Takeover::Migrated { from: 1, migration: unchanged() }, "migrated: from version 1 to version 2"),
        (Takeover::Reduced(unchanged()), "kept: the rows have other columns"),
    ] {
        let plan = taken_over(&definition(), &now, takeover);
        assert_eq!(lines(&plan), [format!("{OPERATOR} {expected}")]);
        assert_eq!(plan.changed_tables, [format!("table of {OPERATOR}")]);
    }
    let refused = taken_over(&definition(), &now, Takeover::Refused("it is too old".to_owned()));
    assert_eq!(lines(&refused), [format!("{OPERATOR} refused: it is too old")]);
    assert!(refused.changed_tables.is_empty());
}

#[test]
fn new_state_starts_at_the_checkpoint_and_new_rules_at_its_summaries() {
    let nothing = with(|definition| definition.operators.clear());
    let new = |name: &str, operator| taken_over(&nothing, &with_operator(name, operator), Takeover::New);
    let windows = new(OPERATOR, operator(0));
    let expected =
        format!("{OPERATOR} starts empty: from {BOUNDARY} on; windows that began before are not whole");
    assert_eq!(lines(&windows), [expected]);
    assert_eq!(windows.changed_tables, [format!("table of {OPERATOR}")]);
    let changes = new("changes alerts", operator(0));
    let expected = format!("changes alerts starts empty: the table gets what changes from {BOUNDARY} on");
    assert_eq!(lines(&changes), [expected]);
    let moments = new("moments a", grouping(&[rule("spike", "z-score at 3", 1)]));
    assert_eq!(moments.steps.len(), 1, "{moments}");
    assert_eq!(moments.steps[0].action, RestoreAction::Rebuilt);
    assert!(moments.steps[0].detail.contains("made from the summaries in the checkpoint"), "{moments}");
}

#[test]
fn a_longer_reach_says_when_it_is_whole_and_a_shorter_one_what_is_dropped() {
    let reach = |was, is| {
        let (found, now) = (with_operator(OPERATOR, operator(was)), with_operator(OPERATOR, operator(is)));
        lines(&taken_over(&found, &now, Takeover::Same))
    };
    let whole = EventTime(62_000);
    let expected = format!("{OPERATOR} changed: it keeps 5000 ms instead of 3000 ms, whole from {whole} on");
    assert_eq!(reach(3_000, 5_000), [expected]);
    let words = "it keeps 3000 ms instead of 5000 ms; what is older is dropped, its rows stay";
    assert_eq!(reach(5_000, 3_000), [format!("{OPERATOR} changed: {words}")]);
    assert_eq!(reach(5_000, 5_000), [format!("{OPERATOR} kept")]);
}

#[test]
fn rules_are_compared_by_name_and_settings() {
    let name = "moments a";
    let compared = |was: &[RuleDefinition], is: &[RuleDefinition]| {
        let (found, now) = (with_operator(name, grouping(was)), with_operator(name, grouping(is)));
        taken_over(&found, &now, Takeover::Same)
    };
    let (same, old) = (rule("same", "z-score at 3", 1), rule("moved", "z-score at 3", 2));
    let (moved, new) = (rule("moved", "z-score at 4", 3), rule("new", "z-score at 3", 4));
    let plan = compared(&[same.clone(), old, rule("gone", "z-score at 3", 5)], &[same.clone(), moved, new]);
    let rebuilt =
        "its baselines are made from the summaries in the checkpoint, and it judges what ends after it";
    let expected = [
        "rule `gone` of moments a dropped: the rows of its moments stay as they are".to_owned(),
        format!(
            "rule `moved` of moments a rebuilt: z-score at 4 instead of z-score at 3: {rebuilt}; the moments that were found are kept"
        ),
        format!("rule `new` of moments a rebuilt: {rebuilt}"),
        "moments a kept".to_owned(),
    ];
    assert_eq!(lines(&plan), expected);
    assert_eq!(plan.changed_tables, ["table of moments a"]);
    let same = std::slice::from_ref(&same);
    assert!(compared(same, same).changed_tables.is_empty());
    // Of rules without details nothing is known but that they differ.
    let named = compared(&[rule("one", "", 0)], &[rule("two", "", 0)]);
    assert_eq!(lines(&named), ["moments a kept"]);
    assert_eq!(named.changed_tables, ["table of moments a"]);
}

#[test]
fn state_of_an_operator_that_is_gone_is_dropped_and_refusals_come_first() {
    let now = with(|definition| {
        definition.time.disorder = 20;
        definition.operators = [("windows b".to_owned(), operator(0))].into();
    });
    let plan = plan(&definition(), &now, vec![("windows b", Takeover::New)]);
    let actions: Vec<_> = plan.steps.iter().map(|step| (step.action, &*step.part)).collect();
    let expected = [
        (RestoreAction::Refused, "settings"),
        (RestoreAction::Dropped, OPERATOR),
        (RestoreAction::Starts, "windows b"),
    ];
    assert_eq!(actions, expected);
    assert_eq!(plan.steps[1].detail, "no operator has that name any more; the rows that it made stay");
}
