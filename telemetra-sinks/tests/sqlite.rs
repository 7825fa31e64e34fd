//! The SQLite database, as its readers and a restart find it.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

#[path = "common/sqlite_rows.rs"]
mod rows;
#[path = "common/sqlite_tables.rs"]
mod tables;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rows::{Sample, batch, letter, moment, moments, one, reading, readings, sink, tables, text_of, upsert};
use rusqlite::{Connection, types::ValueRef};
use telemetra_core::testkit::{HeldRow, sink_compliance, tables_of_history};
use telemetra_core::{Column, ColumnKind, EventTime, Layout, Retry, Sink, Table, TraceParent, Value};
use telemetra_sinks::Sqlite;

#[test]
fn it_keeps_the_contract_of_sinks() {
    let folder = tempfile::tempdir().unwrap();
    let store = |n: u32| folder.path().join(format!("{n}.db"));
    let mut kept: Vec<_> =
        tables_of_history().iter().map(|table| (table.name().to_owned(), table.keys().len())).collect();
    kept.push(("telemetra_dead_letters".to_owned(), 3));
    let read_back = |n: u32| {
        let connection = Connection::open(store(n)).unwrap();
        let mut rows = Vec::new();
        for (table, keys) in &kept {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut cursor = statement.query([]).unwrap();
            while let Some(row) = cursor.next().unwrap() {
                let cell = |i: usize| match row.get_ref(i).unwrap() {
                    ValueRef::Integer(n) => n.to_string(),
                    ValueRef::Text(text) => String::from_utf8(text.to_vec()).unwrap(),
                    other => format!("{other:?}"),
                };
                let key: Vec<_> = (0..*keys).map(cell).collect();
                let contents: Vec<_> = (*keys..columns).map(cell).collect();
                rows.push(HeldRow { table: table.clone(), key: key.join("/"), contents: contents.join("|") });
            }
        }
        rows
    };
    let names: Vec<_> = kept.iter().map(|(name, _)| &**name).collect();
    sink_compliance(&names, |n| Box::new(Sqlite::new(store(n))), read_back);
}

#[test]
fn rows_have_the_columns_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let changes =
        vec![readings().upsert(reading("d", 0, u64::MAX), 3), moments().upsert(moment("d", false), 0)];
    sink(&path).apply(&[batch(0, changes), batch(1, vec![upsert("d", 1, 30)])]).unwrap();

    let text = |sql: &str| one::<String>(&path, sql);
    let number = |sql: &str| one::<i64>(&path, sql);
    let first = |column: &str| format!("SELECT {column} FROM device_minute ORDER BY window_start");
    assert_eq!(number(&first("window_start")), 1_767_225_600_000);
    assert_eq!(number(&first("updated_at")), 1_767_225_659_999);
    assert_eq!(number(&first("revision")), 3);
    assert_eq!(number(&first("readings")), i64::MAX, "saturates");
    let rate = one::<f64>(&path, "SELECT per_second FROM device_minute WHERE readings = 30");
    assert_eq!(rate.to_bits(), 0.5_f64.to_bits());
    assert_eq!(one::<Option<f64>>(&path, &first("mean")), None, "a float that is not finite is null");
    assert_eq!(text(&first("names ->> '$[0].name'")), "a \"name\"");
    assert_eq!(number("SELECT ended_at FROM moments"), 1_767_225_660_000);
    assert_eq!(text("SELECT context ->> 'side' FROM moments"), "above");
    assert_eq!(text("PRAGMA journal_mode"), "wal");
    assert_eq!(text("PRAGMA integrity_check"), "ok");
}

#[test]
fn every_kind_of_value_has_a_type() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let sample = Sample {
        site: i64::MIN,
        number: 7,
        amount: i128::MAX,
        faulty: true,
        note: Some("it's".into()),
        raw: vec![0, 255, b'\''],
        digits: vec![1, -2, i64::MAX],
        tags: vec!["a \"quoted\" text".into(), String::new()],
    };
    let empty = Sample { site: -1, ..Sample::default() };
    let layout = Layout::<Sample>::of_row();
    let mut sink = sink(&path);
    sink.apply(&[batch(0, vec![layout.upsert(sample.clone(), 0), layout.upsert(empty, 0)])]).unwrap();

    let text = |column: &str| one::<String>(&path, &format!("SELECT {column} FROM samples WHERE number = 7"));
    assert_eq!(one::<i64>(&path, "SELECT site FROM samples WHERE number = 7"), i64::MIN);
    assert_eq!(one::<i64>(&path, "SELECT site FROM samples WHERE number = 0"), -1);
    assert_eq!(text("amount"), "170141183460469231731687303715884.105727");
    assert_eq!(one::<i64>(&path, "SELECT faulty FROM samples WHERE number = 7"), 1);
    assert_eq!(one::<Vec<u8>>(&path, "SELECT raw FROM samples WHERE number = 7"), sample.raw);
    assert_eq!(one::<Vec<u8>>(&path, "SELECT raw FROM samples WHERE number = 0"), b"");
    assert_eq!(text("digits"), "[1,-2,9223372036854775807]");
    assert_eq!(text("CAST(halves ->> 0 AS TEXT)"), "0.5");
    assert_eq!(one::<String>(&path, "SELECT halves FROM samples WHERE number = 0"), "[null]");
    assert_eq!(text("tags"), r#"["a \"quoted\" text",""]"#);
    assert_eq!(one::<Option<String>>(&path, "SELECT note FROM samples WHERE number = 0"), None);
    let types = "SELECT group_concat(type, ' ') FROM pragma_table_info('samples')";
    assert_eq!(one::<String>(&path, types), "INTEGER INTEGER TEXT INTEGER TEXT BLOB TEXT TEXT TEXT");

    sink.apply(&[batch(1, vec![layout.withdraw(sample, 1)])]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM samples"), 1);
}

#[test]
fn keys_that_would_be_one_with_others_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let table = Table::new("ids")
        .key(Column::new("id", ColumnKind::Integer))
        .key(Column::new("at", ColumnKind::Time))
        .column(Column::new("n", ColumnKind::Integer));
    let layout = Layout::new(table, |(id, at): &(u64, u64), put: &mut dyn FnMut(Value<'_>)| {
        put(Value::Unsigned(*id));
        put(Value::Time(EventTime(*at)));
        put(Value::Unsigned(u64::MAX));
    });
    let mut sink = Sqlite::new(&path);
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    let last = i64::MAX as u64;
    for (row, words) in [
        ((last + 1, 0), "the row ids (9223372036854775808, "),
        ((0, last), "the row ids (0, 9223372036854775807ms)"),
        ((0, u64::MAX - 1), "the row ids (0, 18446744073709551614ms)"),
    ] {
        for change in [layout.upsert(row, 0), layout.withdraw(row, 0)] {
            let error = sink.apply(&[batch(0, vec![layout.upsert((1, 1), 0), change])]).unwrap_err();
            assert_eq!(error.retry(), Retry::Permanent);
            let text = text_of(&error);
            assert!(text.contains(words) && text.contains("is more than an INTEGER can hold"), "{text}");
        }
    }
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM ids"), 0);
    let rows = [(last, 0), (last, last - 1), (last, u64::MAX)];
    sink.apply(&[batch(0, rows.map(|row| layout.upsert(row, 0)).into())]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM ids"), 3);
}

#[test]
fn names_may_be_words_of_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let table = Table::new("order").key(Column::new("group", ColumnKind::Bytes)).index(["group"]);
    let layout = Layout::new(table, |row: &Vec<u8>, put| put(Value::Bytes(row)));
    let mut sink = Sqlite::new(&path);
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    sink.apply(&[batch(0, vec![layout.upsert(vec![1], 0), layout.upsert(vec![2], 0)])]).unwrap();
    sink.apply(&[batch(1, vec![layout.withdraw(vec![1], 1)])]).unwrap();
    assert_eq!(one::<Vec<u8>>(&path, "SELECT \"group\" FROM \"order\""), [2]);
}

#[test]
fn a_row_that_breaks_its_contract_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let table = Table::new("counts")
        .key(Column::new("device", ColumnKind::Text))
        .column(Column::new("n", ColumnKind::Integer));
    let layout = Layout::new(table, |(device, values): &(String, Vec<Option<u64>>), put| {
        put(Value::Text(device));
        values.iter().for_each(|n| put(Value::or_null(n.map(Value::Unsigned))));
    });
    let row = |values: &[Option<u64>]| layout.upsert(("d".to_owned(), values.to_vec()), 0);
    let all = [Arc::clone(layout.table())];
    let mut sink = Sqlite::new(&path);
    sink.open(&all, None).unwrap();
    sink.apply(&[batch(0, vec![row(&[Some(7)])])]).unwrap();

    for values in [&[Some(1), Some(2)][..], &[], &[None]] {
        let error = sink.apply(&[batch(1, vec![row(values)])]).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(error.to_string().contains("the row counts (d)"), "{error}");
    }
    assert!(text_of(&sink.apply(&[batch(1, vec![row(&[None])])]).unwrap_err()).contains("counts.n"));
    let error = sink.apply(&[batch(1, vec![upsert("d", 1, 1)])]).unwrap_err();
    let wanted =
        "the row device_minute (d, 2026-01-01T00:00:10.000Z) is of a table that the sink was not opened";
    assert!(error.to_string().contains(wanted), "{error}");
    assert_eq!(sink.open(&all, None).unwrap(), Some(batch(0, vec![]).time), "nothing of it is there");
    assert_eq!(one::<i64>(&path, "SELECT n FROM counts"), 7);
}

#[test]
fn other_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let refused = |path: &Path, word: &str| {
        let error = Sqlite::new(path).start_over().open(&tables(), None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = text_of(&error);
        assert!(text.contains(word) && text.contains(path.to_str().unwrap()), "{text}");
    };
    drop(sink(&path));
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    refused(&path, "version 7");

    let foreign = folder.path().join("foreign.db");
    let rows = "CREATE TABLE moments (id); INSERT INTO moments VALUES (1)";
    Connection::open(&foreign).unwrap().execute_batch(rows).unwrap();
    refused(&foreign, "did not make");
    assert_eq!(one::<i64>(&foreign, "SELECT id FROM moments"), 1, "it is not emptied");

    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database, but long enough to be looked at".repeat(100)).unwrap();
    refused(&text, "damaged or not a database");
    refused(&folder.path().join("no/folder/t.db"), "check that its folder exists");
}

#[test]
fn it_starts_over_from_the_beginning_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut first = sink(&path);
    first.dead_letters(&[letter(1, b"bad")]).unwrap();
    first.apply(&[batch(0, vec![upsert("d", 0, 1)])]).unwrap();
    first.close().unwrap();
    let rows = || {
        let both =
            "SELECT (SELECT count(*) FROM device_minute) + (SELECT count(*) FROM telemetra_dead_letters)";
        one::<i64>(&path, both)
    };
    let time = Some(batch(0, vec![]).time);
    assert_eq!(Sqlite::new(&path).start_over().open(&tables(), time).unwrap(), time);
    assert_eq!(Sqlite::new(&path).open(&tables(), None).unwrap(), time);
    assert_eq!(rows(), 2);
    // A column that may not be null can be added where no row is left.
    let wider = readings().table().as_ref().clone().column(Column::new("more", ColumnKind::Integer));
    let wider = Layout::new(wider, |_: &(), put| {
        put(Value::Text("d"));
        put(Value::Time(EventTime(0)));
        put(Value::Time(EventTime(1)));
        put(Value::Unsigned(1));
        put(Value::Float(1.0));
        put(Value::Null);
        put(Value::Json(&"[]"));
        put(Value::Revision);
        put(Value::PublishedAt);
        put(Value::Unsigned(7));
    });
    let mut over = Sqlite::new(&path).start_over();
    assert_eq!(over.open(&[Arc::clone(wider.table())], None).unwrap(), None);
    assert_eq!(rows(), 2, "nothing has come that could take their place");
    over.apply(&[batch(1, vec![wider.upsert((), 0)])]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT sum(more) FROM device_minute"), 7);
    assert_eq!(rows(), 1);
}

#[test]
fn a_busy_database_is_transient() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = Sqlite::new(&path).busy_timeout(Duration::from_millis(10));
    sink.open(&tables(), None).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = batch(0, vec![upsert("d", 0, 1)]);
    let error = sink.apply(std::slice::from_ref(&batch)).unwrap_err();
    assert_eq!(error.retry(), Retry::Transient, "{error}");
    assert_eq!(sink.dead_letters(&[letter(1, b"x")]).unwrap_err().retry(), Retry::Transient);
    other.execute_batch("ROLLBACK").unwrap();
    sink.apply(&[batch]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM device_minute"), 1);
}

#[test]
fn a_full_or_read_only_database_is_permanent_and_names_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = Sqlite::new(&path).max_pages(40);
    sink.open(&tables(), None).unwrap();
    let changes = (0..5_000).map(|n| upsert(&format!("d{n:05}"), 0, 1)).collect();
    let error = sink.apply(&[batch(0, changes)]).unwrap_err();
    let text = text_of(&error);
    assert_eq!(error.retry(), Retry::Permanent, "{text}");
    assert!(text.contains("the row device_minute (d0") && text.contains("it is full"), "{text}");
    assert_eq!(sink.open(&tables(), None).unwrap(), None, "nothing of the batch is there");
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM device_minute"), 0);

    drop(sink);
    let mut sink = rows::sink(&path);
    let trigger = "CREATE TRIGGER no BEFORE INSERT ON moments BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    Connection::open(&path).unwrap().execute_batch(trigger).unwrap();
    let error = sink.apply(&[batch(1, vec![moments().upsert(moment("d", true), 0)])]).unwrap_err();
    let id = moment("d", true).id();
    assert!(text_of(&error).contains(&format!("the row moments ({id})")), "{}", text_of(&error));
    assert!(text_of(&error).contains("not this one"));
}

#[test]
fn the_greatest_size_bounds_the_tables_that_are_created_and_not_those_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    for pages in [0, 1, 3] {
        let error = Sqlite::new(&path).max_pages(pages).open(&tables(), None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent, "{}", text_of(&error));
        assert!(text_of(&error).contains("it is full"), "{}", text_of(&error));
        assert_eq!(one::<i64>(&path, "SELECT count(*) FROM sqlite_schema"), 0, "nothing by halves");
    }
    sink(&path).apply(&[batch(0, vec![upsert("d", 0, 1)])]).unwrap();
    // Below the present size.
    let mut sink = Sqlite::new(&path).max_pages(1);
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(batch(0, vec![]).time));
    sink.apply(&[batch(1, vec![upsert("d", 0, 2)])]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM device_minute"), 1);
}

#[test]
fn dead_letters_of_an_older_version_stay_and_have_no_time_and_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    sink(&path).dead_letters(&[letter(3, b"x")]).unwrap();
    let back = "ALTER TABLE telemetra_dead_letters DROP COLUMN time; \
                ALTER TABLE telemetra_dead_letters DROP COLUMN traceparent; PRAGMA user_version = 2";
    Connection::open(&path).unwrap().execute_batch(back).unwrap();
    sink(&path).dead_letters(&[letter(4, b"y")]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM telemetra_dead_letters WHERE time IS NULL"), 2);
    let back = "ALTER TABLE telemetra_dead_letters DROP COLUMN traceparent; PRAGMA user_version = 3";
    Connection::open(&path).unwrap().execute_batch(back).unwrap();
    sink(&path).dead_letters(&[letter(5, b"z")]).unwrap();
    let untraced = "SELECT count(*) FROM telemetra_dead_letters WHERE traceparent IS NULL";
    assert_eq!(one::<i64>(&path, untraced), 3);
}

#[test]
fn dead_letters_keep_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = sink(&path);
    sink.dead_letters(&[letter(3, b"\xff\x00")]).unwrap();
    let mut late = letter(4, b"");
    late.time = Some(EventTime(1_767_225_600_000));
    late.traceparent = TraceParent::new(0xabc, 0xde, 1);
    sink.dead_letters(&[letter(3, b"\xff\x00"), late]).unwrap();
    assert_eq!(
        one::<String>(&path, "SELECT traceparent FROM telemetra_dead_letters WHERE offset = 4"),
        "00-00000000000000000000000000000abc-00000000000000de-01"
    );
    assert!(one::<bool>(&path, "SELECT traceparent IS NULL FROM telemetra_dead_letters WHERE offset = 3"));
    assert_eq!(
        one::<i64>(&path, "SELECT time FROM telemetra_dead_letters WHERE offset = 4"),
        1_767_225_600_000
    );
    assert!(one::<bool>(&path, "SELECT time IS NULL FROM telemetra_dead_letters WHERE offset = 3"));
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM telemetra_dead_letters"), 2);
    assert_eq!(
        one::<Vec<u8>>(&path, "SELECT bytes FROM telemetra_dead_letters WHERE offset = 3"),
        b"\xff\x00"
    );
    assert_eq!(one::<String>(&path, "SELECT min(fate) FROM telemetra_dead_letters"), "malformed");
}
