//! A process that is suspended, and one whose clock is set, while a real broker's topics grow: nothing of them is late for it.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value as Json;
use telemetra::core::Clock;

use crate::services::Server;
use crate::{log, program};

/// After how long a partition without records is idle: far longer than the producer ever pauses on a busy machine.
const IDLE_AFTER: Duration = Duration::from_secs(5);

/// A process that ends with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

/// A run over the topics from their beginning, into a database of its own.
struct Run {
    child: Process,
    database: PathBuf,
}

impl Run {
    fn start(folder: &Path, name: &str, kafka: &Server, environment: &[(&str, &str)]) -> Self {
        let idle_after = format!("{}ms", IDLE_AFTER.as_millis());
        let output = format!("sqlite:{name}.db");
        let arguments = ["--output", &output, "--name", name, "--idle-after", &idle_after, "--json"];
        let fixed = "--workers 2 --start earliest --checkpoint off --allowed-lateness 0s";
        let fixed: Vec<&str> = fixed.split_whitespace().collect();
        let mut command =
            program::command(&program::build("full_pipeline"), folder, &[&fixed[..], &arguments].concat());
        command.env("KAFKA_BOOTSTRAP_SERVERS", kafka.url()).envs(environment.iter().copied());
        command.stderr(Stdio::inherit());
        Self { child: Process(command.spawn().unwrap()), database: folder.join(format!("{name}.db")) }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until the end of the newest window is in the table, or a later one.
    fn until_windows_reach(&mut self, end: i64) {
        let newest = || {
            let connection = Connection::open(&self.database).ok()?;
            let text = "SELECT max(window_end) / 1000 FROM chat_summary_minute";
            connection.query_row(text, [], |row| row.get::<_, Option<i64>>(0)).ok()?
        };
        while newest().is_none_or(|newest| newest < end) {
            assert!(self.child.0.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many records were not counted, and how many windows were corrected.
    fn late(&self) -> (u64, u64) {
        let connection = Connection::open(&self.database).unwrap();
        let count = |of: &str| {
            let sql = format!("SELECT count(*) FROM {of}");
            connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
        };
        (count("telemetra_dead_letters"), count("chat_summary_minute WHERE revision > 0"))
    }

    /// Stops it as an operator does; what it told.
    fn stop(mut self) -> Json {
        self.signal("-TERM");
        let mut stdout = Vec::new();
        self.child.0.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        let status = self.child.0.wait().unwrap();
        program::last_line(&Output { status, stdout, stderr: Vec::new() }, 143)
    }
}

/// The library that sets the clock of a process, which `scripts/services install` gets.
fn faketime() -> PathBuf {
    let folders = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"];
    let places = folders.map(|folder| Path::new(folder).join("faketime/libfaketimeMT.so.1"));
    let found = places.iter().find(|place| place.exists());
    found.unwrap_or_else(|| panic!("libfaketime is missing; run `scripts/services install faketime`")).clone()
}

fn now() -> i64 {
    i64::try_from(Clock::system().now().0 / 1000).unwrap()
}

#[test]
fn nothing_is_late_because_it_was_suspended_or_its_clock_was_set() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = Server::kafka();
    let url = kafka.url();
    let arguments = "--rate 50 --channels 3 --seed 5 --start now --topic-partitions 2 --late-ratio 0 --too-late-ratio 0 \
                     --duplicate-ratio 0 --malformed-ratio 0 --future-ratio 0 --json";
    let arguments: Vec<&str> = ["--kafka", &url].into_iter().chain(arguments.split_whitespace()).collect();
    let mut producer = program::command(&log::producer(), folder.path(), &arguments);
    let _producer = Process(producer.stderr(Stdio::inherit()).stdout(Stdio::null()).spawn().unwrap());

    let clock = folder.path().join("clock");
    let set = |offset: &str| std::fs::write(&clock, offset).unwrap();
    set("+0");
    let environment = [
        ("LD_PRELOAD", faketime().to_str().unwrap().to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap().to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
    ];
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, &**value)).collect();
    let mut suspended = Run::start(folder.path(), "suspended", &kafka, &[]);
    let mut set_forward = Run::start(folder.path(), "set_forward", &kafka, &environment);

    let begun = now();
    suspended.until_windows_reach(begun + 5);
    set_forward.until_windows_reach(begun + 5);
    suspended.signal("-STOP");
    set("+3600");
    // This long nobody asks the partitions of one, and the clock of the other is wrong.
    let stopped = Instant::now();
    while stopped.elapsed() < IDLE_AFTER + Duration::from_secs(3) {
        std::thread::sleep(Duration::from_millis(100));
    }
    suspended.signal("-CONT");
    set("+0");
    // Both go on behind the gap.
    let behind = now() + 5;
    suspended.until_windows_reach(behind);
    set_forward.until_windows_reach(behind);

    assert_eq!((suspended.late(), set_forward.late()), ((0, 0), (0, 0)));
    // Waits of librdkafka that began while the clock was ahead may last an hour: it is not asked to end by itself.
    drop(set_forward);
    let told = suspended.stop();
    assert!(told["on_time"].as_u64() > Some(1000), "{told}");
    assert_eq!((&told["too_late"], &told["late_applied"]), (&0.into(), &0.into()), "{told}");
}
