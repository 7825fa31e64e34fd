//! The lifetime of keys, the number of moments, and who may overwrite what.

use std::collections::BTreeMap;

use redis::Commands;

use super::model::held;
use super::services::{Kind, shared};
use super::*;

#[test]
fn keys_expire_but_the_progress_does_not() {
    let place = shared(Kind::Redis);
    let keys = names(&place.name);
    let mut writer = sink(&place.url, &place.name).ttl(Duration::from_secs(100));
    open(&mut writer, None).unwrap();
    let changes = vec![readings("d1", 0, 2, 0, Action::Upsert), moment("d1", 0, 1, true, 0, Action::Upsert)];
    writer.apply(&[common::batch(0, changes)]).unwrap();
    let mut connection = connect(&place.url);
    let mut ttl = |key: String| connection.pttl::<_, i64>(key).unwrap();
    for key in [
        keys.latest("device_minute", "d1"),
        keys.moments("moments", "d1"),
        keys.rank("devices:by_rate"),
        keys.rank("devices:by_mean"),
    ] {
        let ttl = ttl(key.clone());
        assert!((1..=100_000).contains(&ttl), "{key} expires in {ttl} ms");
    }
    for key in [keys.as_of("d1"), keys.rank_as_of("devices:by_mean")] {
        assert!(ttl(key.clone()) > 100_000, "{key} goes with what it guards");
    }
    assert_eq!(ttl(keys.progress()), -1);
}

#[test]
fn there_are_so_many_moments_and_the_newest_is_first() {
    let place = shared(Kind::Redis);
    let keys = names(&place.name);
    let mut writer = sink(&place.url, &place.name).most_moments(5);
    open(&mut writer, None).unwrap();
    for n in 0..12 {
        writer.apply(&[common::batch(n, vec![moment("d1", n, 1, n == 11, 0, Action::Upsert)])]).unwrap();
    }
    let starts = |connection: &mut Connection| -> Vec<String> {
        let rows: Vec<String> = connection.lrange(keys.moments("moments", "d1"), 0, -1).unwrap();
        let rows = rows.iter().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
        rows.map(|row| row["started_at"].as_str().unwrap().to_owned()).collect()
    };
    let start = |n: u64| common::window(n).end.minus(10_000).to_string();
    let mut connection = connect(&place.url);
    assert_eq!(starts(&mut connection), [11, 10, 9, 8, 7].map(start));
    // One that is withdrawn makes room for an older one.
    writer.apply(&[common::batch(12, vec![moment("d1", 9, 1, false, 1, Action::Withdraw)])]).unwrap();
    assert_eq!(starts(&mut connection), [11, 10, 8, 7, 6].map(start));
}

#[test]
fn leaderboards_are_by_any_column() {
    let place = shared(Kind::Redis);
    let keys = names(&place.name);
    let table = RedisTable::latest("device_minute").rank("by_least", "least");
    let mut writer = sink(&place.url, &place.name).keys(RedisKeys::new(&place.name).table(table));
    open(&mut writer, None).unwrap();
    // More than go into one call in the script.
    let devices: Vec<_> = (0..2_500u64).map(|n| (format!("d{n}"), n)).collect();
    let devices: Vec<_> = devices.iter().map(|(device, n)| (device.as_str(), *n)).collect();
    writer.apply(&[tick(0, &devices)]).unwrap();
    let mut connection = connect(&place.url);
    let board: BTreeMap<String, f64> = connection.zrange_withscores(keys.rank("by_least"), 0, -1).unwrap();
    assert_eq!(board.len(), 2_500);
    assert!(devices.iter().all(|(device, n)| board[*device] == -(*n as f64)));
    // All but one fall silent.
    writer.apply(&[tick(8, &devices[..1])]).unwrap();
    let board: Vec<String> = connection.zrange(keys.rank("by_least"), 0, -1).unwrap();
    assert_eq!(board, ["d0"]);
}

#[test]
fn starting_over_overwrites_what_is_newer() {
    let place = shared(Kind::Redis);
    let keys = names(&place.name);
    let mut first = sink(&place.url, &place.name);
    open(&mut first, None).unwrap();
    first.apply(&[tick(100, &[("d1", 100)])]).unwrap();
    let mut connection = connect(&place.url);
    let before = held(&mut connection, &place.name);
    let mut second = sink(&place.url, &place.name);
    open(&mut second, None).unwrap();
    second.apply(&[tick(0, &[("d1", 1)])]).unwrap();
    assert_eq!(held(&mut connection, &place.name), before, "it is from an earlier time");
    for resume in [Some(tick(0, &[]).time), None] {
        let mut third = sink(&place.url, &place.name).start_over();
        open(&mut third, resume).unwrap();
        third.apply(&[tick(1, &[("d1", 7)])]).unwrap();
        let count: u64 = connection.hget(keys.latest("device_minute", "d1"), "readings").unwrap();
        assert_eq!(count, if resume.is_some() { 100 } else { 7 });
    }
    assert_eq!(connection.get::<_, u64>(keys.progress()).unwrap(), tick(1, &[]).time.0);
}

/// A process that was frozen for long, comes back, and has not noticed.
#[test]
fn an_old_process_that_wakes_up_changes_and_publishes_nothing() {
    let place = shared(Kind::Redis);
    let opened = |resume| {
        let mut sink = sink(&place.url, &place.name);
        open(&mut sink, resume).unwrap();
        sink
    };
    let mut old = opened(None);
    old.apply(&[tick(0, &[("d1", 1), ("d2", 1)])]).unwrap();
    let mut new = opened(Some(tick(0, &[]).time));
    new.apply(&[tick(0, &[("d1", 1), ("d2", 1)])]).unwrap();
    new.apply(&[tick(1, &[("d1", 2)]), tick(2, &[("d1", 3)])]).unwrap();
    let mut connection = connect(&place.url);
    let before = held(&mut connection, &place.name);
    let mut listener = connect(&place.url);
    let mut messages = listener.as_pubsub();
    messages.psubscribe(names(&place.name).live_pattern()).unwrap();
    // Its clock has gone another way, so what it says is not what the new one said.
    old.apply(&[tick(1, &[("d1", 99), ("d2", 99), ("d3", 99)])]).unwrap();
    assert_eq!(held(&mut connection, &place.name), before);
    let _: () = connection.publish(names(&place.name).live("end"), "end").unwrap();
    assert_eq!(messages.get_message().unwrap().get_payload::<String>().unwrap(), "end");
    // The new one does not take it for a loss.
    new.apply(&[tick(3, &[("d1", 4)])]).unwrap();
    assert_eq!(messages.get_message().unwrap().get_channel_name(), names(&place.name).live("d1"));
}

#[test]
fn a_hash_has_the_time_of_the_last_change_however_batches_are_grouped() {
    let place = shared(Kind::Redis);
    let batches = [tick(0, &[("d1", 2), ("d2", 2)]), tick(1, &[("d2", 4)]), tick(9, &[("d3", 2)])];
    let times = |prefix: &str, groups: &[&[Batch]]| {
        let mut writer = sink(&place.url, prefix).silent_after(Duration::from_secs(30));
        open(&mut writer, None).unwrap();
        groups.iter().for_each(|group| writer.apply(group).unwrap());
        let mut connection = connect(&place.url);
        ["d1", "d2", "d3"].map(|device| -> u64 { connection.hget(latest(prefix, device), "time").unwrap() })
    };
    // What a checkpoint brings: a time without changes.
    let empty = common::batch(6, Vec::new());
    let [first, second, third] = batches.clone();
    let single = times(&format!("{}one", place.name), &[&[first], &[second], &[empty], &[third]]);
    assert_eq!(times(&format!("{}all", place.name), &[&batches]), single);
    // Two have fallen silent since, a millisecond after the time that they may be quiet.
    let silent = |nth| common::window(nth).end.plus(30_001).0;
    assert_eq!(single, [silent(0), silent(1), batches[2].time.0]);
}
