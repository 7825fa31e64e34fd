//! How long keys live, how many moments there are, and who may overwrite what.

use std::collections::BTreeMap;

use redis::Commands;
use telemetra_core::Sink;
use telemetra_sinks::RedisKeys;

use super::model::held;
use super::services::{Kind, shared};
use super::*;

#[test]
fn keys_expire_but_the_progress_does_not() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name);
    let mut writer = sink(&place.url, &place.name).ttl(Duration::from_secs(100));
    writer.open(None).unwrap();
    let changes = vec![summary("s1", 0, 2, 0, Action::Upsert), moment("s1", 0, 1, true, 0, Action::Upsert)];
    writer.apply(&[common::batch(0, changes)]).unwrap();
    let mut connection = connect(&place.url);
    let mut ttl = |key: String| connection.pttl::<_, i64>(key).unwrap();
    for key in [
        keys.latest("s1"),
        keys.moments("s1"),
        keys.leaderboard("by_chat_rate"),
        keys.leaderboard("by_viewers"),
    ] {
        let ttl = ttl(key.clone());
        assert!((1..=100_000).contains(&ttl), "{key} expires in {ttl} ms");
    }
    for key in [keys.as_of("s1"), keys.leaderboard_as_of("by_viewers")] {
        assert!(ttl(key.clone()) > 100_000, "{key} goes with what it guards");
    }
    assert_eq!(ttl(keys.progress()), -1);
}

#[test]
fn there_are_so_many_moments_and_the_newest_is_first() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name);
    let mut writer = sink(&place.url, &place.name).most_moments(5);
    writer.open(None).unwrap();
    for n in 0..12 {
        writer.apply(&[common::batch(n, vec![moment("s1", n, 1, n == 11, 0, Action::Upsert)])]).unwrap();
    }
    let starts = |connection: &mut Connection| -> Vec<String> {
        let rows: Vec<String> = connection.lrange(keys.moments("s1"), 0, -1).unwrap();
        let rows = rows.iter().map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap());
        rows.map(|row| row["started_at"].as_str().unwrap().to_owned()).collect()
    };
    let start = |n: u64| common::window(n).end.minus(10_000).to_string();
    let mut connection = connect(&place.url);
    assert_eq!(starts(&mut connection), [11, 10, 9, 8, 7].map(start));
    // One that is withdrawn makes room for an older one.
    writer.apply(&[common::batch(12, vec![moment("s1", 9, 1, false, 1, Action::Withdraw)])]).unwrap();
    assert_eq!(starts(&mut connection), [11, 10, 8, 7, 6].map(start));
}

#[test]
fn leaderboards_are_by_any_column() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name);
    let mut writer = sink(&place.url, &place.name).leaderboard("by_chatters", "unique_chatters");
    writer.open(None).unwrap();
    // More than go into one call in the script.
    let streams: Vec<_> = (0..2_500u64).map(|n| (format!("s{n}"), n)).collect();
    let streams: Vec<_> = streams.iter().map(|(stream, n)| (stream.as_str(), *n)).collect();
    writer.apply(&[tick(0, &streams)]).unwrap();
    let mut connection = connect(&place.url);
    let board: BTreeMap<String, f64> =
        connection.zrange_withscores(keys.leaderboard("by_chatters"), 0, -1).unwrap();
    assert_eq!(board.len(), 2_500);
    assert!(streams.iter().all(|(stream, n)| board[*stream] == (n / 2) as f64));
    // All but one fall silent.
    writer.apply(&[tick(8, &streams[..1])]).unwrap();
    let board: Vec<String> = connection.zrange(keys.leaderboard("by_chatters"), 0, -1).unwrap();
    assert_eq!(board, ["s0"]);
}

#[test]
fn starting_over_overwrites_what_is_newer() {
    let place = shared(Kind::Redis);
    let keys = RedisKeys::new(&place.name);
    let mut first = sink(&place.url, &place.name);
    first.open(None).unwrap();
    first.apply(&[tick(100, &[("s1", 100)])]).unwrap();
    let mut connection = connect(&place.url);
    let before = held(&mut connection, &place.name);
    let mut second = sink(&place.url, &place.name);
    second.open(None).unwrap();
    second.apply(&[tick(0, &[("s1", 1)])]).unwrap();
    assert_eq!(held(&mut connection, &place.name), before, "it is from an earlier time");
    for resume in [Some(tick(0, &[]).time), None] {
        let mut third = sink(&place.url, &place.name).start_over();
        third.open(resume).unwrap();
        third.apply(&[tick(1, &[("s1", 7)])]).unwrap();
        let chats: u64 = connection.hget(keys.latest("s1"), "chat_count").unwrap();
        assert_eq!(chats, if resume.is_some() { 100 } else { 7 });
    }
    assert_eq!(connection.get::<_, u64>(keys.progress()).unwrap(), tick(1, &[]).time.0);
}

/// One that is frozen for long, comes back, and has not noticed.
#[test]
fn an_old_process_that_wakes_up_changes_and_publishes_nothing() {
    let place = shared(Kind::Redis);
    let open = |resume| {
        let mut sink = sink(&place.url, &place.name);
        sink.open(resume).unwrap();
        sink
    };
    let mut old = open(None);
    old.apply(&[tick(0, &[("s1", 1), ("s2", 1)])]).unwrap();
    let mut new = open(Some(tick(0, &[]).time));
    new.apply(&[tick(0, &[("s1", 1), ("s2", 1)])]).unwrap();
    new.apply(&[tick(1, &[("s1", 2)]), tick(2, &[("s1", 3)])]).unwrap();
    let mut connection = connect(&place.url);
    let before = held(&mut connection, &place.name);
    let mut listener = connect(&place.url);
    let mut messages = listener.as_pubsub();
    messages.psubscribe(RedisKeys::new(&place.name).live_pattern()).unwrap();
    // Its clock has gone another way, so what it says is not what the new one said.
    old.apply(&[tick(1, &[("s1", 99), ("s2", 99), ("s3", 99)])]).unwrap();
    assert_eq!(held(&mut connection, &place.name), before);
    let _: () = connection.publish(RedisKeys::new(&place.name).live("end"), "end").unwrap();
    assert_eq!(messages.get_message().unwrap().get_payload::<String>().unwrap(), "end");
    // The new one does not take it for a loss.
    new.apply(&[tick(3, &[("s1", 4)])]).unwrap();
    assert_eq!(messages.get_message().unwrap().get_channel_name(), RedisKeys::new(&place.name).live("s1"));
}
