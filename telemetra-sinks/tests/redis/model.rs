//! What the keys should hold, the plain way: from all changes up to a time.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Commands, Connection};
use serde_json::Value as Json;
use telemetra_core::{Action, Batch, Change, EventTime, Row, StreamSummary};
use telemetra_sinks::{Layout, RedisKeys, RowKey, Tabular, Value};

pub(crate) const HORIZON: u64 = 60_000;
pub(crate) const SILENT_AFTER: u64 = 15_000;
pub(crate) const MOST_MOMENTS: usize = 3;

/// All keys by name, but those that say as of when they are; with what they hold as text.
pub(crate) type Held = BTreeMap<String, Vec<(String, String)>>;

/// The rows after these batches, by stream and key.
pub(crate) fn table(batches: &[Batch<StreamSummary>]) -> BTreeMap<RowKey, Change<StreamSummary>> {
    let mut table = BTreeMap::new();
    for change in batches.iter().flat_map(|batch| &batch.changes) {
        match change.action {
            Action::Upsert => drop(table.insert(RowKey::of(&change.row), change.clone())),
            Action::Withdraw => drop(table.remove(&RowKey::of(&change.row))),
        }
    }
    table
}

fn text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Unsigned(n) => Some(n.to_string()),
        Value::Float(x) => Some(x.to_string()),
        Value::Shown(shown) | Value::Json(shown) => Some(shown.to_string()),
        Value::Time(time) => Some(time.to_string()),
        other => panic!("summaries have no {other:?}"),
    }
}

pub(crate) fn expected(keys: &RedisKeys, batches: &[Batch<StreamSummary>]) -> Held {
    let mut held = Held::new();
    let Some(time) = batches.last().map(|batch| batch.time) else { return held };
    let since = time.minus(HORIZON);
    let rows = table(batches);
    let mut streams = BTreeSet::new();
    for change in rows.values() {
        match &change.row {
            Row::Summary(stream, _) => streams.insert(stream.clone()),
            Row::Moment(moment) => streams.insert(moment.stream_id.clone()),
            _ => false,
        };
    }
    for stream in streams {
        let of = rows.values().filter_map(|change| match &change.row {
            Row::Summary(id, summary) if *id == stream && summary.window.end >= since => {
                Some((summary, change))
            }
            _ => None,
        });
        if let Some((summary, change)) = of.max_by_key(|(summary, _)| summary.window.end) {
            let mut fields = vec![
                ("stream_id".to_owned(), stream.to_string()),
                ("window_start".to_owned(), summary.window.start.to_string()),
                ("window_end".to_owned(), summary.window.end.to_string()),
                ("revision".to_owned(), change.revision.to_string()),
            ];
            let mut names = StreamSummary::COLUMNS.iter();
            Layout::tabular().values(&*summary.value, summary.window, &mut |value| {
                let name = names.next().unwrap().name;
                fields.extend(text(value).map(|text| (name.to_owned(), text)));
            });
            fields.sort();
            held.insert(keys.latest(&stream), fields);
            if time <= summary.window.end.plus(SILENT_AFTER) {
                let mut rank = |name, score: Option<f64>| {
                    let members = score.map(|score| (stream.to_string(), score.to_string()));
                    held.entry(keys.leaderboard(name)).or_default().extend(members);
                };
                rank("by_chat_rate", Some(summary.value.chat_count as f64 / 60.0));
                rank("by_viewers", summary.value.avg_viewers());
            }
        }
        let mut moments: Vec<_> = rows
            .values()
            .filter_map(|change| match &change.row {
                Row::Moment(moment) if moment.stream_id == stream => Some((moment, change.revision)),
                _ => None,
            })
            .filter(|(moment, _)| moment.open || moment.last_at >= since)
            .collect();
        moments.sort_by_key(|(moment, _)| std::cmp::Reverse(moment.started_at));
        let describe = |(moment, revision): (&telemetra_core::Moment, u32)| {
            let ended = moment.ended_at().map(|end| end.to_string());
            (moment.id().to_string(), format!("{revision} {ended:?} {}", moment.score.to_f64()))
        };
        if !moments.is_empty() {
            held.insert(
                keys.moments(&stream),
                moments.into_iter().take(MOST_MOMENTS).map(describe).collect(),
            );
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

/// All that the server holds under the prefix.
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
pub(crate) fn whole(batches: &[Batch<StreamSummary>]) -> Option<Batch<StreamSummary>> {
    let time: EventTime = batches.last()?.time;
    let mut changes: Vec<_> = table(batches).into_values().collect();
    changes.sort();
    Some(Batch { time, changes })
}
