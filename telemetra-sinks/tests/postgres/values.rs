//! Rows as the readers of the tables find them.

use telemetra_core::{
    Action, Change, Counted, Currency, EventTime, Retry, Row, Sink, StreamId, StreamRow, StreamSummary,
    TransactionRow, TransactionType, ViewerRow, Window,
};
use telemetra_sinks::{Column, ColumnKind, Decimal, Layout, Postgres, Tabular, Value};

use super::common::{batch, letter, moment, row, summary, upsert, window};
use super::server::database;

fn transaction(id: &str, amount: i64, message: Option<&str>) -> Row<StreamSummary> {
    Row::Transaction(TransactionRow {
        transaction_id: id.into(),
        stream_id: StreamId::new("s"),
        user_id: "u".into(),
        amount,
        currency: Currency::Eur,
        transaction_type: TransactionType::Donation,
        message: message.map(Into::into),
        timestamp: window(0).start,
    })
}

#[test]
fn rows_have_the_columns_of_the_tables() {
    let database = database();
    let mut value = StreamSummary { chat_count: 30, sentiment_sum: 150_000, ..Default::default() };
    value.top_emotes = vec![Counted { name: "Ka\"ppa\0\\u0000".into(), count: 3 }];
    value.viewer_events = u64::MAX;
    value.transaction_amount[Currency::Usd as usize] = 12_500_000;
    value.transaction_amount[Currency::Bits as usize] = i128::MAX;
    let stream = StreamRow {
        stream_id: StreamId::new("s"),
        name: "n\0ame".into(),
        title: Some("two\nlines \u{1F3AE}\t\\N \\.".into()),
        category: None,
        is_live: None,
        started_at: None,
        ended_at: Some(EventTime(1)),
        created_at: EventTime(0),
        updated_at: EventTime::MAX,
    };
    let viewer = ViewerRow {
        event_id: "v".into(),
        stream_id: StreamId::new("s"),
        timestamp: EventTime::LATEST,
        viewer_count: 7,
        unique_viewers: Some(8),
        peak_viewers: None,
    };
    let mut changes = vec![
        upsert(Row::Stream(stream)),
        Change { row: row("s", 0, value), revision: 3, action: Action::Upsert },
        upsert(Row::Moment(moment("s", 0, false))),
        upsert(Row::Moment(moment("s", 1, true))),
        upsert(Row::Viewer(viewer)),
    ];
    let amounts =
        [0, 1, -1, 10_000, 99_999_999, 4_990_001, 12_500_000, 1_234_567_890_123_456, i64::MAX, i64::MIN];
    for (nth, amount) in amounts.into_iter().enumerate() {
        changes.push(upsert(transaction(&format!("t{nth}"), amount, Some(""))));
    }
    let mut sink = Postgres::new(database.config());
    sink.open(None).unwrap();
    sink.apply(&[batch(0, changes)]).unwrap();

    let summary = |column: &str| database.one(&format!("SELECT {column} FROM chat_summary_minute"));
    let is = |found: Option<String>, expected: &str| assert_eq!(found.as_deref(), Some(expected));
    is(summary("extract(epoch FROM window_start) * 1000"), "1767225600000.000000");
    is(summary("window_start AT TIME ZONE 'UTC'"), "2026-01-01 00:00:00");
    is(summary("(updated_at - window_end)"), "-00:00:00.001");
    is(summary("revision"), "3");
    is(summary("chat_rate"), "0.5");
    is(summary("sentiment_score"), "0.5");
    is(summary("avg_viewers"), "0");
    assert_eq!(summary("peak_viewers"), None);
    is(summary("viewer_events"), &i64::MAX.to_string());
    is(summary("top_emotes -> 0 ->> 'name'"), "Ka\"ppa\u{fffd}\\u0000");
    is(summary("transaction_amount ->> 'USD'"), "12.50");
    is(summary("transaction_amount ->> 'bits'"), "170141183460469231731687303715884.105727");

    let stream = |column: &str| database.one(&format!("SELECT {column} FROM streams"));
    is(stream("name"), "n\u{fffd}ame");
    is(stream("title"), "two\nlines \u{1F3AE}\t\\N \\.");
    assert_eq!(stream("is_live"), None);
    is(stream("extract(epoch FROM ended_at)"), "0.001000");
    is(stream("updated_at"), "infinity");
    is(database.one("SELECT extract(year FROM timestamp AT TIME ZONE 'UTC') FROM viewer_timeseries"), "9999");

    for (nth, amount) in amounts.into_iter().enumerate() {
        let found =
            database.text(&format!("SELECT amount FROM transactions WHERE transaction_id = 't{nth}'"));
        let units: i128 = found.replace('.', "").parse().unwrap();
        assert_eq!((units, found.rfind('.')), (amount.into(), Some(found.len() - 7)), "{found}");
    }
    is(database.one("SELECT sum(amount) FROM transactions WHERE transaction_id < 't8'"), "1234568007.623456");
    is(database.one("SELECT context ->> 'side' FROM moments WHERE ended_at IS NULL"), "above");
    is(database.one("SELECT ended_at - started_at FROM moments WHERE ended_at IS NOT NULL"), "00:00:10");
    is(database.one("SELECT message FROM transactions WHERE transaction_id = 't0'"), "");
}

#[test]
fn the_last_change_of_a_row_wins_however_many_batches_come_at_once() {
    let database = database();
    let mut sink = Postgres::new(database.config());
    sink.open(None).unwrap();
    let of = |nth, rows: Vec<(&str, u64, Action)>| {
        let change = |(stream, chats, action)| Change { action, ..summary(stream, 0, chats) };
        batch(nth, rows.into_iter().map(change).collect())
    };
    use Action::{Upsert, Withdraw};
    sink.apply(&[
        of(0, vec![("b", 1, Upsert), ("d", 1, Upsert), ("d\0", 1, Upsert)]),
        of(1, vec![("a", 2, Upsert), ("b", 2, Upsert), ("c", 2, Upsert), ("d", 1, Withdraw)]),
        of(2, vec![("a", 2, Withdraw), ("c", 3, Upsert), ("d\u{fffd}", 3, Upsert)]),
        of(3, vec![("a", 4, Upsert), ("never there", 4, Withdraw)]),
    ])
    .unwrap();
    let rows = "SELECT string_agg(stream_id || chat_count, ' ' ORDER BY stream_id) FROM chat_summary_minute";
    assert_eq!(database.text(rows), "a4 b2 c3 d\u{fffd}3");
    sink.apply(&[of(4, vec![("b", 2, Withdraw)]), of(5, vec![])]).unwrap();
    assert_eq!(database.text(rows), "a4 c3 d\u{fffd}3");
    assert_eq!(sink.open(None).unwrap(), Some(batch::<()>(5, vec![]).time));
    // A time that the tables cannot say they are as of.
    let never = telemetra_core::Batch { time: EventTime::MAX, changes: vec![] };
    assert_eq!(sink.apply(&[never]).unwrap_err().retry(), Retry::Permanent);
    assert_eq!(sink.open(None).unwrap(), Some(batch::<()>(5, vec![]).time));
}

#[test]
fn batches_of_any_size_are_written() {
    let database = database();
    let mut sink = Postgres::new(database.config());
    sink.open(None).unwrap();
    let many = |nth, count| {
        let stream = |n| Change { revision: nth as u32, ..summary(&format!("{n:06}"), 0, nth) };
        batch(nth, (0..count).map(stream).collect())
    };
    // More than a statement takes, and then more than a transaction.
    sink.apply(&[many(1, 70_000), many(2, 40_000), many(3, 30_000), many(4, 5)]).unwrap();
    let counts = "SELECT string_agg(chat_count || ':' || n, ' ' ORDER BY chat_count)
                  FROM (SELECT chat_count, count(*) AS n FROM chat_summary_minute GROUP BY 1) c";
    assert_eq!(database.text(counts), "1:30000 2:10000 3:29995 4:5");
    assert_eq!(sink.open(None).unwrap(), Some(batch::<()>(4, vec![]).time));
}

/// One column of each kind.
struct Every(Option<u64>);

impl Tabular for Every {
    const COLUMNS: &'static [Column] = &[
        Column::nullable("bool", ColumnKind::Bool),
        Column::nullable("a \"name\"", ColumnKind::Integer),
        Column::nullable("float", ColumnKind::Float),
        Column::nullable("decimal", ColumnKind::Decimal),
        Column::nullable("text", ColumnKind::Text),
        Column::nullable("time", ColumnKind::Time),
        Column::nullable("json", ColumnKind::Json),
    ];
    fn values(&self, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        let Some(n) = self.0 else { return (0..7).for_each(|_| put(Value::Null)) };
        put(Value::Bool(n > 0));
        put(Value::Unsigned(n));
        put(Value::Float(if n == 0 { f64::NAN } else { -0.1 }));
        put(Value::Decimal(Decimal(i128::MIN + i128::from(n))));
        put(Value::Shown(&format_args!("\0{n}")));
        put(Value::Time(EventTime(n)));
        put(Value::Json(&format_args!("{{\"n\": [{n}, null]}}")));
    }
}

#[test]
fn user_summaries_have_columns_of_every_kind() {
    let database = database();
    let mut sink = Postgres::<Every>::new(database.config());
    sink.open(None).unwrap();
    let rows = [None, Some(0), Some(5)].into_iter().zip(["a", "b", "c"]);
    let changes = rows.map(|(value, stream)| upsert(row(stream, 0, Every(value)))).collect();
    sink.apply(&[batch(0, changes)]).unwrap();
    let text = "SELECT string_agg(concat_ws('|', bool, \"a \"\"name\"\"\", float, decimal, text, extract(epoch FROM time), json), ' ' ORDER BY stream_id)
                FROM chat_summary_minute";
    assert_eq!(
        database.text(text),
        " f|0|-170141183460469231731687303715884.105728|\u{fffd}0|0.000000|{\"n\": [0, null]} \
         t|5|-0.1|-170141183460469231731687303715884.105723|\u{fffd}5|0.005000|{\"n\": [5, null]}"
    );
}

#[test]
fn any_serializable_summary_is_one_column() {
    let database = database();
    let mut sink = Postgres::with_layout(database.config(), Layout::<Vec<String>>::json());
    sink.open(None).unwrap();
    sink.apply(&[batch(0, vec![upsert(row("s", 0, vec!["a\0b".to_owned(), "\\u0000".to_owned()]))])])
        .unwrap();
    assert_eq!(database.text("SELECT summary ->> 0 FROM chat_summary_minute"), "a\u{fffd}b");
    assert_eq!(database.text("SELECT summary ->> 1 FROM chat_summary_minute"), "\\u0000");
}

/// Puts what it should not.
struct Wrong(u64);

impl Tabular for Wrong {
    const COLUMNS: &'static [Column] =
        &[Column::new("lol", ColumnKind::Integer), Column::new("json", ColumnKind::Json)];
    fn values(&self, _: Window, put: &mut dyn FnMut(Value<'_>)) {
        match self.0 {
            1 => put(Value::Text("seven")),
            2 => put(Value::Null),
            _ => put(Value::Unsigned(7)),
        }
        match self.0 {
            3 => {}
            4 => put(Value::Json(&"{no json")),
            _ => put(Value::Json(&"{}")),
        }
    }
}

#[test]
fn a_row_that_does_not_fit_is_named_and_nothing_is_written() {
    let database = database();
    let mut sink = Postgres::<Wrong>::new(database.config());
    sink.open(None).unwrap();
    let mut client = database.client();
    client.batch_execute("ALTER TABLE chat_summary_minute ADD CHECK (stream_id <> 'forbidden')").unwrap();
    for (stream, wrong, word) in [
        ("s7", 1, "Text(\"seven\") is no value of the column lol"),
        ("s7", 2, "nothing in the column lol"),
        ("s7", 3, "6 values for 7 columns"),
        ("s7", 4, "could not write the row"),
        ("forbidden", 0, "could not write the row"),
    ] {
        let mut changes: Vec<_> = (0..100).map(|n| upsert(row(&format!("s{n}"), 0, Wrong(0)))).collect();
        changes.push(upsert(row(stream, 1, Wrong(wrong))));
        let error = sink.apply(&[batch(0, changes)]).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = error.to_string();
        assert!(text.contains(word), "{text}");
        assert!(
            text.contains(&format!("chat_summary_minute ({stream}, 2026-01-01T00:00:10.000Z)")),
            "{text}"
        );
        assert_eq!(database.text("SELECT count(*) FROM chat_summary_minute"), "0");
    }
    sink.apply(&[batch(0, vec![upsert(row("s", 0, Wrong(0)))])]).unwrap();
    assert_eq!(database.text("SELECT count(*) FROM chat_summary_minute"), "1");
}

#[test]
fn dead_letters_keep_their_bytes() {
    let database = database();
    let mut sink = Postgres::<StreamSummary>::new(database.config());
    sink.open(None).unwrap();
    let mut odd = letter(2, b"\0\xff\\x");
    odd.reason = "a NUL: \0".into();
    sink.dead_letters(&[letter(1, b""), odd.clone(), odd]).unwrap();
    sink.dead_letters(&[letter(1, b"seen again")]).unwrap();
    let letters = "SELECT string_agg(concat_ws('|', partition, \"offset\", idx, fate, encode(bytes, 'hex'), reason), ' ' ORDER BY \"offset\")
                   FROM telemetra_dead_letters";
    assert_eq!(
        database.text(letters),
        "telemetra.events.chat/0|1|0|malformed||`timestamp`: missing \
         telemetra.events.chat/0|2|0|malformed|00ff5c78|a NUL: \u{fffd}"
    );
}
