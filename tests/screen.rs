//! The output of the programs, on terminals of several widths and without one.
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

#[path = "support/program.rs"]
mod program;
#[path = "support/pty.rs"]
mod pty;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use pty::{Session, Written};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

const WIDTHS: [u16; 3] = [60, 80, 120];
/// A short run that finds moments.
const SMALL: [&str; 8] =
    ["--minutes", "14", "--streams", "40", "--events", "84000", "--transaction-ratio", "0.1"];
/// One that does not end by itself before it is interrupted.
const LONG: [&str; 4] = ["--minutes", "600", "--events", "30000000"];
const TOPICS: [&str; 4] = ["chat", "viewer", "transactions", "stream_meta"];

fn program(name: &'static str, folder: &Path, arguments: &[&str]) -> Command {
    static PROGRAMS: [(&str, OnceLock<PathBuf>); 3] =
        [("full_pipeline", OnceLock::new()), ("mock_producer", OnceLock::new()), ("api", OnceLock::new())];
    let (_, built) = PROGRAMS.iter().find(|(known, _)| *known == name).unwrap();
    program::command(built.get_or_init(|| program::build(name)), folder, arguments)
}

fn on_terminal(command: &Command, columns: u16) -> Written {
    Session::start(command, columns).end()
}

/// Fails if the program has written escape codes.
fn is_plain(text: &str) {
    assert!(!text.contains('\x1b'), "{text:?}");
}

fn kafka() -> MockCluster<'static, DefaultProducerContext> {
    let cluster = MockCluster::new(1).unwrap();
    for topic in TOPICS {
        cluster.create_topic(&format!("telemetra.events.{topic}"), 2, 1).unwrap();
    }
    cluster
}

#[test]
fn the_report_of_the_pipeline_is_in_words_and_fits() {
    let folder = tempfile::tempdir().unwrap();
    for columns in WIDTHS {
        let written = on_terminal(&program("full_pipeline", folder.path(), &SMALL), columns);
        assert_eq!(written.code, Some(0), "{}", written.text);
        written.fits(columns);
        let words = written.words();
        for said in [
            "nothing vanished",
            "A moment is a time at which something about a stream was unusual",
            "a window sums up 1 min of one stream",
            "sqlite3 telemetra.db",
            "What the words mean: docs/glossary.md",
        ] {
            assert!(words.to_lowercase().contains(&said.to_lowercase()), "`{said}` is not in {words}");
        }
        assert!(written.text.contains("\x1b[1mEvents\x1b[0m"), "headings are bold: {}", written.text);
        // The line of progress is overwritten, and removed in the end.
        let progress = written.text.split("\r\n").find(|line| line.contains("events read")).unwrap();
        assert!(progress.matches('\r').count() > 1, "{progress:?}");
    }
}

#[test]
fn without_colours_there_are_no_escape_codes_and_on_a_dumb_terminal_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program("full_pipeline", folder.path(), &SMALL);
    let written = on_terminal(command.env("NO_COLOR", "1"), 60);
    assert_eq!(written.code, Some(0), "{}", written.text);
    is_plain(&written.text);
    written.fits(60);
    let mut command = program("full_pipeline", folder.path(), &SMALL);
    let written = on_terminal(command.env("TERM", "dumb"), 60);
    is_plain(&written.text);
    written.fits(60);
    assert!(!written.text.replace("\r\n", "\n").contains('\r'), "{:?}", written.text);
}

#[test]
fn a_file_gets_plain_lines_of_eighty_columns_or_as_many_as_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    for (columns, width) in [(None, 80), (Some("60"), 60), (Some("0"), 80), (Some("wide"), 80)] {
        let mut command = program("full_pipeline", folder.path(), &SMALL);
        command.env_remove("COLUMNS").envs(columns.map(|columns| ("COLUMNS", columns)));
        let output = command.output().unwrap();
        let text =
            [output.stdout.clone(), output.stderr.clone()].map(|text| String::from_utf8(text).unwrap());
        assert!(output.status.success(), "{text:?}");
        for text in &text {
            is_plain(text);
            assert!(!text.contains('\r'), "{text:?}");
        }
        let widest = text[0].lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= width && widest > width - 20, "{widest} of {width}: {}", text[0]);
        // A message is one line, however long it is.
        assert!(
            text[1].lines().any(|line| line.starts_with("source:") && line.ends_with("is given)")),
            "{text:?}"
        );
    }
}

#[test]
fn quiet_is_the_result_alone() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        program("full_pipeline", folder.path(), &[&SMALL[..], &["--quiet"]].concat()).output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success());
    assert_eq!(output.stderr, b"", "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(" events read, ") && text.contains("written to sqlite:telemetra.db"), "{text}");

    let json = [&SMALL[..], &["--quiet", "--json"]].concat();
    let output = program("full_pipeline", folder.path(), &json).output().unwrap();
    assert!(program::last_line(&output, 0)["read"].as_u64() > Some(0));
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);

    let output = program("full_pipeline", folder.path(), &["--quiet", "--window", "0"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.lines().count()), (Some(2), 1), "{text}");
    assert!(text.starts_with("error: "), "{text}");
}

#[test]
fn errors_are_wrapped_on_a_terminal() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["full_pipeline", "mock_producer", "api"] {
        let written = on_terminal(&program(name, folder.path(), &["--no-such-setting-as-this", "x"]), 60);
        assert_eq!(written.code, Some(2), "{}", written.text);
        written.fits(60);
        assert!(
            written.words().contains("error: unexpected argument '--no-such-setting-as-this' found"),
            "{}",
            written.text
        );
    }
}

#[test]
fn help_fits_and_says_every_default_in_brackets() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["full_pipeline", "mock_producer", "api"] {
        for columns in WIDTHS {
            let written = on_terminal(&program(name, folder.path(), &["--help"]), columns);
            assert_eq!(written.code, Some(0), "{}", written.text);
            written.fits(columns);
            is_plain(&written.text);
            assert!(written.words().contains("print only errors, and at the"), "{}", written.text);
        }
        let output = program(name, folder.path(), &["--help-markdown"]).output().unwrap();
        let table = String::from_utf8(output.stdout).unwrap();
        for row in table.lines().skip(2) {
            // The events that are wrong on purpose have theirs as well, and secrets have none.
            assert!(row.ends_with("] |"), "no default at the end: {row}");
        }
    }
}

#[test]
fn an_interrupt_leaves_a_report_and_a_clean_line() {
    let folder = tempfile::tempdir().unwrap();
    for columns in [60, 80] {
        let mut session = Session::start(&program("full_pipeline", folder.path(), &LONG), columns);
        session.until("a second");
        session.interrupt();
        let written = session.end();
        assert_eq!(written.code, Some(130), "{}", written.text);
        written.fits(columns);
        let words = written.words();
        assert!(
            words.contains("finishing what was read; a second Ctrl-C or SIGTERM stops at once"),
            "{words}"
        );
        assert!(words.contains("The run was stopped before the end of its input."), "{words}");
        assert!(words.contains("nothing vanished"), "{words}");
    }
}

#[test]
fn the_producer_says_what_it_made_up() {
    let folder = tempfile::tempdir().unwrap();
    let (cluster, columns) = (kafka(), 60);
    let servers = cluster.bootstrap_servers();
    let made = ["--kafka", &servers, "--rate", "max", "--duration", "2m", "--event-rate", "50"];
    let written = on_terminal(&program("mock_producer", folder.path(), &made), columns);
    assert_eq!(written.code, Some(0), "{}", written.text);
    written.fits(columns);
    let words = written.words();
    assert!(words.contains("of 10 streams made up") && words.contains("telemetra.events.chat"), "{words}");
    assert!(words.contains("docs/glossary.md"), "{words}");

    let mut command = program("mock_producer", folder.path(), &["--kafka", &servers, "--rate", "200"]);
    let mut session = Session::start(command.env("NO_COLOR", "1"), columns);
    session.until("a second");
    session.interrupt();
    let written = session.end();
    assert_eq!(written.code, Some(130), "{}", written.text);
    written.fits(columns);
    is_plain(&written.text);
    assert!(written.words().contains("The run was stopped before its end."), "{}", written.text);

    let quiet = [&made[..], &["--quiet"]].concat();
    let output = program("mock_producer", folder.path(), &quiet).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!((text.lines().count(), output.stderr.len()), (1, 0), "{text}");
    assert!(text.contains(" delivered to Kafka at ") && text.contains(", 0 not delivered"), "{text}");
}

#[test]
fn the_api_says_where_it_answers() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = program("api", folder.path(), &["--host", "300.1.1.1"]).output().unwrap();
    let told = String::from_utf8(nowhere.stderr).unwrap();
    assert!(nowhere.status.code() == Some(1) && told.contains("check --host"), "{told}");
    let arguments = ["--port", "0", "--streams", "3", "--history", "0"];
    for (quiet, columns) in [(false, 60), (false, 80), (true, 60)] {
        let arguments = if quiet { [&arguments[..], &["--quiet"]].concat() } else { arguments.to_vec() };
        let mut session = Session::start(&program("api", folder.path(), &arguments), columns);
        session.until(if quiet { "http://" } else { "Ctrl-C stops it" });
        session.interrupt();
        let written = session.end();
        assert_eq!(written.code, Some(0), "{}", written.text);
        written.fits(columns);
        is_plain(&written.text);
        let told: Vec<_> =
            written.lines().into_iter().filter(|line| !line.is_empty() && line != "^C").collect();
        if quiet {
            assert_eq!(told.len(), 1, "{told:?}");
        } else {
            assert!(told.iter().any(|line| line == "it shows 3 made-up streams"), "{told:?}");
            assert!(told.last().unwrap().starts_with("stopped; "), "{told:?}");
        }
    }
}
