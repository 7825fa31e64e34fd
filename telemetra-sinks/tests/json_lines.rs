//! The log of JSON lines, as its readers and a restart find it.
#![allow(clippy::unwrap_used)]

mod common;

use std::error::Error;
use std::fs;
use std::path::Path;

use common::{batch, letter, moment, summary, upsert, window};
use serde_json::{Value, json};
use telemetra_core::{Batch, Retry, Row, Sink, StreamSummary};
use telemetra_sinks::{JsonLines, Layout};

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn read(folder: &Path, prefix: &str) -> String {
    let files = names(folder).into_iter().filter(|name| name.starts_with(prefix));
    files.map(|name| fs::read_to_string(folder.join(name)).unwrap()).collect()
}

fn sink(folder: &Path) -> JsonLines<StreamSummary> {
    let mut sink = JsonLines::new(folder);
    sink.open(None).unwrap();
    sink
}

#[test]
fn lines_have_the_columns_of_the_tables() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let mut change = summary("s\"1", 0, 30);
    change.revision = 2;
    sink.apply(&[batch(0, vec![change, upsert(Row::Moment(moment("s1", 0, true)))])]).unwrap();
    let text = read(folder.path(), "changes-");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let time = "2026-01-01T00:00:59.999Z";
    assert_eq!(
        lines[0],
        json!({
            "table": "chat_summary_minute", "time": time, "action": "upsert", "revision": 2,
            "stream_id": "s\"1", "window_start": "2026-01-01T00:00:00.000Z",
            "window_end": "2026-01-01T00:01:00.000Z", "chat_count": 30, "chat_rate": 0.5, "unique_chatters": 0,
            "positive_count": 0, "negative_count": 0, "sentiment_score": 0, "top_emotes": [],
            "avg_viewers": null, "peak_viewers": null, "viewer_events": 0, "transaction_count": 0,
            "transaction_amount": {}, "updated_at": time,
        })
    );
    assert_eq!(lines[1]["ended_at"], Value::Null);
    assert_eq!(lines[1]["value"], json!(42.5));
    assert_eq!(lines[1]["context"], json!({"windows": 1, "duration_ms": 10_000, "side": "above"}));
    assert_eq!(lines[2], json!({"table": "telemetra_progress", "time": time, "action": "upsert"}));
}

#[test]
fn any_serializable_summary_is_one_column() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonLines::<Vec<String>>::with_layout(folder.path(), Layout::json());
    sink.open(None).unwrap();
    sink.apply(&[batch(0, vec![upsert(common::row("s", 0, vec!["a\n".into()]))])]).unwrap();
    let text = read(folder.path(), "changes-");
    let line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["summary"], json!(["a\n"]));

    // What JSON cannot say stops the pipeline and names the row.
    type Map = std::collections::BTreeMap<(u8, u8), u8>;
    let folder = tempfile::tempdir().unwrap();
    let mut sink = JsonLines::<Map>::with_layout(folder.path(), Layout::json());
    sink.open(None).unwrap();
    let bad = batch(0, vec![upsert(common::row("s", 0, Map::from([((1, 2), 3)])))]);
    let error = sink.apply(&[bad]).unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("chat_summary_minute (s, 2026-01-01T00:00:00.000Z)"), "{error}");
    // And leaves nothing behind.
    sink.apply(&[batch(1, vec![])]).unwrap();
    assert_eq!(read(folder.path(), "changes-").lines().count(), 1);
}

#[test]
fn a_restart_cuts_off_what_was_not_durable() {
    let folder = tempfile::tempdir().unwrap();
    let history: Vec<Batch<_>> = (0..4).map(|nth| batch(nth, vec![summary("s", nth, nth)])).collect();
    sink(folder.path()).apply(&history[..2]).unwrap();
    let whole = read(folder.path(), "changes-");
    let file = folder.path().join(&names(folder.path())[0]);
    fs::write(&file, format!("{whole}{{\"table\":\"chat_su")).unwrap();
    fs::write(folder.path().join("changes-09999999999999999999.jsonl"), "{\"never").unwrap();
    fs::write(folder.path().join("dead_letters-00000000000000000000.jsonl"), "{\"never").unwrap();

    let mut sink = sink(folder.path());
    assert_eq!(sink.open(None).unwrap(), Some(history[1].time));
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
    let history: Vec<Batch<_>> = (0..12).map(|nth| batch(nth, vec![summary("s", nth, nth)])).collect();
    let (by_size, by_time, one) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, sink) in [
        (&by_size, JsonLines::new(by_size.path()).rotate_bytes(1)),
        (&by_time, JsonLines::new(by_time.path()).rotate_every(60_000)),
        (&one, JsonLines::new(one.path())),
    ] {
        let mut sink = sink;
        sink.open(None).unwrap();
        sink.apply(&history[..5]).unwrap();
        sink.open(None).unwrap();
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
    sink.dead_letters(&[letter(3, b"{\"a\":\n"), letter(5, b"\xff\x01")]).unwrap();
    sink.apply(&[batch(0, vec![])]).unwrap();
    let text = read(folder.path(), "dead_letters-");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0],
        json!({
            "partition": "telemetra.events.chat/0", "offset": 3, "index": 0, "fate": "malformed",
            "reason": "`timestamp`: missing", "record": "{\"a\":\n",
        })
    );
    assert_eq!(lines[1]["record_hex"], "ff01");
}

/// A device that is always full stands in for the next file.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_permanent_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    let (first, second) = (batch(0, vec![summary("s", 0, 1)]), batch(1, vec![summary("s", 1, 1)]));
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
    sink(folder.path()).apply(&[batch(0, vec![summary("s", 0, 1)])]).unwrap();
    let progress = folder.path().join("progress.json");
    let good = fs::read_to_string(&progress).unwrap();
    let refused = |text: Option<&str>, word: &str| {
        match text {
            Some(text) => fs::write(&progress, text).unwrap(),
            None => fs::remove_file(&progress).unwrap(),
        }
        let error = JsonLines::<StreamSummary>::new(folder.path()).open(None).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.retry(), Retry::Permanent);
    };
    refused(None, "no progress.json");
    refused(Some("{"), "damaged");
    refused(Some(&good.replace("\"version\":1", "\"version\":2")), "version 2");
    fs::write(&progress, &good).unwrap();
    fs::write(folder.path().join(format!("changes-{:020}.jsonl", window(0).end.0 - 1)), "").unwrap();
    refused(Some(&good), "it has 0 bytes");
    let not_open = JsonLines::<StreamSummary>::new(folder.path()).apply(&[]).unwrap_err();
    assert!(not_open.to_string().contains("not open"));
}
