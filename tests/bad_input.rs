//! Bad records, bad files, full disks and damaged checkpoints: each is told clearly, none panics, nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::streams::{DAY, chat, chats, json_pipeline, ten_seconds};
use support::watch::{chain, finish, until};
use support::*;
use telemetra::core::checkpoint::Directory;
use telemetra::core::source::Memory as MemorySource;
use telemetra::core::*;
use telemetra::livestream::{StreamId, StreamSummary};
use telemetra::ops::PipelineError;
use telemetra::sinks::{JsonLines, Lines, MemorySink, Sqlite};

fn assert_says(error: &PipelineError, parts: &[&str]) {
    let text = chain(error);
    parts.iter().for_each(|part| assert!(text.contains(part), "`{part}` is not in: {text}"));
}

/// A record with one thing wrong.
fn with(field: &str, value: &str) -> Vec<u8> {
    let mut record: serde_json::Value = serde_json::from_str(&chat("a", 0, "id")).unwrap();
    record[field] = serde_json::from_str(value).unwrap();
    record.to_string().into_bytes()
}

#[test]
fn bad_records_are_kept_with_place_and_reason_and_spoil_nothing() {
    let good = |n: u64| chat("a", n, &format!("e{n}")).into_bytes();
    let truncated = good(1)[..60].to_vec();
    let not_utf8 = [&b"{\"event_id\":\""[..], b"\xff\xfe", b"\"}"].concat();
    let bad: Vec<(Vec<u8>, &str)> = vec![
        (truncated, "the JSON ends too early"),
        (not_utf8, "UTF-8"),
        (b"not JSON".to_vec(), "JSON"),
        (b"[]".to_vec(), "object"),
        (b"{}".to_vec(), "tells its kind"),
        (with("user_id", "7"), "user_id"),
        (with("emotes", "\"LUL\""), "emotes"),
        (with("timestamp", "12"), "timestamp"),
        (with("timestamp", "\"yesterday\""), "RFC 3339"),
        (with("timestamp", "\"1969-12-31T23:59:59Z\""), "timestamp"),
        (with("timestamp", "\"99999-01-01T00:00:00Z\""), "timestamp"),
        (with("timestamp", "\"2026-02-30T00:00:00Z\""), "day that does not exist"),
        (with("timestamp", "\"2026-01-01T00:00:00\""), "offset"),
        (with("timestamp", "\"9999-12-31T23:59:59Z\""), "ahead of processing time"),
        ("[".repeat(100_000).into_bytes(), "JSON"),
        (with("stream_id", "\"\""), "stream_id"),
    ];
    let mut content = Vec::new();
    let mut expected = Vec::new();
    for (number, (record, reason)) in bad.iter().enumerate() {
        content.extend([good(number as u64), b"\n".to_vec()].concat());
        expected.push((content.len() as u64, record, *reason));
        content.extend([record.as_slice(), b"\n"].concat());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    fs::write(&path, content).unwrap();
    let sink = MemorySink::new();
    let time = TimeConfig { max_future_skew: Some(Duration::from_secs(86_400)), ..ten_seconds() };
    let pipeline = json_pipeline(Lines::file(&path), &time).sink(sink.clone()).workers(2);
    let pipeline = pipeline.sink(Sqlite::new(folder.path().join("t.db")));
    let fates = finish(pipeline.start().unwrap()).unwrap().fates;
    let total = bad.len() as u64;
    assert_eq!((fates.on_time, fates.malformed, fates.from_future), (total, total - 1, 1));
    assert_eq!(sink.rows_of::<SummaryRow<StreamId, StreamSummary>>()[0].summary.value.chat_count, total);
    let letters = sink.dead_letters();
    assert_eq!(letters.len(), expected.len());
    for (letter, (offset, bytes, reason)) in letters.iter().zip(expected) {
        assert_eq!((letter.partition.as_str(), letter.offset), (path.to_str().unwrap(), offset));
        assert_eq!(&*letter.bytes, bytes.as_slice());
        assert!(letter.reason.contains(reason), "`{reason}` is not in: {}", letter.reason);
    }
    let database = rusqlite::Connection::open(folder.path().join("t.db")).unwrap();
    let stored: Vec<Vec<u8>> = database
        .prepare("SELECT bytes FROM telemetra_dead_letters ORDER BY \"offset\"")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(stored.iter().eq(letters.iter().map(|letter| &*letter.bytes)));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let start =
        |path: &Path| json_pipeline(Lines::file(path), &ten_seconds()).sink(MemorySink::new()).start();
    let missing = folder.path().join("missing.jsonl");
    assert_says(
        &start(&missing).unwrap_err(),
        &["could not read the file", missing.to_str().unwrap(), "No such file"],
    );
    assert_says(&start(folder.path()).unwrap_err(), &["could not read the file", "directory"]);
    #[cfg(target_os = "linux")]
    {
        // It can be opened, and not read at its beginning.
        let error = start(Path::new("/proc/self/mem")).unwrap_err();
        assert!(matches!(error, PipelineError::Open(_)), "{error:?}");
        assert_says(&error, &["/proc/self/mem", "at byte 0"]);
    }
}

/// Some minutes of two streams whose names are long: rows are large.
fn minutes() -> Vec<String> {
    let [a, b] = ["a", "b"].map(|name| name.repeat(200));
    (0..40).flat_map(|n| [chats(&a, n * 5_000, 5), chats(&b, n * 5_000 + 1, 3)].concat()).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_json_lines_and_with_room_again_the_log_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, whole) = (folder.path().join("lines"), folder.path().join("whole"));
    let mut source = MemorySource::default();
    let partition = source.handle("p");
    let run =
        |folder: &Path| json_pipeline(source.clone(), &ten_seconds()).sink(JsonLines::new(folder)).start();
    let running = run(&lines).unwrap();
    // Where the first batch goes, there is no room.
    let first = lines.join(format!("changes-{:020}.jsonl", DAY + 9_999));
    std::os::unix::fs::symlink("/dev/full", &first).unwrap();
    minutes().into_iter().for_each(|record| partition.append(record));
    let error = finish(running).unwrap_err();
    assert_says(
        &error,
        &["`json_lines`", "could not write to", first.to_str().unwrap(), "make room", "restart"],
    );
    partition.end();
    finish(run(&lines).unwrap()).unwrap();
    finish(run(&whole).unwrap()).unwrap();
    assert_eq!(
        fs::read_to_string(&first).unwrap(),
        fs::read_to_string(whole.join(first.file_name().unwrap())).unwrap()
    );
}

/// All rows of all tables, as text.
fn tables(path: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(path).unwrap();
    let mut all = Vec::new();
    for table in ["chat_summary_minute", "moments", "streams", "telemetra_dead_letters", "telemetra_progress"]
    {
        let mut rows = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
            Ok(format!("{table} {:?}", values.collect::<Vec<_>>()))
        };
        all.extend(rows.query_map([], row).unwrap().map(Result::unwrap));
    }
    all.sort();
    all
}

#[test]
fn a_full_database_stops_the_pipeline_and_with_room_again_the_tables_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (path, whole) = (folder.path().join("t.db"), folder.path().join("whole.db"));
    let source = MemorySource::default().partition("p", minutes()).partition("q", ["bad", "worse"]);
    let run = |sink: Sqlite, name: &str| {
        let store = Directory::new(folder.path().join(name));
        let pipeline = json_pipeline(source.clone(), &ten_seconds()).sink(sink).workers(2);
        finish(pipeline.checkpoints(store, Duration::from_millis(20_000)).start().unwrap())
    };
    drop(run(Sqlite::new(&whole), "whole").unwrap());
    // As many pages as an empty one has, and one more.
    drop(
        json_pipeline(MemorySource::default(), &ten_seconds())
            .sink(Sqlite::new(&path))
            .start()
            .unwrap()
            .wait()
            .unwrap(),
    );
    let pages = u32::try_from(fs::metadata(&path).unwrap().len() / 4096).unwrap();
    let error = run(Sqlite::new(&path).max_pages(pages + 1), "store").unwrap_err();
    assert_says(
        &error,
        &["`sqlite`", "could not", path.to_str().unwrap(), "it is full: make room", "restart"],
    );
    run(Sqlite::new(&path), "store").unwrap();
    assert_eq!(tables(&path), tables(&whole));
}

/// A store with checkpoints of a pipeline that was stopped half-way, and its sink.
fn half_way(folder: &Path) -> (MemorySource, MemorySink) {
    let record = |n: u64| format!("k {} e{n} u{} m", BASE + n * 3, n % 7);
    let mut source = MemorySource::default().records_per_poll(10).partition("p", (0..200).map(record));
    let partition = source.handle("p");
    let sink = MemorySink::new().with_log();
    let pipeline = pipeline_from(source.clone(), &small_time(), &sink).workers(2);
    let running = pipeline.checkpoints(Directory::new(folder), Duration::from_millis(20)).start().unwrap();
    until("there are checkpoints", || running.status().checkpoint >= Some(EventTime(BASE + 500)));
    running.stop().unwrap();
    (200..300).for_each(|n| partition.append(record(n)));
    partition.end();
    (source, sink)
}

/// Starts again from what is in the folder.
fn again(
    folder: &Path,
    source: &MemorySource,
    sink: &MemorySink,
    time: &TimeConfig,
) -> Result<telemetra::ops::Report, PipelineError> {
    let pipeline = pipeline_from(source.clone(), time, sink).workers(3);
    finish(pipeline.checkpoints(Directory::new(folder), Duration::from_millis(20)).start()?)
}

/// The files of the newest checkpoint: its manifest, and a worker's part.
fn newest(folder: &Path) -> (PathBuf, PathBuf) {
    let mut groups: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    groups.retain(|group| group.join("complete").exists());
    let group = groups.into_iter().max().unwrap();
    (group.join("complete"), group.join("worker-0001"))
}

#[test]
fn a_damaged_checkpoint_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (source, sink) = half_way(folder);
    let (manifest, part) = newest(folder);
    let time = small_time();
    let refused = |parts: &[&str]| {
        let error = again(folder, &source, &sink, &time).unwrap_err();
        assert!(matches!(error, PipelineError::Restore(_)), "{error:?}");
        assert_says(&error, &["could not restore from a checkpoint"]);
        assert_says(&error, parts);
    };
    for path in [&manifest, &part] {
        let whole = fs::read(path).unwrap();
        let group = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let name = format!("`{group}/{}`", path.file_name().unwrap().to_str().unwrap());
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for (bytes, reason) in [
            (flipped, "its checksum does not match"),
            (whole[..whole.len() - 3].to_vec(), "is cut off: it should have"),
            (whole[..10].to_vec(), "is cut off: it should have"),
            (Vec::new(), "is cut off: it should have"),
            (b"SQLite format 3".to_vec(), "this is not a checkpoint"),
            ([&whole[..4], &[9], &whole[5..]].concat(), "format 9"),
        ] {
            fs::write(path, bytes).unwrap();
            refused(&[&name, reason, "remove it"]);
        }
        fs::write(path, whole).unwrap();
    }
    let whole = fs::read(&part).unwrap();
    fs::remove_file(&part).unwrap();
    refused(&["is not whole", "worker-0001", "is missing", "restore it"]);
    fs::write(&part, whole).unwrap();

    let other = TimeConfig { out_of_orderness: Duration::from_millis(12), ..small_time() };
    let error = again(folder, &source, &sink, &other).unwrap_err();
    assert_says(&error, &["made with other settings", "disorder 15; now disorder 12", "start afresh"]);

    // Nothing was spoilt by the tries.
    let report = again(folder, &source, &sink, &time).unwrap();
    assert_eq!(report.fates.on_time, 300);
    assert_undisturbed(&source, &sink);
}

#[test]
fn the_advice_for_a_damaged_checkpoint_holds() {
    for remove_all in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (source, sink) = half_way(folder.path());
        if remove_all {
            fs::remove_dir_all(folder.path()).unwrap();
        } else {
            // An older one is only there where one was written that the newest has not made needless.
            fs::remove_file(newest(folder.path()).0).unwrap();
        }
        let report = again(folder.path(), &source, &sink, &small_time()).unwrap();
        assert_eq!(report.fates.on_time, 300);
        assert_undisturbed(&source, &sink);
    }
}

fn assert_undisturbed(source: &MemorySource, found: &MemorySink) {
    let undisturbed = MemorySink::new().with_log();
    finish(pipeline_from(source.clone(), &small_time(), &undisturbed).start().unwrap()).unwrap();
    assert_eq!(found.rows(), undisturbed.rows());
    assert_eq!(published(&found.batches()), published(&undisturbed.batches()));
}
