//! The example program from end to end, as a user runs it.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::Value as Json;
use telemetra::core::RecordBatch;
use telemetra::livestream::generate::{Generator, GeneratorConfig, Planting};
use telemetra::prelude::*;

/// A folder with `events.jsonl` in it: six minutes of all kinds of events, with all that can be wrong with them.
fn folder() -> (tempfile::TempDir, Fates) {
    let folder = tempfile::tempdir().unwrap();
    let mut generator = Generator::new(GeneratorConfig {
        streams: 20,
        events_per_second: 30.0,
        duration_ms: 360_000,
        partitions: 1,
        viewer_interval_ms: 10_000,
        late_delay_ms: (35_000, 60_000),
        planted: Planting::none(),
        late_ratio: 0.02,
        malformed_ratio: 0.005,
        duplicate_ratio: 0.01,
        future_ratio: 0.005,
        ..GeneratorConfig::default()
    })
    .unwrap();
    let id = generator.partitions().unwrap().remove(0);
    let mut partition = generator.open(&id, None).unwrap();
    let mut file = std::fs::File::create(folder.path().join("events.jsonl")).unwrap();
    let mut batch = RecordBatch::default();
    while partition.poll(&mut batch).unwrap() != telemetra::core::Polled::Done {
        for record in batch.records() {
            // What the generator damages may hold ends of lines.
            let line: Vec<u8> =
                batch.bytes_of(record).iter().map(|b| if *b == b'\n' { b' ' } else { *b }).collect();
            file.write_all(&line).and_then(|()| file.write_all(b"\n")).unwrap();
        }
        batch.clear();
    }
    (folder, generator.ground_truth().fates)
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    program::command(PROGRAM.get_or_init(|| program::build("full_pipeline")), folder, arguments)
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

/// The object on the last line of what a run that ended with `code` printed.
fn told(output: &Output, code: i32) -> Json {
    let told = program::last_line(output, code);
    let fates = Fate::ALL.map(|fate| told[fate.as_str()].as_u64().unwrap());
    assert_eq!(told["read"], fates.iter().sum::<u64>(), "something vanished: {told}");
    told
}

/// All rows of all tables.
fn tables(database: &Path) -> Vec<Vec<Vec<Value>>> {
    let connection = Connection::open(database).unwrap();
    let read = |table: &str| {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2, 3")).unwrap();
        let columns = statement.column_count();
        let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        statement.query_map([], row).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let tables = ["streams", "chat_summary_minute", "viewer_timeseries", "transactions", "moments"];
    tables.into_iter().chain(["telemetra_dead_letters"]).map(read).collect()
}

/// The tables of an undisturbed run in the folder, and what it told.
fn undisturbed(folder: &Path) -> (Vec<Vec<Vec<Value>>>, Json) {
    let output =
        run(folder, &["--input", "events.jsonl", "--workers", "1", "--output", "sqlite:one.db", "--json"]);
    (tables(&folder.join("one.db")), told(&output, 0))
}

/// Sends a signal and waits for the end.
fn signalled(mut child: Child, after: Duration, signal: &str) -> Output {
    std::thread::sleep(after);
    assert!(child.try_wait().unwrap().is_none(), "it ended before the signal");
    let kill = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    child.wait_with_output().unwrap()
}

/// Interrupts it as soon as a window is in the table, and waits for the end.
fn interrupted(folder: &Path, mut child: Child) -> Output {
    let windows = || {
        let connection = Connection::open(folder.join("telemetra.db")).ok()?;
        // Before the sink is open there is no table.
        connection.query_row("SELECT count(*) FROM chat_summary_minute", [], |row| row.get::<_, i64>(0)).ok()
    };
    while windows().is_none_or(|windows| windows == 0) {
        assert!(child.try_wait().unwrap().is_none(), "it ended before there was a window");
        std::thread::sleep(Duration::from_millis(5));
    }
    signalled(child, Duration::ZERO, "-INT")
}

const PACED: [&str; 11] = [
    "--input",
    "events.jsonl",
    "--pace",
    "120",
    "--checkpoint",
    "state",
    "--checkpoint-every",
    "20s",
    "--checkpoint-pause",
    "0",
    "--json",
];

#[test]
fn what_is_told_is_what_is_in_the_tables() {
    let (folder, truth) = folder();
    let (tables, told) = undisturbed(folder.path());
    assert_eq!(told["read"], truth.read);
    assert_eq!(told["malformed"], truth.malformed);
    assert_eq!(told["from_future"], truth.from_future);
    assert_eq!(told["duplicate"], truth.duplicate, "events are deduplicated by default");
    assert!(told["late_applied"].as_u64() > Some(0) && told["corrections"].as_u64() > Some(0));
    assert_eq!(told["windows"], tables[1].len());
    assert_eq!(told["moments_found"], tables[4].len());
    assert!(tables[..4].iter().all(|table| !table.is_empty()), "all four kinds were read");
    let lost = ["too_late", "malformed", "from_future", "duplicate"].map(|fate| told[fate].as_u64().unwrap());
    assert_eq!(
        tables[5].len() as u64,
        lost.iter().sum::<u64>(),
        "each that was not counted is a dead letter"
    );
    assert!(told["wall_seconds"].is_number() && told["cpu_seconds"].is_number());
    assert!(told["peak_rss_bytes"].is_number());
}

#[test]
fn the_generator_needs_no_input_and_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let small =
        ["--minutes", "14", "--streams", "40", "--events", "84000", "--json", "--transaction-ratio", "0.1"];
    let output = run(folder.path(), &small);
    let told = told(&output, 0);
    assert!(told["recall"].as_f64() > Some(0.9), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing vanished"));
    let tables = tables(&folder.path().join("telemetra.db"));
    assert_eq!(
        (told["windows"].clone(), told["moments_found"].clone()),
        (tables[1].len().into(), tables[4].len().into())
    );
}

#[test]
fn of_an_interrupted_run_only_what_was_planted_so_far_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    let child = command(folder.path(), &["--json"]).spawn().unwrap();
    let told = told(&interrupted(folder.path(), child), 130);
    assert!(told["windows"].as_u64() > Some(0), "{told}");
    assert!(
        told["moments_planted"].as_u64().is_some_and(|planted| planted < 27),
        "of 27 in half an hour: {told}"
    );
}

#[test]
fn workers_and_processes_change_nothing() {
    let (folder, _) = folder();
    let (one, told_one) = undisturbed(folder.path());
    for (name, cluster) in [("workers.db", ["--workers", "2"]), ("processes.db", ["--processes", "2"])] {
        let output = format!("sqlite:{name}");
        let arguments = ["--input", "events.jsonl", "--output", &output, "--json"];
        let told = told(&run(folder.path(), &[&cluster[..], &arguments].concat()), 0);
        assert_eq!(tables(&folder.path().join(name)), one, "{name}");
        assert_eq!((&told["read"], &told["windows"]), (&told_one["read"], &told_one["windows"]));
    }
}

#[test]
fn standard_input_and_json_lines() {
    let (folder, _) = folder();
    let (tables, told_one) = undisturbed(folder.path());
    let arguments = ["--input", "-", "--output", "jsonl:lines", "--output", "sqlite:in.db", "--json"];
    let mut command = command(folder.path(), &arguments);
    command.stdin(std::fs::File::open(folder.path().join("events.jsonl")).unwrap());
    let told = told(&command.output().unwrap(), 0);
    assert_eq!(told["on_time"], told_one["on_time"]);
    assert_eq!(self::tables(&folder.path().join("in.db"))[1], tables[1]);
    assert!(folder.path().join("lines/progress.json").exists());
    // A second run replaces the first.
    let first = std::fs::read_dir(folder.path().join("lines")).unwrap().count();
    run(folder.path(), &["--input", "events.jsonl", "--output", "jsonl:lines"]);
    assert_eq!(std::fs::read_dir(folder.path().join("lines")).unwrap().count(), first);
}

#[test]
fn killed_at_any_instant_it_goes_on_to_the_same_tables() {
    let (folder, _) = folder();
    let (one, told_one) = undisturbed(folder.path());
    for millis in [600, 900] {
        let child = command(folder.path(), &PACED).spawn().unwrap();
        signalled(child, Duration::from_millis(millis), "-KILL");
    }
    let kept = std::fs::read_dir(folder.path().join("state")).unwrap().count();
    assert!(kept > 0, "it was killed before the first checkpoint");
    let rest = ["--input", "events.jsonl", "--checkpoint", "state", "--checkpoint-every", "20", "--json"];
    for _ in 0..2 {
        // Once to the end, and once more when there is nothing left to do.
        let told = told(&run(folder.path(), &rest), 0);
        assert_eq!(tables(&folder.path().join("telemetra.db")), one);
        for key in ["read", "on_time", "late_applied", "windows", "moments", "corrections"] {
            assert_eq!(told[key], told_one[key], "{key}");
        }
    }
}

#[test]
fn an_interrupt_drains_and_a_rerun_completes() {
    let (folder, _) = folder();
    let (one, told_one) = undisturbed(folder.path());
    let child = command(folder.path(), &PACED).spawn().unwrap();
    let drained = told(&interrupted(folder.path(), child), 130);
    assert!(drained["read"].as_u64() < told_one["read"].as_u64());
    assert!(drained["windows"].as_u64() > Some(0), "{drained}");
    let rest = ["--input", "events.jsonl", "--checkpoint", "state", "--checkpoint-every", "20", "--json"];
    let output = run(folder.path(), &rest);
    let told = told(&output, 0);
    assert_eq!(tables(&folder.path().join("telemetra.db")), one);
    assert_eq!(told["windows"], told_one["windows"]);
    // Rates are of this run, so only what it read itself counts.
    assert_eq!((&drained["read_before"], &told["read_before"]), (&0.into(), &drained["read"]));
    let own = told["read"].as_u64().unwrap() - drained["read"].as_u64().unwrap();
    let text = String::from_utf8(output.stdout).unwrap().replace([',', ' ', '\u{202f}'], "");
    assert!(text.contains(&format!("\n{own}eventsin")), "{own} of {text}");
}

#[test]
fn an_interrupt_without_a_store_closes_windows() {
    for cluster in ["1", "2"] {
        let (folder, _) = folder();
        let paced = ["--input", "events.jsonl", "--pace", "60", "--json", "--processes", cluster];
        let child = command(folder.path(), &paced).spawn().unwrap();
        let told = told(&interrupted(folder.path(), child), 130);
        assert_eq!(told["windows"], tables(&folder.path().join("telemetra.db"))[1].len());
        assert!(told["windows"].as_u64() > Some(0), "{told}");
    }
}

#[test]
fn a_flag_goes_before_the_environment_before_the_file() {
    let (folder, _) = folder();
    let settings = "input = \"events.jsonl\"\nslide = 30\nwindow = 60\nworkers = 1\njson = true\noutput = [\"jsonl:o\"]\n";
    std::fs::write(folder.path().join("settings.toml"), settings).unwrap();
    let windows = |arguments: &[&str], slide: Option<&str>| {
        let mut command = command(folder.path(), &[&["--config", "settings.toml"], arguments].concat());
        command.envs(slide.map(|slide| ("CHAT_WINDOW_SLIDE_SECONDS", slide)));
        told(&command.output().unwrap(), 0)["windows"].as_u64().unwrap()
    };
    let (file, environment) = (windows(&[], None), windows(&[], Some("20")));
    let flag = windows(&["--slide", "10s"], Some("20"));
    assert!(file < environment && environment < flag, "{file} {environment} {flag}");
}

#[test]
fn a_variable_that_is_not_used_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let link = ("POSTGRES_PORT", "tcp://10.0.0.9:5432");
    // Of the producer, for whom it is a time.
    let others = [link, ("TELEMETRA_START", "now"), ("TELEMETRA_POSTGRES_TLS", "none")];
    let made = ["--minutes", "1", "--streams", "3", "--events", "100", "--json"];
    let told = told(&command(folder.path(), &made).envs(others).output().unwrap(), 0);
    assert!(told["on_time"].as_u64().unwrap() >= 90, "{told}");
    assert!(told["moments_planted"].is_null(), "moments that do not fit are not planted: {told}");

    let refused = |arguments: &[&str], variable: (&str, &str)| {
        let output = command(folder.path(), arguments).env(variable.0, variable.1).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap().lines().last().unwrap().to_owned()
    };
    let error = refused(&["--postgres-host", "nowhere"], link);
    let named = "cannot use the variable POSTGRES_PORT: `tcp://10.0.0.9:5432` is no whole number from 1 to 65535; \
                 Kubernetes sets it so beside a service called `postgres`: ";
    assert!(error.contains(named), "{error}");
    let error = refused(&["--kafka", "nowhere:1"], ("TELEMETRA_START", "soon"));
    assert!(error.contains("cannot use the variable TELEMETRA_START: "), "{error}");
    let error = refused(&[], ("CHAT_WINDOW_SLIDE_SECONDS", "7"));
    assert!(error.contains("a slide of 7000 ms"), "{error}");
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("settings.toml"), "workers = 1\nwindw = 60\n").unwrap();
    let cases: [(&[&str], i32, &str); 20] = [
        (&["--inptu", "x"], 2, "unexpected argument '--inptu' found"),
        (&["--inptu", "x"], 2, "a similar argument exists: '--input'"),
        (&["--workers"], 2, "a value is required for '--workers <N>'"),
        (&["--workers", "-1"], 2, "cannot use --workers: `-1` is no whole number"),
        (&["--name", ""], 2, "cannot use --name: it is empty"),
        (
            &["--output", "sqlite:a", "--output", "sqlite:a"],
            2,
            "cannot use --output: `sqlite:a` is given twice",
        ),
        (&["--kafka", ","], 2, "cannot use --kafka: `,` is no list of servers"),
        (&["--webhook", "nonsense"], 2, "cannot use --webhook: "),
        (&["--workers", "none"], 2, "cannot use --workers: `none` is no whole number"),
        (&["--slide", "7"], 2, "a slide of 7000 ms"),
        (&["--window", "7"], 2, "cannot use --window: a size of 7000 ms"),
        (&["--window", "-5s"], 2, "cannot use --window: `-5s` is no time"),
        (&["--minutes", "1", "--plant"], 2, "cannot use --plant: 60000 ms leave no time for moments"),
        (&["--events", "1_000_000_000_000"], 2, "cannot use --events: "),
        (&["--partitions", "4097"], 2, "cannot use --partitions: "),
        (&["--output", "x.db"], 2, "`x.db` is none of sqlite:FILE, jsonl:DIR, parquet:DIR and parquet:URL"),
        (&["--config", "settings.toml"], 2, "do not know the key `windw` in settings.toml"),
        (&["--config", "none.toml"], 1, "could not read the settings in none.toml"),
        (&["--input", "none.jsonl"], 1, "could not read the file none.jsonl"),
        (&["--input", "none.jsonl", "--processes", "2"], 1, "could not read the file none.jsonl"),
    ];
    for (arguments, code, text) in cases {
        let output = run(folder.path(), arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let told = stderr.find("error: ").map_or("", |at| &stderr[at..]);
        assert!(told.contains(text), "{arguments:?}: {stderr}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_start_that_waits_for_a_server_ends_at_the_order_to_stop() {
    let folder = tempfile::tempdir().unwrap();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut command = command(folder.path(), &["--log-level", "warn"]);
        command.env("POSTGRES_HOST", "127.0.0.1").env("POSTGRES_PORT", "1");
        let mut child = command.spawn().unwrap();
        let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
        told.find(|line| line.contains("trying again")).unwrap();
        let ordered = Instant::now();
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        let rest: Vec<String> = told.collect();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest:?}");
        assert!(rest.iter().any(|line| line.contains("was stopped before it had started")), "{rest:?}");
        assert!(ordered.elapsed() < Duration::from_secs(10));
    }
}
