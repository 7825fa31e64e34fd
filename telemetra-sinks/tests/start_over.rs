//! Sinks that start over: rows of an earlier run are gone where a pipeline starts from the beginning, and only there.
#![allow(clippy::unwrap_used)]

mod common;

use common::{batch, letter, readings, tables};
use telemetra_core::{EventTime, Sink};
use telemetra_sinks::JsonLines;

/// Writes a batch in a first run, opens anew, and says what the sink then takes for durable.
fn reopened(mut sink: impl FnMut() -> Box<dyn Sink>, resume: Option<EventTime>) -> Option<EventTime> {
    let mut first = sink();
    assert_eq!(first.open(&tables(), None).unwrap(), None);
    first.dead_letters(&[letter(1, b"bad")]).unwrap();
    first.apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    first.close().unwrap();
    sink().open(&tables(), resume).unwrap()
}

#[test]
fn json_lines_start_over() {
    let time = batch(0, vec![]).time;
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
fn a_folder_that_is_not_ours_is_not_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changes-00000000000000000001.jsonl");
    std::fs::write(&path, "{}\n").unwrap();
    assert!(JsonLines::new(folder.path()).start_over().open(&tables(), None).is_err());
    assert!(path.exists());
}

#[cfg(feature = "sqlite")]
mod sqlite {
    use std::path::Path;

    use rusqlite::Connection;
    use telemetra_core::Sink;
    use telemetra_sinks::Sqlite;

    use super::common::{batch, tables};
    use super::reopened;

    fn rows(path: &Path) -> i64 {
        let both =
            "SELECT (SELECT count(*) FROM device_minute) + (SELECT count(*) FROM telemetra_dead_letters)";
        Connection::open(path).unwrap().query_row(both, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn it_starts_over() {
        let time = batch(0, vec![]).time;
        for (resume, durable, left) in [(None, None, 0), (Some(time), Some(time), 2)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t.db");
            assert_eq!(reopened(|| Box::new(Sqlite::new(&path).start_over()), resume), durable);
            assert_eq!(rows(&path), left);
        }
    }

    #[test]
    fn a_database_that_is_not_ours_is_not_emptied() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let table = "CREATE TABLE t (x); INSERT INTO t VALUES (1)";
        Connection::open(&path).unwrap().execute_batch(table).unwrap();
        assert!(Sqlite::new(&path).start_over().open(&tables(), None).is_err());
        let left = Connection::open(&path).unwrap();
        let left: i64 = left.query_row("SELECT x FROM t", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 1);
    }
}
