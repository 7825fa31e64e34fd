//! The changes as of each time are the same, byte for byte, on one worker or many, in one process or two.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use support::streams::{DAY, json_pipeline, partitions};
use support::watch::{finish, until};
use support::*;
use telemetra::core::*;
use telemetra::livestream::LiveStreams;
use telemetra::livestream::generate::{Generator, GeneratorConfig, Planting};
use telemetra::livestream::testkit::{self, ScriptConfig};
use telemetra::ops::{LastPlan, Pipeline, SpillConfig, SpillReport, free_addresses};
use telemetra::sinks::MemorySink;

/// The changes of each time, sorted and encoded; and what became of the events, as far as this process read them.
type Outcome = (Vec<(EventTime, Vec<u8>)>, Fates);

const RANDOM_SCRIPTS: usize = 6;
/// After the random scripts: one of all kinds of events, and one from the generator.
const CASES: usize = RANDOM_SCRIPTS + 2;
/// Those that two processes run: starting a cluster takes a second.
const CLUSTERED: [usize; 4] = [1, 4, RANDOM_SCRIPTS, RANDOM_SCRIPTS + 1];

/// Which process of which addresses; none for one process.
type Place = Option<(usize, Vec<String>)>;

fn outcome<E: Events, L: LastPlan<E>>(pipeline: Pipeline<E, L>, workers: usize, place: Place) -> Outcome {
    outcome_and_spill(pipeline, workers, place).0
}

fn outcome_and_spill<E: Events, L: LastPlan<E>>(
    pipeline: Pipeline<E, L>,
    workers: usize,
    place: Place,
) -> (Outcome, Option<SpillReport>) {
    let sink = MemorySink::new().with_log();
    let mut pipeline = pipeline.sink(sink.clone()).workers(workers);
    if let Some((process, addresses)) = place {
        pipeline = pipeline.cluster(process, addresses);
    }
    let report = finish(pipeline.start().unwrap()).unwrap();
    let encoded = |mut batch: Batch| {
        batch.changes.sort_by(|one, other| one.row.compare_key(&*other.row));
        let mut text = String::new();
        for change in &batch.changes {
            let _ = write!(text, "\n{} {} {:?}", change.table(), change.revision, change.action);
            change.values(batch.time, &mut |value| {
                // JSON holds no such character, so no two rows are written alike.
                text.push('\u{1f}');
                let _ = json::value(&mut text, value);
            });
        }
        (batch.time, text.into_bytes())
    };
    ((sink.batches().into_iter().map(encoded).collect(), report.fates), report.spill)
}

fn random_script(case: usize) -> Script {
    let mut runner = TestRunner::deterministic();
    (0..=case).map(|_| script().new_tree(&mut runner).unwrap().current()).last().unwrap()
}

fn run_script(script: &Script, workers: usize, place: Place) -> Outcome {
    outcome(script_pipeline(script), workers, place)
}

fn script_pipeline(script: &Script) -> Sayings {
    let pipeline = sayings(source(script, 7), Words, &small_time()).rules(small_rules());
    pipeline.max_watermark_drift(Duration::from_secs(10))
}

/// The events of a script that count, each once, in one partition in the order of their times: none is late.
fn in_order(script: &Script) -> Script {
    let (_, mut counted) = reference_fates(script, &small_time());
    counted.sort_by_key(|event| event.time);
    let record = |(n, support::Counted { key, time, user, message, .. }): (usize, &support::Counted)| {
        format!("{key} {} in-order-{n} {user} {message}", time.0)
    };
    vec![counted.iter().enumerate().map(record).collect()]
}

/// The places of `chance`, `revision` and `updated_at` among the values of a moment.
const CHANCE: usize = 13;
const REVISION: usize = 14;
const UPDATED_AT: usize = 16;

/// The moments that are left in the end, by id: the bytes of their values, except how often and when they were published.
fn final_moments((batches, _): &Outcome) -> BTreeMap<String, Vec<String>> {
    let mut held = BTreeMap::new();
    for (_, bytes) in batches {
        for line in
            std::str::from_utf8(bytes).unwrap().lines().filter(|line| line.starts_with("sayings_moments "))
        {
            let mut values: Vec<String> = line.split('\u{1f}').map(ToOwned::to_owned).collect();
            let change = values.remove(0);
            values[REVISION].clear();
            values[UPDATED_AT].clear();
            if change.ends_with("Upsert") {
                held.insert(values[0].clone(), values);
            } else {
                held.remove(&values[0]);
            }
        }
    }
    held
}

/// The moments of the same events in order, on one worker.
fn moments_in_order(case: usize) -> BTreeMap<String, Vec<String>> {
    let outcome = run_script(&in_order(&random_script(case)), 1, None);
    assert_eq!(outcome.1.late_applied, 0);
    final_moments(&outcome)
}

fn run_case(case: usize, workers: usize, place: Place) -> Outcome {
    if case < RANDOM_SCRIPTS {
        return run_script(&random_script(case), workers, place);
    }
    outcome(streams_pipeline(case), workers, place)
}

fn streams_pipeline(case: usize) -> LiveStreams {
    let mut time = TimeConfig { deduplicate: true, idle_after: None, ..TimeConfig::default() };
    if case == RANDOM_SCRIPTS {
        time.max_future_skew = None;
        let config = ScriptConfig { events: 1500, partitions: 3, ..ScriptConfig::default() };
        return json_pipeline(partitions(testkit::script(11, &config)), &time);
    }
    let generator = Generator::new(GeneratorConfig {
        streams: 12,
        partitions: 3,
        duration_ms: 15 * 60_000,
        events_per_second: 8.0,
        late_ratio: 0.05,
        too_late_ratio: 0.01,
        duplicate_ratio: 0.02,
        malformed_ratio: 0.01,
        start: EventTime(DAY),
        planted: Planting { warm_up_ms: 540_000, ..Planting::none() },
        ..GeneratorConfig::default()
    });
    json_pipeline(generator.unwrap(), &time)
}

fn assert_same(found: &Outcome, expected: &Outcome, what: &str) {
    for (found, expected) in found.0.iter().zip(&expected.0) {
        assert!(found == expected, "{what}: as of {}, where {} was expected", found.0, expected.0);
    }
    assert_eq!(found.0.len(), expected.0.len(), "{what}: batches");
    assert_eq!(found.1, expected.1, "{what}: fates");
}

#[test]
fn the_number_of_workers_changes_no_byte() {
    let mut batches = 0;
    for case in 0..CASES {
        let one = run_case(case, 1, None);
        batches += one.0.len();
        for workers in [2, 4] {
            assert_same(&run_case(case, workers, None), &one, &format!("case {case} on {workers} workers"));
        }
    }
    assert!(batches > 200, "{batches} batches");
}

/// The memory for state: none of it, so that every key leaves after each time, and enough for some.
const MEMORIES: [u64; 2] = [0, 60_000];

#[test]
fn keeping_state_on_disk_changes_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    // Not the one from the generator: whole states of busy streams are written and read for each window.
    for case in 0..=RANDOM_SCRIPTS {
        let expected = run_case(case, 1, None);
        for (workers, memory) in [1, 2, 4].into_iter().flat_map(|n| MEMORIES.map(|memory| (n, memory))) {
            let spill = SpillConfig::new(folder.path()).memory(memory);
            let (found, report) = match case {
                ..RANDOM_SCRIPTS => {
                    outcome_and_spill(script_pipeline(&random_script(case)).spill(spill), workers, None)
                }
                _ => outcome_and_spill(streams_pipeline(case).spill(spill), workers, None),
            };
            let report = report.unwrap();
            assert!(memory > 0 || report.reads > 50 && report.most_bytes > 1_000, "{case}: {report:?}");
            assert_same(&found, &expected, &format!("case {case} on {workers} workers in {memory} bytes"));
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files are left");
}

/// Late events correct moments, what carried them, and their chance: nothing is left of the order in which events came.
#[test]
fn the_order_of_events_changes_no_byte_of_the_final_moments() {
    let (mut chances, mut late, mut explained) = (BTreeSet::new(), 0, 0);
    for case in 0..RANDOM_SCRIPTS {
        let expected = moments_in_order(case);
        chances.extend(expected.values().map(|values| values[CHANCE].clone()));
        explained += expected.values().filter(|values| values[REVISION + 1].contains("carried")).count();
        for workers in [1, 2, 4] {
            let outcome = run_case(case, workers, None);
            late += outcome.1.late_applied;
            assert_eq!(final_moments(&outcome), expected, "case {case} on {workers} workers");
        }
    }
    assert!(chances.len() > 20 && late > 50, "{} values of chance, {late} late events", chances.len());
    assert!(explained > 50, "{explained} moments are explained");
}

#[test]
fn two_processes_change_no_byte() {
    let folder = tempfile::tempdir().unwrap();
    let addresses: Vec<Vec<String>> = CLUSTERED.iter().map(|_| free_addresses(2).unwrap()).collect();
    let role = |process: usize| (process, addresses.clone());
    let mut children: Vec<Child> =
        (0..2).map(|process| spawn(&role(process), &file(folder.path(), process))).collect();
    for child in &mut children {
        until("a process has ended", || child.try_wait().unwrap().is_some());
        assert!(child.wait().unwrap().success());
    }
    let mut outcomes = (0..2).map(|process| {
        let bytes = std::fs::read(file(folder.path(), process)).unwrap();
        bincode::deserialize::<Vec<Outcome>>(&bytes).unwrap()
    });
    let (first, second) = (outcomes.next().unwrap(), outcomes.next().unwrap());
    for ((case, (batches, fates)), (none, others)) in CLUSTERED.into_iter().zip(first).zip(second) {
        assert!(none.is_empty(), "sinks live in the first process");
        let together = (batches, fates + others);
        assert_same(&together, &run_case(case, 1, None), &format!("case {case} in two processes"));
        if case < RANDOM_SCRIPTS {
            assert_eq!(final_moments(&together), moments_in_order(case), "case {case} in two processes");
        }
    }
}

const ROLE: &str = "TELEMETRA_TEST_ROLE";
const OUT: &str = "TELEMETRA_TEST_OUT";

/// What a child process runs. Without a role there is nothing to do.
#[test]
fn as_one_process_of_two() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (process, addresses): (usize, Vec<Vec<String>>) = serde_json::from_str(&role).unwrap();
    let outcomes: Vec<Outcome> = CLUSTERED
        .into_iter()
        .zip(addresses)
        .map(|(case, addresses)| run_case(case, 1 + case % 2, Some((process, addresses))))
        .collect();
    std::fs::write(std::env::var(OUT).unwrap(), bincode::serialize(&outcomes).unwrap()).unwrap();
}

fn spawn(role: &(usize, Vec<Vec<String>>), out: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "as_one_process_of_two"])
        .env(ROLE, serde_json::to_string(role).unwrap())
        .env(OUT, out)
        .spawn()
        .unwrap()
}

fn file(folder: &Path, process: usize) -> std::path::PathBuf {
    folder.join(format!("outcome-{process}"))
}
