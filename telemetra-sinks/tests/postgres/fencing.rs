//! A process that was thought dead and wakes up changes nothing.

use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{EventTime, ExternalError, Retry, Shard, Sink};
use telemetra_sinks::{Postgres, PostgresConfig, PostgresStore};

use super::common::{batch, letter, readings, tables};
use super::compliance::held;
use super::proxy::{Proxy, Then};
use super::server::{Database, database};

fn sink(database: &Database, index: usize, of: usize) -> Postgres {
    Postgres::new(database.config()).shard(Shard { index, of })
}

fn time(nth: u64) -> EventTime {
    batch(nth, vec![]).time
}

fn lost(error: &ExternalError) {
    assert_eq!(error.retry(), Retry::Permanent);
    assert!(error.to_string().contains("another process has taken over"), "{error}");
}

/// Checks that nothing which the old process tries leaves a trace.
fn is_fenced(old: &mut Postgres, database: &Database) {
    let progress = || database.text("SELECT json_agg(p ORDER BY shard)::text FROM telemetra_progress p");
    let before = (held(database), progress());
    lost(&old.apply(&[batch(50, vec![readings("s", 7, 7)])]).unwrap_err());
    lost(&old.dead_letters(&[letter(99, b"x")]).unwrap_err());
    lost(&old.apply(&[batch(51, vec![])]).unwrap_err());
    assert_eq!((held(database), progress()), before);
}

#[test]
fn the_old_process_is_refused_when_a_new_one_has_opened() {
    let database = database();
    let (mut old, mut new) = (sink(&database, 0, 1), sink(&database, 0, 1));
    old.open(&tables(), None).unwrap();
    old.apply(&[batch(0, vec![readings("s", 0, 1)])]).unwrap();
    assert_eq!(new.open(&tables(), None).unwrap(), Some(time(0)));
    is_fenced(&mut old, &database);
    new.apply(&[batch(1, vec![readings("s", 1, 2)])]).unwrap();
    is_fenced(&mut old, &database);
    // Other shards and other pipelines have rows of their own.
    let mut other = sink(&database, 0, 1).pipeline("other");
    assert_eq!(other.open(&tables(), None).unwrap(), None);
    other.apply(&[batch(9, vec![readings("o", 0, 1)])]).unwrap();
    new.apply(&[batch(2, vec![])]).unwrap();
}

#[test]
fn another_number_of_shards_starts_from_what_all_had_and_fences_the_old_ones() {
    let database = database();
    let open = |index, of| {
        let mut sink = sink(&database, index, of);
        let durable = sink.open(&tables(), None).unwrap();
        (sink, durable)
    };
    let ((mut a, _), (mut b, none)) = (open(0, 2), open(1, 2));
    assert_eq!(none, None);
    a.apply(&[batch(5, vec![readings("s", 0, 1)])]).unwrap();
    // One that has nothing is less than any.
    let (mut c, least) = open(2, 3);
    assert_eq!(least, None);
    is_fenced(&mut a, &database);
    is_fenced(&mut b, &database);
    let ((mut d, _), (mut e, _)) = (open(0, 3), open(1, 3));
    c.apply(&[batch(7, vec![])]).unwrap();
    d.apply(&[batch(6, vec![])]).unwrap();
    e.apply(&[batch(9, vec![])]).unwrap();
    assert_eq!(open(1, 3).1, Some(time(9)), "the same number goes on where each was");
    let (mut whole, least) = open(0, 1);
    assert_eq!(least, Some(time(6)));
    for old in [&mut c, &mut d, &mut e] {
        is_fenced(old, &database);
    }
    whole.apply(&[batch(7, vec![])]).unwrap();
    assert_eq!(open(3, 4).1, Some(time(7)));
    assert_eq!(open(0, 4).1, Some(time(7)), "all of them");
    assert_eq!(database.text("SELECT count(*) FROM telemetra_progress"), "4");
    let none = sink(&database, 4, 4).open(&tables(), None).unwrap_err();
    assert!(none.to_string().contains("no shard 4 among 4"), "{none}");
}

#[test]
fn a_shard_that_starts_over_empties_what_is_its_own() {
    let database = database();
    let streams: Vec<String> = (0..20).map(|n| format!("s{n}")).collect();
    let mine = |shard: usize| streams.iter().filter(move |stream| Shard::index_of(stream, 2) == shard);
    let rows = |shard| mine(shard).map(|stream| readings(stream, 0, 1)).collect::<Vec<_>>();
    assert!(mine(0).count() > 0 && mine(1).count() > 0);
    for shard in [0, 1] {
        let mut sink = sink(&database, shard, 2);
        sink.open(&tables(), None).unwrap();
        sink.apply(&[batch(0, rows(shard))]).unwrap();
    }
    let mut first = sink(&database, 0, 2).start_over();
    assert_eq!(first.open(&tables(), None).unwrap(), None);
    first.apply(&[batch(0, rows(0))]).unwrap();
    let mut second = sink(&database, 1, 2).start_over();
    assert_eq!(second.open(&tables(), None).unwrap(), None);
    assert_eq!(
        held(&database).len(),
        streams.len(),
        "the second has nothing that could take its rows' place"
    );
    let one = rows(1).into_iter().take(1).collect();
    second.apply(&[batch(1, one)]).unwrap();
    assert_eq!(held(&database).len(), mine(0).count() + 1, "what the first wrote since is there");
}

/// The old one sleeps within its transaction: the new one waits until the server ends that, and the old one's commit comes too late.
#[test]
fn a_process_that_sleeps_within_a_transaction_is_fenced() {
    let database = database();
    let proxy = Proxy::to(database.address());
    let config = PostgresConfig::from_url(&database.words_at(("127.0.0.1", proxy.port))).unwrap();
    let mut old = Postgres::new(config.statement_timeout(Duration::from_secs(2)));
    old.open(&tables(), None).unwrap();
    old.apply(&[batch(0, vec![readings("s", 0, 1)])]).unwrap();
    proxy.when("COMMIT", Then::Hold);
    let sleeper = std::thread::spawn(move || {
        let outcome = old.apply(&[batch(1, vec![readings("s", 0, 666)])]);
        (old, outcome)
    });
    while proxy.triggered() == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let mut new = sink(&database, 0, 1);
    assert_eq!(new.open(&tables(), None).unwrap(), Some(time(0)), "the old one's transaction has gone");
    new.apply(&[batch(1, vec![readings("s", 0, 2)])]).unwrap();
    proxy.go_on();
    let (mut old, outcome) = sleeper.join().unwrap();
    assert_eq!(outcome.unwrap_err().retry(), Retry::Transient, "it cannot know yet");
    is_fenced(&mut old, &database);
    assert_eq!(database.text("SELECT readings FROM device_minute"), "2");
}

#[test]
fn an_old_process_stores_and_removes_no_checkpoint() {
    let database = database();
    let store = |process, processes| {
        let mut store = PostgresStore::new(database.config());
        store.claim(process, processes).unwrap();
        store
    };
    let (mut old, mut beyond) = (store(0, 2), store(1, 2));
    old.put("a", b"old").unwrap();
    beyond.put("b", b"old").unwrap();
    let mut new = store(0, 1);
    for old in [&mut old, &mut beyond] {
        lost(&old.put("a", b"overwritten").unwrap_err());
        lost(&old.put("c", b"new").unwrap_err());
        lost(&old.remove("a").unwrap_err());
    }
    assert_eq!(new.list().unwrap(), ["a", "b"]);
    assert_eq!(new.get("a").unwrap().unwrap(), b"old");
    new.put("a", b"new").unwrap();
    // A new process at the place of one that was forgotten does not wake that one up.
    let mut again = store(1, 2);
    lost(&beyond.put("b", b"x").unwrap_err());
    again.put("b", b"new").unwrap();
    new.remove("a").unwrap();
    assert_eq!(again.list().unwrap(), ["b"]);
}
