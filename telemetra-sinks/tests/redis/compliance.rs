//! The contract of every sink. Of the tables this one keeps the rows whole, and the moments until there are
//! too many.

use redis::Commands;
use serde_json::Value;
use telemetra_core::testkit::{HeldRow, sink_compliance};

use super::services::{Kind, shared};
use super::*;

fn kept(prefix: &str) -> RedisKeys {
    RedisKeys::new(prefix)
        .table(RedisTable::moments("moments"))
        .table(RedisTable::rows("devices"))
        .table(RedisTable::rows("payments"))
}

#[test]
fn redis_keeps_the_contract() {
    let place = shared(Kind::Redis);
    let prefix = |n: u32| format!("{}:{n}", place.name);
    sink_compliance(
        &["moments", "devices", "payments"],
        |n| Box::new(RedisSink::new(RedisServer::url(&place.url)).keys(kept(&prefix(n)))),
        |n| {
            let mut connection = connect(&place.url);
            let mut rows = Vec::new();
            let mut names = |pattern: String| -> Vec<String> {
                connection.scan_match(pattern).unwrap().map(Result::unwrap).collect()
            };
            let moments = names(format!("{}:moments:*", prefix(n)));
            let hashes = [("devices", "device"), ("payments", "id")];
            let hashes = hashes.map(|(table, key)| (table, key, names(format!("{}:{table}:*", prefix(n)))));
            for name in moments {
                let list: Vec<String> = connection.lrange(name, 0, -1).unwrap();
                rows.extend(list.into_iter().map(|contents| {
                    let row: Value = serde_json::from_str(&contents).unwrap();
                    let key = row["moment_id"].as_str().unwrap().to_owned();
                    HeldRow { table: "moments".into(), key, contents }
                }));
            }
            for (table, key, names) in hashes {
                for name in names {
                    let mut fields: std::collections::BTreeMap<String, String> =
                        connection.hgetall(name).unwrap();
                    fields.remove("time");
                    let key = fields[key].clone();
                    rows.push(HeldRow { table: table.into(), key, contents: format!("{fields:?}") });
                }
            }
            rows
        },
    );
}
