//! The SQLite database, as its readers and a restart find it.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{batch, letter, moment, row, summary, upsert, window};
use rusqlite::Connection;
use telemetra_core::{
    Action, Change, Counted, Currency, ExternalError, Retry, Row, Sink, StreamId, StreamSummary,
    TransactionRow, TransactionType,
};
use telemetra_sinks::{Column, ColumnKind, Layout, Sqlite, Tabular, Value};

fn sink(path: &Path) -> Sqlite<StreamSummary> {
    let mut sink = Sqlite::new(path);
    sink.open(None).unwrap();
    sink
}

fn one<T: rusqlite::types::FromSql>(path: &Path, sql: &str) -> T {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

fn text_of(error: &ExternalError) -> String {
    format!("{error}: {}", std::error::Error::source(error).map(ToString::to_string).unwrap_or_default())
}

#[test]
fn rows_have_the_columns_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut value = StreamSummary { chat_count: 30, sentiment_sum: 150_000, ..Default::default() };
    value.top_emotes = vec![Counted { name: "Ka\"ppa".into(), count: 3 }];
    value.viewer_events = u64::MAX;
    value.transaction_amount[Currency::Usd as usize] = 12_500_000;
    value.transaction_amount[Currency::Bits as usize] = i128::MAX;
    let transaction = TransactionRow {
        transaction_id: "t1".into(),
        stream_id: StreamId::new("s"),
        user_id: "u".into(),
        amount: 4_990_001,
        currency: Currency::Eur,
        transaction_type: TransactionType::Donation,
        message: None,
        timestamp: window(0).start,
    };
    let changes = vec![
        Change { row: row("s", 0, value), revision: 3, action: Action::Upsert },
        upsert(Row::Moment(moment("s", 0, false))),
        upsert(Row::Transaction(transaction)),
    ];
    sink(&path).apply(&[batch(0, changes)]).unwrap();

    let text = |sql: &str| one::<String>(&path, sql);
    let number = |sql: &str| one::<i64>(&path, sql);
    let summary = |column: &str| format!("SELECT {column} FROM chat_summary_minute WHERE stream_id = 's'");
    assert_eq!(number(&summary("window_start")), 1_767_225_600_000);
    assert_eq!(number(&summary("updated_at")), 1_767_225_659_999);
    assert_eq!(number(&summary("revision")), 3);
    assert_eq!(one::<f64>(&path, &summary("chat_rate")).to_bits(), 0.5_f64.to_bits());
    assert_eq!(one::<f64>(&path, &summary("sentiment_score")).to_bits(), 0.5_f64.to_bits());
    assert_eq!(one::<Option<f64>>(&path, &summary("avg_viewers")).unwrap().to_bits(), 0);
    assert_eq!(one::<Option<i64>>(&path, &summary("peak_viewers")), None);
    assert_eq!(number(&summary("viewer_events")), i64::MAX, "saturates");
    assert_eq!(text(&summary("top_emotes ->> '$[0].name'")), "Ka\"ppa");
    assert_eq!(
        text(&summary("transaction_amount")),
        "{\"USD\":\"12.50\",\"bits\":\"170141183460469231731687303715884.105727\"}"
    );
    assert_eq!(text("SELECT amount FROM transactions"), "4.990001");
    assert_eq!(number("SELECT ended_at FROM moments"), 1_767_225_660_000);
    assert_eq!(text("SELECT context ->> 'side' FROM moments"), "above");
    assert_eq!(text("PRAGMA journal_mode"), "wal");
    assert_eq!(text("PRAGMA integrity_check"), "ok");
}

#[test]
fn user_summaries_have_columns_of_their_own() {
    struct Laughs(u64);
    impl Tabular for Laughs {
        const COLUMNS: &'static [Column] = &[Column::new("lol", ColumnKind::Integer)];
        fn values(&self, _: telemetra_core::Window, put: &mut dyn FnMut(Value<'_>)) {
            for n in 0..self.0.max(1) {
                put(Value::Unsigned(n + 7));
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = Sqlite::<Laughs>::new(&path);
    sink.open(None).unwrap();
    sink.apply(&[batch(0, vec![upsert(row("s", 0, Laughs(1)))])]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT lol FROM chat_summary_minute"), 7);

    // A type that breaks its own contract is an error, not a shifted row.
    let error = sink.apply(&[batch(1, vec![upsert(row("s", 1, Laughs(2)))])]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("chat_summary_minute (s, 2026-01-01T00:00:10.000Z)"), "{error}");
    assert_eq!(sink.open(None).unwrap(), Some(batch::<Laughs>(0, vec![]).time), "nothing of it is there");

    let other = Sqlite::<Vec<u8>>::with_layout(&path, Layout::json()).open(None).unwrap_err();
    assert!(other.to_string().contains("window_end, lol, revision"), "{other}");
}

#[test]
fn other_databases_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let refused = |path: &Path, word: &str| {
        let error = Sqlite::<StreamSummary>::new(path).open(None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = text_of(&error);
        assert!(text.contains(word) && text.contains(path.to_str().unwrap()), "{text}");
    };
    sink(&path);
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    refused(&path, "version 7");

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE streams (id)").unwrap();
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
    sink.open(None).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = batch(0, vec![summary("s", 0, 1)]);
    let error = sink.apply(std::slice::from_ref(&batch)).unwrap_err();
    assert_eq!(error.retry(), Retry::Transient, "{error}");
    assert_eq!(sink.dead_letters(&[letter(1, b"x")]).unwrap_err().retry(), Retry::Transient);
    other.execute_batch("ROLLBACK").unwrap();
    sink.apply(&[batch]).unwrap();
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM chat_summary_minute"), 1);
}

#[test]
fn a_full_or_read_only_database_is_permanent_and_names_the_row() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let mut sink = Sqlite::new(&path).max_pages(40);
    sink.open(None).unwrap();
    let changes = (0..5_000).map(|n| summary(&format!("s{n:05}"), 0, 1)).collect();
    let full = batch(0, changes);
    let error = sink.apply(&[full]).unwrap_err();
    let text = text_of(&error);
    assert_eq!(error.retry(), Retry::Permanent, "{text}");
    assert!(text.contains("the row chat_summary_minute (s0") && text.contains("it is full"), "{text}");
    assert_eq!(sink.open(None).unwrap(), None, "nothing of the batch is there");
    assert_eq!(one::<i64>(&path, "SELECT count(*) FROM chat_summary_minute"), 0);

    let mut sink = self::sink(&path);
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER no BEFORE INSERT ON moments BEGIN SELECT RAISE(ABORT, 'not this one'); END",
        )
        .unwrap();
    let error = sink.apply(&[batch(1, vec![upsert(Row::Moment(moment("s", 0, true)))])]).unwrap_err();
    let id = moment("s", 0, true).id();
    assert!(text_of(&error).contains(&format!("the row moments ({id})")), "{}", text_of(&error));
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
    assert_eq!(
        one::<Vec<u8>>(&path, "SELECT bytes FROM telemetra_dead_letters WHERE offset = 3"),
        b"\xff\x00"
    );
    assert_eq!(one::<String>(&path, "SELECT min(fate) FROM telemetra_dead_letters"), "malformed");
}
