//! The throughput of the sink. Run in release: `cargo test --release -p telemetra-sinks --features redis --test
//! redis throughput -- --ignored --nocapture --test-threads 1`

use std::fs;
use std::time::Instant;

use super::services::Server;
use super::*;

/// Seconds of processor time that a process has had.
fn processor_time(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

#[test]
#[ignore = "a measurement"]
fn rows() {
    for (devices, windows, at_once) in [(1_000u64, 200u64, 1usize), (1_000, 200, 16), (10_000, 20, 1)] {
        let server = Server::redis();
        let mut writer = sink(&server.url(), "telemetra");
        open(&mut writer, None).unwrap();
        let batches: Vec<_> = (0..windows).map(|n| batch(devices, n)).collect();
        let (ours, theirs) = (processor_time("self"), processor_time(&server.pid().to_string()));
        let start = Instant::now();
        for batches in batches.chunks(at_once) {
            writer.apply(batches).unwrap();
        }
        let (took, rows) = (start.elapsed().as_secs_f64(), (devices * windows) as f64);
        let memory: String = redis::cmd("INFO").arg("memory").query(&mut connect(&server.url())).unwrap();
        println!("{}", memory.lines().nth(1).unwrap());
        let per_row = |before: f64, pid: &str| (processor_time(pid) - before) / rows * 1e6;
        println!(
            "redis: {devices} devices, {windows} batches, {at_once} at once: {:.0} rows/s; processor \
             time per row: sink {:.1} µs, server {:.1} µs",
            rows / took,
            per_row(ours, "self"),
            per_row(theirs, &server.pid().to_string()),
        );
    }
}

fn batch(devices: u64, nth: u64) -> Batch {
    let layout = readings_in("device_minute");
    let change = |device: u64| {
        let count = 1_000 + device * 2;
        let tags = ["red", "green", "blue", "cyan", "magenta", "yellow", "black", "white", "grey", "brown"];
        let tags = tags.map(str::to_owned).into();
        let readings = Readings {
            count,
            mean: Some(count as i64 * 10_000_000),
            peak: Some(count * 11),
            least: -1,
            tags,
        };
        layout.upsert(readings_row(&format!("device-{device:06}"), nth, readings), 0)
    };
    common::batch(nth, (0..devices).map(change).collect())
}
