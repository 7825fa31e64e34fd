//! The contents of the tables, and which tables are refused.

use std::sync::Arc;

use serde_json::json;
use telemetra_core::{
    Action, Change, Column, ColumnKind, Decimal, EventTime, Layout, Retry, Sink, Table, Value,
};
use telemetra_sinks::ClickHouse;

use crate::common::{batch, change, moment, moment_of, moments_in, readings, tables};
use crate::{Database, newer};

fn newer_one() -> Database {
    Database::made(newer().to_owned(), Database::name())
}

fn opened(database: &Database, tables: &[Arc<Table>]) -> ClickHouse {
    let mut sink = database.sink();
    sink.open(tables, None).unwrap();
    sink
}

/// A table with a column of every kind, and rows with what is put there.
fn every_kind() -> Layout<i64> {
    let column = Column::new;
    let table = Table::new("samples")
        .key(column("n", ColumnKind::Integer))
        .key(column("even", ColumnKind::Bool))
        .column(column("amount", ColumnKind::Decimal))
        .column(column("share", ColumnKind::Float))
        .column(Column::nullable("note", ColumnKind::Text))
        .column(column("document", ColumnKind::Json))
        .column(column("raw", ColumnKind::Bytes))
        .column(Column::nullable("digits", ColumnKind::Integers))
        .column(column("shares", ColumnKind::Floats))
        .column(column("tags", ColumnKind::Texts))
        .column(Column::nullable("at", ColumnKind::Time))
        .column(column("count", ColumnKind::Integer))
        .revision("revision");
    Layout::new(table, |n: &i64, put| {
        let there = *n > 0;
        put(Value::Signed(*n));
        put(Value::Bool(n % 2 == 0));
        put(Value::Decimal(Decimal(i128::from(*n) * 10_i128.pow(18) - 1)));
        put(Value::Float(if there { 0.1 } else { f64::NAN }));
        put(Value::or_null(there.then_some(Value::Text("it's \"q\"\\\n\u{1F3AE}"))));
        put(Value::Json(&r#"{"a":[1,null]}"#));
        put(Value::Bytes(b"\0'b"));
        put(Value::or_null(there.then_some(Value::Integers(&[i64::MIN, 0, *n]))));
        put(Value::Floats(&[0.5, -2.0]));
        let long = "x".repeat(200);
        put(Value::Texts(&["a'b", "", &long]));
        put(Value::or_null(there.then_some(Value::Time(EventTime(1_767_225_600_001)))));
        put(Value::Unsigned(u64::MAX));
        put(Value::Revision);
    })
}

#[test]
fn values_of_every_kind_read_back_equal() {
    let layout = every_kind();
    for database in Database::of_each_version() {
        let mut sink = opened(&database, &[Arc::clone(layout.table())]);
        sink.apply(&[batch(0, vec![layout.upsert(-1, 3), layout.upsert(2, 4)])]).unwrap();
        let sql = "SELECT toString(n) AS n, even, toString(amount) AS amount, share, note, document, hex(raw) AS raw, \
               arrayMap(x -> toString(x), digits) AS digits, shares, tags, toString(at) AS at, \
               toString(count) AS count, toString(revision) AS revision, toString(_revision) AS _revision \
               FROM samples_current ORDER BY n";
        let (most, long) = (i64::MAX.to_string(), "x".repeat(200));
        let expected = [
            json!({
                "n": "-1", "even": 0, "amount": "-1000000000000.000001", "share": null, "note": null,
                "document": "{\"a\":[1,null]}", "raw": "002762", "digits": [], "shares": [0.5, -2],
                "tags": ["a'b", "", long], "at": null, "count": most, "revision": "3", "_revision": "3",
            }),
            json!({
                "n": "2", "even": 1, "amount": "1999999999999.999999", "share": 0.1, "note": "it's \"q\"\\\n\u{1F3AE}",
                "document": "{\"a\":[1,null]}", "raw": "002762", "digits": ["-9223372036854775808", "0", "2"],
                "shares": [0.5, -2], "tags": ["a'b", "", long], "at": "1767225600001", "count": most, "revision": "4",
                "_revision": "4",
            }),
        ];
        let found = database.rows(sql);
        for (found, expected) in found.iter().zip(&expected) {
            // Before 20.4 times are milliseconds.
            let found = found.to_string().replace("2026-01-01 00:00:00.001", "1767225600001");
            assert_eq!(found, expected.to_string());
        }
        assert_eq!(found.len(), 2);
    }
}

#[test]
fn a_withdrawal_is_a_flag_and_a_newer_version_wins() {
    for database in Database::of_each_version() {
        let mut sink = opened(&database, &tables());
        let moments = moments_in("moments");
        let of =
            |windows, revision, action| change(&moments, moment_of("d", 0, windows, false), revision, action);
        let count = |sql: &str| database.ask(&format!("SELECT count() {sql}")).trim().to_owned();
        let steps: [(Change, &str); 3] =
            [(moment("d", 0, true), "1"), (of(2, 1, Action::Upsert), "1"), (of(2, 2, Action::Withdraw), "0")];
        for (nth, (change, rows)) in steps.into_iter().enumerate() {
            sink.apply(&[batch(nth as u64, vec![change])]).unwrap();
            assert_eq!(count("FROM moments_current"), rows);
        }
        assert_eq!(
            count("FROM moments FINAL WHERE _deleted = 1 AND _revision = 2 AND score > 4.0000015"),
            "1"
        );
        sink.apply(&[batch(3, vec![of(3, 3, Action::Upsert)])]).unwrap();
        assert_eq!(count("FROM moments_current WHERE score > 4.0000025"), "1");
        database.ask("OPTIMIZE TABLE moments FINAL");
        assert_eq!(count("FROM moments"), "1", "one version remains");
    }
}

#[test]
fn a_table_gets_the_columns_that_are_new() {
    for database in Database::of_each_version() {
        let before = Table::new("t").key(Column::new("n", ColumnKind::Integer));
        let after = before.clone().column(Column::nullable("note", ColumnKind::Text));
        let old = Layout::new(before, |n: &i64, put| put(Value::Signed(*n)));
        let new = Layout::new(after, |n: &i64, put| {
            put(Value::Signed(*n));
            put(Value::Text("new"));
        });
        opened(&database, &[Arc::clone(old.table())]).apply(&[batch(0, vec![old.upsert(1, 0)])]).unwrap();
        opened(&database, &[Arc::clone(new.table())]).apply(&[batch(1, vec![new.upsert(2, 0)])]).unwrap();
        let rows = database.rows("SELECT toString(n) AS n, note FROM t_current ORDER BY n");
        assert_eq!(rows, [json!({"n": "1", "note": null}), json!({"n": "2", "note": "new"})]);
    }
}

#[test]
fn tables_of_another_shape_and_of_other_pipelines_are_refused() {
    for [database, second] in [[Database::new(), Database::new()], [newer_one(), newer_one()]] {
        for (name, sql, why) in [
            (
                "a",
                "(n String, _version UInt64) ENGINE = ReplacingMergeTree(_version) ORDER BY n",
                "is String and not",
            ),
            ("b", "(n Int64, _version UInt64) ENGINE = MergeTree ORDER BY n", "engine is MergeTree"),
            (
                "c",
                "(n Int64, m Int64, _version UInt64) ENGINE = ReplacingMergeTree ORDER BY m",
                "ordered by m",
            ),
            ("d", "(m Int64, _version UInt64) ENGINE = ReplacingMergeTree ORDER BY m", "no column `n`"),
        ] {
            database.ask(&format!("CREATE TABLE {name} {sql}"));
            let table = Table::new(name).key(Column::new("n", ColumnKind::Integer));
            let error = database.sink().pipeline(name).open(&[Arc::new(table)], None).unwrap_err();
            assert!(error.to_string().contains(why) && error.retry() == Retry::Permanent, "{error}");
        }
        let own = Table::new("e").key(Column::new("_deleted", ColumnKind::Integer));
        let error = database.sink().pipeline("e").open(&[Arc::new(own)], None).unwrap_err();
        assert!(error.to_string().contains("uses itself"), "{error}");

        let database = second;
        let mut first = database.sink().pipeline("it's p");
        first.open(&tables(), None).unwrap();
        first.apply(&[batch(0, vec![moment("d", 0, true)])]).unwrap();
        let error = database.sink().pipeline("q").open(&tables()[2..3], None).unwrap_err();
        assert!(error.to_string().contains("written by the pipeline `it's p`"), "{error}");
        let again = database.sink().pipeline("it's p").open(&tables(), None).unwrap();
        assert_eq!(again, Some(batch(0, vec![]).time));
    }
}

#[test]
fn it_starts_over_at_the_first_change() {
    for database in Database::of_each_version() {
        let rows = || database.ask("SELECT count() FROM device_minute_current").trim().to_owned();
        let mut first = opened(&database, &tables());
        first.apply(&[batch(5, vec![readings("a", 5, 1), readings("b", 5, 1)])]).unwrap();
        let mut over = database.sink().start_over();
        assert_eq!(over.open(&tables(), None).unwrap(), None);
        over.apply(&[batch(0, vec![])]).unwrap();
        assert_eq!(rows(), "2", "a run without a change leaves what is there");
        over.apply(&[batch(1, vec![readings("a", 1, 7)])]).unwrap();
        assert_eq!(rows(), "1");
        // What is older than the rows of the earlier run is not hidden by them.
        assert_eq!(database.ask("SELECT readings FROM device_minute_current").trim(), "7");
        let mut on = database.sink().start_over();
        assert_eq!(on.open(&tables(), Some(batch(1, vec![]).time)).unwrap(), Some(batch(1, vec![]).time));
    }
}

#[test]
fn a_row_that_does_not_fit_is_named() {
    let cases: [(ColumnKind, fn(&mut dyn FnMut(Value<'_>)), &str); 4] = [
        (ColumnKind::Text, |put| put(Value::Null), "`value` may not be null"),
        (ColumnKind::Integer, |put| put(Value::Text("1")), "`value` is of the kind Integer"),
        (ColumnKind::Decimal, |put| put(Value::Decimal(Decimal(10_i128.pow(38)))), "more than 38 digits"),
        (ColumnKind::Text, |_| {}, "one value for each column"),
    ];
    for (kind, wrong, why) in cases {
        let database = Database::new();
        let table =
            Table::new("t").key(Column::new("k", ColumnKind::Text)).column(Column::new("value", kind));
        let layout = Layout::new(table, move |name: &String, put| {
            put(Value::Text(name));
            wrong(put);
        });
        let mut sink = opened(&database, &[Arc::clone(layout.table())]);
        let error = sink.apply(&[batch(0, vec![layout.upsert("a".to_owned(), 0)])]).unwrap_err();
        assert!(error.to_string().contains("the row t (a)") && error.to_string().contains(why), "{error}");
        assert_eq!(error.retry(), Retry::Permanent);
        assert_eq!(database.ask("SELECT count() FROM t").trim(), "0");
        let stranger = sink.apply(&[batch(1, vec![moment("d", 1, true)])]).unwrap_err();
        assert!(stranger.to_string().contains("not opened with its table"), "{stranger}");
    }
}
