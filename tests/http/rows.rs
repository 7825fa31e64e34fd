//! Tables, keys, rows and moments: what is answered, by range and in pages.

use serde_json::{Value, json};

use crate::devices::Devices;

fn column<'a>(rows: &'a Value, name: &str) -> Vec<&'a Value> {
    rows.as_array().unwrap().iter().map(|row| &row["row"][name]).collect()
}

#[test]
fn tables_and_their_columns_are_listed_and_own_routes_are_beside_them() {
    let devices = Devices::busy();
    assert_eq!(devices.get("/own").text(), "own");
    let list = devices.json("/devices/tables");
    assert_eq!(list["as_of"], "2026-01-01T00:13:59.999Z");
    let tables = list["tables"].as_array().unwrap();
    let names: Vec<_> = tables.iter().map(|table| (&table["name"], &table["shape"])).collect();
    for (name, shape) in
        [("alarms", "rows"), ("device_minute", "windows"), ("device_minute_moments", "moments")]
    {
        assert!(names.contains(&(&json!(name), &json!(shape))), "{names:?}");
    }
    let alarms = tables.iter().find(|table| table["name"] == "alarms").unwrap();
    assert_eq!(
        alarms["columns"][1],
        json!({ "name": "raised_at", "kind": "time", "nullable": false, "is_key": true })
    );
    assert_eq!(alarms["columns"][4]["nullable"], true);
}

#[test]
fn keys_come_in_pages() {
    let devices = Devices::busy();
    let keys = |query: &str| {
        let page = devices.json(&format!("/devices/tables/device_minute/keys{query}"));
        let keys: Vec<_> = page["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| key["key"].as_str().unwrap().to_owned())
            .collect();
        (keys, page["next_after"].clone())
    };
    assert_eq!(keys(""), (vec!["clock".to_owned(), "d/2".to_owned(), "d1".to_owned()], Value::Null));
    assert_eq!(keys("?limit=2"), (vec!["clock".to_owned(), "d/2".to_owned()], json!("d/2")));
    assert_eq!(keys("?limit=2&after=d%2F2"), (vec!["d1".to_owned()], Value::Null));
    assert_eq!(keys("?prefix=d").0, ["d/2", "d1"]);
    let alarms = devices.json("/devices/tables/alarms/keys");
    assert_eq!(alarms["keys"].as_array().unwrap().len(), 1, "only one was hot");
    assert_eq!(alarms["keys"][0]["key"], "d1");
}

#[test]
fn rows_are_answered_by_range_newest_first() {
    let devices = Devices::busy();
    let rows = |key: &str, query: &str| devices.json(&format!("/devices/tables/{key}{query}"));
    let page = rows("device_minute/keys/d%2F2", "?from=2026-01-01T00:03:00Z&to=2026-01-01T00:05:00Z");
    assert_eq!(page["key"], "d/2");
    assert_eq!(column(&page["rows"], "window_end"), ["2026-01-01T00:04:00.000Z", "2026-01-01T00:03:00.000Z"]);
    assert_eq!(column(&page["rows"], "readings"), [3, 3]);
    assert_eq!(page["rows"][0]["updated_at"], "2026-01-01T00:03:59.999Z");
    // A row type of its own, with all kinds of columns.
    let alarms = rows("alarms/keys/d1", "");
    assert_eq!(
        alarms["rows"][0]["row"],
        json!({
            "device": "d1", "raised_at": "2026-01-01T00:12:40.000Z", "celsius": "80.20", "severe": false,
            "note": null, "raw": format!("{:016x}", 80_200_000), "parts": [80_200_000], "labels": ["hot \"and\" bright"],
            "detail": { "of": [1, 2] },
        })
    );
    assert_eq!(rows("alarms/keys/d1", "?to=2026-01-01T00:12:40Z")["rows"].as_array().unwrap().len(), 2);
    assert_eq!(rows("alarms/keys/d%2F2", "")["rows"], json!([]), "it is known, and was never hot");
}

/// Page by page, of any size, the rows are those of one page.
#[test]
fn pages_join_to_the_whole() {
    let devices = Devices::busy();
    for path in ["tables/device_minute/keys/d1", "tables/alarms/keys/d1", "moments"] {
        let list = if path == "moments" { "moments" } else { "rows" };
        let whole = devices.json(&format!("/devices/{path}"))[list].as_array().unwrap().clone();
        assert!(!whole.is_empty(), "{path}");
        for limit in 1..5 {
            let (mut joined, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = devices.json(&format!("/devices/{path}?limit={limit}{cursor}"));
                let rows = page[list].as_array().unwrap();
                assert!(rows.len() <= limit && !rows.is_empty());
                joined.extend(rows.iter().cloned());
                let Some(next) = page["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(joined, whole, "{path} by {limit}");
        }
    }
}

#[test]
fn moments_are_answered_by_key_type_score_chance_and_time() {
    let devices = Devices::busy();
    let moments = |query: &str| devices.json(&format!("/devices/moments{query}"))["moments"].clone();
    let all = moments("");
    let moment = &all[0]["row"];
    assert_eq!((all.as_array().unwrap().len(), &moment["device"]), (1, &json!("d1")));
    let (score, start) = (moment["score"].as_f64().unwrap(), moment["started_at"].as_str().unwrap());
    let (below, above) = (score.abs() - 0.01, score.abs() + 0.01);
    for (query, is_there) in [
        ("?key=d1", true),
        ("?key=d%2F2", false),
        ("?key=nobody", false),
        ("?type=departure", true),
        ("?type=other", false),
        (&format!("?min_score={below}"), true),
        (&format!("?min_score={above}"), false),
        ("?max_chance=1", true),
        ("?max_chance=0", moment["chance"] == 0.0),
        ("?open=true", moment["ended_at"].is_null()),
        (&format!("?from={start}"), true),
        (&format!("?to={start}"), false),
    ] {
        assert_eq!(!moments(query).as_array().unwrap().is_empty(), is_there, "{query}: {all}");
    }
}

#[test]
fn health_and_readiness_are_answered() {
    let devices = Devices::start();
    let ready = devices.get("/devices/ready");
    assert_eq!((ready.status, &ready.json()["status"]), (503, &json!("starting")));
    devices.until(1);
    assert_eq!(devices.json("/devices/ready")["status"], "ready");
    assert_eq!(devices.json("/devices/health")["components"]["pipeline"]["status"], "ok");
    assert_eq!(devices.get("/devices/metrics").text(), "readings 7\n");
    devices.end();
    let health = devices.get("/devices/health");
    assert_eq!((health.status, &health.json()["status"]), (503, &json!("degraded")));
    assert_eq!(health.json()["components"]["pipeline"]["error"], "it was stopped");
}
