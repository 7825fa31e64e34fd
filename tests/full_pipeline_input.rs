//! The example program and what it reads: other files at the same path, compressed ones, and such as are no events.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::OnceLock;

use rusqlite::Connection;

fn run(folder: &Path, arguments: &[&str]) -> Output {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| program::build("full_pipeline"));
    program::command(program, folder, &[arguments, &["--json"]].concat()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A chat message of each of these minutes of a day.
fn chats(day: u32, prefix: &str, minutes: impl IntoIterator<Item = u32>) -> String {
    let mut lines = String::new();
    for minute in minutes {
        writeln!(
            lines,
            r#"{{"event_id":"{prefix}{minute}","timestamp":"2026-01-{day:02}T12:{minute:02}:05Z","stream_id":"ada","user_id":"u","username":"U","message":"hi"}}"#
        )
        .unwrap();
    }
    lines
}

fn windows(folder: &Path, database: &str) -> i64 {
    let connection = Connection::open(folder.join(database)).unwrap();
    connection.query_row("SELECT count(*) FROM chat_summary_minute", [], |row| row.get(0)).unwrap()
}

const RESUMED: [&str; 10] = [
    "--input",
    "log.jsonl",
    "--workers",
    "1",
    "--checkpoint",
    "ck",
    "--checkpoint-pause",
    "0ms",
    "--output",
    "sqlite:t.db",
];

#[test]
fn another_file_at_the_same_path_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    fs::write(&log, chats(1, "a", [0, 2, 4, 6, 8])).unwrap();
    assert_eq!(program::last_line(&run(folder.path(), &RESUMED), 0)["on_time"], 5);
    let before = windows(folder.path(), "t.db");
    fs::write(&log, chats(2, "b", [0, 2, 4, 6, 8])).unwrap();
    let output = run(folder.path(), &RESUMED);
    assert_eq!(output.status.code(), Some(1), "the new day was passed over in silence");
    let told = stderr(&output);
    assert!(told.contains("log.jsonl") && told.contains("start afresh with another checkpoint"), "{told}");
    assert_eq!(windows(folder.path(), "t.db"), before);
}

#[test]
fn a_file_whose_last_line_had_no_end_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let first = chats(1, "a", [0, 2, 4]);
    fs::write(&log, first.trim_end()).unwrap();
    assert_eq!(program::last_line(&run(folder.path(), &RESUMED), 0)["on_time"], 3);
    fs::write(&log, first + &chats(1, "k", [10])).unwrap();
    assert_eq!(program::last_line(&run(folder.path(), &RESUMED), 0)["on_time"], 4);
}

#[test]
fn what_is_no_events_is_named_and_leaves_the_rows_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("good.jsonl", ["\u{feff}", &chats(1, "a", [0, 2, 4])].concat().as_bytes());
    let good =
        run(folder.path(), &["--input", "good.jsonl", "--output", "sqlite:t.db", "--output", "jsonl:o"]);
    assert_eq!(program::last_line(&good, 0)["on_time"], 3, "a byte order mark costs the first event");
    let rows = windows(folder.path(), "t.db");
    let changes = || {
        let files = fs::read_dir(folder.path().join("o")).unwrap().map(|file| file.unwrap().path());
        files
            .filter(|path| path.to_string_lossy().contains("changes-"))
            .map(|path| fs::metadata(path).unwrap().len())
            .sum::<u64>()
    };
    let written = changes();
    assert!(rows > 0 && written > 0);

    write("empty.jsonl", b"");
    write("array.json", format!("[{}]\n", chats(1, "a", [0]).trim()).as_bytes());
    write("table.csv", b"event_id,timestamp,stream_id\na,2026-01-01T12:00:00Z,ada\n");
    write("events.bz2", b"BZh91AY&SY\x00\x01\x02");
    for (name, code, looks) in [
        ("empty.jsonl", 0, ""),
        ("array.json", 1, "it looks like one JSON array"),
        ("table.csv", 1, "it looks like CSV"),
        ("events.bz2", 1, "it looks like bzip2"),
        ("none.jsonl", 1, "could not read the file none.jsonl"),
    ] {
        let output = run(folder.path(), &["--input", name, "--output", "sqlite:t.db", "--output", "jsonl:o"]);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {told}");
        assert_eq!(
            told.lines().filter(|line| line.contains(looks)).count() == 1,
            code == 1,
            "{name}: {told}"
        );
        assert_eq!((windows(folder.path(), "t.db"), changes()), (rows, written), "{name} emptied the tables");
    }
    write("other.jsonl", chats(2, "b", [0]).as_bytes());
    let other =
        run(folder.path(), &["--input", "other.jsonl", "--output", "sqlite:t.db", "--output", "jsonl:o"]);
    assert_eq!(program::last_line(&other, 0)["on_time"], 1);
    assert!(windows(folder.path(), "t.db") < rows, "the rows of the new run take the place of the old ones");
}

#[test]
fn a_second_pipeline_does_not_touch_the_rows_of_another() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.jsonl"), chats(1, "a", [0, 2, 4])).unwrap();
    let arguments = ["--input", "a.jsonl", "--output", "sqlite:t.db"];
    assert_eq!(run(folder.path(), &arguments).status.code(), Some(0));
    let rows = windows(folder.path(), "t.db");
    let output = run(folder.path(), &[&arguments[..], &["--name", "other"]].concat());
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the pipeline `telemetra`'s") && told.contains("`other`"), "{told}");
    assert_eq!(windows(folder.path(), "t.db"), rows);
}

/// One id in two streams is one row, and its history is the same for any number of workers.
#[test]
fn the_lines_are_the_same_for_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    for (file, stream, amount) in [("p1", "s1", 5), ("p2", "s2", 7)] {
        let line = format!(
            r#"{{"event_id":"t1","timestamp":"2026-01-01T12:00:0{amount}Z","stream_id":"{stream}","amount":{amount},"user_id":"u","username":"U","transaction_type":"donation","currency":"USD"}}"#
        );
        fs::write(folder.path().join(file), line).unwrap();
    }
    let lines = |workers: &str| {
        let output = format!("jsonl:o{workers}");
        let arguments = ["--input", "p1", "--input", "p2", "--workers", workers, "--output", &output];
        assert_eq!(run(folder.path(), &arguments).status.code(), Some(0));
        let files = fs::read_dir(folder.path().join(format!("o{workers}"))).unwrap();
        let files =
            files.map(|file| file.unwrap().path()).filter(|path| path.to_string_lossy().contains("changes-"));
        let mut lines: Vec<_> = files
            .flat_map(|path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines.sort();
        lines
    };
    let one = lines("1");
    assert!(one.iter().any(|line| line.contains("\"transactions\"")));
    for workers in ["2", "3", "4"] {
        assert_eq!(lines(workers), one, "{workers} workers");
    }
}

/// A chat message and bits with one id are two events, in one file as in two.
#[test]
fn an_id_is_one_of_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let chat = chats(1, "", [7]);
    let bits = r#"{"event_id":"7","timestamp":"2026-01-01T12:07:05Z","stream_id":"ada","user_id":"u","username":"U","amount":5,"transaction_type":"bits","currency":"bits"}"#;
    fs::write(folder.path().join("both"), format!("{chat}{bits}\n{chat}")).unwrap();
    let told = program::last_line(&run(folder.path(), &["--input", "both", "--output", "sqlite:t.db"]), 0);
    assert_eq!((&told["on_time"], &told["duplicate"]), (&2.into(), &1.into()));
}
