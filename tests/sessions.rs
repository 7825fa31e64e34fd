//! Sessions equal the plain differential definition, change by change, on any number of workers and over restarts.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::time::Duration;

use differential_dataflow::consolidation::consolidate_updates;
use differential_dataflow::input::Input;
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use support::watch::{finish, until};
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory;
use telemetra::core::{Change, EventTime, SummaryRow, TimeConfig, WindowSpec};
use telemetra::differential_dataflow;
use telemetra::ops::testkit::spec;
use telemetra::ops::{Pipeline, sessions, sliding};
use telemetra::sinks::MemorySink;
use telemetra::timely;
use timely::dataflow::operators::Capture;
use timely::dataflow::operators::capture::Extract;

const GAP: u64 = 20;
const MILLI: Duration = Duration::from_millis(1);

/// Two groupings read together, so that panes are shorter than the sessions' own: ten milliseconds, not twenty.
fn groupings(source: Memory, sink: &MemorySink) -> Pipeline<Saying> {
    let grouped = Pipeline::<Saying>::new()
        .source(source, Words)
        .time(time())
        .clock(clock())
        .max_watermark_drift(Duration::from_secs(30 * 86_400))
        .sink(sink.clone())
        .group("windows", sliding(30 * MILLI, 10 * MILLI), |_| aggregate())
        .group("sessions", sessions(GAP as u32 * MILLI), |_| aggregate());
    // No last grouping any more: a type without names of closures.
    grouped.collect("nothing", |_| None::<u64>, |_, _| ())
}

fn time() -> TimeConfig {
    TimeConfig {
        windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10)).unwrap(),
        ..small_time()
    }
}

fn row(change: &Change) -> Published {
    let row = change.row::<SummaryRow<String, Out>>().unwrap();
    Published::Summary(row.key.clone(), row.summary.clone())
}

fn of_sessions(sink: &MemorySink) -> Vec<Update> {
    let mut batches = sink.batches();
    batches.iter_mut().for_each(|batch| batch.changes.retain(|change| change.table() == "sessions"));
    published(&batches)
}

fn specified_sessions(counted: Vec<Counted>) -> Vec<Update> {
    let captured = timely::execute_directly(move |worker| {
        let (mut events, captured) = worker.dataflow::<EventTime, _, _>(|scope| {
            let (events_in, events) =
                scope.new_collection::<(String, (EventTime, (String, String))), isize>();
            let panes = WindowSpec::tumbling(Duration::from_millis(GAP)).unwrap();
            let sessions =
                spec::sessions(events, GAP, panes, |acc: &mut Acc, (user, message): &(String, String)| {
                    add(acc, EventTime(0), user, message);
                });
            (events_in, sessions.map(|(key, summary)| Published::Summary(key, summary)).inner.capture())
        });
        for Counted { key, time, user, message, effective } in counted {
            events.update_at((key, (time, (user, message))), effective, 1);
        }
        drop(events);
        while worker.step() {}
        captured
    });
    let mut updates: Vec<Update> = captured.extract().into_iter().flat_map(|(_, updates)| updates).collect();
    consolidate_updates(&mut updates);
    updates
}

fn check(script: &Script, workers: usize) -> Result<(), proptest::test_runner::TestCaseError> {
    let sink = MemorySink::new().with_log();
    let report = groupings(source(script, 7), &sink).workers(workers).start().unwrap().wait().unwrap();
    let (fates, counted) = reference_fates(script, &time());
    prop_assert_eq!(report.fates, fates);
    prop_assert_eq!(of_sessions(&sink), specified_sessions(counted));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn sessions_equal_the_plain_definition(script in script(), workers in 1usize..4) {
        check(&script, workers)?;
    }

    /// A pipeline is stopped somewhere, and another goes on from its checkpoint on other workers.
    #[test]
    fn sessions_go_on_after_a_restart(script in script(), workers in 1usize..3, until_record in 0usize..200) {
        let undisturbed = MemorySink::new();
        groupings(source(&script, 7), &undisturbed).start().unwrap().wait().unwrap();

        let folder = tempfile::tempdir().unwrap();
        let checkpoints = || Directory::new(folder.path());
        let sink = MemorySink::new();
        let (mut memory, mut handles) = (Memory::default().records_per_poll(7), Vec::new());
        for (number, records) in script.iter().enumerate() {
            let handle = memory.handle(&format!("p{number}"));
            records.iter().take(until_record).for_each(|record| handle.append(record.as_str()));
            handles.push(handle);
        }
        let first = groupings(memory, &sink).workers(workers).checkpoints(checkpoints(), 20 * MILLI).start().unwrap();
        let given: usize = script.iter().map(|records| records.len().min(until_record)).sum();
        let dashes = script.iter().flat_map(|records| records.iter().take(until_record)).filter(|r| *r == "-").count();
        until("all is read", || first.status().fates.read as usize == given - dashes);
        first.stop().unwrap();

        let second = groupings(source(&script, 7), &sink).workers(3 - workers).checkpoints(checkpoints(), 20 * MILLI);
        finish(second.start().unwrap()).unwrap();
        let rows = |sink: &MemorySink| sink.table("sessions").iter().map(row).collect::<Vec<_>>();
        prop_assert_eq!(rows(&sink), rows(&undisturbed));
    }
}

#[test]
fn a_late_event_joins_two_sessions_into_one() {
    let at = |millis: u64, id: &str| format!("k {} {id} u m", BASE + millis);
    // Two sessions, 30 ms apart; what lies between them comes late.
    let script =
        vec![vec![at(500, "a"), at(505, "b"), at(535, "c"), at(580, "d"), at(522, "late"), at(700, "e")]];
    let sink = MemorySink::new().with_log();
    groupings(source(&script, 1), &sink).start().unwrap().wait().unwrap();
    let spans: Vec<_> = summaries_in(&sink, "sessions");
    assert_eq!(spans, [(500, 555, 4), (580, 600, 1), (700, 720, 1)]);
    let withdrawn =
        sink.batches().into_iter().flat_map(|batch| batch.changes).filter(|change| {
            change.table() == "sessions" && change.action == telemetra::core::Action::Withdraw
        });
    assert_eq!(
        withdrawn.count(),
        1,
        "one row gives way, the other is revised: their keys are the key and the start"
    );
}

/// Start and end after the base, and the number of events, of each row of a table.
fn summaries_in(sink: &MemorySink, table: &str) -> Vec<(u64, u64, u64)> {
    let rows = sink.table(table);
    let span = |change: &Change| {
        let row = change.row::<SummaryRow<String, Out>>().unwrap();
        let window = row.summary.window;
        (window.start.or_epoch().0 - BASE, window.end.0 - BASE, row.summary.value.0)
    };
    rows.iter().map(span).collect()
}
