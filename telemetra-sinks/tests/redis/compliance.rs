//! The contract of every sink. Of the tables this one keeps the moments, whole until there are too many.

use redis::Commands;
use serde_json::Value;
use telemetra_core::testkit::{HeldRow, sink_compliance};
use telemetra_sinks::RedisKeys;

use super::services::{Kind, shared};
use super::*;

#[test]
fn redis_keeps_the_contract() {
    let place = shared(Kind::Redis);
    let prefix = |n: u32| format!("{}:{n}", place.name);
    sink_compliance(
        &["moments"],
        |n| Box::new(sink(&place.url, &prefix(n))),
        |n| {
            let mut connection = connect(&place.url);
            let pattern = RedisKeys::new(&prefix(n)).moments("*").replace("%", "*");
            let names: Vec<String> = connection.scan_match(pattern).unwrap().map(Result::unwrap).collect();
            let mut rows = Vec::new();
            for name in names {
                let list: Vec<String> = connection.lrange(name, 0, -1).unwrap();
                rows.extend(list.into_iter().map(|contents| {
                    let row: Value = serde_json::from_str(&contents).unwrap();
                    let key = row["moment_id"].as_str().unwrap().to_owned();
                    HeldRow { table: "moments".into(), key, contents }
                }));
            }
            rows
        },
    );
}
