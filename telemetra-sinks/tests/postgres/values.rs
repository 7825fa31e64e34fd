//! Rows as the readers of the tables find them.

use std::sync::Arc;

use telemetra_core::{
    Action, Change, Column, ColumnKind, Decimal, EventTime, Layout, Retry, Sink, Table, Value,
};
use telemetra_sinks::Postgres;

use super::common::{
    Device, Readings, alert, batch, device, letter, moment, readings, readings_in, readings_row, tables,
};
use super::server::database;

#[test]
fn rows_have_the_columns_of_the_tables() {
    let database = database();
    let tags = vec!["Ka\"ppa\0\\u0000".to_owned()];
    let value = Readings { count: u64::MAX, mean: Some(500_000), peak: None, least: i64::MIN, tags };
    let row = readings_in("device_minute").erase(readings_row("d", 0, value));
    let label = "two\nlines \u{1F3AE}\t\\N \\. n\0ame";
    let changes = vec![
        Layout::<Device>::of_row().upsert(device("d", Some(label), -5), 0),
        Layout::<Device>::of_row().upsert(device("e", None, 5), 1),
        Change { row, revision: 3, action: Action::Upsert },
        moment("d", 0, false),
        moment("d", 1, true),
        Layout::of_row().upsert(alert("d", 0, -7), 0),
    ];
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, changes)]).unwrap();

    let summary = |column: &str| database.one(&format!("SELECT {column} FROM device_minute"));
    let is = |found: Option<String>, expected: &str| assert_eq!(found.as_deref(), Some(expected));
    is(summary("extract(epoch FROM window_start) * 1000"), "1767225600000.000000");
    is(summary("window_start AT TIME ZONE 'UTC'"), "2026-01-01 00:00:00");
    is(summary("(updated_at - window_end)"), "-00:00:00.001");
    is(summary("revision"), "3");
    is(summary("mean"), "0.5");
    assert_eq!(summary("peak"), None);
    is(summary("readings"), &i64::MAX.to_string());
    is(summary("least"), &i64::MIN.to_string());
    is(summary("tags ->> 0"), "Ka\"ppa\u{fffd}\\u0000");

    let of = |column: &str| database.one(&format!("SELECT {column} FROM devices WHERE device = 'd'"));
    is(of("label"), "two\nlines \u{1F3AE}\t\\N \\. n\u{fffd}ame");
    is(of("\"offset\""), "-5");
    is(of("encode(raw, 'hex')"), "00ff27");
    is(of("digits[1]"), "-5");
    is(of("array_length(digits, 1)"), "2");
    is(of("shares[2]"), "-2.5");
    is(of("tags[1]"), "a \"quoted\" text");
    is(of("tags[2]"), "");
    is(database.one("SELECT count(*) FROM devices WHERE label IS NULL AND revision = 1"), "1");
    is(database.one("SELECT level FROM alerts"), "-7");
    is(database.one("SELECT context ->> 'side' FROM moments WHERE ended_at IS NULL"), "above");
    is(database.one("SELECT ended_at - started_at FROM moments WHERE ended_at IS NOT NULL"), "00:00:10");
}

#[test]
fn the_last_change_of_a_row_wins_however_many_batches_come_at_once() {
    let database = database();
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    let of = |nth, rows: Vec<(&str, u64, Action)>| {
        let change = |(device, count, action)| Change { action, ..readings(device, 0, count) };
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
    let rows = "SELECT string_agg(device || readings, ' ' ORDER BY device) FROM device_minute";
    assert_eq!(database.text(rows), "a4 b2 c3 d\u{fffd}3");
    sink.apply(&[of(4, vec![("b", 2, Withdraw)]), of(5, vec![])]).unwrap();
    assert_eq!(database.text(rows), "a4 c3 d\u{fffd}3");
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(batch(5, vec![]).time));
    // A time that the tables cannot say they are as of.
    let never = telemetra_core::Batch { time: EventTime::MAX, changes: vec![] };
    assert_eq!(sink.apply(&[never]).unwrap_err().retry(), Retry::Permanent);
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(batch(5, vec![]).time));
}

#[test]
fn batches_of_any_size_are_written() {
    let database = database();
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    let many = |nth, count| {
        let change = |n| Change { revision: nth as u32, ..readings(&format!("{n:06}"), 0, nth) };
        batch(nth, (0..count).map(change).collect())
    };
    // More than a statement takes, and then more than a transaction.
    sink.apply(&[many(1, 70_000), many(2, 40_000), many(3, 30_000), many(4, 5)]).unwrap();
    let counts = "SELECT string_agg(readings || ':' || n, ' ' ORDER BY readings)
                  FROM (SELECT readings, count(*) AS n FROM device_minute GROUP BY 1) c";
    assert_eq!(database.text(counts), "1:30000 2:10000 3:29995 4:5");
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(batch(4, vec![]).time));
}

/// A row with one column of each kind, all of which may be null.
fn every() -> Layout<(String, Option<u64>)> {
    let table = Table::new("every")
        .key(Column::new("id", ColumnKind::Text))
        .column(Column::nullable("bool", ColumnKind::Bool))
        .column(Column::nullable("number", ColumnKind::Integer))
        .column(Column::nullable("float", ColumnKind::Float))
        .column(Column::nullable("decimal", ColumnKind::Decimal))
        .column(Column::nullable("text", ColumnKind::Text))
        .column(Column::nullable("time", ColumnKind::Time))
        .column(Column::nullable("json", ColumnKind::Json))
        .column(Column::nullable("floats", ColumnKind::Floats));
    Layout::new(table, |(id, n): &(String, Option<u64>), put: &mut dyn FnMut(Value<'_>)| {
        put(Value::Text(id));
        let Some(n) = *n else { return (0..8).for_each(|_| put(Value::Null)) };
        put(Value::Bool(n > 0));
        put(Value::Unsigned(n));
        put(Value::Float(if n == 0 { f64::NAN } else { -0.1 }));
        put(Value::Decimal(Decimal(i128::MIN + i128::from(n))));
        put(Value::Shown(&format_args!("\0{n}")));
        put(Value::Time(EventTime(n)));
        put(Value::Json(&format_args!("{{\"n\": [{n}, null]}}")));
        put(Value::Floats(&[f64::NAN, 0.5][..n.min(2) as usize]));
    })
}

#[test]
fn tables_have_columns_of_every_kind() {
    let database = database();
    let layout = every();
    let mut sink = Postgres::new(database.config());
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    let rows = [None, Some(0), Some(5)].into_iter().zip(["a", "b", "c"]);
    let changes = rows.map(|(value, id)| layout.upsert((id.to_owned(), value), 0)).collect();
    sink.apply(&[batch(0, changes)]).unwrap();
    let text = "SELECT string_agg(concat_ws('|', bool, number, float, decimal, text, extract(epoch FROM time), json, floats), ' ' ORDER BY id)
                FROM every";
    assert_eq!(
        database.text(text),
        " f|0|-170141183460469231731687303715884.105728|\u{fffd}0|0.000000|{\"n\": [0, null]}|{} \
         t|5|-0.1|-170141183460469231731687303715884.105723|\u{fffd}5|0.005000|{\"n\": [5, null]}|{NULL,0.5}"
    );
    // What may be null is added to the table that is there.
    let wider = Layout::new(
        layout.table().as_ref().clone().column(Column::nullable("note", ColumnKind::Texts)),
        |(id, _): &(String, Option<u64>), put: &mut dyn FnMut(Value<'_>)| {
            put(Value::Text(id));
            (0..8).for_each(|_| put(Value::Null));
            put(Value::Texts(&["a,b", "{\"\\"]));
        },
    );
    sink.open(&[Arc::clone(wider.table())], None).unwrap();
    sink.apply(&[batch(1, vec![wider.upsert(("d".to_owned(), None), 0)])]).unwrap();
    assert_eq!(database.text("SELECT note[1] || note[2] FROM every WHERE id = 'd'"), "a,b{\"\\");
    assert_eq!(database.text("SELECT count(*) FROM every WHERE note IS NULL"), "3");
    // Another key is another table.
    let other = Layout::new(
        Table::new("every").key(Column::new("number", ColumnKind::Integer)),
        |n: &u64, put: &mut dyn FnMut(Value<'_>)| put(Value::Unsigned(*n)),
    );
    let error = sink.open(&[Arc::clone(other.table())], None).unwrap_err().to_string();
    assert!(
        error.contains("its table every has the key (id), and this pipeline's rows have (number)"),
        "{error}"
    );
}

/// Puts what it should not.
fn wrong() -> Layout<(String, u64)> {
    let table = Table::new("wrong")
        .key(Column::new("id", ColumnKind::Text))
        .column(Column::new("lol", ColumnKind::Integer))
        .column(Column::new("json", ColumnKind::Json));
    Layout::new(table, |(id, kind): &(String, u64), put: &mut dyn FnMut(Value<'_>)| {
        put(Value::Text(id));
        match kind {
            1 => put(Value::Text("seven")),
            2 => put(Value::Null),
            _ => put(Value::Unsigned(7)),
        }
        match kind {
            3 => {}
            4 => put(Value::Json(&"{no json")),
            _ => put(Value::Json(&"{}")),
        }
    })
}

#[test]
fn a_row_that_does_not_fit_is_named_and_nothing_is_written() {
    let database = database();
    let layout = wrong();
    let mut sink = Postgres::new(database.config());
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    let mut client = database.client();
    client.batch_execute("ALTER TABLE wrong ADD CHECK (id <> 'forbidden')").unwrap();
    for (id, kind, word) in [
        ("x7", 1, "Text(\"seven\") is no value of the column lol"),
        ("x7", 2, "nothing in the column lol"),
        ("x7", 3, "2 values for 3 columns"),
        ("x7", 4, "could not write the row"),
        ("forbidden", 0, "could not write the row"),
    ] {
        let mut changes: Vec<_> = (0..100).map(|n| layout.upsert((format!("s{n}"), 0), 0)).collect();
        changes.push(layout.upsert((id.to_owned(), kind), 0));
        let error = sink.apply(&[batch(0, changes)]).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = error.to_string();
        assert!(text.contains(word), "{text}");
        assert!(text.contains(&format!("wrong ({id})")), "{text}");
        assert_eq!(database.text("SELECT count(*) FROM wrong"), "0");
    }
    sink.apply(&[batch(0, vec![layout.upsert(("s".to_owned(), 0), 0)])]).unwrap();
    assert_eq!(database.text("SELECT count(*) FROM wrong"), "1");
}

#[test]
fn dead_letters_keep_their_bytes() {
    let database = database();
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    let mut odd = letter(2, b"\0\xff\\x");
    odd.reason = "a NUL: \0".into();
    odd.time = Some(EventTime(1_767_225_600_000));
    odd.traceparent = telemetra_core::TraceParent::new(0xabc, 0xde, 1);
    sink.dead_letters(&[letter(1, b""), odd.clone(), odd]).unwrap();
    sink.dead_letters(&[letter(1, b"seen again")]).unwrap();
    let letters = "SELECT string_agg(concat_ws('|', partition, \"offset\", idx, fate, encode(bytes, 'hex'), extract(epoch FROM time)::bigint, traceparent, reason), ' ' ORDER BY \"offset\")
                   FROM telemetra_dead_letters";
    assert_eq!(
        database.text(letters),
        "readings/0|1|0|malformed||`time`: missing readings/0|2|0|malformed|00ff5c78|1767225600|00-00000000000000000000000000000abc-00000000000000de-01|a NUL: \u{fffd}"
    );
}
