//! Days of event time, made and dropped.

use std::time::Duration;

use telemetra_core::{
    Action, Batch, Change, Currency, EventTime, Row, Shard, Sink, StreamId, StreamSummary, Summary,
    TransactionRow, TransactionType, Window,
};
use telemetra_sinks::Postgres;

use super::common::upsert;
use super::server::{Database, database};

const DAY: u64 = 86_400_000;
const START: u64 = 1_767_225_600_000;

fn sink(database: &Database) -> Postgres<StreamSummary> {
    Postgres::new(database.config()).retention(Duration::from_secs(2 * 86_400))
}

fn window(day: u64) -> Change<StreamSummary> {
    let start = EventTime(START + day * DAY + 1);
    let window = Window { start, end: start.plus(60_000) };
    let value = StreamSummary { chat_count: day, ..Default::default() };
    upsert(Row::Summary(StreamId::new("s"), Summary { window, value: value.into() }))
}

fn donation(id: &str, day: u64) -> Change<StreamSummary> {
    upsert(Row::Transaction(TransactionRow {
        transaction_id: id.into(),
        stream_id: StreamId::new("s"),
        user_id: "u".into(),
        amount: 1,
        currency: Currency::Usd,
        transaction_type: TransactionType::Bits,
        message: None,
        timestamp: EventTime(START + day * DAY),
    }))
}

fn batch(day: u64, changes: Vec<Change<StreamSummary>>) -> Batch<StreamSummary> {
    Batch { time: EventTime(START + day * DAY + 120_000), changes }
}

fn days(database: &Database, table: &str) -> String {
    let sql = format!(
        "SELECT coalesce(string_agg(right(relname, 8), ' ' ORDER BY relname), '') FROM pg_inherits JOIN pg_class ON oid = inhrelid
         WHERE inhparent = '{table}'::regclass"
    );
    database.text(&sql)
}

const COUNTS: &str =
    "SELECT string_agg(chat_count::text, ' ' ORDER BY window_start) FROM chat_summary_minute";

#[test]
fn days_are_made_as_needed_and_dropped_when_they_are_too_old() {
    let database = database();
    let mut sink = sink(&database);
    sink.open(None).unwrap();
    sink.apply(&[batch(0, vec![window(0), donation("a", 0)])]).unwrap();
    sink.apply(&[batch(1, vec![window(1)]), batch(2, vec![window(2), donation("b", 2)])]).unwrap();
    assert_eq!(days(&database, "chat_summary_minute"), "20260101 20260102 20260103");
    assert_eq!(days(&database, "transactions"), "20260101 20260103");
    assert_eq!(days(&database, "viewer_timeseries"), "");
    // Corrections and withdrawals within the retention.
    let corrected = Change { revision: 1, ..window(1) };
    let withdrawn = Change { action: Action::Withdraw, ..donation("b", 2) };
    sink.apply(&[Batch { time: EventTime(START + 2 * DAY + 130_000), changes: vec![corrected, withdrawn] }])
        .unwrap();
    assert_eq!(database.text("SELECT sum(revision) FROM chat_summary_minute"), "1");
    assert_eq!(database.text("SELECT count(*) FROM transactions"), "1");
    // What is older than two days goes, by whole days, and what comes too late is not written.
    sink.apply(&[batch(4, vec![window(1), window(2), window(4), donation("late", 1)])]).unwrap();
    assert_eq!(days(&database, "chat_summary_minute"), "20260103 20260105");
    assert_eq!(database.text(COUNTS), "2 4");
    assert_eq!(days(&database, "transactions"), "20260103");
    assert_eq!(sink.open(None).unwrap(), Some(batch(4, vec![]).time));
    sink.apply(&[batch(5, vec![window(3), window(5)])]).unwrap();
    assert_eq!(database.text(COUNTS), "3 4 5");
    // The indexes of the whole are those of each day.
    let indexes = "SELECT count(*) FROM pg_index WHERE indrelid = 'chat_summary_minute_20260105'::regclass AND indisunique";
    assert_eq!(database.text(indexes), "1");
}

#[test]
fn a_day_that_somebody_reads_is_dropped_another_time() {
    let database = database();
    let mut sink = sink(&database);
    sink.open(None).unwrap();
    sink.apply(&[batch(0, vec![window(0)])]).unwrap();
    let mut reader = database.client();
    reader.batch_execute("BEGIN; SELECT * FROM chat_summary_minute").unwrap();
    sink.apply(&[batch(9, vec![window(9)])]).unwrap();
    assert_eq!(days(&database, "chat_summary_minute"), "20260101 20260110");
    reader.batch_execute("COMMIT").unwrap();
    sink.apply(&[batch(10, vec![])]).unwrap();
    assert_eq!(days(&database, "chat_summary_minute"), "20260110");
}

#[test]
fn no_day_is_dropped_that_a_slower_shard_needs() {
    let database = database();
    let open = |index| {
        let mut sink = sink(&database).shard(Shard { index, of: 2 });
        sink.open(None).unwrap();
        sink
    };
    let (mut fast, mut slow) = (open(0), open(1));
    fast.apply(&[batch(0, vec![window(0)])]).unwrap();
    fast.apply(&[batch(9, vec![window(9)])]).unwrap();
    slow.apply(&[batch(1, vec![donation("slow", 0), donation("slow", 1)])]).unwrap();
    fast.apply(&[batch(10, vec![])]).unwrap();
    assert_eq!(days(&database, "transactions"), "20260101 20260102");
    slow.apply(&[batch(10, vec![])]).unwrap();
    fast.apply(&[batch(11, vec![])]).unwrap();
    assert_eq!(days(&database, "transactions"), "");
}

#[test]
fn shards_may_make_the_same_day_at_once() {
    let database = database();
    std::thread::scope(|scope| {
        for index in 0..4 {
            let database = &database;
            scope.spawn(move || {
                let mut sink = sink(database).shard(Shard { index, of: 4 });
                sink.open(None).unwrap();
                for day in 0..5 {
                    sink.apply(&[batch(day, vec![donation(&format!("{index} {day}"), day)])]).unwrap();
                }
            });
        }
    });
    assert_eq!(database.text("SELECT count(*) FROM transactions WHERE timestamp >= '2026-01-03Z'"), "12");
}

#[test]
fn whether_tables_are_cut_is_settled_when_they_are_made() {
    for cut in [true, false] {
        let database = database();
        let plain = Postgres::<StreamSummary>::new(database.config());
        let (mut first, mut second) = if cut { (sink(&database), plain) } else { (plain, sink(&database)) };
        first.open(None).unwrap();
        let error = second.open(None).unwrap_err().to_string();
        assert!(error.contains("cut into days"), "{error}");
    }
}
