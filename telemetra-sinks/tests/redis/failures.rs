//! A server that fails is waited for, and one that a person has to see to is named.

use std::error::Error;
use std::thread;

use redis::Commands;
use telemetra_core::{ExternalError, Retry};

use super::services::{Kind, Server, shared};
use super::*;

/// The error and what is underneath.
fn whole_text(error: &ExternalError) -> String {
    format!("{error}: {}", error.source().map_or(String::new(), ToString::to_string))
}

#[track_caller]
fn transient(result: Result<(), ExternalError>, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.retry(), Retry::Transient, "{}", whole_text(&error));
    assert!(whole_text(&error).contains(says), "{}", whole_text(&error));
}

#[track_caller]
fn permanent(result: Result<(), ExternalError>, says: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent, "{}", whole_text(&error));
    assert!(whole_text(&error).contains(says), "{}", whole_text(&error));
}

fn set(url: &str, key: &str, value: &str) {
    redis::cmd("CONFIG").arg("SET").arg(key).arg(value).exec(&mut connect(url)).unwrap();
}

/// The readings in the newest window of `d1`.
fn count(url: &str, prefix: &str) -> Option<u64> {
    connect(url).hget(latest(prefix, "d1"), "readings").unwrap()
}

#[test]
fn one_that_is_frozen_is_not_waited_for_for_ever() {
    let server = Server::redis();
    let mut writer = sink(&server.url(), "p");
    open(&mut writer, None).unwrap();
    writer.apply(&[tick(0, &[("d1", 1)])]).unwrap();
    server.freeze();
    // What was sent to it may be done when it is thawed.
    transient(writer.apply(&[tick(1, &[("d1", 2)])]), "no answer in time");
    transient(writer.apply(&[tick(1, &[("d1", 2)])]), "no answer in time");
    transient(open(&mut sink(&server.url(), "p"), None), "no answer in time");
    server.thaw();
    writer.apply(&[tick(1, &[("d1", 2)])]).unwrap();
    assert_eq!(count(&server.url(), "p"), Some(2));
}

#[test]
fn one_that_is_away_is_waited_for() {
    let mut server = Server::redis();
    let mut writer = sink(&server.url(), "p");
    open(&mut writer, None).unwrap();
    server.stop();
    transient(writer.apply(&[tick(0, &[("d1", 1)])]), &format!("127.0.0.1:{}", server.port()));
    transient(writer.apply(&[tick(0, &[("d1", 1)])]), "the connection failed");
    server.start_again();
    writer.apply(&[tick(0, &[("d1", 1)])]).unwrap();
    assert_eq!(count(&server.url(), "p"), Some(1));
}

#[test]
fn a_replica_is_written_once_it_is_the_master() {
    let master = Server::of(Kind::Redis).set("repl-diskless-sync-delay", "0").start();
    let replica = Server::redis();
    let url = replica.url();
    let follow = |host: &str, port: &str| {
        redis::cmd("REPLICAOF").arg(host).arg(port).exec(&mut connect(&url)).unwrap()
    };
    let mut writer = sink(&url, "p");
    open(&mut writer, None).unwrap();
    writer.apply(&[tick(0, &[("d1", 1), ("d2", 5)])]).unwrap();
    // It drops what it had for what its master has: nothing.
    follow("127.0.0.1", &master.port().to_string());
    while connect(&url).exists::<_, bool>(names("p").progress()).unwrap() {
        thread::sleep(Duration::from_millis(10));
    }
    transient(writer.apply(&[tick(1, &[("d1", 2)])]), "it is a replica");
    follow("NO", "ONE");
    writer.apply(&[tick(1, &[("d1", 2)])]).unwrap();
    assert_eq!(count(&url, "p"), Some(2));
    assert!(connect(&url).exists::<_, bool>(latest("p", "d2")).unwrap(), "it is not all anew");
}

#[test]
fn one_that_refuses_writes_for_a_time_is_waited_for() {
    let server = Server::redis();
    let url = server.url();
    let mut writer = sink(&url, "p");
    open(&mut writer, None).unwrap();
    set(&url, "min-replicas-to-write", "1");
    transient(writer.apply(&[tick(0, &[("d1", 1)])]), "NOREPLICAS");
    set(&url, "min-replicas-to-write", "0");
    writer.apply(&[tick(0, &[("d1", 1)])]).unwrap();
    set(&url, "maxmemory", "1");
    transient(writer.apply(&[tick(1, &[("d1", 2)])]), "its memory is full");
    set(&url, "maxmemory", "0");
    writer.apply(&[tick(1, &[("d1", 2)])]).unwrap();
    assert_eq!(count(&url, "p"), Some(2));
    set(&url, "maxclients", "1");
    transient(open(&mut sink(&url, "q"), None), "could not connect");
}

#[test]
fn one_that_a_script_keeps_busy_is_waited_for() {
    let server = Server::of(Kind::Redis).set("busy-reply-threshold", "20").start();
    let url = server.url();
    let mut writer = sink(&url, "p");
    open(&mut writer, None).unwrap();
    let busy = {
        let mut connection = connect(&url);
        thread::spawn(move || redis::cmd("EVAL").arg("while true do end").arg(0).exec(&mut connection))
    };
    let mut other = connect(&url);
    while redis::cmd("PING").exec(&mut other).is_ok() {
        thread::sleep(Duration::from_millis(5));
    }
    transient(writer.apply(&[tick(0, &[("d1", 1)])]), "BUSY");
    redis::cmd("SCRIPT").arg("KILL").exec(&mut other).unwrap();
    assert!(busy.join().unwrap().is_err());
    writer.apply(&[tick(0, &[("d1", 1)])]).unwrap();
    assert_eq!(count(&url, "p"), Some(1));
}

#[test]
fn a_key_of_somebody_else_is_named_and_left_alone() {
    let place = shared(Kind::Redis);
    let mut connection = connect(&place.url);
    for (n, key) in ["latest", "moments", "as_of", "board", "board_as_of", "progress"].into_iter().enumerate()
    {
        let prefix = format!("{}:{n}", place.name);
        let keys = names(&prefix);
        let key = match key {
            "latest" => keys.latest("device_minute", "d1"),
            "moments" => keys.moments("moments", "d1"),
            "as_of" => keys.as_of("d1"),
            "board" => keys.rank("devices:by_mean"),
            "board_as_of" => keys.rank_as_of("devices:by_mean"),
            _ => keys.progress(),
        };
        let mut writer = sink(&place.url, &prefix);
        open(&mut writer, None).unwrap();
        let _: () = connection.sadd(&key, "theirs").unwrap();
        let result = writer.apply(&[tick(0, &[("d1", 1)])]);
        permanent(result, &format!("could not write {key} at"));
        assert_eq!(connection.smembers::<_, Vec<String>>(&key).unwrap(), ["theirs"]);
    }
}

#[test]
fn what_cannot_work_is_refused_when_it_is_opened() {
    let place = shared(Kind::Redis);
    permanent(open(&mut sink(&place.url, "a{b"), None), "has a brace");
    permanent(open(&mut sink("http://127.0.0.1/", "p"), None), "not a URL");
    permanent(open(&mut at(RedisServer::cluster([""; 0]), "p"), None), "could not connect");
    permanent(sink(&place.url, "p").apply(&[]), "call `open` first");
    let with = |table| open(&mut sink(&place.url, &place.name).keys(RedisKeys::default().table(table)), None);
    let by = |column| with(RedisTable::latest("device_minute").rank("by_x", column));
    permanent(
        by("no_such_column"),
        "`no_such_column` of `device_minute`, which is not there; take one of `readings`,",
    );
    permanent(by("tags"), "`tags` of `device_minute`, which is no number; take one of `readings`,");
    permanent(with(RedisTable::rows("devices").rank("by_x", "offset")), "name a table of windows");
    permanent(
        with(RedisTable::latest("lost")),
        "no table `lost`, which `RedisTable` names; it has these: `devices`,",
    );
    permanent(
        with(RedisTable::rows("device_minute")),
        "is a table of windows; name it by `RedisTable::latest`",
    );
    permanent(with(RedisTable::latest("moments")), "is a table of moments; name it by `RedisTable::moments`");
    permanent(with(RedisTable::moments("devices")), "rows of any kind; name it by `RedisTable::rows`");
    permanent(with(RedisTable::rows("devices").key("devices")), "put `{}` there");
    permanent(with(RedisTable::rows("alerts").key("alert:{}")), "say by `{key}`");
    permanent(with(RedisTable::rows("devices").subject_field("row")), "give another by `subject_field`");
    permanent(with(RedisTable::rows("devices").key("as_of:{}")), "give it others by `RedisTable::key`");
    let mut bare = RedisSink::new(&*place.url).prefix(&*place.name);
    permanent(bare.open(&all_tables()[..1], None).map(drop), "name one by `RedisTable::rows`");
    let twice = RedisKeys::default().table(RedisTable::rows("devices")).table(RedisTable::rows("devices"));
    permanent(open(&mut sink(&place.url, "p").keys(twice), None), "named twice");
}
