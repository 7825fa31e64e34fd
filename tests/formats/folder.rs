//! A folder of logs that rotate while the pipeline runs and while it does not.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use telemetra::core::PartitionId;
use telemetra::ops::Drain;
use telemetra::prelude::*;

use crate::watch::{in_time, until};
use crate::{Reading, counts, line};

fn append(path: &Path, lines: &[String]) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
}

/// Readings of a second each, beginning now, as the windows of idle files close by the clock.
fn lines(device: &str, count: u64) -> Vec<String> {
    let now = Clock::system().now().0;
    (0..count).map(|n| line(device, now + n % 2)).collect()
}

#[cfg(unix)]
#[test]
fn logs_that_rotate_are_read_once_over_restarts() {
    let (logs, checkpoints, tables) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), MemorySink::new());
    let [log, old, older] = ["app.log", "app.log.1", "app.log.2"].map(|name| logs.path().join(name));
    let start = || {
        let pause = Duration::from_millis(2);
        let source = Folder::new(logs.path()).follow(pause).find_files_every(pause);
        let time = TimeConfig {
            idle_after: Some(Duration::from_millis(20)),
            allowed_lateness: Duration::from_secs(3600),
            ..TimeConfig::default()
        };
        Pipeline::<Reading>::new()
            .source(source, SerdeJson::new())
            .time(time)
            .sink(tables.clone())
            .checkpoints(Directory::new(checkpoints.path()), seconds(1))
            .group("device_second", tumbling(seconds(1)), |a| a.count("readings"))
            .key_columns(["device"])
            .start()
            .unwrap()
    };
    let read = |running: &Running, count: u64| {
        until("the lines are read", || running.status().fates.read == count);
    };
    // There is no file yet, and the pipeline waits for one.
    let running = start();
    until("the folder is watched", || running.status().partitions.len() == 1);
    append(&log, &lines("a", 10));
    read(&running, 10);
    fs::rename(&log, &old).unwrap();
    append(&old, &lines("a", 1));
    append(&log, &lines("b", 5));
    read(&running, 16);
    let report = in_time("a drain", move || running.drain(Drain::KeepWindows)).unwrap();
    assert_eq!(report.fates.malformed, 0);

    // It rotates again, and grows, and what was read to its end is deleted, while nothing runs.
    append(&log, &lines("b", 2));
    fs::remove_file(&old).unwrap();
    fs::rename(&log, &older).unwrap();
    append(&log, &lines("c", 3));
    let running = start();
    read(&running, 21);
    fs::remove_file(&older).unwrap();
    until("the deleted file has ended", || {
        let ended = |id: &PartitionId, floor: EventTime| id.as_str().contains('#') && floor == EventTime::MAX;
        running.status().partitions.iter().filter(|one| ended(&one.id, one.floor)).count() == 2
    });
    append(&log, &lines("c", 1));
    read(&running, 22);
    let report = in_time("a drain", move || running.drain(Drain::CloseWindows)).unwrap();
    assert!(report.fates.is_balanced() && report.fates.read == 22, "{:?}", report.fates);
    assert_eq!(counts(&tables), [("a".to_owned(), 11), ("b".to_owned(), 7), ("c".to_owned(), 4)].into());
}
