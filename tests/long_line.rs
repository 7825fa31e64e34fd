//! A line that is longer than a record may be. Its memory is that of the whole process, so no other test is in this program.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test panics where it finds something wrong")]

mod support;

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use support::streams::{chat, json_pipeline, ten_seconds};
use support::watch::finish;
use telemetra::core::*;
use telemetra::sinks::{Lines, MemorySink};

#[test]
fn a_line_of_a_hundred_megabytes_is_passed_over_in_bounded_memory() {
    const LENGTH: u64 = 100_000_000;
    let peak = || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let mut file = File::create(&path).unwrap();
    let before = chat("a", 0, "before") + "\n";
    file.write_all(before.as_bytes()).unwrap();
    // A hole: zeros that take no room on the disk.
    file.seek(SeekFrom::Current(LENGTH as i64)).unwrap();
    file.write_all(format!("\n{}\n", chat("a", 1, "after")).as_bytes()).unwrap();
    drop(file);
    let sink = MemorySink::new();
    let held = peak();
    let running = json_pipeline(Lines::file(&path), &ten_seconds()).sink(sink.clone()).start().unwrap();
    let fates = finish(running).unwrap().fates;
    assert!(peak() - held < 30_000_000, "{} bytes", peak() - held);
    assert_eq!((fates.on_time, fates.malformed), (2, 1));
    let letter = &sink.dead_letters()[0];
    assert_eq!((letter.offset, letter.bytes.len()), (before.len() as u64, RecordBatch::OVERSIZE_PREFIX));
    assert!(letter.reason.contains("longer than a record may be: 100000000 bytes"), "{}", letter.reason);
}
