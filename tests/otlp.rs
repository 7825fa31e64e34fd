//! The examples send their spans to a real OpenTelemetry Collector, and do without one.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;
#[path = "support/services.rs"]
mod services;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use services::{Kind, Server};

const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "hunter2-in-a-url";
/// Every span of the library.
const NAMES: [&str; 12] = [
    "advance",
    "apply",
    "checkpoint",
    "commit",
    "complete",
    "decode",
    "deliver",
    "fold",
    "poll",
    "sequence",
    "snapshot",
    "write",
];

fn full_pipeline(variables: &[(&str, &str)]) -> (tempfile::TempDir, Command) {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "--minutes",
        "3",
        "--streams",
        "5",
        "--events",
        "500",
        "--partitions",
        "1",
        "--json",
        "--checkpoint",
        "kept",
        "--checkpoint-pause",
        "0s",
    ];
    let program = PROGRAM.get_or_init(|| program::build("full_pipeline"));
    let mut command = program::command(program, folder.path(), &small);
    command.envs(variables.iter().copied());
    (folder, command)
}

/// What a collector says that it got.
struct Received(String);

impl Received {
    /// Waits until the log of a collector has these words.
    fn until(collector: &Server, words: &str) -> Self {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(collector.folder().join("log")).unwrap();
            if text.contains(words) {
                return Self(text);
            }
            assert!(begun.elapsed() < PATIENCE, "`{words}` has not come: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn names(&self) -> BTreeSet<&str> {
        let lines = self.0.lines().filter_map(|line| line.trim().strip_prefix("Name"));
        lines.filter_map(|rest| rest.trim_start().strip_prefix(": ")).collect()
    }
}

#[test]
fn a_collector_receives_the_spans_of_a_run_under_its_name_and_no_password() {
    let collector = Server::of(Kind::Collector).start();
    let redis = Server::of(Kind::Redis).set("requirepass", PASSWORD).start();
    let (endpoint, url) = (collector.url(), format!("redis://:{PASSWORD}@127.0.0.1:{}/", redis.port()));
    let common = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer of-the-collector"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "50000"),
        ("REDIS_URL", &url),
    ];
    let silent = [&common[..], &[("OTEL_SERVICE_NAME", "silent"), ("OTEL_SDK_DISABLED", "true")]].concat();
    let told = [&common[..], &[("OTEL_SERVICE_NAME", "stream-totals"), ("LOG_LEVEL", "debug")]].concat();
    for variables in [silent, told] {
        let (_folder, mut command) = full_pipeline(&variables);
        let output = command.output().unwrap();
        program::last_line(&output, 0);
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(!printed.contains(PASSWORD) && !printed.contains("of-the-collector"), "{printed}");
    }
    // What was sent before the program ended: the last to end is the pipeline's last checkpoint.
    let received = Received::until(&collector, "service.name: Str(stream-totals)");
    let names = received.names();
    let missing: Vec<_> = NAMES.iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {names:?}");
    for field in ["partition: Str(", "group: Str(chat_summary_minute)", "sink: Str(redis)", "rows: Int("] {
        assert!(received.0.contains(field), "{field}");
    }
    assert!(!received.0.contains("Str(silent)"));
    assert!(!received.0.contains(PASSWORD) && !received.0.contains("of-the-collector"));
}

fn answer(address: &str, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_service_that_is_told_to_stop_sends_what_is_left() {
    let collector = Server::of(Kind::Collector).start();
    let folder = tempfile::tempdir().unwrap();
    let mut command =
        program::command(&program::build("api"), folder.path(), &["--port", "0", "--history", "2"]);
    // Nothing is sent before the end, unless it takes an hour.
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = lines.by_ref().map(Result::unwrap).find(|line| line.contains("dashboard")).unwrap();
    let address = begun.split_once("http://").unwrap().1.trim_end_matches('/');
    // Before that it may have read nothing, and has no span to send.
    let started = Instant::now();
    while !answer(address, "/ready").starts_with("HTTP/1.1 200") {
        assert!(started.elapsed() < PATIENCE, "it is not ready");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    let received = Received::until(&collector, "service.name: Str(api)");
    assert!(received.names().contains("poll"), "{:?}", received.names());
}

#[test]
fn a_collector_that_is_away_or_hangs_ends_nothing_and_is_said_once() {
    let nobody = telemetra::ops::free_addresses(1).unwrap().remove(0);
    // Connections are taken by the system, and nobody answers.
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let hangs = hangs.local_addr().map(|address| (hangs, address)).unwrap();
    for (place, said) in [(nobody, 1), (hangs.1.to_string(), 0)] {
        let endpoint = format!("http://me:{PASSWORD}@{place}");
        let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "10")];
        let (_folder, mut command) = full_pipeline(&variables);
        let output = command.output().unwrap();
        let told = program::last_line(&output, 0);
        assert!(told["read"].as_u64() > Some(0));
        let printed = String::from_utf8_lossy(&output.stderr);
        let found = printed.matches("spans cannot be sent").count();
        assert!(found >= said && found <= 1, "{found} times with {place}: {printed}");
        assert!(!printed.contains(PASSWORD), "{printed}");
    }
}

/// Answers one request by a redirect, after it was read.
fn redirect(connection: TcpStream, location: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    std::io::copy(&mut (&mut reader).take(length), &mut std::io::sink())?;
    let answer = format!(
        "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    reader.into_inner().write_all(answer.as_bytes())
}

#[test]
fn a_redirect_is_not_followed_as_the_headers_hold_a_key() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let location = format!("http://{}/v1/traces", other.local_addr().unwrap());
    let collector = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", collector.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    std::thread::spawn({
        let requests = Arc::clone(&requests);
        move || {
            for connection in collector.incoming() {
                if redirect(connection.unwrap(), &location).is_ok() {
                    requests.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    });
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer of-the-collector"),
    ];
    let (_folder, mut command) = full_pipeline(&variables);
    let output = command.output().unwrap();
    program::last_line(&output, 0);
    assert!(requests.load(Ordering::SeqCst) > 0, "nothing was sent");
    other.set_nonblocking(true).unwrap();
    let followed = other.accept().map(|(_, from)| from);
    assert!(followed.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the redirect was followed");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert_eq!(printed.matches("spans cannot be sent").count(), 1, "{printed}");
}
