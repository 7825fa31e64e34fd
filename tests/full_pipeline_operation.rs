//! Running the example program: the metrics it serves, and the processes of a cluster started by hand.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;
#[path = "support/services.rs"]
mod services;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use telemetra::core::SinkProgress;
use telemetra::prelude::{EventTime, Sink};
use telemetra::sinks::{ObjectStoreConfig, Parquet};

fn full_pipeline() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program::build("full_pipeline"))
}

/// Sends a request as it is, and returns all that is answered.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: &str, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n"))
}

#[test]
fn metrics_are_served_while_it_runs_and_nobody_can_hold_them_up() {
    let folder = tempfile::tempdir().unwrap();
    let arguments =
        ["--input", "-", "--metrics-address", "127.0.0.1:0", "--operator-times", "--name", "ours"];
    let mut command = program::command(full_pipeline(), folder.path(), &arguments);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = told.find_map(|line| Some(line.split_once("metrics at http://")?.1.to_owned())).unwrap();
    let address = address.strip_suffix("/metrics").unwrap().to_owned();
    // What it says besides must not fill the pipe.
    let rest = std::thread::spawn(move || told.count());

    for n in 0..100 {
        let time = EventTime(1_767_225_600_000 + n * 1000);
        writeln!(
            input,
            r#"{{"event_id":"{n}","timestamp":"{time}","stream_id":"ada","user_id":"u","username":"u","message":"hi"}}"#
        )
        .unwrap();
    }
    input.write_all(b"damaged\n").unwrap();
    // Somebody who asks for nothing, and one who goes without waiting.
    let silent = TcpStream::connect(&address).unwrap();
    TcpStream::connect(&address).unwrap().write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    let counted = r#"telemetra_events_total{pipeline="ours",fate="on_time"} 100"#;
    let answer = (0..300).find_map(|_| {
        let answer = get(&address, "/metrics");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        std::thread::sleep(Duration::from_millis(50));
        answer.contains(counted).then_some(answer)
    });
    let answer = answer.expect("all events are counted within some seconds");
    for line in [
        r#"telemetra_events_total{pipeline="ours",fate="malformed"} 1"#,
        r#"telemetra_pipeline_up{pipeline="ours"} 1"#,
        "# TYPE telemetra_sink_apply_duration_seconds histogram",
        "# HELP telemetra_state_bytes ",
    ] {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
    drop(silent);
    assert!(get(&address, "/").starts_with("HTTP/1.1 404 "));
    assert!(ask(&address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    let (head, body) = (ask(&address, "HEAD /metrics HTTP/1.1\r\n\r\n"), "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with(body), "{head}");
    // Longer than any head is: it is not waited for its end.
    let endless = TcpStream::connect(&address).unwrap();
    let _ = (&endless).write_all(&[b'x'; 100_000]);
    assert!(get(&address, "/metrics").contains("telemetra_"));

    drop(input);
    assert!(child.wait().unwrap().success());
    rest.join().unwrap();
}

#[test]
fn an_address_that_is_taken_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        program::command(full_pipeline(), folder.path(), &["--metrics-address", &address]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("choose another --metrics-address"), "{stderr}");
}

#[test]
fn processes_started_by_hand_are_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let small =
        ["--minutes", "10", "--streams", "20", "--events", "12000", "--no-plant", "--workers", "1", "--json"];
    let command = |more: &[&str]| -> Command {
        program::command(full_pipeline(), folder.path(), &[&small[..], more].concat())
    };
    let one = program::last_line(&command(&["--output", "sqlite:one.db"]).output().unwrap(), 0);

    let held = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let addresses =
        held.iter().map(|held| held.local_addr().unwrap().to_string()).collect::<Vec<_>>().join(",");
    drop(held);
    let process = |number: &str| {
        let arguments = ["--output", "sqlite:two.db", "--addresses", &addresses, "--process", number];
        command(&arguments).spawn().unwrap()
    };
    let (second, first) = (process("1"), process("0"));
    let first = program::last_line(&first.wait_with_output().unwrap(), 0);
    let second = program::last_line(&second.wait_with_output().unwrap(), 0);
    let read = |told: &serde_json::Value| told["read"].as_u64().unwrap();
    assert!(read(&first) > 0 && read(&second) > 0, "each reads its partitions");
    assert_eq!(read(&first) + read(&second), read(&one));
    assert_eq!(first["windows"], one["windows"], "and together they know what one does");
    assert_eq!(first["moments_found"], one["moments_found"]);

    for (wrong, says) in [
        (&["--process", "1"][..], "--addresses"),
        (&["--addresses", "127.0.0.1:1,127.0.0.1:2", "--process", "2"], "there is no process 2 of 2"),
        (&["--addresses", "here"], "`here` is no host and port"),
        (&["--addresses", "127.0.0.1:1,127.0.0.1:2", "--embedded-kafka"], "the others"),
    ] {
        let output = command(wrong).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {stderr}");
        assert!(stderr.contains(says), "{wrong:?}: {stderr}");
    }
}

/// Where checkpoints are, and the variables by which the program comes there.
struct Checkpoints {
    place: String,
    variables: Vec<(&'static str, String)>,
}

impl Checkpoints {
    fn in_folder() -> Self {
        Self { place: "state".to_owned(), variables: Vec::new() }
    }

    /// In the object store that tests share.
    fn in_objects() -> Self {
        let services::Place { url, name } = services::shared(services::Kind::S3);
        let variables = vec![
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "telemetra".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "telemetra-secret".to_owned()),
        ];
        Self { place: format!("s3://telemetra/{name}"), variables }
    }

    /// The program with these checkpoints, and with the same events each time.
    fn command(&self, folder: &Path, more: &[&str]) -> Command {
        let small = "--output sqlite:rows.db --minutes 10 --streams 20 --checkpoint";
        let arguments: Vec<_> = small.split(' ').chain([&*self.place]).chain(more.iter().copied()).collect();
        let mut command = program::command(full_pipeline(), folder, &arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

#[test]
fn savepoints_in_a_folder_are_taken_listed_started_from_and_removed() {
    savepoints_are_managed(&Checkpoints::in_folder());
}

#[test]
fn savepoints_in_an_object_store_are_taken_listed_started_from_and_removed() {
    savepoints_are_managed(&Checkpoints::in_objects());
}

fn savepoints_are_managed(checkpoints: &Checkpoints) {
    let folder = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let output = checkpoints.command(folder.path(), more).args(["--events", "20000"]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (done, said, _) = run(&["--dry-run"]);
    assert!(done && said.contains("there is no checkpoint"), "{said}");
    let (done, _, why) = run(&["--savepoint", "early"]);
    assert!(!done && why.contains("there is no checkpoint yet"), "{why}");
    assert!(run(&[]).0);
    let (done, taken, why) = run(&["--savepoint", "before"]);
    assert!(done && taken.starts_with("savepoint before of "), "{taken}{why}");
    let (done, listed, _) = run(&["--list-savepoints"]);
    assert!(done && listed.starts_with("before ") && listed.lines().count() == 1, "{listed}");
    let (done, said, _) = run(&["--dry-run", "--from-savepoint", "before"]);
    assert!(done && said.starts_with("from the savepoint `before` of "), "{said}");
    let (done, said, _) = run(&["--dry-run", "--window", "2m"]);
    assert!(!done && said.contains("windows chat_summary_minute refused: "), "{said}");
    let (done, _, why) = run(&["--from-savepoint", "before"]);
    assert!(done, "{why}");
    assert!(run(&["--remove-savepoint", "before"]).0);
    let (done, listed, _) = run(&["--list-savepoints"]);
    assert!(done && listed.trim().is_empty(), "{listed}");
}

#[test]
fn a_run_that_is_killed_goes_on_from_checkpoints_in_an_object_store() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::in_objects();
    let rows = || {
        let rows = rusqlite::Connection::open(folder.path().join("rows.db")).unwrap();
        let mut rows = rows.prepare("SELECT * FROM chat_summary_minute ORDER BY 1, 2, 3").unwrap();
        let columns = rows.column_count() - 1;
        // The last column is when the row was written.
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|column| row.get(column)).collect::<Result<Vec<rusqlite::types::Value>, _>>()
        };
        rows.query_map([], row).unwrap().map(Result::unwrap).collect::<Vec<_>>()
    };
    let events = ["--events", "200000"];
    let none = Checkpoints { place: "off".to_owned(), variables: Vec::new() };
    assert!(none.command(folder.path(), &events).status().unwrap().success());
    let expected = rows();
    assert!(expected.len() > 100);

    let program = |more: &[&str]| checkpoints.command(folder.path(), &[more, &events].concat());
    let often = ["--checkpoint-every", "20s", "--checkpoint-pause", "0ms"];
    let mut killed = program(&often).spawn().unwrap();
    // Not before there is something to go on from, which a savepoint has to be taken of.
    while !program(&["--savepoint", "while-it-runs"]).output().unwrap().status.success() {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed");
    }
    // The first row of a run that starts over replaces those of the run before.
    while rows() == expected {
        assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed");
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(rows() != expected);
    let changes = format!("{}-changes", checkpoints.place);
    let files = ["--output", &format!("parquet:{changes}")];
    let output = program(&[&often[..], &files].concat()).output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && why.contains("checkpoints:  the object store s3://"), "{why}");
    assert_eq!(rows(), expected);
    // The files are there too, up to the end of the events.
    let mut config = ObjectStoreConfig::from_url(&changes).unwrap();
    for (name, value) in &checkpoints.variables {
        config = config.option(name, value).unwrap();
    }
    let progress = Parquet::in_object_store(&config).unwrap().progress().unwrap();
    assert!(matches!(progress, SinkProgress::Until(Some(_))), "{progress:?}");
}

#[test]
fn what_is_wrong_with_an_object_store_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = |place: &str, change: Option<(&'static str, &str)>| {
        let mut checkpoints = Checkpoints::in_objects();
        checkpoints.place = place.to_owned();
        let mut command = checkpoints.command(folder.path(), &["--dry-run"]);
        command.envs(change);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, why) = run("s3://name:hidden@telemetra/x", None);
    assert!(code == Some(2) && why.contains("cannot use --checkpoint: the s3 URL has credentials"), "{why}");
    assert!(!why.contains("hidden"), "{why}");
    let (code, why) = run("ftp://telemetra/x", None);
    assert!(code == Some(2) && why.contains("give s3://BUCKET/PREFIX"), "{why}");
    let (_, why) = run("s3://not-there/x", None);
    assert!(why.contains("s3://not-there/x") && why.contains("NoSuchBucket"), "{why}");
    let (_, why) = run("s3://telemetra/x", Some(("AWS_SECRET_ACCESS_KEY", "wrong-secret")));
    assert!(why.contains("s3://telemetra/x") && !why.contains("wrong-secret"), "{why}");
    assert!(why.contains("SignatureDoesNotMatch") || why.contains("403"), "{why}");
    let nobody = telemetra::ops::free_addresses(1).unwrap().remove(0);
    let (_, why) = run("s3://telemetra/x", Some(("AWS_ENDPOINT_URL", &format!("http://{nobody}"))));
    assert!(why.contains("s3://telemetra/x"), "{why}");
}
