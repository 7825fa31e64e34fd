//! Keys that Postgres cannot hold as they are, or cannot tell apart.

use std::sync::Arc;

use telemetra_core::{
    Action, Change, Column, ColumnKind, Data, EventTime, ExternalError, Layout, Retry, Sink, Table, Value,
};
use telemetra_sinks::Postgres;

use super::common::batch;
use super::server::{Database, database};

/// Rows with a key of that kind, and a number.
fn keyed<R: Data>(
    kind: ColumnKind,
    put_key: impl Fn(&R, &mut dyn FnMut(Value<'_>)) + Send + Sync + 'static,
) -> Layout<(R, i64)> {
    let table =
        Table::new("keyed").key(Column::new("id", kind)).column(Column::new("n", ColumnKind::Integer));
    Layout::new(table, move |(key, n): &(R, i64), put: &mut dyn FnMut(Value<'_>)| {
        put_key(key, put);
        put(Value::Signed(*n));
    })
}

/// Writes all keys at once, each with its number from 1.
fn write<R: Data>(
    database: &Database,
    layout: &Layout<(R, i64)>,
    keys: impl IntoIterator<Item = R>,
) -> Result<Postgres, ExternalError> {
    let mut sink = Postgres::new(database.config());
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    let changes = keys.into_iter().zip(1..).map(|row| layout.upsert(row, 0)).collect();
    sink.apply(&[batch(0, changes)])?;
    Ok(sink)
}

fn refused<R: Data>(layout: &Layout<(R, i64)>, keys: impl IntoIterator<Item = R>, row: &str, why: &str) {
    let database = database();
    let error = write(&database, layout, keys).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    let text = error.to_string();
    assert!(text.contains(&format!("the row keyed ({row})")) && text.contains(why), "{text}");
    assert_eq!(database.text("SELECT count(*) FROM keyed"), "0");
}

const ROWS: &str = "SELECT string_agg(id || ':' || n, ' ' ORDER BY id) FROM keyed";

#[test]
fn numbers_and_times_that_would_be_one_with_others_are_refused() {
    let numbers = keyed(ColumnKind::Integer, |n: &u64, put| put(Value::Unsigned(*n)));
    let why = "has more in the column id of its key than a bigint can hold";
    refused(&numbers, [1, u64::MAX - 1, u64::MAX], "18446744073709551614", why);
    // Of one alone too: the next batch would overwrite it.
    refused(&numbers, [1 << 63], "9223372036854775808", why);
    let database_of_numbers = database();
    write(&database_of_numbers, &numbers, [1, i64::MAX as u64]).unwrap();
    assert_eq!(database_of_numbers.text(ROWS), "1:1 9223372036854775807:2");

    let times = keyed(ColumnKind::Time, |time: &EventTime, put| put(Value::Time(*time)));
    let why = "has more in the column id of its key than a timestamp with time zone can hold";
    refused(&times, [EventTime(u64::MAX - 1)], "18446744073709551614ms", why);
    let database_of_times = database();
    write(&database_of_times, &times, [EventTime(0), EventTime::MAX]).unwrap();
    assert_eq!(database_of_times.text("SELECT n FROM keyed WHERE id = 'infinity'"), "2");
}

#[test]
fn of_keys_that_are_stored_alike_the_last_one_wins() {
    let shown = keyed(ColumnKind::Text, |id: &String, put| put(Value::Shown(id)));
    let database_of_texts = database();
    let keys = ["d\0", "d\u{fffd}", "d"].map(str::to_owned);
    let mut sink = write(&database_of_texts, &shown, keys).unwrap();
    assert_eq!(database_of_texts.text(ROWS), "d:3 d\u{fffd}:2");
    let gone = Change { action: Action::Withdraw, ..shown.upsert(("d\0".to_owned(), 4), 0) };
    sink.apply(&[batch(1, vec![shown.upsert(("d\u{fffd}".to_owned(), 4), 0), gone])]).unwrap();
    assert_eq!(database_of_texts.text(ROWS), "d:3");

    let zeros = keyed(ColumnKind::Float, |sign: &i64, put| put(Value::Float(*sign as f64 * 0.0)));
    let database_of_floats = database();
    write(&database_of_floats, &zeros, [1, -1]).unwrap();
    assert_eq!(database_of_floats.text("SELECT string_agg(n::text, ' ') FROM keyed"), "2");
}

#[test]
fn of_keys_that_only_postgres_finds_equal_one_is_named() {
    let json = keyed(ColumnKind::Json, |json: &String, put| put(Value::Json(json)));
    let others = (0..100).map(|n| format!("[{n}]"));
    let same = [r#"{"a":1,"b":2}"#, r#"{"b":2, "a":1}"#].map(str::to_owned);
    refused(&json, others.chain(same), r#"{"b":2, "a":1}"#, "has a key that equals its own");
}
