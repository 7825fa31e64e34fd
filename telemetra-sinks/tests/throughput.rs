//! How fast the connectors are. Run in release, one at a time:
//! `cargo test --release -p telemetra-sinks --test throughput -- --ignored --nocapture --test-threads 1`
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::Instant;

use telemetra_core::{
    Action, Batch, Change, Counted, EventTime, Polled, RecordBatch, Row, Sink, Source, StreamId,
    StreamSummary, Summary, Window,
};
use telemetra_sinks::{JsonLines, Lines};

/// Windows of so many streams, a batch each.
fn batches(streams: u64, windows: u64) -> Vec<Batch<StreamSummary>> {
    let emotes =
        ["Kappa", "PogChamp", "LUL", "KEKW", "monkaS", "OMEGALUL", "Pepega", "5Head", "Sadge", "Clap"];
    let batch = |nth: u64| {
        let start = EventTime(1_767_225_600_000 + nth * 10_000);
        let window = Window { start, end: start.plus(60_000) };
        let change = |stream: u64| {
            let top_emotes =
                (0..10).map(|i| Counted { name: emotes[i as usize].into(), count: 50 - i }).collect();
            let value = StreamSummary {
                chat_count: 1_000 + stream,
                unique_chatters: 321,
                positive_count: 200,
                negative_count: 100,
                sentiment_sum: 1_234_567,
                top_emotes,
                viewer_sum: 123_456 + u128::from(stream),
                viewer_events: 6,
                peak_viewers: Some(25_000),
                transaction_count: 2,
                transaction_amount: [12_500_000, 0, 4_990_000, 0],
            };
            let row = Row::Summary(
                StreamId::new(&format!("stream-{stream:06}")),
                Summary { window, value: value.into() },
            );
            Change { row, revision: 0, action: Action::Upsert }
        };
        Batch { time: EventTime(window.end.0 - 1), changes: (0..streams).map(change).collect() }
    };
    (0..windows).map(batch).collect()
}

fn measure(name: &str, sink: &mut dyn Sink<StreamSummary>, streams: u64, windows: u64, at_once: usize) {
    let batches = batches(streams, windows);
    sink.open(None).unwrap();
    let start = Instant::now();
    for batch in batches.chunks(at_once) {
        sink.apply(batch).unwrap();
    }
    let took = start.elapsed().as_secs_f64();
    let rows = streams * windows;
    println!(
        "{name}: {streams} streams, {windows} batches, {at_once} at once: {:.0} rows/s",
        rows as f64 / took
    );
}

#[cfg(feature = "sqlite")]
#[test]
#[ignore = "a measurement"]
fn sqlite() {
    for (streams, windows, at_once) in [(1_000, 360, 1), (1_000, 360, 30), (10_000, 60, 1)] {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = telemetra_sinks::Sqlite::new(folder.path().join("t.db"));
        measure("sqlite", &mut sink, streams, windows, at_once);
    }
}

#[test]
#[ignore = "a measurement"]
fn json_lines() {
    for (streams, windows, at_once) in [(1_000, 360, 1), (1_000, 360, 30), (10_000, 60, 1)] {
        let folder = tempfile::tempdir().unwrap();
        measure("json_lines", &mut JsonLines::new(folder.path()), streams, windows, at_once);
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
