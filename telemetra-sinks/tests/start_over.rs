//! Sinks that start over: rows of an earlier run are gone where a pipeline starts from the beginning, and only there.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use common::{batch, letter, row, upsert};
use rusqlite::Connection;
use telemetra_core::{EventTime, Sink, StreamSummary};
use telemetra_sinks::{JsonLines, Sqlite};

/// Writes a batch in a first run, opens anew, and says what the sink then takes for durable.
fn reopened(
    mut sink: impl FnMut() -> Box<dyn Sink<StreamSummary>>,
    resume: Option<EventTime>,
) -> Option<EventTime> {
    let mut first = sink();
    assert_eq!(first.open(None).unwrap(), None);
    first.dead_letters(&[letter(1, b"bad")]).unwrap();
    first.apply(&[batch(0, vec![upsert(row("s", 0, StreamSummary::default()))])]).unwrap();
    first.close().unwrap();
    sink().open(resume).unwrap()
}

fn rows(path: &Path) -> i64 {
    let both =
        "SELECT (SELECT count(*) FROM chat_summary_minute) + (SELECT count(*) FROM telemetra_dead_letters)";
    Connection::open(path).unwrap().query_row(both, [], |row| row.get(0)).unwrap()
}

#[test]
fn sqlite_starts_over() {
    let time = batch(0, Vec::<telemetra_core::Change<StreamSummary>>::new()).time;
    for (resume, durable, left) in [(None, None, 0), (Some(time), Some(time), 2)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        assert_eq!(reopened(|| Box::new(Sqlite::new(&path).start_over()), resume), durable);
        assert_eq!(rows(&path), left);
    }
}

#[test]
fn json_lines_start_over() {
    let time = batch(0, Vec::<telemetra_core::Change<StreamSummary>>::new()).time;
    for (resume, durable, left) in [(None, None, 1), (Some(time), Some(time), 3)] {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(reopened(|| Box::new(JsonLines::new(folder.path()).start_over()), resume), durable);
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            left,
            "`progress.json` is always there"
        );
    }
}

#[test]
fn what_is_not_ours_is_not_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    assert!(Sqlite::<StreamSummary>::new(&path).start_over().open(None).is_err());
    let left: i64 =
        Connection::open(&path).unwrap().query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 1);
    std::fs::write(folder.path().join("changes-00000000000000000001.jsonl"), "{}\n").unwrap();
    assert!(JsonLines::<StreamSummary>::new(folder.path()).start_over().open(None).is_err());
    assert!(folder.path().join("changes-00000000000000000001.jsonl").exists());
}
