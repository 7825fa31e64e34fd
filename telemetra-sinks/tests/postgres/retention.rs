//! Days of event time, made and dropped.

use std::time::Duration;

use std::sync::Arc;

use telemetra_core::{
    Action, Batch, Change, Column, ColumnKind, EventTime, Layout, Retry, Shard, SignedTime, Sink, Table,
    Value, Window,
};
use telemetra_core::{Summary, SummaryRow};
use telemetra_sinks::Postgres;

use super::common::{Readings, readings_in};
use super::server::{Database, database};

const DAY: u64 = 86_400_000;
const START: u64 = 1_767_225_600_000;

fn sink(database: &Database) -> Postgres {
    Postgres::new(database.config()).retention(Duration::from_secs(2 * 86_400))
}

/// A row with an id, cut into days by a time that is not in its key.
fn payments() -> Layout<(String, EventTime)> {
    let table = Table::new("payments")
        .key(Column::new("payment_id", ColumnKind::Text))
        .column(Column::new("timestamp", ColumnKind::Time))
        .by_day("timestamp");
    Layout::new(table, |(id, time): &(String, EventTime), put: &mut dyn FnMut(Value<'_>)| {
        put(Value::Text(id));
        put(Value::Time(*time));
    })
}

fn tables() -> Vec<Arc<Table>> {
    vec![Arc::clone(readings_in("device_minute").table()), Arc::clone(payments().table())]
}

fn window(day: u64) -> Change {
    let start = EventTime(START + day * DAY + 1);
    let window = Window { start: start.into(), end: start.plus(60_000) };
    let value = Readings { count: day, ..Readings::default() };
    let row = SummaryRow { key: "d".to_owned(), summary: Summary { window, value: value.into() } };
    readings_in("device_minute").upsert(row, 0)
}

fn payment(id: &str, day: u64) -> Change {
    payments().upsert((id.to_owned(), EventTime(START + day * DAY)), 0)
}

fn batch(day: u64, changes: Vec<Change>) -> Batch {
    Batch { time: EventTime(START + day * DAY + 120_000), changes }
}

fn days(database: &Database, table: &str) -> String {
    let sql = format!(
        "SELECT coalesce(string_agg(right(relname, 8), ' ' ORDER BY relname), '') FROM pg_inherits JOIN pg_class ON oid = inhrelid
         WHERE inhparent = '{table}'::regclass"
    );
    database.text(&sql)
}

const COUNTS: &str = "SELECT string_agg(readings::text, ' ' ORDER BY window_start) FROM device_minute";

#[test]
fn days_are_made_as_needed_and_dropped_when_they_are_too_old() {
    let database = database();
    let mut sink = sink(&database);
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, vec![window(0), payment("a", 0)])]).unwrap();
    sink.apply(&[batch(1, vec![window(1)]), batch(2, vec![window(2), payment("b", 2)])]).unwrap();
    assert_eq!(days(&database, "device_minute"), "20260101 20260102 20260103");
    assert_eq!(days(&database, "payments"), "20260101 20260103");
    // Corrections and withdrawals within the retention.
    let corrected = Change { revision: 1, ..window(1) };
    let withdrawn = Change { action: Action::Withdraw, ..payment("b", 2) };
    sink.apply(&[Batch { time: EventTime(START + 2 * DAY + 130_000), changes: vec![corrected, withdrawn] }])
        .unwrap();
    assert_eq!(database.text("SELECT sum(revision) FROM device_minute"), "1");
    assert_eq!(database.text("SELECT count(*) FROM payments"), "1");
    // What is older than two days goes, by whole days, and what comes too late is not written.
    sink.apply(&[batch(4, vec![window(1), window(2), window(4), payment("late", 1)])]).unwrap();
    assert_eq!(days(&database, "device_minute"), "20260103 20260105");
    assert_eq!(database.text(COUNTS), "2 4");
    assert_eq!(days(&database, "payments"), "20260103");
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(batch(4, vec![]).time));
    sink.apply(&[batch(5, vec![window(3), window(5)])]).unwrap();
    assert_eq!(database.text(COUNTS), "3 4 5");
    // The indexes of the whole are those of each day.
    let indexes =
        "SELECT count(*) FROM pg_index WHERE indrelid = 'device_minute_20260105'::regclass AND indisunique";
    assert_eq!(database.text(indexes), "1");
}

#[test]
fn windows_that_begin_before_1970_are_in_a_day_of_their_own() {
    let database = database();
    let mut sink = sink(&database);
    sink.open(&tables(), None).unwrap();
    let window = |end: u64, count: u64| {
        let window = Window { start: SignedTime(end as i64 - 60_000), end: EventTime(end) };
        let value = Readings { count, ..Readings::default() };
        let row = SummaryRow { key: "d".to_owned(), summary: Summary { window, value: value.into() } };
        readings_in("device_minute").upsert(row, 0)
    };
    let batch = |time: u64, changes| Batch { time: EventTime(time), changes };
    sink.apply(&[
        batch(9_999, vec![window(10_000, 1)]),
        batch(69_999, vec![window(20_000, 2), window(70_000, 3)]),
    ])
    .unwrap();
    assert_eq!(days(&database, "device_minute"), "19691231 19700101");
    assert_eq!(database.text(COUNTS), "1 2 3");
    let first = "SELECT extract(epoch FROM min(window_start))::int::text FROM device_minute";
    assert_eq!(database.text(first), "-50");
    sink.apply(&[batch(3 * DAY, vec![])]).unwrap();
    assert_eq!(days(&database, "device_minute"), "");
}

#[test]
fn a_day_that_somebody_reads_is_dropped_another_time() {
    let database = database();
    let mut sink = sink(&database);
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, vec![window(0)])]).unwrap();
    let mut reader = database.client();
    reader.batch_execute("BEGIN; SELECT * FROM device_minute").unwrap();
    sink.apply(&[batch(9, vec![window(9)])]).unwrap();
    assert_eq!(days(&database, "device_minute"), "20260101 20260110");
    reader.batch_execute("COMMIT").unwrap();
    sink.apply(&[batch(10, vec![])]).unwrap();
    assert_eq!(days(&database, "device_minute"), "20260110");
}

#[test]
fn no_day_is_dropped_that_a_slower_shard_needs() {
    let database = database();
    let open = |index| {
        let mut sink = sink(&database).shard(Shard { index, of: 2 });
        sink.open(&tables(), None).unwrap();
        sink
    };
    let (mut fast, mut slow) = (open(0), open(1));
    fast.apply(&[batch(0, vec![window(0)])]).unwrap();
    fast.apply(&[batch(9, vec![window(9)])]).unwrap();
    slow.apply(&[batch(1, vec![payment("slow", 0), payment("slow", 1)])]).unwrap();
    fast.apply(&[batch(10, vec![])]).unwrap();
    assert_eq!(days(&database, "payments"), "20260101 20260102");
    slow.apply(&[batch(10, vec![])]).unwrap();
    fast.apply(&[batch(11, vec![])]).unwrap();
    assert_eq!(days(&database, "payments"), "");
}

#[test]
fn shards_may_make_the_same_day_at_once() {
    let database = database();
    std::thread::scope(|scope| {
        for index in 0..4 {
            let database = &database;
            scope.spawn(move || {
                let mut sink = sink(database).shard(Shard { index, of: 4 });
                sink.open(&tables(), None).unwrap();
                for day in 0..5 {
                    sink.apply(&[batch(day, vec![payment(&format!("{index} {day}"), day)])]).unwrap();
                }
            });
        }
    });
    assert_eq!(database.text("SELECT count(*) FROM payments WHERE timestamp >= '2026-01-03Z'"), "12");
}

#[test]
fn whether_tables_are_cut_is_settled_when_they_are_made() {
    for cut in [true, false] {
        let database = database();
        let plain = Postgres::new(database.config());
        let (mut first, mut second) = if cut { (sink(&database), plain) } else { (plain, sink(&database)) };
        first.open(&tables(), None).unwrap();
        let error = second.open(&tables(), None).unwrap_err().to_string();
        assert!(error.contains("cut into days"), "{error}");
    }
}

/// A payment in a table whose name has so many characters.
fn named(length: usize) -> Layout<(String, EventTime)> {
    payments().map_table(|table| table.renamed("p".repeat(length)))
}

#[test]
fn names_that_leave_no_room_for_a_day_are_refused() {
    let database = database();
    let long = named(55);
    let error = sink(&database).open(&[Arc::clone(long.table())], None).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    let error = error.to_string();
    assert!(error.contains("has 55 characters, and with a retention it may have at most 54"), "{error}");
    // Without a retention there are no days.
    Postgres::new(database.config()).pipeline("other").open(&[Arc::clone(long.table())], None).unwrap();

    let layout = named(54);
    let mut sink = sink(&database);
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    let rows = [0, 1, 2].map(|day| layout.upsert((day.to_string(), EventTime(START + day * DAY)), 0));
    sink.apply(&[batch(2, rows.into())]).unwrap();
    assert_eq!(days(&database, layout.table().name()), "20260101 20260102 20260103");
}
