//! An input that has grown since a run came to its end: what the end closed too early is revised, so that the tables are those of one run over
//! all of it.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/batch.rs"]
mod batch;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use batch::{counted, expected, rows_of};
use proptest::prelude::{ProptestConfig, prop, prop_assert_eq, proptest};
use serde::{Deserialize, Serialize};
use support::watch::finish;
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory;
use telemetra::core::{Column, ColumnKind, EventTime, Row, RowKey, SummaryRow, Table, Value};
use telemetra::ops::{Pipeline, sessions, sliding, tumbling};
use telemetra::sinks::MemorySink;

const MILLI: Duration = Duration::from_millis(1);

const TABLES: [&str; 5] = ["sliding", "sliding_moments", "tumbling", "sessions", "sayings"];

/// An event, kept as a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Said {
    id: String,
    at: EventTime,
}

impl Row for Said {
    fn table() -> Table {
        Table::new("sayings")
            .key(Column::new("id", ColumnKind::Text))
            .column(Column::new("at", ColumnKind::Integer))
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.id));
        put(Value::Unsigned(self.at.0));
    }
}

fn groupings(source: Memory, sink: &MemorySink, workers: usize) -> Pipeline<Saying> {
    Pipeline::<Saying>::new()
        .source(source, Words)
        .time(small_time())
        .clock(clock())
        .max_watermark_drift(Duration::from_secs(30 * 86_400))
        .workers(workers)
        .sink(sink.clone())
        .group(TABLES[0], sliding(30 * MILLI, 10 * MILLI), |_| aggregate())
        .rules(small_rules())
        .group(TABLES[2], tumbling(40 * MILLI).early(10 * MILLI), |_| aggregate())
        .group(TABLES[3], sessions(20 * MILLI), |_| aggregate())
        .rows(|saying: &Saying| Some(Said { id: saying.id.clone(), at: saying.time }))
}

/// All rows of all tables.
fn rows(sink: &MemorySink) -> BTreeMap<RowKey, String> {
    let changes = TABLES.iter().flat_map(|table| sink.table(table));
    changes.map(|change| (RowKey::of(&*change.row), format!("{:?}", change.row))).collect()
}

/// The first records of each partition, in thousandths.
fn part(script: &Script, share: usize) -> Script {
    script.iter().map(|records| records[..records.len() * share / 1000].to_vec()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    #[test]
    fn runs_to_the_end_of_a_growing_input_make_the_tables_of_one(
        script in script(),
        mut shares in prop::collection::vec(0usize..1000, 1..4),
        workers in prop::collection::vec(1usize..4, 5),
        every in prop::sample::select(vec![20_u32, 60, 200]),
    ) {
        // One partition, so that nobody goes ahead of it while it has come to its end.
        let script = script[..1].to_vec();
        let undisturbed = MemorySink::new();
        finish(groupings(source(&script, 7), &undisturbed, 1).start().unwrap()).unwrap();

        shares.sort_unstable();
        shares.push(1000);
        let (folder, sink) = (tempfile::tempdir().unwrap(), MemorySink::new());
        for (share, workers) in shares.iter().zip(workers) {
            let pipeline = groupings(source(&part(&script, *share), 7), &sink, workers);
            let pipeline = pipeline.checkpoints(Directory::new(folder.path()), every * MILLI);
            finish(pipeline.start().unwrap()).unwrap();
        }
        let (found, expected) = (rows(&sink), rows(&undisturbed));
        let surplus: Vec<_> = found.iter().filter(|(key, row)| expected.get(key) != Some(row)).collect();
        let missing: Vec<_> = expected.iter().filter(|(key, row)| found.get(key) != Some(row)).collect();
        prop_assert_eq!(surplus, missing);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases(60)))]

    /// A partition that comes to its end falls behind the others, so some of what it brings later is late or too late.
    #[test]
    fn partitions_that_grow_make_the_tables_of_what_counts(
        script in script(),
        shares in prop::collection::vec(prop::collection::vec(0usize..=1000, 3), 1..4),
        workers in prop::collection::vec(1usize..4, 5),
        every in prop::sample::select(vec![20_u32, 60, 200]),
    ) {
        let (folder, sink) = (tempfile::tempdir().unwrap(), MemorySink::new());
        let mut read = vec![0; script.len()];
        for (run, workers) in workers.iter().enumerate() {
            for (partition, read) in read.iter_mut().enumerate() {
                let share = shares.get(run).map_or(1000, |shares| shares[partition]);
                *read = script[partition].len().min(*read + script[partition].len() * share / 1000);
            }
            let grown: Script = script.iter().zip(&read).map(|(records, read)| records[..*read].to_vec()).collect();
            let pipeline = groupings(source(&grown, 7), &sink, *workers);
            let pipeline = pipeline.checkpoints(Directory::new(folder.path()), every * MILLI);
            let report = finish(pipeline.start().unwrap()).unwrap();
            let records = grown.iter().flatten().filter(|record| *record != "-").count();
            prop_assert_eq!(report.fates.read, records as u64);

            let letters = sink.dead_letters();
            let counted: Vec<Counted> = grown.iter().enumerate().flat_map(|(number, records)| {
                let is_counted = |offset: &u64| {
                    let place = (format!("p{number}"), *offset);
                    letters.iter().all(|letter| (letter.partition.to_string(), letter.offset) != place)
                };
                (0..).zip(records).filter(|(offset, _)| is_counted(offset)).filter_map(|(_, record)| counted(record))
                    .collect::<Vec<_>>()
            }).collect();
            for table in ["sliding", "tumbling", "sessions"] {
                prop_assert_eq!(rows_of(sink.table(table).iter()), expected(table, &counted, u64::MAX), "{} after run {}", table, run);
            }
        }
    }
}

#[test]
fn windows_that_the_end_closed_are_revised_and_nothing_else() {
    let at = |millis: u64, id: &str| format!("k {} {id} u m", BASE + millis);
    let mut script = vec![vec![at(500, "a"), at(580, "b"), at(660, "c")]];
    let (folder, sink) = (tempfile::tempdir().unwrap(), MemorySink::new().with_log());
    let run = |script: &Script| {
        let pipeline = groupings(source(script, 1), &sink, 1);
        finish(pipeline.checkpoints(Directory::new(folder.path()), 20 * MILLI).start().unwrap()).unwrap();
    };
    let changes_of = |from: usize| -> Vec<(u64, u64, u32)> {
        let batches = sink.batches();
        let changes =
            batches.iter().flat_map(|batch| &batch.changes).filter(|change| change.table() == "sliding");
        let row = |change: &telemetra::core::Change| {
            let row = change.row::<SummaryRow<String, Out>>().unwrap();
            (row.summary.window.end.0 - BASE, row.summary.value.0, change.revision)
        };
        changes.skip(from).map(row).collect()
    };
    run(&script);
    let first = changes_of(0);
    assert_eq!(first.last(), Some(&(690, 1, 0)));
    run(&script);
    assert_eq!(changes_of(first.len()), [], "an input that has not grown changes nothing");
    script[0].push(at(661, "d"));
    run(&script);
    assert_eq!(changes_of(first.len()), [(670, 2, 1), (680, 2, 1), (690, 2, 1)]);
    script[0].push(at(662, "e"));
    run(&script);
    assert_eq!(changes_of(first.len() + 3), [(670, 3, 2), (680, 3, 2), (690, 3, 2)]);
    let said = sink.table("sayings");
    let said: Vec<_> = said.iter().map(|change| change.row::<Said>().unwrap().id.as_str()).collect();
    assert_eq!(said, ["a", "b", "c", "d", "e"], "events that the end went past are kept as rows too");
}
