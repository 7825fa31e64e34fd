//! All that a run leaves behind: the rows of all tables, and the keys.

use std::collections::BTreeMap;

use postgres::{Client, NoTls};
use redis::Commands;
use serde_json::{Map, Value as Json, json};

/// What is equal where runs are.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Of each table, the rows by key, columns by name; times in milliseconds since the epoch.
    pub tables: BTreeMap<&'static str, BTreeMap<String, Json>>,
    /// Of each key in Redis, its value, sorted where its order says nothing.
    pub keys: BTreeMap<String, Json>,
}

const TABLES: [(&str, &[&str]); 6] = [
    ("streams", &["stream_id"]),
    ("chat_summary_minute", &["stream_id", "window_start"]),
    ("viewer_timeseries", &["event_id"]),
    ("transactions", &["transaction_id"]),
    ("moments", &["moment_id"]),
    ("telemetra_dead_letters", &["partition", "offset", "idx"]),
];

pub fn read(postgres: &str, redis: &str) -> State {
    let mut client = Client::connect(postgres, NoTls).unwrap();
    client.batch_execute("SET timezone = 'UTC'").unwrap();
    let tables = TABLES.map(|(table, key)| {
        let rows = client.query(&format!("SELECT row_to_json(t)::text FROM {table} t"), &[]).unwrap();
        let rows = rows.iter().map(|row| {
            let row = plain(serde_json::from_str(row.get(0)).unwrap());
            (key_of(&row, key), row)
        });
        (table, rows.collect())
    });
    State { tables: tables.into(), keys: keys(redis) }
}

/// The values of the key's columns.
pub fn key_of(row: &Json, key: &[&str]) -> String {
    key.iter().map(|column| row[column].to_string()).collect::<Vec<_>>().join(" ")
}

/// With times as numbers.
fn plain(row: Map<String, Json>) -> Json {
    let is_time = |column: &str| {
        ["_at", "window_start", "window_end", "timestamp"].iter().any(|end| column.ends_with(end))
    };
    let value = |(column, value): (String, Json)| {
        let time = value.as_str().filter(|_| is_time(&column)).map(|text| {
            let time: jiff::Timestamp =
                text.parse().unwrap_or_else(|error| panic!("{column} {text}: {error}"));
            json!(time.as_millisecond())
        });
        (column, time.unwrap_or(value))
    };
    Json::Object(row.into_iter().map(value).collect())
}

fn keys(url: &str) -> BTreeMap<String, Json> {
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    // How far a write had come is no fact about a key: it depends on how many batches were taken together.
    let is_fact = |name: &String| !name.contains("as_of");
    let names: Vec<String> = connection.keys("*").unwrap();
    let names = names.into_iter().filter(is_fact);
    let value = |name: String| {
        let kind: String = redis::cmd("TYPE").arg(&name).query(&mut connection).unwrap();
        let value = match kind.as_str() {
            "string" => json!(connection.get::<_, String>(&name).unwrap()),
            "hash" => json!(connection.hgetall::<_, BTreeMap<String, String>>(&name).unwrap()),
            "list" => json!(connection.lrange::<_, Vec<String>>(&name, 0, -1).unwrap()),
            "zset" => json!(connection.zrange_withscores::<_, Vec<(String, f64)>>(&name, 0, -1).unwrap()),
            other => panic!("the key {name} is a {other}"),
        };
        (name, value)
    };
    names.map(value).collect()
}

impl State {
    /// Fails with the first difference.
    pub fn assert_is(&self, expected: &Self, what: &str) {
        for (table, rows) in &expected.tables {
            same(&self.tables[table], rows, &format!("{what}: {table}"));
        }
        same(&self.keys, &expected.keys, &format!("{what}: Redis"));
    }

    /// The rows of a table without the columns that tell how and when it was published, and without what carried a moment,
    /// which the batch job does not compute.
    pub fn facts(&self, table: &str) -> BTreeMap<String, Json> {
        let mut rows = self.tables[table].clone();
        for row in rows.values_mut().filter_map(Json::as_object_mut).filter(|_| table != "streams") {
            row.remove("revision");
            row.remove("updated_at");
            if let Some(context) = row.get_mut("context").and_then(Json::as_object_mut) {
                context.remove("carried");
            }
        }
        rows
    }
}

/// Fails with the first difference of two tables.
pub fn same(found: &BTreeMap<String, Json>, expected: &BTreeMap<String, Json>, what: &str) {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    let nothing = Json::Null;
    let row = |rows: &'_ BTreeMap<String, Json>, key: &String| rows.get(key).unwrap_or(&nothing).clone();
    let differ: Vec<_> =
        keys.into_iter().filter(|key| !alike(&row(found, key), &row(expected, key))).collect();
    if let Some(key) = differ.first() {
        panic!(
            "{what}: {} of {} rows differ, the first is {key}\nfound    {}\nexpected {}",
            differ.len(),
            expected.len(),
            row(found, key),
            row(expected, key)
        );
    }
}

/// Whether two values are equal. Numbers are so if they differ by what the reader of JSON may be off, as 2 and 2.0 do.
fn alike(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= 1e-15 * a.abs().max(b.abs())
        }
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        _ => a == b,
    }
}
