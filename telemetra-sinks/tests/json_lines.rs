//! The log of JSON lines, as its readers and a restart find it.
#![allow(clippy::unwrap_used)]

mod common;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use std::time::Duration;

use common::{batch, device, letter, moment, readings, tables, window};
use serde_json::{Value as Json, json};
use telemetra_core::{Batch, Column, ColumnKind, Data, EventTime, Layout, Retry, Sink, Table, Value};
use telemetra_sinks::JsonLines;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    // Its own lock.
    names.retain(|name| name != ".lock");
    names
}

fn read(folder: &Path, prefix: &str) -> String {
    let files = names(folder).into_iter().filter(|name| name.starts_with(prefix));
    files.map(|name| fs::read_to_string(folder.join(name)).unwrap()).collect()
}

fn sink(folder: &Path) -> JsonLines {
    let mut sink = JsonLines::new(folder);
    sink.open(&tables(), None).unwrap();
    sink
}

/// The first line that is written of a row.
fn line_of<R: Data>(layout: &Layout<R>, row: R) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonLines::new(folder.path());
    sink.open(&[Arc::clone(layout.table())], None).unwrap();
    sink.apply(&[batch(0, vec![layout.upsert(row, 3)])]).unwrap();
    read(folder.path(), "changes-").lines().next().unwrap().to_owned()
}

#[test]
fn lines_have_the_columns_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let mut change = readings("d\"1", 0, 30);
    change.revision = 2;
    let withdrawn = Layout::of_row().withdraw(device("d2", None, -7), 1);
    sink.apply(&[batch(0, vec![change, moment("d1", 0, true), withdrawn])]).unwrap();
    let text = read(folder.path(), "changes-");
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time = "2026-01-01T00:00:59.999Z";
    assert_eq!(
        lines[0],
        json!({
            "table": "device_minute", "time": time, "action": "upsert", "revision": 2,
            "device": "d\"1", "window_start": "2026-01-01T00:00:00.000Z",
            "window_end": "2026-01-01T00:01:00.000Z", "readings": 30, "per_second": 0.5, "mean": null,
            "peak": null, "least": 0, "tags": [], "updated_at": time,
        })
    );
    assert_eq!(lines[1]["ended_at"], Json::Null);
    assert_eq!(lines[1]["value"], json!(42.5));
    assert_eq!(lines[1]["context"], json!({"windows": 1, "duration_ms": 10_000, "side": "above"}));
    assert_eq!(
        lines[2],
        json!({
            "table": "devices", "time": time, "action": "withdraw", "revision": 1, "device": "d2", "label": null,
            "offset": -7, "raw": "00ff27", "digits": [-7, 0], "shares": [0.5, -2.5],
            "tags": ["a \"quoted\" text", ""], "updated_at": time,
        })
    );
    assert_eq!(lines[3], json!({"table": "telemetra_progress", "time": time, "action": "upsert"}));
}

#[test]
fn columns_come_in_their_order_and_have_names_of_their_own() {
    let text = |name| Column::new(name, ColumnKind::Text);
    let table = Table::new("calls")
        .key(text("time"))
        .column(text("revision_"))
        .revision("number")
        .column(text("revision"))
        .column(text("action"));
    let calls = Layout::new(table, |call: &String, put| {
        for value in
            [Value::Text(call), Value::Text("a"), Value::Revision, Value::Text("b"), Value::Text("c")]
        {
            put(value);
        }
    });
    let front = r#"{"table":"calls","time":"2026-01-01T00:00:59.999Z","action":"upsert","revision":3,"#;
    let columns = r#""time_":"x","revision_":"a","revision__":"b","action_":"c"}"#;
    assert_eq!(line_of(&calls, "x".to_owned()), format!("{front}{columns}"));
}

#[test]
fn json_over_several_lines_is_put_on_one() {
    let table = Table::new("t")
        .key(Column::new("n", ColumnKind::Integer))
        .column(Column::new("doc", ColumnKind::Json));
    let layout = Layout::new(table, |n: &u64, put| {
        put(Value::Unsigned(*n));
        put(Value::Json(&"{\r\n  \"a\": \"b\\n\"\n}"));
    });
    let line: Json = serde_json::from_str(&line_of(&layout, 1)).unwrap();
    assert_eq!(line["doc"], json!({"a": "b\n"}));
}

#[test]
fn a_row_that_cannot_be_written_is_named() {
    /// A value that cannot be displayed, like a map whose keys are no text as JSON.
    struct Broken;
    impl std::fmt::Display for Broken {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }
    let table = || {
        let table = Table::new("t").key(Column::new("name", ColumnKind::Text));
        table.key(Column::new("at", ColumnKind::Time)).column(Column::new("doc", ColumnKind::Json))
    };
    let layout = |wrong: fn(&mut dyn FnMut(Value<'_>))| {
        Layout::new(table(), move |name: &String, put| {
            put(Value::Text(name));
            put(Value::Time(EventTime(0)));
            wrong(put);
        })
    };
    for (layout, why) in [
        (layout(|put| put(Value::Json(&Broken))), "cannot be shown"),
        (layout(|_| {}), "one value for each column"),
        (layout(|put| [Value::Null, Value::Null].into_iter().for_each(put)), "one value for each column"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = JsonLines::new(folder.path());
        sink.open(&[Arc::clone(layout.table())], None).unwrap();
        let error = sink.apply(&[batch(0, vec![layout.upsert("a".to_owned(), 0)])]).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        assert!(error.to_string().contains("t (a, 1970-01-01T00:00:00.000Z)"), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        // And leaves nothing behind.
        sink.apply(&[batch(1, vec![])]).unwrap();
        assert_eq!(read(folder.path(), "changes-").lines().count(), 1);
        let error = sink.apply(&[batch(2, vec![readings("d", 0, 1)])]).unwrap_err();
        assert!(error.to_string().contains("not opened with its table"), "{error}");
    }
}

#[test]
fn a_restart_cuts_off_what_was_not_durable() {
    let folder = tempfile::tempdir().unwrap();
    let history: Vec<Batch> = (0..4).map(|nth| batch(nth, vec![readings("d", nth, nth)])).collect();
    sink(folder.path()).apply(&history[..2]).unwrap();
    let whole = read(folder.path(), "changes-");
    let file = folder.path().join(&names(folder.path())[0]);
    fs::write(&file, format!("{whole}{{\"table\":\"device_m")).unwrap();
    fs::write(folder.path().join("changes-09999999999999999999.jsonl"), "{\"never").unwrap();
    fs::write(folder.path().join("dead_letters-00000000000000000000.jsonl"), "{\"never").unwrap();

    let mut sink = sink(folder.path());
    assert_eq!(sink.open(&tables(), None).unwrap(), Some(history[1].time));
    assert_eq!(
        read(folder.path(), ""),
        whole + &fs::read_to_string(folder.path().join("progress.json")).unwrap()
    );
    sink.apply(&history).unwrap();
    let undisturbed = tempfile::tempdir().unwrap();
    self::sink(undisturbed.path()).apply(&history).unwrap();
    assert_eq!(read(folder.path(), "changes-"), read(undisturbed.path(), "changes-"));
}

#[test]
fn files_are_rotated_and_sort_by_time() {
    let history: Vec<Batch> = (0..12).map(|nth| batch(nth, vec![readings("d", nth, nth)])).collect();
    let (by_size, by_time, one) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, sink) in [
        (&by_size, JsonLines::new(by_size.path()).rotate_bytes(1)),
        (&by_time, JsonLines::new(by_time.path()).rotate_every(Duration::from_secs(60))),
        (&one, JsonLines::new(one.path())),
    ] {
        let mut sink = sink;
        sink.open(&tables(), None).unwrap();
        sink.apply(&history[..5]).unwrap();
        sink.open(&tables(), None).unwrap();
        sink.apply(&history[5..]).unwrap();
        assert_eq!(read(folder.path(), "changes-").lines().count(), 24);
    }
    assert_eq!(names(by_size.path()).len(), 12 + 1);
    assert_eq!(names(by_time.path()).len(), 3 + 1);
    assert_eq!(read(by_size.path(), "changes-"), read(one.path(), "changes-"));
    assert_eq!(read(by_time.path(), "changes-"), read(one.path(), "changes-"));
}

#[test]
fn dead_letters_keep_their_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let mut late = letter(5, b"\xff\x01");
    late.time = Some(EventTime(1_767_225_600_000));
    sink.dead_letters(&[letter(3, b"{\"a\":\n"), late]).unwrap();
    sink.apply(&[batch(0, vec![])]).unwrap();
    let text = read(folder.path(), "dead_letters-");
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0],
        json!({
            "partition": "readings/0", "offset": 3, "index": 0, "time": null, "fate": "malformed",
            "reason": "`time`: missing", "record": "{\"a\":\n",
        })
    );
    assert_eq!(lines[1]["record_hex"], "ff01");
    assert_eq!(lines[1]["time"], json!(EventTime(1_767_225_600_000)));
}

/// A device that is always full stands in for the next file.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_permanent_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let (first, second) = (batch(0, vec![readings("d", 0, 1)]), batch(1, vec![readings("d", 1, 1)]));
    let path = folder.path().join(format!("changes-{:020}.jsonl", first.time.0));
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    sink.dead_letters(&[letter(1, b"x")]).unwrap();
    let error = sink.apply(std::slice::from_ref(&first)).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    assert!(error.source().unwrap().to_string().contains("No space left"));

    // With room again, the same batches go through, and the letter is not lost.
    fs::remove_file(&path).unwrap();
    sink.apply(&[first, second]).unwrap();
    assert_eq!(read(folder.path(), "changes-").lines().count(), 4);
    assert_eq!(read(folder.path(), "dead_letters-").lines().count(), 1);
}

#[test]
fn a_folder_that_is_not_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    sink(folder.path()).apply(&[batch(0, vec![readings("d", 0, 1)])]).unwrap();
    let progress = folder.path().join("progress.json");
    let good = fs::read_to_string(&progress).unwrap();
    let refused = |text: Option<&str>, word: &str| {
        match text {
            Some(text) => fs::write(&progress, text).unwrap(),
            None => fs::remove_file(&progress).unwrap(),
        }
        let error = JsonLines::new(folder.path()).open(&tables(), None).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.retry(), Retry::Permanent);
    };
    refused(None, "no progress.json");
    refused(Some("{"), "damaged");
    refused(Some(&good.replace("\"version\":1", "\"version\":2")), "version 2");
    fs::write(&progress, &good).unwrap();
    fs::write(folder.path().join(format!("changes-{:020}.jsonl", window(0).end.0 - 1)), "").unwrap();
    refused(Some(&good), "it has 0 bytes");
    let not_open = JsonLines::new(folder.path()).apply(&[]).unwrap_err();
    assert!(not_open.to_string().contains("not open"));
}
