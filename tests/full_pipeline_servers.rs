//! The example program with servers: which it uses and why, and Kafka from end to end. With real servers: `tests/kill`.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value as Json;
use telemetra::livestream::generate::{Generator, GeneratorConfig};
use telemetra::sinks::EmbeddedKafka;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    program::command(PROGRAM.get_or_init(|| program::build("full_pipeline")), folder, arguments)
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The line that says where this is.
fn place<'a>(text: &'a str, what: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(what)).unwrap_or_else(|| panic!("no {what} in {text}"))
}

/// An address that nobody listens on.
fn nobody() -> String {
    telemetra::ops::free_addresses(1).unwrap().remove(0)
}

#[test]
fn the_embedded_kafka_needs_no_server() {
    let folder = tempfile::tempdir().unwrap();
    let small = ["--minutes", "14", "--streams", "40", "--events", "84000", "--transaction-ratio", "0.1"];
    let config = GeneratorConfig {
        streams: 40,
        duration_ms: 14 * 60_000,
        events_per_second: 100.0,
        transaction_ratio: 0.1,
        partitions: 1,
        ..GeneratorConfig::default()
    };
    let truth = Generator::new(config).unwrap().ground_truth().fates;
    for processes in ["1", "2"] {
        let cluster = ["--embedded-kafka", "--json", "--workers", "1", "--processes", processes];
        let output = command(folder.path(), &[&cluster[..], &small].concat()).output().unwrap();
        let told = program::last_line(&output, 0);
        assert_eq!((&told["read"], &told["lost_records"]), (&truth.read.into(), &0.into()));
        assert_eq!(
            (&told["malformed"], &told["from_future"]),
            (&truth.malformed.into(), &truth.from_future.into())
        );
        assert!(told["recall"].as_f64() > Some(0.9), "{told}");
        assert!(place(&stderr(&output), "source:").contains("a Kafka in this process"));
        let windows: i64 = Connection::open(folder.path().join("telemetra.db"))
            .unwrap()
            .query_row("SELECT count(*) FROM chat_summary_minute", [], |row| row.get(0))
            .unwrap();
        assert_eq!(told["windows"], windows);
    }
}

#[test]
fn it_says_what_it_uses_and_why_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = nobody();
    let mut run = command(folder.path(), &["--until-end"]);
    run.env("KAFKA_BOOTSTRAP_SERVERS", &kafka).env("TELEMETRA_KAFKA_PROPERTY", "sasl.password=hunter2");
    run.env("POSTGRES_HOST", "db.example").env("POSTGRES_PASSWORD", "hunter2");
    run.env("REDIS_URL", "redis://me:hunter2@cache.example:6380/1").env("LOG_LEVEL", "debug");
    let output = run.output().unwrap();
    let text = stderr(&output);
    assert!(place(&text, "source:").contains(&format!("Kafka at {kafka}")));
    assert!(place(&text, "source:").ends_with("(KAFKA_BOOTSTRAP_SERVERS)"));
    assert!(place(&text, "tables:").ends_with("Postgres at db.example:5432/telemetra (POSTGRES_HOST)"));
    assert!(place(&text, "keys:").ends_with("Redis at redis://cache.example:6380/1 (REDIS_URL)"));
    assert!(
        place(&text, "checkpoints:").contains("Postgres at db.example:5432/telemetra (POSTGRES_HOST, and no")
    );
    assert!(place(&text, "dead letters:").contains("the topic telemetra.events.dead_letter"));
    assert!(!(text + &String::from_utf8_lossy(&output.stdout)).contains("hunter2"));
    assert_eq!(output.status.code(), Some(1), "nobody is there");

    std::fs::write(folder.path().join("events.jsonl"), "").unwrap();
    let mut run = command(folder.path(), &["--input", "events.jsonl", "--checkpoint", "state"]);
    run.env("KAFKA_BOOTSTRAP_SERVERS", &kafka).env("POSTGRES_HOST", "");
    let output = run.output().unwrap();
    let text = stderr(&output);
    assert!(place(&text, "source:").ends_with("events.jsonl (--input goes before KAFKA_BOOTSTRAP_SERVERS)"));
    assert!(
        place(&text, "tables:").contains("sqlite:telemetra.db (neither --output nor POSTGRES_HOST is given)")
    );
    assert!(place(&text, "keys:").contains("none"));
    assert!(place(&text, "checkpoints:").ends_with("the folder state (--checkpoint)"));
    assert_eq!(output.status.code(), Some(0), "{text}");
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = nobody();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--until-end"], 2, "the generator has an end of its own"),
        (&["--embedded-kafka", "--checkpoint", "state"], 2, "the embedded Kafka is gone with the process"),
        (&["--checkpoint", "postgres"], 2, "there is no Postgres to keep checkpoints in"),
        (
            &["--kafka", &kafka, "--start", "yesterday"],
            2,
            "`yesterday` is none of earliest, latest, committed",
        ),
        (&["--kafka", &kafka, "--kafka-property", "group.id=x"], 2, "group.id"),
        (&["--kafka", &kafka, "--wait-for-topics", "0"], 1, &kafka),
    ];
    for (arguments, code, text) in cases {
        let output = command(folder.path(), arguments).output().unwrap();
        let told = stderr(&output);
        let error = told.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(error.contains(text), "{arguments:?}: {told}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {told}");
    }
}

/// A Kafka with the topics.
fn kafka() -> EmbeddedKafka {
    let kafka = EmbeddedKafka::start(1).unwrap();
    for topic in ["chat", "viewer", "transactions", "stream_meta"] {
        kafka.create_topic(&format!("telemetra.events.{topic}"), 2).unwrap();
    }
    kafka.create_topic("telemetra.events.dead_letter", 1).unwrap();
    kafka
}

/// The program that makes up events, with these arguments and the servers.
fn producer(folder: &Path, servers: &str, arguments: &str) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| program::build("mock_producer"));
    let given = ["--kafka", servers, "--no-create-topics", "--json"];
    program::command(
        program,
        folder,
        &given.into_iter().chain(arguments.split_whitespace()).collect::<Vec<_>>(),
    )
}

fn interrupt(child: Child) -> Json {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    program::last_line(&child.wait_with_output().unwrap(), 130)
}

fn windows(folder: &Path, database: &str) -> Vec<(String, i64, i64, i64)> {
    let connection = Connection::open(folder.join(database)).unwrap();
    let columns = "stream_id, window_start, chat_count, viewer_events";
    let mut statement =
        connection.prepare(&format!("SELECT {columns} FROM chat_summary_minute ORDER BY 1, 2")).unwrap();
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn it_reads_topics_to_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = kafka();
    let servers = kafka.bootstrap_servers();
    let log = "--rate max --event-rate 20 --duration 6m --channels 8 --seed 7 --start 2026-01-01T00:00:00Z";
    let made = program::last_line(&producer(folder.path(), servers, log).output().unwrap(), 0);
    let whole =
        ["--kafka", servers, "--no-create-topics", "--until-end", "--output", "sqlite:whole.db", "--json"];
    let told = program::last_line(&command(folder.path(), &whole).output().unwrap(), 0);
    for fate in ["read", "malformed", "from_future", "duplicate"] {
        assert_eq!(told[fate], made["fates"][fate], "{fate}");
    }
    assert_eq!(told["windows"], windows(folder.path(), "whole.db").len());
}

/// With windows of some seconds, so that some close while one waits.
#[test]
fn it_goes_on_until_it_is_told_to_stop_and_then_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = kafka();
    let servers = kafka.bootstrap_servers();
    let events = "--rate 100 --channels 4 --no-plant --disorder 100ms --late-ratio 0 --too-late-ratio 0";
    let events = producer(folder.path(), servers, events).spawn().unwrap();
    let common = ["--kafka", servers, "--no-create-topics", "--json", "--window", "4", "--slide", "2"];
    let live = ["--out-of-orderness", "1", "--checkpoint-every", "2", "--checkpoint", "state"];
    let live = [&common[..], &live, &["--output", "sqlite:live.db"]].concat();
    let mut child = command(folder.path(), &live).spawn().unwrap();
    let has_windows = || {
        let open = Connection::open(folder.path().join("live.db"));
        let count = open.and_then(|db| {
            db.query_row("SELECT count(DISTINCT window_start) FROM chat_summary_minute", [], |row| row.get(0))
        });
        count.is_ok_and(|count: i64| count > 1)
    };
    while !has_windows() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(10));
    }
    let first = interrupt(child);
    let made = interrupt(events);
    let rest = command(folder.path(), &[&live[..], &["--until-end"]].concat()).output().unwrap();
    let rest = program::last_line(&rest, 0);
    assert!(first["read"].as_u64() < rest["read"].as_u64(), "the events went on");
    for fate in ["read", "malformed", "from_future"] {
        assert_eq!(rest[fate], made["fates"][fate], "{fate}, over both lives");
    }
    // Live, a partition that was silent for a while may find its events late; they are counted all the same.
    let whole = ["--until-end", "--out-of-orderness", "1", "--output", "sqlite:whole.db"];
    let whole = command(folder.path(), &[&common[..], &whole].concat()).output().unwrap();
    program::last_line(&whole, 0);
    assert_eq!(windows(folder.path(), "live.db"), windows(folder.path(), "whole.db"));
}
