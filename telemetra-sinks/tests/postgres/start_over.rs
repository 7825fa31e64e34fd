//! Shards that start over, and find what is theirs by what the tables hold.

use std::sync::Arc;

use telemetra_core::{
    Change, Column, ColumnKind, Data, Decimal, EventTime, Key, Layout, Retry, Shard, Sink, Summary,
    SummaryRow, Table, Value,
};
use telemetra_sinks::Postgres;

use super::common::{batch, letter, readings, tables, window};
use super::server::{Database, database};

fn sink(database: &Database, index: usize) -> Postgres {
    Postgres::new(database.config()).shard(Shard { index, of: 2 })
}

/// Two shards write these rows, and start over one after the other.
fn starts_over(table: &Arc<Table>, changes: impl Fn() -> Vec<Change>) {
    let database = database();
    let tables = [Arc::clone(table)];
    let of = |shard| {
        let mut changes = changes();
        changes.retain(|change| Shard::index_of(&change.row.subject(), 2) == shard);
        changes
    };
    let held = || database.text(&format!("SELECT count(*) FROM {}", table.name()));
    for shard in [0, 1] {
        let mut sink = sink(&database, shard);
        sink.open(&tables, None).unwrap();
        sink.apply(&[batch(0, of(shard))]).unwrap();
    }
    assert_eq!(held(), changes().len().to_string());
    let mut left = changes().len();
    for shard in [0, 1] {
        let mut sink = sink(&database, shard).start_over();
        assert_eq!(sink.open(&tables, None).unwrap(), None);
        assert_eq!(held(), left.to_string(), "the first row takes the place of all");
        let mut rows = of(shard);
        left -= rows.len();
        rows.truncate(1);
        left += rows.len();
        sink.apply(&[batch(1, rows)]).unwrap();
        assert_eq!(held(), left.to_string(), "shard {shard} of {table:?}");
    }
}

/// Rows whose key is one column of that kind.
fn rows_by<R: Data>(
    kind: ColumnKind,
    rows: impl Iterator<Item = R> + Clone,
    put: impl Fn(&R, &mut dyn FnMut(Value<'_>)) + Send + Sync + 'static,
) {
    let layout = Layout::new(Table::new("rows").key(Column::new("id", kind)), put);
    starts_over(layout.table(), || rows.clone().map(|row| layout.upsert(row, 0)).collect());
}

#[test]
fn subjects_of_every_kind_are_found() {
    let numbers = || -10..10_i64;
    rows_by(ColumnKind::Bytes, (0..20).map(|n| vec![n, 0, 255]), |id, put| put(Value::Bytes(id)));
    rows_by(ColumnKind::Integer, numbers(), |n, put| put(Value::Signed(*n)));
    rows_by(ColumnKind::Bool, [true, false].into_iter(), |b, put| put(Value::Bool(*b)));
    rows_by(ColumnKind::Time, 0..20_u64, |n, put| put(Value::Time(EventTime(1_767_225_600_000 + n * 7))));
    rows_by(ColumnKind::Decimal, numbers(), |n, put| put(Value::Decimal(Decimal(i128::from(n * 12_500)))));
    rows_by(ColumnKind::Text, numbers(), |n, put| put(Value::Shown(&format_args!("a, {n}'s"))));
    // Postgres has an exponent where Rust has none.
    rows_by(ColumnKind::Float, -20..20_i32, |n, put| put(Value::Float(1.5 * 10_f64.powi(*n * 4))));
}

/// Rows of windows with this key.
fn windows_by<K: Key>(names: &[&'static str], keys: impl Iterator<Item = K> + Clone) {
    let layout = Layout::<SummaryRow<K, u64>>::summaries("windows", names, vec![], |_, _, _| {});
    starts_over(layout.table(), || {
        let row = |key| SummaryRow { key, summary: Summary { window: window(0), value: Arc::new(1) } };
        keys.clone().map(|key| layout.upsert(row(key), 0)).collect()
    });
}

#[test]
fn subjects_of_any_number_of_columns_are_found() {
    let text = |n: u64| format!("a\u{1f}\u{1b}{n}");
    windows_by(&[], [()].into_iter());
    windows_by(&["a", "b"], (0..20).map(|n| (text(n), n)));
    windows_by(&["a", "b", "c", "d", "e"], (0..20).map(|n| ((text(n), n, n % 2 == 0), (text(n + 1), n))));
}

#[test]
fn a_subject_that_cannot_be_found_is_refused() {
    let database = database();
    let table = Arc::new(Table::new("lists").key(Column::new("ids", ColumnKind::Integers)));
    let error = sink(&database, 0).start_over().open(&[Arc::clone(&table)], None).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("the table lists cannot be told from the others"), "{error}");
    sink(&database, 0).open(&[Arc::clone(&table)], None).unwrap();
    Postgres::new(database.config()).start_over().open(&[table], None).unwrap();
}

#[test]
fn an_empty_run_leaves_the_rows() {
    let database = database();
    let time = |nth| Some(batch(nth, vec![]).time);
    let rows = || database.text("SELECT count(*) FROM device_minute");
    let make = || Postgres::new(database.config());
    let mut first = make();
    first.open(&tables(), None).unwrap();
    first.dead_letters(&[letter(1, b"bad")]).unwrap();
    first.apply(&[batch(0, vec![readings("d", 0, 1), readings("e", 0, 1)])]).unwrap();
    let mut empty = make().start_over();
    assert_eq!(empty.open(&tables(), None).unwrap(), None);
    empty.dead_letters(&[letter(7, b"not in the format")]).unwrap();
    empty.apply(&[]).unwrap();
    assert_eq!(
        (rows(), database.text("SELECT sum(\"offset\") FROM telemetra_dead_letters")),
        ("2".into(), "7".into())
    );
    assert_eq!(make().open(&tables(), time(0)).unwrap(), time(0), "the first run goes on");

    // One that had a checkpoint before it had a row goes on, and its first row takes the place of all.
    let mut over = make().start_over();
    assert_eq!(over.open(&tables(), None).unwrap(), None);
    over.apply(&[batch(1, vec![])]).unwrap();
    assert_eq!(rows(), "2");
    let mut over = make().start_over();
    assert_eq!(over.open(&tables(), time(1)).unwrap(), time(1));
    over.apply(&[batch(2, vec![readings("d", 2, 1)])]).unwrap();
    assert_eq!(rows(), "1");
}

#[test]
fn a_pipeline_does_not_go_on_from_the_time_of_another() {
    let database = database();
    let other = [Arc::new(Table::new("others").key(Column::new("id", ColumnKind::Text)))];
    let make = |name: &str| {
        let mut sink = Postgres::new(database.config());
        sink.part_of(name);
        sink
    };
    let mut first = make("first");
    first.open(&tables(), None).unwrap();
    first.apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    let error = make("first").open(&other, None).unwrap_err();
    assert!(error.to_string().contains("a name of its own") && error.retry() == Retry::Permanent, "{error}");
    assert_eq!(make("second").open(&other, None).unwrap(), None, "each has its own progress");
    let error = make("third").start_over().open(&tables(), None).unwrap_err();
    assert!(error.to_string().contains("of the pipeline `first` too"), "{error}");
    assert_eq!(database.text("SELECT count(*) FROM device_minute"), "1");
}
