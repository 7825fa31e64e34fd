//! Servers that end, and processes that end between an insert and its progress.

use std::error::Error;

use telemetra_core::{Batch, Retry, Sink, SinkProgress};
use telemetra_sinks::ClickHouse;

use crate::Database;
use crate::common::{batch, moment, readings, tables};
use crate::services::{Kind, Server};

fn history() -> Vec<Batch> {
    let of =
        |nth: u64| batch(nth, vec![readings("a", nth, nth), readings("b", 0, nth), moment("m", nth, true)]);
    (0..10).map(of).collect()
}

/// The tables of a run that nothing disturbed.
fn undisturbed(server: &Server) -> [String; 2] {
    let database = Database::made(server.url(), "undisturbed".to_owned());
    let mut sink = database.sink();
    sink.open(&tables(), None).unwrap();
    sink.apply(&history()).unwrap();
    rows(&database)
}

/// The rows that a query for what is current sees.
fn rows(database: &Database) -> [String; 2] {
    [("device_minute", "device, window_start"), ("moments", "moment_id")]
        .map(|(table, key)| database.ask(&format!("SELECT * FROM {table}_current ORDER BY {key}")))
}

#[test]
fn a_server_that_is_killed_and_a_process_that_ends_leave_the_same_tables() {
    let mut server = Server::of(Kind::ClickHouse).start();
    let expected = undisturbed(&server);
    let database = Database::made(server.url(), "disturbed".to_owned());
    let history = history();
    let mut sink = database.sink();
    sink.open(&tables(), None).unwrap();
    for nth in 0..10 {
        if nth % 3 == 1 {
            server.kill();
            let error = sink.apply(&history[nth..=nth]).unwrap_err();
            assert_eq!(error.retry(), Retry::Transient, "{error}");
            let away = database.sink().open(&tables(), None).unwrap_err();
            assert_eq!(away.retry(), Retry::Transient, "{away}");
            server.start_again();
        }
        let ends = nth % 3 == 2;
        if ends {
            // Kept by itself: the server may merge it away when there is a newer one.
            database.ask("CREATE TABLE kept AS telemetra_progress ENGINE = ReplacingMergeTree(number) ORDER BY pipeline");
            database.ask("INSERT INTO kept SELECT * FROM telemetra_progress FINAL");
        }
        sink.apply(&history[nth..=nth]).unwrap();
        if ends {
            // The process ends after its rows are there and before its time is.
            drop(sink);
            database.ask("DROP TABLE telemetra_progress");
            database.ask("RENAME TABLE kept TO telemetra_progress");
            sink = database.sink();
            let durable = sink.open(&tables(), Some(history[nth].time)).unwrap();
            assert_eq!(durable, Some(history[nth - 1].time));
            sink.apply(&history[nth..=nth]).unwrap();
        }
    }
    assert_eq!(rows(&database), expected);
    assert_eq!(database.ask("SELECT count() FROM telemetra_progress FINAL").trim(), "1");
}

#[test]
fn who_is_not_let_in_is_told_so() {
    let database = Database::new();
    let opened = |sink: ClickHouse| {
        let mut sink = sink;
        sink.open(&tables(), None)
    };
    assert_eq!(opened(database.sink().user("me", "pass:word")).unwrap(), None);
    let wrong = opened(database.sink().user("me", "wr0ng")).unwrap_err();
    assert_eq!(wrong.retry(), Retry::Permanent, "{wrong}");
    assert!(!format!("{wrong}: {:?}", wrong.source()).contains("wr0ng"), "{wrong}");
    let missing = opened(ClickHouse::new(&database.url).unwrap().database("nowhere")).unwrap_err();
    assert_eq!(missing.retry(), Retry::Permanent, "{missing}");
    assert!(missing.to_string().contains("nowhere"), "{missing}");
    let closed = database.sink().apply(&[]).unwrap_err();
    assert!(closed.to_string().contains("not open"), "{closed}");
    for url in
        ["", "localhost:8123", "http://", "http://me:x@host:1", "http://host:1/path", "http://host/?a=b"]
    {
        assert!(ClickHouse::new(url).is_err(), "{url}");
    }
}

#[test]
fn the_progress_is_read_without_taking_over_and_the_old_process_is_refused_after_that() {
    for database in Database::of_each_version() {
        let (mut old, mut new) = (database.sink(), database.sink());
        assert_eq!(new.progress().unwrap(), SinkProgress::Until(None));
        old.open(&tables(), None).unwrap();
        assert_eq!(new.progress().unwrap(), SinkProgress::Until(None));
        let [first, second, third] = [0, 1, 2].map(|nth| batch(nth, vec![readings("a", nth, nth)]));
        old.apply(std::slice::from_ref(&first)).unwrap();
        // Looking is not taking over.
        assert_eq!(new.progress().unwrap(), SinkProgress::Until(Some(first.time)));
        old.apply(std::slice::from_ref(&second)).unwrap();
        assert_eq!(new.open(&tables(), None).unwrap(), Some(second.time));
        let before = rows(&database);
        for _ in 0..2 {
            let error = old.apply(std::slice::from_ref(&third)).unwrap_err();
            assert_eq!(error.retry(), Retry::Permanent);
            assert!(error.to_string().contains("another process has taken over the pipeline"), "{error}");
        }
        assert_eq!(rows(&database), before);
        new.apply(std::slice::from_ref(&third)).unwrap();
        assert_eq!(old.progress().unwrap(), SinkProgress::Until(Some(third.time)));
        // Another pipeline has a progress of its own.
        assert_eq!(database.sink().pipeline("other").progress().unwrap(), SinkProgress::Until(None));
    }
}
