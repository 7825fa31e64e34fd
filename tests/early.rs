//! Early results: at each tick the tables hold every window, open or closed, over the events that have taken effect, and at the end they are
//! those of a pipeline without early results.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/batch.rs"]
mod batch;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use batch::{GAP, Rows, expected};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
use proptest::test_runner::TestCaseError;
use support::watch::{finish, until};
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory;
use telemetra::core::{Action, Batch, Change, EventTime, Summary, SummaryRow, TimeConfig, WindowSpec};
use telemetra::ops::{Pipeline, sessions, sliding, tumbling};
use telemetra::sinks::MemorySink;

const MILLI: Duration = Duration::from_millis(1);

const TABLES: [&str; 3] = ["sliding", "tumbling", "sessions"];

/// The milliseconds between ticks: those of one grouping do not lie on the ends of its windows.
fn every(table: &str) -> u64 {
    if table == "tumbling" { 15 } else { 5 }
}

fn groupings(source: Memory, sink: &MemorySink) -> Pipeline<Saying> {
    let kinds = [sliding(30 * MILLI, 10 * MILLI), tumbling(40 * MILLI), sessions(GAP as u32 * MILLI)];
    let early = |n: usize| kinds[n].early(every(TABLES[n]) as u32 * MILLI);
    Pipeline::<Saying>::new()
        .source(source, Words)
        .time(time())
        .clock(clock())
        .max_watermark_drift(Duration::from_secs(30 * 86_400))
        .sink(sink.clone())
        .group(TABLES[0], early(0), |_| aggregate())
        .group(TABLES[1], early(1), |_| aggregate())
        .group(TABLES[2], early(2), |_| aggregate())
        // No last grouping any more: a type without names of closures.
        .collect("nothing", |_| None::<u64>, |_, _| ())
}

/// Panes of five milliseconds, the greatest common divisor of all slides and ticks.
fn time() -> TimeConfig {
    TimeConfig { windows: WindowSpec::tumbling(Duration::from_millis(5)).unwrap(), ..small_time() }
}

/// Applies a batch to the tables.
fn apply(tables: &mut BTreeMap<String, Rows>, batch: &Batch) {
    for change in &batch.changes {
        let SummaryRow { key, summary } = change.row::<SummaryRow<String, Out>>().unwrap().clone();
        let rows = tables.entry(change.table().to_owned()).or_default();
        let at = (key, summary.window.start.or_epoch().0);
        match change.action {
            Action::Upsert => drop(rows.insert(at, (summary.window.end.0, Out::clone(&summary.value)))),
            _ => drop(rows.remove(&at)),
        }
    }
}

/// Holds the tables at each tick to what they must be.
fn check_ticks(sink: &MemorySink, counted: &[Counted]) -> Result<(), TestCaseError> {
    let batches = sink.batches();
    let mut tables = BTreeMap::new();
    let (Some(first), Some(last)) = (
        counted.iter().map(|event| event.effective.0 + 1).min(),
        counted.iter().map(|event| event.effective.0 + 1).max(),
    ) else {
        return Ok(());
    };
    let mut batches = batches.iter().peekable();
    for boundary in (first..last + 100).filter(|boundary| boundary.is_multiple_of(5)) {
        while let Some(batch) = batches.next_if(|batch| batch.time < EventTime(boundary)) {
            apply(&mut tables, batch);
        }
        for table in TABLES.iter().filter(|table| boundary.is_multiple_of(every(table))) {
            let found = tables.get(*table).cloned().unwrap_or_default();
            prop_assert_eq!(found, expected(table, counted, boundary), "{} at {}", table, boundary);
        }
    }
    Ok(())
}

/// Holds the tables to what they must be when all windows are closed.
fn check_end(sink: &MemorySink, counted: &[Counted]) -> Result<(), TestCaseError> {
    let mut tables = BTreeMap::new();
    let changes = TABLES.iter().flat_map(|table| sink.table(table)).collect();
    apply(&mut tables, &Batch { time: EventTime::MAX, changes });
    for table in TABLES {
        let found = tables.remove(table).unwrap_or_default();
        prop_assert_eq!(found, expected(table, counted, u64::MAX), "{}", table);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn tables_hold_open_windows_at_each_tick(script in script(), workers in 1usize..4) {
        let sink = MemorySink::new().with_log();
        let report = finish(groupings(source(&script, 7), &sink).workers(workers).start().unwrap()).unwrap();
        let (fates, counted) = reference_fates(&script, &time());
        prop_assert_eq!(report.fates, fates);
        check_ticks(&sink, &counted)?;
        check_end(&sink, &counted)?;
    }

    /// A pipeline is stopped somewhere, and another goes on from its checkpoint on other workers.
    #[test]
    fn early_results_go_on_after_a_restart(script in script(), workers in 1usize..3, until_record in 0usize..200) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = || Directory::new(folder.path());
        let sink = MemorySink::new().with_log();
        let mut memory = Memory::default().records_per_poll(7);
        for (number, records) in script.iter().enumerate() {
            let handle = memory.handle(&format!("p{number}"));
            records.iter().take(until_record).for_each(|record| handle.append(record.as_str()));
        }
        let first = groupings(memory, &sink).workers(workers).checkpoints(checkpoints(), 20 * MILLI).start().unwrap();
        let given: usize = script.iter().map(|records| records.len().min(until_record)).sum();
        let dashes = script.iter().flat_map(|records| records.iter().take(until_record)).filter(|r| *r == "-").count();
        until("all is read", || first.status().fates.read as usize == given - dashes);
        first.stop().unwrap();

        let second = groupings(source(&script, 7), &sink).workers(3 - workers).checkpoints(checkpoints(), 20 * MILLI);
        finish(second.start().unwrap()).unwrap();
        let (_, counted) = reference_fates(&script, &time());
        check_ticks(&sink, &counted)?;
        check_end(&sink, &counted)?;
    }
}

#[test]
fn an_open_window_is_revised_at_ticks_and_when_it_ends() {
    let at = |millis: u64, id: &str| format!("k {} {id} u m", BASE + millis);
    let script = vec![vec![at(402, "a"), at(411, "b"), at(413, "c"), at(500, "d")]];
    let sink = MemorySink::new().with_log();
    groupings(source(&script, 1), &sink).start().unwrap().wait().unwrap();
    let mut seen = Vec::new();
    for batch in sink.batches() {
        for change in batch.changes.iter().filter(|change| change.table() == "tumbling") {
            let row = change.row::<SummaryRow<String, Out>>().unwrap();
            seen.push((
                batch.time.0 + 1 - BASE,
                row.summary.window.start.or_epoch().0 - BASE,
                row.summary.value.0,
                change.revision,
            ));
        }
    }
    // The ticks of 15 ms after the base, and the ends of the windows at 440 and 520.
    assert_eq!(
        seen,
        [(410, 400, 1, 0), (425, 400, 3, 1), (515, 480, 1, 0)],
        "an end that changes nothing is no revision"
    );
}

#[test]
fn windows_that_begin_before_1970_have_rows_of_their_own() {
    let script = vec![vec!["k 5 a u m".to_owned(), "k 12 b u m".to_owned(), "k 33 c u m".to_owned()]];
    let sink = MemorySink::new().with_log();
    groupings(source(&script, 1), &sink).start().unwrap().wait().unwrap();
    let windows = |changes: &[Change]| -> Vec<(i64, u64, u64)> {
        let rows = changes.iter().filter(|change| change.table() == "sliding");
        rows.map(|change| {
            let Summary { window, value } = &change.row::<SummaryRow<String, Out>>().unwrap().summary;
            (window.start.0, window.end.0, value.0)
        })
        .collect()
    };
    assert_eq!(
        windows(&sink.table("sliding")),
        [(-20, 10, 1), (-10, 20, 2), (0, 30, 2), (10, 40, 2), (20, 50, 1), (30, 60, 1)]
    );
    // As of the tick at 10, the window that began ten milliseconds before 1970 is open, beside the one that began at it.
    let first =
        sink.batches().iter().map(|batch| windows(&batch.changes)).find(|rows| !rows.is_empty()).unwrap();
    assert_eq!(first, [(-20, 10, 1), (-10, 20, 1), (0, 30, 1)]);
}
