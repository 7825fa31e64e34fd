//! Every built-in sink keeps the contract.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use telemetra_core::testkit::{HeldRow, sink_compliance, tables_of_history};
use telemetra_core::{AnyRow, ColumnKind, KeyPart, RowKey, Table};
use telemetra_sinks::{JsonLines, MemorySink};

const ALL: [&str; 5] = ["devices", "device_minute", "moments", "payments", "telemetra_dead_letters"];

/// A row in the words of the suite.
fn held(row: &dyn AnyRow, contents: String) -> HeldRow {
    let key = RowKey::of(row);
    let part = |part: &KeyPart| match part {
        KeyPart::Time(time) => time.0.to_string(),
        KeyPart::BeforeEpoch(time) => time.0.to_string(),
        part => part.to_string(),
    };
    let parts: Vec<_> = key.parts().iter().map(part).collect();
    HeldRow { table: key.table().to_owned(), key: parts.join("/"), contents }
}

#[test]
fn memory() {
    let stores: Vec<_> = (0..40).map(|_| MemorySink::new()).collect();
    sink_compliance(
        &ALL,
        |n| Box::new(stores[n as usize].clone()),
        |n| {
            let memory = &stores[n as usize];
            let rows = memory.rows().into_iter().map(|change| held(&*change.row, format!("{change:?}")));
            let letters = memory.dead_letters().into_iter().map(|letter| HeldRow {
                table: "telemetra_dead_letters".into(),
                key: format!("{}/{}/{}", letter.partition, letter.offset, letter.index),
                contents: letter.reason.into(),
            });
            rows.chain(letters).collect()
        },
    );
}

/// The lines of the files that begin with `prefix`, in the order of their names.
fn lines(folder: &Path, prefix: &str) -> Vec<Value> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    paths.sort();
    let text: String = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The key of a line, in the words of the suite.
fn key_of_line(table: &Table, line: &Value) -> String {
    let part = |column: &telemetra_core::Column| {
        let text = line[&*column.name].as_str().unwrap();
        match column.kind {
            ColumnKind::Time => text.parse::<jiff::Timestamp>().unwrap().as_millisecond().to_string(),
            _ => text.to_owned(),
        }
    };
    table.keys().iter().map(part).collect::<Vec<_>>().join("/")
}

/// Plays the log, as a reader of it would.
fn play(folder: &Path) -> Vec<HeldRow> {
    let (mut rows, tables) = (BTreeMap::new(), tables_of_history());
    for line in lines(folder, "changes-") {
        let Some(table) = tables.iter().find(|table| table.name() == line["table"]) else { continue };
        let place = (table.name().to_owned(), key_of_line(table, &line));
        match line["action"].as_str().unwrap() {
            "upsert" => rows.insert(place, line.to_string()),
            _ => rows.remove(&place),
        };
    }
    let rows = rows.into_iter().map(|((table, key), contents)| HeldRow { table, key, contents });
    let letters = lines(folder, "dead_letters-").into_iter().map(|line| HeldRow {
        table: "telemetra_dead_letters".into(),
        key: format!("{}/{}/{}", line["partition"].as_str().unwrap(), line["offset"], line["index"]),
        contents: line.to_string(),
    });
    rows.chain(letters).collect()
}

#[test]
fn json_lines() {
    for rotate_bytes in [1 << 20, 600] {
        let folder = tempfile::tempdir().unwrap();
        let store = |n: u32| folder.path().join(n.to_string());
        sink_compliance(
            &ALL,
            |n| Box::new(JsonLines::new(store(n)).rotate_bytes(rotate_bytes)),
            |n| play(&store(n)),
        );
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn sqlite() {
    use rusqlite::{Connection, types::ValueRef};
    let folder = tempfile::tempdir().unwrap();
    let store = |n: u32| folder.path().join(format!("{n}.db"));
    let read_back = |n: u32| {
        let connection = Connection::open(store(n)).unwrap();
        let mut rows = Vec::new();
        for (table, keys) in ALL.into_iter().zip([1, 2, 1, 1, 3]) {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut cursor = statement.query([]).unwrap();
            while let Some(row) = cursor.next().unwrap() {
                let cell = |i: usize| match row.get_ref(i).unwrap() {
                    ValueRef::Integer(n) => n.to_string(),
                    ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                    other => format!("{other:?}"),
                };
                let key: Vec<_> = (0..keys).map(cell).collect();
                let contents: Vec<_> = (keys..columns).map(cell).collect();
                rows.push(HeldRow { table: table.into(), key: key.join("/"), contents: contents.join("|") });
            }
        }
        rows
    };
    sink_compliance(&ALL, |n| Box::new(telemetra_sinks::Sqlite::new(store(n))), read_back);
}

#[cfg(any())]
#[test]
fn live_view() {
    use std::cell::RefCell;
    use std::collections::HashMap;
    use telemetra_sinks::{LiveReader, LiveView};
    let readers: RefCell<HashMap<u32, LiveReader<StreamSummary>>> = RefCell::default();
    sink_compliance(
        &ALL[..3],
        |n| {
            let view = LiveView::new(3_600_000);
            readers.borrow_mut().insert(n, view.reader());
            Box::new(view)
        },
        |n| {
            let reader = &readers.borrow()[&n];
            let mut rows = Vec::new();
            for (id, _) in reader.streams() {
                let view = reader.stream(&id).unwrap();
                rows.extend(view.row().map(|row| held(&Row::Stream(row.clone()), format!("{row:?}"))));
                rows.extend(view.history().map(|(window, value)| {
                    let summary = telemetra_core::Summary { window, value: std::sync::Arc::clone(value) };
                    held(&Row::Summary(id.clone(), summary), format!("{value:?}"))
                }));
                rows.extend(
                    view.moments().map(|moment| held(&Row::Moment(moment.clone()), format!("{moment:?}"))),
                );
            }
            rows
        },
    );
}

/// The suite must find what is wrong, or it is worth nothing.
mod broken {
    use super::*;
    use std::sync::Arc;
    use telemetra_core::{Action, Batch, EventTime, ExternalError, Sink};

    struct Broken {
        memory: MemorySink,
        withdraws: bool,
        durable: Option<EventTime>,
    }

    impl Sink for Broken {
        fn name(&self) -> &str {
            "broken"
        }
        fn open(
            &mut self,
            tables: &[Arc<Table>],
            resume: Option<EventTime>,
        ) -> Result<Option<EventTime>, ExternalError> {
            self.memory
                .open(tables, resume)
                .map(|durable| self.durable.filter(|_| resume.is_some()).or(durable))
        }
        fn apply(&mut self, batches: &[Batch]) -> Result<(), ExternalError> {
            let mut batches = batches.to_vec();
            for batch in &mut batches {
                batch.changes.retain(|change| self.withdraws || change.action == Action::Upsert);
            }
            self.memory.apply(&batches)
        }
    }

    fn check(withdraws: bool, durable: Option<EventTime>) {
        let stores: Vec<_> = (0..40).map(|_| MemorySink::new()).collect();
        sink_compliance(
            &ALL[..4],
            |n| Box::new(Broken { memory: stores[n as usize].clone(), withdraws, durable }),
            |n| {
                let rows = stores[n as usize].rows().into_iter();
                rows.map(|change| held(&*change.row, format!("{change:?}"))).collect()
            },
        );
    }

    #[test]
    fn but_for_what_is_broken_it_is_good() {
        check(true, None);
    }

    #[test]
    #[should_panic(expected = "the tables should hold")]
    fn withdrawals_that_are_dropped_are_found() {
        check(false, None);
    }

    #[test]
    #[should_panic(expected = "where the last batch was of")]
    fn a_time_that_was_never_given_is_found() {
        check(true, Some(EventTime(5)));
    }
}
