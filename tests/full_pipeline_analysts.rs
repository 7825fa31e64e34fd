//! The example program's webhook and Parquet files: they have the moments and the tables of its database, also after
//! a kill.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;
#[path = "../telemetra-sinks/tests/webhook/receiver.rs"]
#[allow(dead_code, unreachable_pub, reason = "this test uses its part")]
mod receiver;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

use receiver::{Receiver, Reply};
use rusqlite::Connection;
use serde_json::Value as Json;
use telemetra::core::{Polled, RecordBatch};
use telemetra::livestream::generate::{Generator, GeneratorConfig};
use telemetra::prelude::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A folder with `events.jsonl` in it: a quarter of an hour with moments and late events.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = GeneratorConfig {
        streams: 40,
        events_per_second: 120.0,
        duration_ms: 900_000,
        partitions: 1,
        late_ratio: 0.02,
        ..GeneratorConfig::default()
    };
    let mut generator = Generator::new(config).unwrap();
    let id = generator.partitions().unwrap().remove(0);
    let mut partition = generator.open(&id, None).unwrap();
    let mut file = std::fs::File::create(folder.path().join("events.jsonl")).unwrap();
    let mut batch = RecordBatch::default();
    while partition.poll(&mut batch).unwrap() != Polled::Done {
        for record in batch.records() {
            let bytes = batch.bytes_of(record);
            let line: Vec<u8> = bytes.iter().map(|b| if *b == b'\n' { b' ' } else { *b }).collect();
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).unwrap();
        }
        batch.clear();
    }
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    program::command(PROGRAM.get_or_init(|| program::build("full_pipeline")), folder, arguments)
}

/// The moments of a database: what each is called, and its score.
fn moments(database: &Path) -> BTreeMap<String, f64> {
    let connection = Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT moment_id, score FROM moments").unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn moments_are_posted_also_by_one_that_was_killed() {
    let folder = folder();
    let receiver = Receiver::start();
    let url = receiver.url();
    let run = |more: &[&str]| {
        let arguments = ["--input", "events.jsonl", "--output", "sqlite:t.db", "--webhook", &url, "--json"];
        let mut command = command(folder.path(), &[&arguments[..], more].concat());
        command.env("TELEMETRA_WEBHOOK_SECRET", SECRET);
        command
    };
    // It is killed while one of its requests is under way, and then another.
    let checkpoints = ["--checkpoint", "state", "--checkpoint-every", "20s", "--checkpoint-pause", "0"];
    for requests in [5, 12] {
        let (told, hears) = channel();
        let begun = receiver.requests().len();
        let count = std::sync::atomic::AtomicUsize::new(begun);
        receiver.answer(move |_| {
            if count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 >= begun + requests {
                let _ = told.send(());
                return Reply::Cut;
            }
            Reply::Good
        });
        let mut child = run(&checkpoints).spawn().unwrap();
        hears.recv_timeout(Duration::from_secs(120)).expect("it posts so many");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    receiver.answer(|_| Reply::Good);
    let output = run(&checkpoints).output().unwrap();
    program::last_line(&output, 0);

    let secret = WebhookSecret::new(SECRET).unwrap();
    let (mut known, mut posted) = (BTreeMap::new(), BTreeMap::new());
    for request in receiver.requests() {
        let header = |name: &str| request.headers[name].as_str();
        let (id, timestamp, signature) =
            (request.id(), header("webhook-timestamp"), header("webhook-signature"));
        let sent = std::time::UNIX_EPOCH + Duration::from_secs(timestamp.parse().unwrap());
        assert!(secret.verify(id, timestamp, signature, &request.body, sent), "{id}");
        let body = request.json();
        // A run without a checkpoint starts over, under ids of its own.
        match known.insert(id.to_owned(), request.body.clone()) {
            Some(before) => assert_eq!(before, request.body, "two bodies of {id}"),
            None => drop(posted.insert(body["moment_id"].as_str().unwrap().to_owned(), body)),
        }
    }
    posted.retain(|_, body| body["action"] == "upsert");
    let posted: BTreeMap<_, _> =
        posted.into_iter().map(|(id, body)| (id, body["score"].as_f64().unwrap())).collect();
    let kept = moments(&folder.path().join("t.db"));
    assert!(kept.len() > 10, "{} moments", kept.len());
    assert_eq!(posted, kept);
}

#[test]
fn parquet_files_hold_the_tables_of_the_database() {
    let folder = folder();
    let arguments =
        ["--input", "events.jsonl", "--output", "sqlite:t.db", "--output", "parquet:out", "--json"];
    // A second run replaces the first.
    for _ in 0..2 {
        program::last_line(&command(folder.path(), &arguments).output().unwrap(), 0);
    }
    let kept = moments(&folder.path().join("t.db"));
    let layout = telemetra::livestream::moment_layout();
    let files = folder.path().join("out/moments/*/*.parquet");
    let query = Parquet::current_rows(
        layout.table(),
        &format!("read_parquet('{}', hive_partitioning = true, union_by_name = true)", files.display()),
    );
    let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
    let python = Command::new(&services).arg("python").output().unwrap();
    let said = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "there is no Python with DuckDB: {said}");
    let program = "import duckdb, json, sys\n\
        rows = duckdb.sql(f'SELECT moment_id, score FROM ({sys.argv[1]})').fetchall()\n\
        print(json.dumps(rows))";
    let python = String::from_utf8(python.stdout).unwrap();
    let output = Command::new(python.trim()).args(["-c", program, &query]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let rows: Json = serde_json::from_slice(&output.stdout).unwrap();
    let pair = |row: &Json| (row[0].as_str().unwrap().to_owned(), row[1].as_f64().unwrap());
    let found: BTreeMap<_, _> = rows.as_array().unwrap().iter().map(pair).collect();
    assert!(kept.len() > 10, "{} moments", kept.len());
    assert_eq!(found, kept);
}
