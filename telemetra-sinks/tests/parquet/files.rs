//! The contents of files, and what is refused.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use telemetra_core::{
    Action, Batch, Column, ColumnKind, Decimal, EventTime, Layout, Retry, Row, Sink, Table, Value,
};
use telemetra_sinks::Parquet;

use crate::common::{alert, batch, change, device, moment, readings, tables};
use crate::reader::{assert_holds, read};

/// The files of a table, as paths from its folder.
pub(crate) fn files(folder: &Path, table: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(days) = std::fs::read_dir(folder.join(table)) else { return found };
    for day in days {
        let day = day.unwrap().path();
        for file in std::fs::read_dir(&day).unwrap() {
            let file = file.unwrap().path();
            found.push(file.strip_prefix(folder.join(table)).unwrap().to_owned());
        }
    }
    found.sort();
    found
}

/// A value of every kind, with those at the ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Sample {
    number: i64,
    amount: i128,
    /// The bits of a float.
    share: u64,
    note: Option<String>,
    raw: Vec<u8>,
    digits: Option<Vec<i64>>,
    tags: Vec<String>,
    at: EventTime,
}

impl Row for Sample {
    fn table() -> Table {
        Table::new("samples")
            .key(Column::new("number", ColumnKind::Integer))
            .key(Column::new("even", ColumnKind::Bool))
            .column(Column::new("amount", ColumnKind::Decimal))
            .column(Column::new("share", ColumnKind::Float))
            .column(Column::nullable("note", ColumnKind::Text))
            .column(Column::new("shown", ColumnKind::Text))
            .column(Column::new("document", ColumnKind::Json))
            .column(Column::new("raw", ColumnKind::Bytes))
            .column(Column::nullable("digits", ColumnKind::Integers))
            .column(Column::new("shares", ColumnKind::Floats))
            .column(Column::new("tags", ColumnKind::Texts))
            .column(Column::nullable("at", ColumnKind::Time))
            .column(Column::new("count", ColumnKind::Integer))
            .revision("revision")
            .published_at("published_at")
    }

    fn values(&self, put: &mut dyn FnMut(Value<'_>)) {
        let share = f64::from_bits(self.share);
        put(Value::Signed(self.number));
        put(Value::Bool(self.number % 2 == 0));
        put(Value::Decimal(Decimal(self.amount)));
        put(Value::Float(share));
        put(Value::or_null(self.note.as_deref().map(Value::Text)));
        put(Value::Shown(&self.number));
        put(Value::Json(&r#"{"a": [1, null]}"#));
        put(Value::Bytes(&self.raw));
        put(Value::or_null(self.digits.as_deref().map(Value::Integers)));
        put(Value::Floats(&[share, 0.5, f64::NAN]));
        let tags: Vec<&str> = self.tags.iter().map(String::as_str).collect();
        put(Value::Texts(&tags));
        put(Value::or_null((self.at.0 > 0).then_some(Value::Time(self.at))));
        put(Value::Unsigned(u64::MAX));
        put(Value::Revision);
        put(Value::PublishedAt);
    }

    fn time(&self) -> Option<EventTime> {
        Some(self.at)
    }
}

fn sample(number: i64) -> Sample {
    Sample {
        number,
        amount: 0,
        share: 0.1_f64.to_bits(),
        note: None,
        raw: Vec::new(),
        digits: None,
        tags: Vec::new(),
        at: EventTime(0),
    }
}

#[test]
fn values_of_every_kind_read_back_equal() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::<Sample>::of_row();
    let most = 10_i128.pow(38) - 1;
    let rows = vec![
        sample(1),
        Sample { amount: most, note: Some(String::new()), digits: Some(vec![]), ..sample(2) },
        Sample { amount: -most, share: f64::NAN.to_bits(), digits: Some(vec![1, -1, i64::MIN]), ..sample(3) },
        Sample { share: f64::INFINITY.to_bits(), raw: vec![0, 255, b'\''], ..sample(i64::MIN) },
        Sample {
            share: f64::MIN_POSITIVE.to_bits(),
            tags: vec!["a \"b\", {c}".into(), String::new()],
            ..sample(4)
        },
        Sample {
            note: Some("zwei\nZeilen \u{1F3AE}\0".into()),
            at: EventTime(1_767_225_600_001),
            ..sample(i64::MAX)
        },
        Sample { amount: -1, at: EventTime(253_402_300_799_999), ..sample(5) },
    ];
    let changes = rows.into_iter().map(|row| layout.upsert(row, 7)).collect();
    let batches = [Batch { time: EventTime(1_767_225_659_999), changes }];
    let tables = [Arc::clone(layout.table())];
    let mut sink = Parquet::new(folder.path());
    sink.open(&tables, None).unwrap();
    sink.apply(&batches).unwrap();
    sink.close().unwrap();
    assert_holds(folder.path(), &batches, &tables);
}

#[test]
fn a_file_may_have_several_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let table = Table::new("t").key(Column::new("n", ColumnKind::Integer));
    let table = table.column(Column::nullable("half", ColumnKind::Integers));
    let layout = Layout::new(table, |n: &i64, put| {
        put(Value::Signed(*n));
        put(Value::or_null((n % 2 == 0).then_some(Value::Integers(&[n / 2, -1]))));
    });
    let tables = [Arc::clone(layout.table())];
    let mut sink = Parquet::new(folder.path());
    sink.open(&tables, None).unwrap();
    sink.apply(&[batch(0, (0..70_000).map(|n| layout.upsert(n, 0)).collect())]).unwrap();
    sink.close().unwrap();
    let sql = "SELECT count(*) AS rows, sum(n) AS sum, sum(half[1])::BIGINT AS halves, count(half) AS lists FROM SOURCE";
    let sql = sql.replace("sum(n)", "sum(n)::BIGINT");
    let halves = (0..35_000_i64).sum::<i64>();
    assert_eq!(
        crate::reader::query(folder.path(), layout.table(), &sql),
        serde_json::json!([{"rows": 70_000, "sum": 70_000_i64 * 69_999 / 2, "halves": halves, "lists": 35_000}])
    );
    let groups = "SELECT DISTINCT num_row_groups AS groups FROM parquet_file_metadata(FILES)";
    let groups = crate::reader::query(folder.path(), layout.table(), groups);
    assert_eq!(groups, serde_json::json!([{"groups": 2}]));
}

#[test]
fn a_file_is_of_one_table_day_and_span() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Parquet::new(folder.path()).rotate_every(Duration::from_secs(60));
    sink.open(&tables(), None).unwrap();
    let alerts = Layout::of_row();
    // Six batches a minute, from the last instant of a minute on; a correction of the day before comes with each.
    let day_before = |level| {
        let raised_at = EventTime(1_767_225_599_000);
        change(&alerts, crate::common::Alert { raised_at, ..alert("d", 0, level) }, 0, Action::Upsert)
    };
    let batches: Vec<_> =
        (0..13).map(|nth| batch(nth, vec![day_before(nth as i64), moment("d", nth, true)])).collect();
    for one in &batches {
        sink.apply(std::slice::from_ref(one)).unwrap();
    }
    assert_eq!(files(folder.path(), "moments").len(), 2, "the last span is not over");
    sink.close().unwrap();
    let names = |table: &str| files(folder.path(), table);
    assert_eq!(names("moments").len(), 3);
    assert!(names("moments").iter().all(|path| path.starts_with("day=2026-01-01")), "{:?}", names("moments"));
    assert!(names("alerts").iter().all(|path| path.starts_with("day=2025-12-31")), "{:?}", names("alerts"));
    assert_eq!(names("devices").len(), 0);
    assert_holds(folder.path(), &batches, &tables());
    assert_eq!(read(folder.path(), &tables()).current("alerts").len(), 1, "the newest of 13 changes");
}

#[test]
fn files_are_bounded_by_size_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Parquet::new(folder.path()).rotate_bytes(20_000);
    sink.open(&tables(), None).unwrap();
    let many = |nth| (0..100).map(|n| readings(&format!("device-{n:03}"), nth, nth)).collect();
    let batches: Vec<_> = (0..30).map(|nth| batch(nth, many(nth))).collect();
    sink.apply(&batches).unwrap();
    sink.close().unwrap();
    let files = files(folder.path(), "device_minute");
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let length = folder.path().join("device_minute").join(&file).metadata().unwrap().len();
        // A log of 20,000 bytes and one batch more.
        assert!(length < 50_000, "{} has {length} bytes", file.display());
    }
    assert_holds(folder.path(), &batches, &tables());
}

#[test]
fn columns_with_the_names_of_the_changelog_get_an_underscore() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name| Column::new(name, ColumnKind::Text);
    let table =
        Table::new("calls").key(text("day")).column(text("day_")).column(text("_op")).column(text("_time"));
    let calls = Layout::new(table, |call: &String, put| {
        [call.as_str(), "a", "b", "c"].into_iter().for_each(|value| put(Value::Text(value)));
    });
    let tables = [Arc::clone(calls.table())];
    let mut sink = Parquet::new(folder.path());
    sink.open(&tables, None).unwrap();
    sink.apply(&[batch(0, vec![calls.upsert("x".to_owned(), 0)])]).unwrap();
    sink.close().unwrap();
    let found = crate::reader::read_by(folder.path(), &tables, &|_| vec!["day__".to_owned()]);
    let found = found.changes("calls");
    let value = |name: &str| found[0][name].as_str().unwrap().to_owned();
    let values = ["day", "day__", "day_", "_op_", "_time_", "_op"].map(value);
    assert_eq!(values, ["2026-01-01", "x", "a", "b", "c", "upsert"].map(str::to_owned));
}

#[test]
fn a_row_that_does_not_fit_is_named_and_leaves_nothing() {
    let column = |kind| Column::new("value", kind);
    let table = |kind| Table::new("t").key(Column::new("name", ColumnKind::Text)).column(column(kind));
    type Put = fn(&mut dyn FnMut(Value<'_>));
    let cases: [(ColumnKind, Put, &str); 6] = [
        (ColumnKind::Text, |put| put(Value::Null), "`value` may not be null"),
        (ColumnKind::Integer, |put| put(Value::Text("1")), "`value` is of the kind Integer"),
        (ColumnKind::Decimal, |put| put(Value::Decimal(Decimal(10_i128.pow(38)))), "more than 38 digits"),
        (ColumnKind::Text, |_| {}, "one value for each column"),
        (
            ColumnKind::Text,
            |put| ["a", "b"].into_iter().for_each(|t| put(Value::Text(t))),
            "one value for each",
        ),
        (ColumnKind::Texts, |put| put(Value::Integers(&[1])), "`value` is of the kind Texts"),
    ];
    for (kind, wrong, why) in cases {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(table(kind), move |name: &String, put| {
            put(Value::Text(name));
            wrong(put);
        });
        let mut sink = Parquet::new(folder.path());
        let tables = [Arc::clone(layout.table())];
        sink.open(&tables, None).unwrap();
        let bad = batch(1, vec![layout.upsert("a".to_owned(), 0)]);
        let error = sink.apply(&[batch(0, vec![]), bad]).unwrap_err();
        assert!(error.to_string().contains("the row t (a)") && error.to_string().contains(why), "{error}");
        assert_eq!(error.retry(), Retry::Permanent);
        sink.apply(&[batch(2, vec![])]).unwrap();
        sink.close().unwrap();
        assert_eq!(files(folder.path(), "t").len(), 0);
        let stranger = sink.apply(&[batch(3, vec![moment("d", 3, true)])]).unwrap_err();
        assert!(stranger.to_string().contains("not opened with its table"), "{stranger}");
    }
}

#[test]
fn a_table_may_get_a_column_between_runs() {
    let folder = tempfile::tempdir().unwrap();
    let before = Table::new("t").key(Column::new("n", ColumnKind::Integer));
    let after = before.clone().column(Column::nullable("note", ColumnKind::Text));
    let (old, new) = (
        Layout::new(before, |n: &i64, put| put(Value::Signed(*n))),
        Layout::new(after.clone(), |n: &i64, put| {
            put(Value::Signed(*n));
            put(Value::Text("new"));
        }),
    );
    let mut sink = Parquet::new(folder.path());
    sink.open(&[Arc::clone(old.table())], None).unwrap();
    sink.apply(&[batch(0, vec![old.upsert(1, 0)])]).unwrap();
    // Not closed: the row is in the log, as of the old table.
    drop(sink);
    let mut sink = Parquet::new(folder.path());
    let durable = sink.open(&[Arc::clone(new.table())], Some(batch(0, vec![]).time)).unwrap();
    assert_eq!(durable, Some(batch(0, vec![]).time));
    sink.apply(&[batch(1, vec![new.upsert(2, 0)])]).unwrap();
    sink.close().unwrap();
    let schema_of_both =
        format!("SELECT n, note FROM ({}) ORDER BY n", Parquet::current_rows(&after, "SOURCE"));
    assert!(schema_of_both.contains("\"note\""));
    let names: BTreeSet<_> = files(folder.path(), "t").into_iter().collect();
    assert_eq!(names.len(), 2, "{names:?}");
    let rows = crate::reader::query(folder.path(), &after, &schema_of_both);
    assert_eq!(rows, serde_json::json!([{"n": 1, "note": null}, {"n": 2, "note": "new"}]));
}

/// A device that is always full stands in for the file that is written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_permanent_and_with_room_again_nothing_is_lost_or_double() {
    for beside in ["_telemetra/file.tmp", "_telemetra/.progress.json.tmp"] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = Parquet::new(folder.path());
        sink.open(&tables(), None).unwrap();
        let batches =
            [batch(0, vec![device_row("a"), moment("d", 0, true)]), batch(1, vec![device_row("b")])];
        sink.apply(&batches[..1]).unwrap();
        let full = folder.path().join(beside);
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        let error = sink.close().unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent, "{error}");
        let said = format!("{error}: {}", error.source().unwrap());
        assert!(said.contains("make room") && said.contains("No space left"), "{said}");
        std::fs::remove_file(&full).unwrap();
        drop(sink);
        let mut sink = Parquet::new(folder.path());
        assert_eq!(sink.open(&tables(), None).unwrap(), Some(batches[0].time));
        sink.apply(&batches[1..]).unwrap();
        sink.close().unwrap();
        assert_holds(folder.path(), &batches, &tables());
    }
}

fn device_row(id: &str) -> telemetra_core::Change {
    Layout::of_row().upsert(device(id, None, 1), 0)
}

#[test]
fn a_folder_has_one_owner_and_starts_over_at_the_first_change() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| Parquet::new(folder.path()).pipeline(name);
    let first = [batch(0, vec![moment("old", 0, true)])];
    let mut sink = make("p");
    sink.open(&tables(), None).unwrap();
    let locked = make("p").open(&tables(), None).unwrap_err();
    assert_eq!(locked.retry(), Retry::Transient, "{locked}");
    sink.apply(&first).unwrap();
    drop(sink);
    let other = make("q").start_over().open(&tables(), None).unwrap_err();
    assert!(other.to_string().contains("belongs to the pipeline `p`"), "{other}");

    // A run without a change leaves what is there, and the run before it goes on.
    let mut empty = make("p").start_over();
    assert_eq!(empty.open(&tables(), None).unwrap(), None);
    empty.apply(&[]).unwrap();
    empty.close().unwrap();
    drop(empty);
    assert_holds(folder.path(), &first, &tables());
    let mut on = make("p").start_over();
    assert_eq!(on.open(&tables(), Some(first[0].time)).unwrap(), Some(first[0].time));
    drop(on);

    // One that starts over and is killed before its first change goes on to do so.
    let later = [batch(1, vec![]), batch(2, vec![moment("new", 2, true)])];
    let mut over = make("p").start_over();
    assert_eq!(over.open(&tables(), None).unwrap(), None);
    over.apply(&later[..1]).unwrap();
    drop(over);
    assert_holds(folder.path(), &first, &tables());
    let mut over = make("p").start_over();
    assert_eq!(over.open(&tables(), Some(later[0].time)).unwrap(), Some(later[0].time));
    over.apply(&later[1..]).unwrap();
    over.close().unwrap();
    assert_holds(folder.path(), &later, &tables());
    assert_eq!(files(folder.path(), "moments").len(), 1);
}

#[test]
fn a_folder_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = Parquet::new(folder.path());
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, vec![moment("d", 0, true)])]).unwrap();
    sink.close().unwrap();
    drop(sink);
    let own = folder.path().join("_telemetra");
    let progress = own.join("progress.json");
    let good = std::fs::read_to_string(&progress).unwrap();
    let refused = |text: Option<&str>, word: &str| {
        match text {
            Some(text) => std::fs::write(&progress, text).unwrap(),
            None => std::fs::remove_file(&progress).unwrap(),
        }
        let error = Parquet::new(folder.path()).open(&tables(), None).unwrap_err();
        assert!(error.to_string().contains(word) && error.retry() == Retry::Permanent, "{error}");
    };
    refused(None, "no progress.json");
    refused(Some("{"), "damaged");
    refused(Some(&good.replace("\"version\":1", "\"version\":2")), "version 2");
    std::fs::write(&progress, &good).unwrap();
    let log = own.join("pending-0000000001.log");
    std::fs::write(&log, b"no log").unwrap();
    refused(Some(&good), "damaged");
    std::fs::remove_file(&log).unwrap();
    refused(Some(&good), "log is gone");
    let closed = Parquet::new(folder.path()).apply(&[]).unwrap_err();
    assert!(closed.to_string().contains("not open"), "{closed}");
}
