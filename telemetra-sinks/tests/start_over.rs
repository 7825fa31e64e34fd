//! Sinks that start over: rows of an earlier run are gone where a pipeline starts from the beginning, and only there.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{batch, letter, readings, tables};
use telemetra_core::{Column, ColumnKind, EventTime, Retry, Sink, Table};
use telemetra_sinks::JsonLines;

/// Writes a batch in a first run, opens anew, and says what the sink then takes for durable.
fn reopened(mut sink: impl FnMut() -> Box<dyn Sink>, resume: Option<EventTime>) -> Option<EventTime> {
    let mut first = sink();
    assert_eq!(first.open(&tables(), None).unwrap(), None);
    first.dead_letters(&[letter(1, b"bad")]).unwrap();
    first.apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    first.close().unwrap();
    drop(first);
    sink().open(&tables(), resume).unwrap()
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.retain(|name| name != ".lock" && name != "progress.json");
    names
}

#[test]
fn json_lines_start_over() {
    let time = batch(0, vec![]).time;
    for (resume, durable) in [(None, None), (Some(time), Some(time))] {
        let folder = tempfile::tempdir().unwrap();
        let sink = || Box::new(JsonLines::new(folder.path()).start_over());
        assert_eq!(reopened(|| sink(), resume), durable);
        let before = names(folder.path());
        assert_eq!(before.len(), 2, "it is emptied by the first change");
        let mut again = sink();
        again.open(&tables(), resume).unwrap();
        again.apply(&[batch(2, vec![readings("d", 2, 1)])]).unwrap();
        assert_eq!(names(folder.path()).len(), if resume.is_none() { 1 } else { 2 });
        assert_eq!(names(folder.path())[0] == before[0], resume.is_some());
    }
}

/// A run that has nothing to say leaves what is there, and whoever had written it goes on.
fn an_empty_run_empties_nothing(make: &dyn Fn(bool) -> Box<dyn Sink>, rows: &dyn Fn() -> usize) {
    let time = batch(0, vec![]).time;
    let mut first = make(false);
    first.open(&tables(), None).unwrap();
    first.dead_letters(&[letter(1, b"bad")]).unwrap();
    first.apply(&[batch(0, vec![readings("d", 0, 1), readings("e", 0, 1)])]).unwrap();
    first.close().unwrap();
    drop(first);
    let mut empty = make(true);
    assert_eq!(empty.open(&tables(), None).unwrap(), None);
    empty.dead_letters(&[letter(7, b"not in the format")]).unwrap();
    empty.apply(&[]).unwrap();
    empty.close().unwrap();
    drop(empty);
    assert_eq!(rows(), 2, "the rows of the first run are gone");
    assert_eq!(make(false).open(&tables(), Some(time)).unwrap(), Some(time), "the first run does not go on");

    // One that had a checkpoint before it had a row goes on, and its first row takes the place of all.
    let (later, last) = (batch(1, vec![]), batch(2, vec![readings("d", 2, 1)]));
    let mut over = make(true);
    assert_eq!(over.open(&tables(), None).unwrap(), None);
    over.apply(std::slice::from_ref(&later)).unwrap();
    drop(over);
    assert_eq!(rows(), 2);
    let mut over = make(true);
    assert_eq!(over.open(&tables(), Some(later.time)).unwrap(), Some(later.time));
    over.apply(&[last]).unwrap();
    assert_eq!(rows(), 1);
}

/// A second pipeline on the same place is refused, running or not, unless it is the same.
fn a_place_has_one_owner(make: &dyn Fn(&str) -> Box<dyn Sink>, with_own_tables: bool) {
    let other = [Arc::new(Table::new("others").key(Column::new("id", ColumnKind::Text)))];
    let mut first = make("first");
    first.open(&tables(), None).unwrap();
    let error = make("first").open(&tables(), None).unwrap_err();
    assert!(error.to_string().contains("still runs") && error.retry() == Retry::Transient, "{error}");
    first.apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    drop(first);
    let error = make("first").open(&other, None).unwrap_err();
    assert!(error.to_string().contains("a name of its own"), "{error}");
    let error = make("second").open(&tables(), None).unwrap_err();
    assert!(error.to_string().contains("`second`") && error.retry() == Retry::Permanent, "{error}");
    assert_eq!(make("first").open(&tables(), None).unwrap(), Some(batch(0, vec![]).time));
    if with_own_tables {
        assert_eq!(make("second").open(&other, None).unwrap(), None, "each has its own progress");
    }
}

#[test]
fn an_empty_run_leaves_json_lines() {
    let folder = tempfile::tempdir().unwrap();
    let make = |over| {
        let sink = JsonLines::new(folder.path());
        Box::new(if over { sink.start_over() } else { sink }) as Box<dyn Sink>
    };
    let rows = || {
        let changes = names(folder.path()).into_iter().filter(|name| name.starts_with("changes-"));
        let texts = changes.map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap());
        texts.map(|text| text.lines().filter(|line| line.contains("\"device_minute\"")).count()).sum()
    };
    an_empty_run_empties_nothing(&make, &rows);
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let mut sink = JsonLines::new(folder.path());
        sink.part_of(name);
        Box::new(sink) as Box<dyn Sink>
    };
    a_place_has_one_owner(&make, false);
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

    use super::common::{batch, readings, tables};
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
            assert_eq!(rows(&path), 2, "it is emptied by the first change");
            let mut again = Sqlite::new(&path).start_over();
            again.open(&tables(), resume).unwrap();
            again.apply(&[batch(2, vec![readings("d", 2, 1)])]).unwrap();
            assert_eq!(rows(&path), left + 1);
        }
    }

    #[test]
    fn an_empty_run_leaves_the_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let make = |over| {
            let sink = Sqlite::new(&path);
            Box::new(if over { sink.start_over() } else { sink }) as Box<dyn Sink>
        };
        let count = || {
            let connection = Connection::open(&path).unwrap();
            let count =
                connection.query_row("SELECT count(*) FROM device_minute", [], |row| row.get::<_, i64>(0));
            usize::try_from(count.unwrap()).unwrap()
        };
        super::an_empty_run_empties_nothing(&make, &count);
    }

    #[test]
    fn a_table_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.db");
        let make = |name: &str| {
            let mut sink = Sqlite::new(&path);
            sink.part_of(name);
            Box::new(sink) as Box<dyn Sink>
        };
        super::a_place_has_one_owner(&make, true);
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
