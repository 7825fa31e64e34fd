//! The SQLite database, as its readers and a restart find it.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{Alert, Readings, alert, batch, device, letter, moment_of, moments_in, readings, readings_in, readings_row, tables};
use rusqlite::Connection;
use telemetra_core::{Action, Change, Column, ColumnKind, ExternalError, Layout, Retry, Sink, Table, Value};
use telemetra_sinks::Sqlite;

fn sink(path: &Path) -> Sqlite {
    let mut sink = Sqlite::new(path);
    sink.open(&tables(), None).unwrap();
    sink
}

fn one<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn text_of(error: &ExternalError) -> String {
    format!("{error}: {}", std::error::Error::source(error).map(ToString::to_string).unwrap_or_default())
}

#[test]
fn rows_have_the_columns_of_their_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let value = Readings {
        count: u64::MAX,
        mean: Some(-1_500_000),
        peak: None,
        least: -3,
        tags: vec!["a \"b\"".into()],
    };
    let row = readings_in("device_minute").erase(readings_row("d", 0, value));
    let changes = vec![
        Layout::<common::Device>::of_row().upsert(device("d", None, i64::MIN), 2),
        Change { row, revision: 3, action: Action::Upsert },
        moments_in("moments").upsert(moment_of("d", 0, 1, false), 0),
        Layout::<Alert>::of_row().upsert(alert("d", 0, -7), 0),
    ];
    sink(&path).apply(&[batch(0, changes)]).unwrap();

    let text = |sql: &str| one::<String>(&path, sql);
    let number = |sql: &str| one::<i64>(&path, sql);
    let summary = |column: &str| format!("SELECT {column} FROM device_minute WHERE device = 'd'");
    assert_eq!(number(&summary("window_start")), 1_767_225_600_000);
    assert_eq!(number(&summary("updated_at")), 1_767_225_659_999);
    assert_eq!(number(&summary("revision")), 3);
    assert_eq!(number(&summary("readings")), i64::MAX, "saturates");
    assert_eq!(one::<f64>(&path, &summary("mean")).to_bits(), (-1.5_f64).to_bits());
    assert_eq!(one::<Option<i64>>(&path, &summary("peak")), None);
    assert_eq!(number(&summary("least")), -3);
    assert_eq!(text(&summary("tags ->> '$[0]'")), "a \"b\"");
    assert_eq!(number("SELECT offset FROM devices"), i64::MIN);
    assert_eq!(one::<Vec<u8>>(&path, "SELECT raw FROM devices"), [0, 255, 39]);
    assert_eq!(number("SELECT digits ->> '$[0]' FROM devices"), i64::MIN);
    assert_eq!(one::<f64>(&path, "SELECT shares ->> '$[1]' FROM devices").to_bits(), (-2.0_f64).to_bits());
    assert_eq!(text("SELECT tags ->> '$[0]' FROM devices"), "a \"quoted\" text");
    assert_eq!(one::<Option<String>>(&path, "SELECT label FROM devices"), None);
    assert_eq!(number("SELECT level FROM alerts"), -7);
    assert_eq!(number("SELECT ended_at FROM moments"), 1_767_225_660_000);
    assert_eq!(text("SELECT context ->> 'side' FROM moments"), "above");
    assert_eq!(text("PRAGMA journal_mode"), "wal");
    assert_eq!(text("PRAGMA integrity_check"), "ok");
}

fn alerts(extra: Option<Column>, second_key: bool) -> Layout<Alert> {
    let mut table = Table::new("alerts").key(Column::new("device", ColumnKind::Text));
    if second_key {
        table = table.key(Column::new("raised_at", ColumnKind::Time));
    } else {
        table = table.column(Column::new("raised_at", ColumnKind::Time));
    }
    let has_extra = extra.is_some();
    let table = table.column(Column::new("level", ColumnKind::Integer)).columns(extra);
    Layout::new(table, move |row: &Alert, put: &mut dyn FnMut(Value<'_>)| {
        put(Value::Text(&row.device));
        put(Value::Time(row.raised_at));
        put(Value::Signed(row.level));
        if has_extra {
            put(Value::Text("new"));
        }
    })
}

#[test]
fn a_table_gets_a_new_column_that_may_be_null_and_nothing_else_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let open = |layout: &Layout<Alert>| {
        let mut sink = Sqlite::new(&path);
        sink.open(&[Arc::clone(layout.table())], None).map(|durable| (sink, durable))
    };
    let before = alerts(None, true);
    let (mut sink, _) = open(&before).unwrap();
    sink.apply(&[batch(0, vec![before.upsert(alert("d", 0, 1), 0)])]).unwrap();
    let after = alerts(Some(Column::nullable("note", ColumnKind::Text)), true);
    let (mut sink, durable) = open(&after).unwrap();
    assert_eq!(durable, Some(batch(0, Vec::new()).time));
    sink.apply(&[batch(1, vec![after.upsert(alert("d", 1, 1), 0)])]).unwrap();
    let notes = "SELECT group_concat(ifnull(note, '-')) FROM (SELECT note FROM alerts ORDER BY raised_at)";
    assert_eq!(one::<String>(&path, notes), "-,new");

    let refused = |layout: &Layout<Alert>, word: &str| {
        let Err(error) = open(layout) else { panic!("not refused") };
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(error.to_string().contains(word), "{error}");
    };
    refused(&before, "has the column note");
    refused(&alerts(Some(Column::new("other", ColumnKind::Text)), true), "alerts");
    refused(&alerts(Some(Column::nullable("note", ColumnKind::Text)), false), "has the key raised_at, device");
}

#[test]
fn rows_that_do_not_fit_their_tables_are_errors_that_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = Sqlite::new(&path);
    sink.open(&[Arc::clone(alerts(None, true).table())], None).unwrap();
    // A row that breaks its own contract is an error, not a shifted row.
    let wide = alerts(Some(Column::nullable("note", ColumnKind::Text)), true);
    let error = sink.apply(&[batch(1, vec![wide.upsert(alert("d", 1, 1), 0)])]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("alerts (d, 2026-01-01T00:01:10.000Z)"), "{error}");
    let error = sink.apply(&[batch(1, vec![readings("d", 1, 1)])]).unwrap_err();
    assert!(error.to_string().contains("device_minute (d"), "{error}");
}

#[test]
fn other_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let refused = |path: &Path, word: &str| {
        let error = Sqlite::new(path).open(&tables(), None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = text_of(&error);
        assert!(text.contains(word) && text.contains(path.to_str().unwrap()), "{text}");
    };
    sink(&path);
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    refused(&path, "version 7");

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE devices (id)").unwrap();
    refused(&foreign, "did not make");

    let text = folder.path().join("text.db");
    std::fs::write(&text, "no database, but long enough to be looked at".repeat(100)).unwrap();
    refused(&text, "damaged or not a database");
    refused(&folder.path().join("no/folder/t.db"), "check that its folder exists");
}

#[test]
fn a_busy_database_is_transient() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = Sqlite::new(&path).busy_timeout(Duration::from_millis(10));
    sink.open(&tables(), None).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = batch(0, vec![readings("d", 0, 1)]);
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
    let changes = (0..5_000).map(|n| readings(&format!("d{n:05}"), 0, 1)).collect();
    let error = sink.apply(&[batch(0, changes)]).unwrap_err();
    let text = text_of(&error);
    assert_eq!(error.retry(), Retry::Permanent, "{text}");
    assert!(text.contains("the row device_minute (d0") && text.contains("it is full"), "{text}");
    assert_eq!(sink.open(&tables(), None).unwrap(), None, "nothing of the batch is there");
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM device_minute"), 0);

    let mut sink = self::sink(&path);
    let trigger = "CREATE TRIGGER no BEFORE INSERT ON moments BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    Connection::open(&path).unwrap().execute_batch(trigger).unwrap();
    let moment = moment_of("d", 0, 1, true);
    let error = sink.apply(&[batch(1, vec![moments_in("moments").upsert(moment.clone(), 0)])]).unwrap_err();
    assert!(text_of(&error).contains(&format!("the row moments ({})", moment.id())), "{}", text_of(&error));
    assert!(text_of(&error).contains("not this one"));
}

#[test]
fn dead_letters_keep_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = sink(&path);
    sink.dead_letters(&[letter(3, b"\xff\x00")]).unwrap();
    sink.dead_letters(&[letter(3, b"\xff\x00"), letter(4, b"")]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM telemetra_dead_letters"), 2);
    let bytes = "SELECT bytes FROM telemetra_dead_letters WHERE offset = 3";
    assert_eq!(one::<Vec<u8>>(&path, bytes), b"\xff\x00");
    assert_eq!(one::<String>(&path, "SELECT min(fate) FROM telemetra_dead_letters"), "malformed");
}
