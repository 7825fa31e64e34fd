//! Tables, rows and layouts: what is refused, what the compliance suite finds, and how values are written as
//! JSON.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;
use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};
use telemetra_core::detect::Carried;
use telemetra_core::testkit::row_compliance;
use telemetra_core::{
    Action, Change, Column, ColumnKind, Data, Decimal, EventTime, KeyPart, Layout, Micro, Moment, Row,
    RowKey, Summary, SummaryRow, Table, Value, Window, json,
};

/// A table that is right.
fn alerts() -> Table {
    Table::new("alerts")
        .key(Column::new("device", ColumnKind::Text))
        .key(Column::new("raised_at", ColumnKind::Time))
        .column(Column::new("level", ColumnKind::Integer))
        .column(Column::nullable("note", ColumnKind::Text))
}

fn refusal(table: Table) -> String {
    table.check().unwrap_err().to_string()
}

#[test]
fn a_table_that_is_right_is_not_refused() {
    alerts().check().unwrap();
    let whole = alerts().revision("revision").published_at("updated_at").by_day("raised_at");
    whole
        .clone()
        .index(["level", "device"])
        .index_named("by_note", ["note"], Some("note is not null"))
        .check()
        .unwrap();
    whole.renamed("_Alerts_2").check().unwrap();
    Table::new("t").key(Column::new("k".repeat(63).leak(), ColumnKind::Bytes)).check().unwrap();
    let named =
        Table::new(String::from("made_at_run_time")).key(Column::named(format!("k{}", 1), ColumnKind::Text));
    named.check().unwrap();
}

#[test]
fn a_table_needs_a_key_that_is_always_there() {
    let none = Table::new("alerts").column(Column::new("level", ColumnKind::Integer));
    assert_eq!(
        refusal(none),
        "cannot use the setting `table alerts`: it has no key column; \
         add one by `key`: rows are upserted by it"
    );
    let nullable = alerts().key(Column::nullable("site", ColumnKind::Text));
    assert!(refusal(nullable).contains("the key column `site` may be null; make it `Column::new`"));
    assert!(refusal(alerts().key(Column::new("site", ColumnKind::Text).or_null())).contains("may be null"));
}

#[test]
fn a_column_is_named_once() {
    let twice = alerts().column(Column::new("level", ColumnKind::Float));
    assert!(refusal(twice).contains("two columns are called `level`; give each a name of its own"));
    assert!(refusal(alerts().key(Column::new("note", ColumnKind::Text))).contains("called `note`"));
    assert!(refusal(alerts().revision("level")).contains("called `level`"));
}

#[test]
fn indexes_and_days_are_over_columns_that_are_there() {
    let missing = refusal(alerts().index(["device", "celsius"]));
    assert!(missing.contains("the index `alerts_by_device_celsius` is over `celsius`"), "{missing}");
    assert!(refusal(alerts().index_named("mine", ["celsius"], None)).contains("the index `mine` is over"));
    let day = "`by_day` names no column of time; name a column of the kind `Time`";
    assert!(refusal(alerts().by_day("level")).contains(day));
    assert!(refusal(alerts().by_day("celsius")).contains(day));
    // The column has to be there when it is named.
    assert!(refusal(alerts().by_day("at").column(Column::new("at", ColumnKind::Time))).contains(day));
}

#[test]
fn names_are_those_that_every_database_takes() {
    let long = "x".repeat(64);
    for name in ["", "1st", "two words", "semi;colon", "quo\"te", "dash-ed", "été", long.as_str()] {
        let table = refusal(alerts().renamed(name.to_owned()));
        assert!(table.contains(&format!("`{name}` cannot be the name of a table; take letters")), "{table}");
        let column = refusal(alerts().column(Column::named(name, ColumnKind::Text)));
        assert!(
            column.contains(&format!("`{name}` cannot be the name of a column; take letters")),
            "{column}"
        );
        let index = refusal(alerts().index_named(name.to_owned(), ["level"], None));
        assert!(index.contains(&format!("`{name}` cannot be the name of an index; ")), "{index}");
    }
    for name in ["telemetra_alerts", "telemetra_"] {
        let found = refusal(alerts().renamed(name));
        assert!(found.contains("names that begin with `telemetra_` are the library's; take another name"));
    }
    alerts().renamed("telemetra").check().unwrap();
    let twice = alerts().index(["level"]).index_named("alerts_by_level", ["note"], None);
    assert!(refusal(twice).contains("two indexes are called `alerts_by_level`"));
}

#[test]
fn keys_come_first_whenever_they_are_added() {
    let table = Table::new("t")
        .column(Column::new("at", ColumnKind::Time))
        .published_at("updated_at")
        .by_day("at")
        .key(Column::new("a", ColumnKind::Text))
        .revision("revision")
        .key(Column::new("b", ColumnKind::Text));
    let names: Vec<&str> = table.all_columns().iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["a", "b", "at", "updated_at", "revision"]);
    assert_eq!(table.keys().len(), 2);
    assert_eq!(table.day_column().unwrap().name, "at", "the day is that of the column, not of its place");
    assert_eq!(table.published_at_column(), Some(3));
    assert_eq!(table.position("revision"), Some(4));
    assert_eq!(table.position("none"), None);
    table.check().unwrap();
    let late = Table::new("t").by_day("none").key(Column::new("a", ColumnKind::Time));
    assert!(refusal(late).contains("`by_day` names no column of time"));
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Alert {
    device: String,
    raised_at: EventTime,
    level: i64,
    note: Option<String>,
}

impl Row for Alert {
    fn table() -> Table {
        alerts()
    }
    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        put(Value::Text(&self.device));
        put(Value::Time(self.raised_at));
        put(Value::Signed(self.level));
        put(Value::or_null(self.note.as_deref().map(Value::Text)));
    }
}

fn alert(device: &str, at: u64, level: i64) -> Alert {
    let note = (level > 1).then(|| format!("level {level}"));
    Alert { device: device.to_owned(), raised_at: EventTime(at), level, note }
}

fn rows() -> [Alert; 4] {
    [alert("d1", 1, 1), alert("d1", 1, 2), alert("d1", 2, 1), alert("d2", 1, 1)]
}

/// The message of the suite for a layout that breaks a clause.
fn finding<R: Data>(layout: &Layout<R>, rows: &[R]) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| row_compliance(layout, rows))).unwrap_err();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

type Put<'p> = &'p mut dyn FnMut(Value<'_>);

fn laid(values: impl Fn(&Alert, Put<'_>) + Send + Sync + 'static) -> Layout<Alert> {
    Layout::new(alerts(), values)
}

#[test]
fn rows_keep_the_contract() {
    row_compliance(&Layout::<Alert>::of_row(), &rows());
    row_compliance(&laid(Row::values), &rows());
}

#[test]
fn the_suite_finds_columns_that_do_not_fit() {
    let few = laid(|row: &Alert, put: Put<'_>| put(Value::Text(&row.device)));
    assert!(finding(&few, &rows()).contains("puts 1 values for 4 columns"), "{}", finding(&few, &rows()));
    let many = laid(|row: &Alert, put: Put<'_>| {
        row.values(put);
        put(Value::Null);
    });
    let found = finding(&many, &rows());
    assert!(found.starts_with("columns: the value Null of Alert"), "{found}");
    assert!(found.ends_with("does not fit its column, which is None"), "{found}");
    let other = laid(|row: &Alert, put: Put<'_>| {
        put(Value::Text(&row.device));
        put(Value::Unsigned(row.raised_at.0));
        put(Value::Signed(row.level));
        put(Value::Null);
    });
    let found = finding(&other, &rows());
    assert!(found.starts_with("columns: the value Unsigned(1) of Alert"), "{found}");
    assert!(found.contains("raised_at"), "{found}");
    let null = laid(|row: &Alert, put: Put<'_>| {
        put(Value::Text(&row.device));
        put(Value::Time(row.raised_at));
        put(Value::Null);
        put(Value::Null);
    });
    assert!(finding(&null, &rows()).starts_with("columns: the value Null of Alert"));
}

#[test]
fn the_suite_finds_a_table_that_cannot_be_made() {
    let layout = Layout::<Alert>::of_row().map_table(|table| table.renamed("two words"));
    assert!(finding(&layout, &rows()).contains("`two words` cannot be the name of a table"));
}

#[test]
fn the_suite_finds_rows_that_are_not_pure() {
    let calls = AtomicU64::new(0);
    let counts = laid(move |row: &Alert, put: Put<'_>| {
        put(Value::Text(&row.device));
        put(Value::Time(row.raised_at));
        put(Value::Unsigned(calls.fetch_add(1, Relaxed)));
        put(Value::Null);
    });
    assert!(finding(&counts, &rows()).contains("pure: equal rows put different values"));
}

fn custom(
    subject: impl for<'r> Fn(&'r Alert) -> Cow<'r, str> + Send + Sync + 'static,
    compare: Option<fn(&Alert, &Alert) -> Ordering>,
) -> Layout<Alert> {
    Layout::with(alerts(), |row: &Alert, put: Put<'_>| row.values(put), |_| None, subject, compare)
}

fn by_device(row: &Alert) -> Cow<'_, str> {
    row.device.as_str().into()
}

#[test]
fn the_suite_finds_a_subject_that_depends_on_more_than_the_key() {
    row_compliance(&custom(by_device, None), &rows());
    let by_level = custom(|row: &Alert| row.level.to_string().into(), None);
    assert!(finding(&by_level, &rows()).contains("subject: rows of one key are about different subjects"));
}

#[test]
fn the_suite_finds_an_order_that_is_not_of_the_key() {
    let key =
        |one: &Alert, other: &Alert| (&one.device, one.raised_at).cmp(&(&other.device, other.raised_at));
    row_compliance(&custom(by_device, Some(key)), &rows());
    let whole: fn(&Alert, &Alert) -> Ordering = Ord::cmp;
    let device = |one: &Alert, other: &Alert| one.device.cmp(&other.device);
    for wrong in [whole, device] {
        let found = finding(&custom(by_device, Some(wrong)), &rows());
        assert!(found.contains("identity: Alert"), "{found}");
    }
}

/// Loses a field on its way through a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Lossy(u64, #[serde(skip)] u64);

#[test]
fn the_suite_finds_a_row_that_is_not_what_was_encoded() {
    let table = Table::new("t").key(Column::new("id", ColumnKind::Integer));
    let layout = Layout::new(table, |row: &Lossy, put: Put<'_>| put(Value::Unsigned(row.0)));
    row_compliance(&layout, &[Lossy(1, 0)]);
    assert_eq!(finding(&layout, &[Lossy(1, 2)]), "Lossy(1, 2) does not survive bincode");
}

#[test]
fn a_layout_keeps_all_but_its_table_when_that_is_changed() {
    let layout = Layout::<Alert>::of_row();
    let other =
        layout.clone().map_table(|table| table.renamed("warnings").index(["level"]).by_day("raised_at"));
    row_compliance(&other, &rows());
    assert_eq!((layout.table().name(), other.table().name()), ("alerts", "warnings"));
    assert_eq!(other.table().indexes()[0].name, "warnings_by_level");
    let (a, b) = (layout.erase(alert("d", 1, 1)), other.erase(alert("d", 1, 1)));
    assert!(a.equals(&*layout.erase(alert("d", 1, 1))) && !a.equals(&*b), "of different tables");
    assert_eq!(a.compare_key(&*b), Ordering::Less, "by the name of the table first");
    assert_eq!(layout.subject(&alert("d", 1, 1)), "d");
    assert_eq!(layout.time(&alert("d", 1, 1)), None);
}

#[test]
fn rows_of_one_table_and_different_types_are_compared_by_their_keys() {
    let typed = Layout::<Alert>::of_row();
    let loose = Layout::new(alerts(), |(device, at): &(String, u64), put: Put<'_>| {
        put(Value::Text(device));
        put(Value::Time(EventTime(*at)));
        put(Value::Signed(0));
        put(Value::Null);
    });
    let row = typed.erase(alert("d1", 5, 1));
    for (device, at, order) in [
        ("d1", 5, Ordering::Equal),
        ("d0", 9, Ordering::Greater),
        ("d1", 6, Ordering::Less),
        ("d2", 0, Ordering::Less),
    ] {
        assert_eq!(row.compare_key(&*loose.erase((device.to_owned(), at))), order);
    }
    assert!(!row.equals(&*loose.erase(("d1".to_owned(), 5))));
}

#[test]
fn a_change_is_of_a_row_in_its_own_type() {
    let layout = Layout::<Alert>::of_row();
    let change = layout.upsert(alert("d1", 5, 2), 3);
    assert_eq!(change.table(), "alerts");
    assert_eq!(change.row::<Alert>(), Some(&alert("d1", 5, 2)));
    assert_eq!(change.row::<String>(), None);
    assert_eq!((change.revision, change.action), (3, Action::Upsert));
    assert_eq!(change, layout.upsert(alert("d1", 5, 2), 3));
    for other in [
        layout.upsert(alert("d1", 5, 2), 4),
        layout.withdraw(alert("d1", 5, 2), 3),
        layout.upsert(alert("d1", 5, 1), 3),
    ] {
        assert_ne!(change, other);
    }
    let key = RowKey::of(&*change.row);
    assert_eq!(key.table(), "alerts");
    assert_eq!(key.parts(), [KeyPart::Text("d1".into()), KeyPart::Time(EventTime(5))]);
    assert_eq!(key.to_string(), "alerts (d1, 1970-01-01T00:00:00.005Z)");
}

fn shown(change: &Change, time: u64) -> Vec<String> {
    let mut values = Vec::new();
    change.values(EventTime(time), &mut |value| {
        let mut text = String::new();
        json::value(&mut text, value).unwrap();
        values.push(text);
    });
    values
}

type Reading = (u64, Option<i64>);

fn summaries() -> Layout<SummaryRow<(String, u32), Reading>> {
    let columns =
        vec![Column::new("readings", ColumnKind::Integer), Column::nullable("mean", ColumnKind::Float)];
    Layout::summaries(
        "device_minute",
        &["device", "port"],
        columns,
        |(count, mean): &Reading, window, put| {
            put(Value::Unsigned(*count));
            put(Value::or_null(mean.map(|mean| Value::Float(mean as f64 / window.seconds()))));
        },
    )
}

fn summary(device: &str, port: u32, end: u64, value: Reading) -> SummaryRow<(String, u32), Reading> {
    let window = Window { start: EventTime(end - 60_000).into(), end: EventTime(end) };
    SummaryRow { key: (device.to_owned(), port), summary: Summary { window, value: Arc::new(value) } }
}

#[test]
fn summaries_are_rows_by_key_and_window() {
    let layout = summaries();
    row_compliance(
        &layout,
        &[
            summary("d", 1, 60_000, (1, None)),
            summary("d", 1, 60_000, (2, Some(-30))),
            summary("d", 1, 120_000, (1, None)),
            summary("d", 2, 60_000, (1, None)),
            summary("e", 1, 60_000, (1, None)),
        ],
    );
    let names: Vec<_> = layout.table().all_columns().iter().map(|column| column.name.to_string()).collect();
    let expected =
        ["device", "port", "window_start", "window_end", "readings", "mean", "revision", "updated_at"];
    assert_eq!(names, expected);
    assert_eq!(layout.table().keys().len(), 3);
    assert_eq!(layout.table().day_column().unwrap().name, "window_start");
    let row = summary("d", 1, 60_000, (2, Some(-30)));
    assert_eq!((layout.time(&row), layout.subject(&row)), (Some(EventTime(60_000)), "d\u{1f}1".into()));
    assert_eq!(
        shown(&layout.upsert(row, 7), 59_999),
        [
            "\"d\"",
            "1",
            "\"1970-01-01T00:00:00.000Z\"",
            "\"1970-01-01T00:01:00.000Z\"",
            "2",
            "-0.5",
            "7",
            "\"1970-01-01T00:00:59.999Z\"",
        ]
    );
}

fn moment(device: &str, start: u64, open: bool) -> Moment<String> {
    Moment {
        key: device.to_owned(),
        moment_type: "spike".into(),
        started_at: EventTime(start),
        peak_at: EventTime(start + 10_000),
        last_at: EventTime(start + 20_000),
        open,
        detection_method: "zscore".into(),
        value: Micro(42_000_000),
        threshold: Micro(3_000_000),
        score: Micro(-4_500_000),
        baseline_mean: Micro(10_250_000),
        baseline_stddev: Micro(1_500_000),
        baseline_samples: 12,
        windows: 2,
        comparable: true,
        chance: Some(Micro(250_000)),
        carried: Arc::default(),
    }
}

#[test]
fn moments_are_rows_by_their_id() {
    let layout = Layout::<Moment<String>>::moments("moments", &["device"]);
    let other_type = Moment { moment_type: "drop".into(), ..moment("d", 60_000, true) };
    row_compliance(
        &layout,
        &[
            moment("d", 60_000, true),
            moment("d", 60_000, false),
            moment("d", 90_000, true),
            moment("e", 60_000, true),
            other_type,
        ],
    );
    let open = moment("d", 60_000, true);
    assert_eq!(
        (layout.time(&open), layout.subject(&open)),
        (None, "d".into()),
        "an open moment is about now"
    );
    let closed = moment("d", 60_000, false);
    assert_eq!(layout.time(&closed), Some(EventTime(80_000)));
    let id = format!("\"{}\"", closed.id());
    let values = shown(&layout.upsert(closed, 1), 90_000);
    let by_name = |name| &values[layout.table().position(name).unwrap()];
    assert_eq!(*by_name("moment_id"), id);
    assert_eq!(by_name("device"), "\"d\"");
    assert_eq!(by_name("ended_at"), "\"1970-01-01T00:01:20.000Z\"");
    assert_eq!((by_name("score").as_str(), by_name("baseline_mean").as_str()), ("-4.5", "10.25"));
    assert_eq!(by_name("context"), r#"{"windows":2,"duration_ms":20000,"side":"below"}"#);
    assert_eq!(
        (by_name("revision").as_str(), by_name("updated_at").as_str()),
        ("1", "\"1970-01-01T00:01:30.000Z\"")
    );
    let carried =
        [Carried::new("word", "\"so\"", 0.5, Some(0.25)), Carried::new("all", "", 7.0, None::<f64>)];
    let values = shown(&layout.upsert(Moment { carried: carried.into(), ..open }, 0), 90_000);
    assert_eq!(values[layout.table().position("ended_at").unwrap()], "null");
    assert_eq!(
        values[layout.table().position("context").unwrap()],
        r#"{"windows":2,"duration_ms":20000,"side":"below","carried":[{"what":"word","name":"\"so\"","now":0.5,"usual":0.25},{"what":"all","name":"","now":7,"usual":null}]}"#
    );
}

/// Displays as a text that wants escaping, in two pieces.
struct Pieces;
impl std::fmt::Display for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("plain ")?;
        f.write_str("\"quoted\"\n")
    }
}

fn written(value: Value<'_>) -> String {
    let mut text = String::new();
    json::value(&mut text, value).unwrap();
    text
}

#[test]
fn every_value_is_written_as_json() {
    for (value, expected) in [
        (Value::Null, "null"),
        (Value::Revision, "null"),
        (Value::PublishedAt, "null"),
        (Value::Bool(true), "true"),
        (Value::Bool(false), "false"),
        (Value::Unsigned(u64::MAX), "18446744073709551615"),
        (Value::Signed(i64::MIN), "-9223372036854775808"),
        (Value::Float(-0.5), "-0.5"),
        (Value::Float(1.0), "1"),
        (Value::Float(f64::NAN), "null"),
        (Value::Float(f64::NEG_INFINITY), "null"),
        (Value::Decimal(Decimal(-4_990_000)), "\"-4.99\""),
        (Value::Text("a\"b\\c\n\u{1}é"), r#""a\"b\\c\n\u0001é""#),
        (Value::Shown(&Pieces), r#""plain \"quoted\"\n""#),
        (Value::Time(EventTime(5)), "\"1970-01-01T00:00:00.005Z\""),
        (Value::Json(&r#"{"a":[1]}"#), r#"{"a":[1]}"#),
        (Value::Bytes(&[0, 255, 16]), "\"00ff10\""),
        (Value::Bytes(&[]), "\"\""),
        (Value::Integers(&[1, -2]), "[1,-2]"),
        (Value::Floats(&[0.5, f64::INFINITY]), "[0.5,null]"),
        (Value::Texts(&["a", "\""]), r#"["a","\""]"#),
        (Value::Texts(&[]), "[]"),
    ] {
        let text = written(value);
        assert_eq!(text, expected, "{value:?}");
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
    for float in [1e300, -1e-300, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 0.1 + 0.2, 123_456_789.0] {
        let text = written(Value::Float(float));
        assert_eq!(text.parse::<f64>().unwrap(), float);
        assert!(serde_json::from_str::<f64>(&text).unwrap().is_finite(), "{text}");
    }
}

#[test]
fn a_value_fits_columns_of_its_kind_and_no_other() {
    use ColumnKind as Kind;
    let kinds = [
        Kind::Bool,
        Kind::Integer,
        Kind::Float,
        Kind::Decimal,
        Kind::Text,
        Kind::Time,
        Kind::Json,
        Kind::Bytes,
        Kind::Integers,
        Kind::Floats,
        Kind::Texts,
    ];
    for (value, fitting) in [
        (Value::Null, &kinds[..]),
        (Value::Bool(true), &[Kind::Bool]),
        (Value::Unsigned(1), &[Kind::Integer]),
        (Value::Signed(1), &[Kind::Integer]),
        (Value::Revision, &[Kind::Integer]),
        (Value::Float(1.0), &[Kind::Float]),
        (Value::Decimal(Decimal(1)), &[Kind::Decimal, Kind::Text]),
        (Value::Text(""), &[Kind::Text]),
        (Value::Shown(&""), &[Kind::Text]),
        (Value::Time(EventTime(1)), &[Kind::Time]),
        (Value::PublishedAt, &[Kind::Time]),
        (Value::Json(&"{}"), &[Kind::Json]),
        (Value::Bytes(&[]), &[Kind::Bytes]),
        (Value::Integers(&[]), &[Kind::Integers]),
        (Value::Floats(&[]), &[Kind::Floats]),
        (Value::Texts(&[]), &[Kind::Texts]),
    ] {
        for kind in kinds {
            assert_eq!(value.fits(kind), fitting.contains(&kind), "{value:?} in a column of {kind:?}");
        }
    }
}
