//! The workload of the benchmarks is what it says.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use telemetra::livestream::testkit::Workload;

fn time(event: &Value) -> u64 {
    let time: jiff::Timestamp = event["timestamp"].as_str().unwrap().parse().unwrap();
    time.as_millisecond().try_into().unwrap()
}

#[test]
fn the_workload_is_what_it_says() {
    let workload = Workload::standard().events(60_000).minutes(1);
    let lines = workload.records().unwrap();
    assert_eq!(lines, workload.records().unwrap());
    let events: Vec<Value> = lines
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    assert_eq!(events.len(), 60_000);
    let size = lines.len() as f64 / 60_000.0 - 1.0;
    assert!((277.0..283.0).contains(&size), "records of {size} bytes");

    let mut by_stream: HashMap<&str, u64> = HashMap::new();
    for event in &events {
        *by_stream.entry(event["stream_id"].as_str().unwrap()).or_default() += 1;
    }
    let whole: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-0.9)).sum();
    for rank in [1, 2, 10, 100] {
        let expected = 60_000.0 * f64::from(rank).powf(-0.9) / whole;
        let seen = by_stream[format!("stream_{rank:04}").as_str()] as f64;
        assert!((seen - expected).abs() < 4.0 * expected.sqrt(), "rank {rank}: {seen}, expected {expected}");
    }
    let ids: HashSet<&str> = events.iter().map(|e| e["event_id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 60_000, "each event has an id of its own");
    let backwards = events.windows(2).filter(|pair| time(&pair[1]) < time(&pair[0])).count();
    assert!((20_000..35_000).contains(&backwards), "{backwards} of 60,000 are behind the one before");
}
