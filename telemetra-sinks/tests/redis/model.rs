//! A plain model of the values of keys: from all changes up to a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use redis::{Commands, Connection};
use serde_json::Value as Json;
use telemetra_core::{Action, Batch, Change, Layout, Moment, RowKey, Value};
use telemetra_sinks::{RedisKeys, RedisTable};

use super::common::{Alert, Device, ReadingsRow, readings_in};
use super::*;

pub(crate) const HORIZON: u64 = 60_000;
pub(crate) const SILENT_AFTER: u64 = 15_000;
pub(crate) const MOST_MOMENTS: usize = 3;

/// All keys by name, but those that say as of when they are; with what they hold as text.
pub(crate) type Held = BTreeMap<String, Vec<(String, String)>>;

/// The names of a sink that keeps two tables of windows, the moments, and two tables of rows.
pub(crate) fn all_names(prefix: &str) -> RedisKeys {
    names(prefix)
        .table(RedisTable::latest("device_hour"))
        .table(RedisTable::rows("devices").key("device:{}:now"))
        .table(RedisTable::rows("alerts"))
}

/// A sink of these names, as the model is.
pub(crate) fn modelled(server: RedisServer, prefix: &str) -> RedisSink {
    at(server, prefix)
        .keys(all_names(prefix))
        .horizon(Duration::from_millis(HORIZON))
        .silent_after(Duration::from_millis(SILENT_AFTER))
        .most_moments(MOST_MOMENTS)
}

/// Opens it with all tables, and the second of windows.
pub(crate) fn open_modelled(sink: &mut RedisSink, resume: Option<EventTime>) {
    let mut tables = all_tables();
    tables.push(Arc::clone(readings_in("device_hour").table()));
    assert_eq!(sink.open(&tables, resume).unwrap(), None);
}

/// The rows after these batches.
pub(crate) fn table(batches: &[Batch]) -> BTreeMap<RowKey, Change> {
    let mut table = BTreeMap::new();
    for change in batches.iter().flat_map(|batch| &batch.changes) {
        match change.action {
            Action::Upsert => drop(table.insert(RowKey::of(&*change.row), change.clone())),
            Action::Withdraw => drop(table.remove(&RowKey::of(&*change.row))),
        }
    }
    table
}

fn text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Unsigned(n) => Some(n.to_string()),
        Value::Signed(n) => Some(n.to_string()),
        Value::Float(x) => Some(x.to_string()),
        Value::Text(text) => Some(text.to_owned()),
        Value::Json(json) => Some(json.to_string()),
        Value::Time(time) => Some(time.to_string()),
        Value::Bytes(bytes) => Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        Value::Integers(list) => Some(serde_json::to_string(list).unwrap()),
        Value::Floats(_) => Some("[0.5,-2.5]".into()),
        Value::Texts(list) => Some(serde_json::to_string(list).unwrap()),
        other => panic!("no row has {other:?}"),
    }
}

/// The fields of a row's hash but `time`.
fn fields(change: &Change) -> Vec<(String, String)> {
    let (mut fields, mut columns) = (Vec::new(), change.row.table().all_columns().iter());
    change.values(EventTime(0), &mut |value| {
        let name = columns.next().unwrap().name.to_string();
        if name != "updated_at" {
            fields.extend(text(value).map(|text| (name, text)));
        }
    });
    fields.sort();
    fields
}

pub(crate) fn expected(keys: &RedisKeys, batches: &[Batch]) -> Held {
    let mut held = Held::new();
    let Some(time) = batches.last().map(|batch| batch.time) else { return held };
    let since = time.minus(HORIZON);
    let rows = table(batches);
    for change in rows.values() {
        if let Some(device) = change.row::<Device>() {
            held.insert(keys.row("devices", &device.device, &[&device.device]), fields(change));
        } else if let Some(alert) = change.row::<Alert>().filter(|alert| alert.raised_at >= since) {
            let key = [&alert.device, &*alert.raised_at.to_string()];
            held.insert(keys.row("alerts", &alert.device, &key), fields(change));
        }
    }
    let devices: BTreeSet<String> = rows.values().map(|change| change.row.subject().into_owned()).collect();
    for device in devices {
        for table in ["device_minute", "device_hour"] {
            let of = rows.values().filter(|change| change.table() == table);
            let of = of.filter_map(|change| Some((change.row::<ReadingsRow>()?, change)));
            let of = of.filter(|(row, _)| row.key == device && row.summary.window.end >= since);
            let Some((row, change)) = of.max_by_key(|(row, _)| row.summary.window.end) else { continue };
            held.insert(keys.latest(table, &device), fields(change));
            if table == "device_minute" && time <= row.summary.window.end.plus(SILENT_AFTER) {
                let mut rank = |key, score: Option<f64>| {
                    let members = score.map(|score| (device.clone(), score.to_string()));
                    held.entry(keys.rank(key)).or_default().extend(members);
                };
                rank("devices:by_rate", Some(row.summary.value.count as f64 / 60.0));
                rank("devices:by_mean", row.summary.value.mean());
            }
        }
        let moments =
            rows.values().filter_map(|change| Some((change.row::<Moment<String>>()?, change.revision)));
        let mut moments: Vec<_> = moments
            .filter(|(moment, _)| moment.key == device && (moment.open || moment.last_at >= since))
            .collect();
        moments.sort_by_key(|(moment, _)| std::cmp::Reverse(moment.started_at));
        let describe = |(moment, revision): (&Moment<String>, u32)| {
            let ended = moment.ended_at().map(|end| end.to_string());
            (moment.id().to_string(), format!("{revision} {ended:?} {}", moment.score.to_f64()))
        };
        if !moments.is_empty() {
            let list = moments.into_iter().take(MOST_MOMENTS).map(describe).collect();
            held.insert(keys.moments("moments", &device), list);
        }
    }
    held.retain(|_, rows| !rows.is_empty());
    for (name, rows) in &mut held {
        if !name.ends_with(":moments") {
            rows.sort();
        }
    }
    held.insert(keys.progress(), vec![(String::new(), time.0.to_string())]);
    held
}

/// The keys that the server holds under the prefix.
pub(crate) fn held(connection: &mut Connection, prefix: &str) -> Held {
    let names: Vec<String> =
        connection.scan_match(format!("{prefix}:*")).unwrap().map(Result::unwrap).collect();
    let mut held = Held::new();
    for name in names {
        if name.ends_with(":as_of") {
            continue;
        }
        let kind: String = redis::cmd("TYPE").arg(&name).query(connection).unwrap();
        let mut rows: Vec<(String, String)> = match kind.as_str() {
            "string" => vec![(String::new(), connection.get(&name).unwrap())],
            "hash" => connection.hgetall(&name).unwrap(),
            "zset" => {
                let members: Vec<(String, f64)> = connection.zrange_withscores(&name, 0, -1).unwrap();
                members.into_iter().map(|(member, score)| (member, score.to_string())).collect()
            }
            "list" => {
                let rows: Vec<String> = connection.lrange(&name, 0, -1).unwrap();
                rows.iter().map(|row| describe(row)).collect()
            }
            other => panic!("{name} is a {other}"),
        };
        if kind == "hash" {
            let time =
                rows.iter().position(|(field, _)| field == "time").expect("a hash says as of when it is");
            let _: u64 = rows.remove(time).1.parse().unwrap();
        }
        if kind != "list" {
            rows.sort();
        }
        held.insert(name, rows);
    }
    held
}

fn describe(row: &str) -> (String, String) {
    let row: Json = serde_json::from_str(row).unwrap();
    let ended = row["ended_at"].as_str();
    (row["moment_id"].as_str().unwrap().to_owned(), format!("{} {ended:?} {}", row["revision"], row["score"]))
}

/// The whole state, as a pipeline gives it that starts from its checkpoint after these batches.
pub(crate) fn whole(batches: &[Batch]) -> Option<Batch> {
    let time = batches.last()?.time;
    let mut changes: Vec<_> = table(batches).into_values().collect();
    common::sort(&mut changes);
    Some(Batch { time, changes })
}

/// A change of a row about now, or of one of a time.
pub(crate) fn of_row<R: telemetra_core::Row>(row: R, revision: u32, action: Action) -> Change {
    common::change(&Layout::of_row(), row, revision, action)
}
