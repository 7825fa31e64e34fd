//! The throughput of the connectors. Run in release, one at a time:
//! `cargo test --release -p telemetra-sinks --test throughput -- --ignored --nocapture --test-threads 1`
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;
use std::time::Instant;

use common::{batches, tables};
use telemetra_core::{Polled, RecordBatch, Sink, Source};
use telemetra_sinks::{JsonLines, Lines};

fn measure(name: &str, sink: &mut dyn Sink, devices: u64, windows: u64, at_once: usize) {
    let batches = batches(devices, windows);
    sink.open(&tables(), None).unwrap();
    let start = Instant::now();
    for batch in batches.chunks(at_once) {
        sink.apply(batch).unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    let rows = devices * windows;
    println!(
        "{name}: {devices} devices, {windows} batches, {at_once} at once: {:.0} rows/s",
        rows as f64 / took
    );
}

#[cfg(feature = "sqlite")]
#[test]
#[ignore = "a measurement"]
fn sqlite() {
    for (devices, windows, at_once) in [(1_000, 360, 1), (1_000, 360, 30), (10_000, 60, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = telemetra_sinks::Sqlite::new(folder.path().join("t.db"));
        measure("sqlite", &mut sink, devices, windows, at_once);
    }
}

#[test]
#[ignore = "a measurement"]
fn json_lines() {
    for (devices, windows, at_once) in [(1_000, 360, 1), (1_000, 360, 30), (10_000, 60, 1)] {
        let folder = tempfile::tempdir().unwrap();
        measure("json_lines", &mut JsonLines::new(folder.path()), devices, windows, at_once);
    }
}

#[test]
#[ignore = "a measurement"]
fn lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let line = format!("{}\n", "x".repeat(279));
    std::fs::write(&path, line.repeat(2_000_000)).unwrap();
    for round in 0..3 {
        let mut source = Lines::file(&path);
        let id = source.partitions().unwrap().remove(0);
        let mut partition = source.open(&id, None).unwrap();
        let (mut batch, mut count) = (RecordBatch::default(), 0);
        let start = Instant::now();
        loop {
            batch.clear();
            let polled = partition.poll(&mut batch).unwrap();
            count += black_box(&batch).records().len();
            if polled == Polled::Done {
                break;
            }
        }
        let rate = count as f64 / start.elapsed().as_secs_f64() / 1e6;
        println!("lines, round {round}: {count} lines of 280 bytes: {rate:.1} M lines/s");
    }
}
