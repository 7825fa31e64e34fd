//! Failures: whether they are retried, and that what comes after is right.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::{Action, Batch, Change, ExternalError, Retry, Sink};
use telemetra_sinks::{Postgres, PostgresConfig, PostgresStore};

use super::common::{batch, batches, letter, readings, tables};
use super::compliance::held;
use super::proxy::{Proxy, Then};
use super::server::{Database, NOBODY, administrator, database, database_in, durable};

fn chain(error: &ExternalError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

fn transient(error: &ExternalError) -> String {
    assert_eq!(error.retry(), Retry::Transient, "{}", chain(error));
    chain(error)
}

/// Tries again as a pipeline would, and says how often it failed.
fn persist(mut attempt: impl FnMut() -> Result<(), ExternalError>) -> u32 {
    let mut failed = 0;
    while let Err(error) = attempt() {
        transient(&error);
        failed += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    failed
}

fn through(proxy: &Proxy, database: &Database) -> PostgresConfig {
    PostgresConfig::from_url(&database.words_at(("127.0.0.1", proxy.port))).unwrap()
}

#[test]
fn what_will_not_pass_is_permanent_and_says_what_to_do() {
    let database = database();
    let error = |config: PostgresConfig| {
        let error = Postgres::new(config).open(&tables(), None).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent, "{}", chain(&error));
        chain(&error)
    };
    let none = error(database.config().database("no_such"));
    assert!(none.contains("`no_such` at ") && none.contains("make the database first"), "{none}");
    let nobody = error(database.config().user("nobody"));
    assert!(nobody.contains("check user and password"), "{nobody}");
    let mut client = database.client();
    client
        .batch_execute(
            "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN; REVOKE CREATE ON SCHEMA public FROM public",
        )
        .unwrap();
    let guest = error(database.config().user("guest"));
    assert!(guest.contains("grant the role the right") && guest.contains("permission denied"), "{guest}");
    let mut sink = Postgres::new(database.config());
    let closed = sink.apply(&[batch(0, vec![])]).unwrap_err();
    assert!(closed.to_string().contains("call `open` first"), "{closed}");
}

/// Each transaction that writes a row notes how its session confirms.
#[test]
fn where_the_server_confirms_too_early_the_sink_does_not() {
    let database = database();
    let mut client = database.client();
    let settings = [
        ("off", "on"),
        // Weaker than what is usual, but what was confirmed survives a crash of the server.
        ("local", "local"),
    ];
    for (nth, (server, session)) in settings.into_iter().enumerate() {
        client
            .batch_execute(&format!("ALTER DATABASE {} SET synchronous_commit = {server}", database.name))
            .unwrap();
        let mut sink = Postgres::new(database.config());
        sink.open(&tables(), None).unwrap();
        client
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS noted (setting text);
                 CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                     INSERT INTO noted VALUES (current_setting('synchronous_commit')); RETURN NULL;
                 END $$;
                 CREATE OR REPLACE TRIGGER note AFTER INSERT ON device_minute EXECUTE FUNCTION note();
                 DELETE FROM noted",
            )
            .unwrap();
        let nth = nth as u64;
        sink.apply(&[batch(nth, vec![readings("d1", nth, 1)])]).unwrap();
        assert_eq!(database.text("SELECT min(setting) FROM noted"), session, "where the server has {server}");
    }
}

#[test]
fn no_server_is_transient() {
    let config = PostgresConfig::new("127.0.0.1").port(NOBODY).password("hush");
    let text = transient(&Postgres::new(config.clone()).open(&tables(), None).unwrap_err());
    assert!(text.contains("check that the server runs"), "{text}");
    transient(&PostgresStore::new(config.clone()).list().unwrap_err());
    assert!(!text.contains("hush") && !format!("{config:?}").contains("hush"));
}

#[test]
fn a_wrong_password_is_permanent_and_not_shown() {
    let server = durable(&[]);
    let database = database_in(&server, "t");
    database.client().batch_execute("ALTER ROLE telemetra PASSWORD 'right'").unwrap();
    let rules = server.folder().join("data/pg_hba.conf");
    std::fs::write(rules, "host all all 127.0.0.1/32 scram-sha-256\n").unwrap();
    administrator(&server).batch_execute("SELECT pg_reload_conf()").unwrap();
    let open = |password: &str| Postgres::new(database.config().password(password)).open(&tables(), None);
    let mut outcome = open("wrong");
    // The server reads its rules when it gets round to it.
    for _ in 0..500 {
        if outcome.is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
        outcome = open("wrong");
    }
    let error = outcome.unwrap_err();
    assert_eq!(error.retry(), Retry::Permanent, "{}", chain(&error));
    assert!(
        chain(&error).contains("check user and password") && !chain(&error).contains("wrong\""),
        "{}",
        chain(&error)
    );
    open("right").unwrap();
}

#[test]
fn a_connection_that_is_cut_anywhere_leaves_all_or_nothing() {
    for (wanted, then) in [
        ("FOR NO KEY UPDATE", Then::CutBefore),
        ("BEGIN", Then::CutBefore),
        ("BEGIN", Then::CutAfter),
        ("device-000999", Then::CutBefore),
        ("COMMIT", Then::CutBefore),
        ("COMMIT", Then::CutAfter),
    ] {
        let database = database();
        let proxy = Proxy::to(database.address());
        let mut sink = Postgres::new(through(&proxy, &database));
        sink.open(&tables(), None).unwrap();
        let batches = batches(1_000, 2);
        sink.apply(&batches[..1]).unwrap();
        sink.dead_letters(&[letter(1, b"x")]).unwrap();
        let mut second = batches[1].clone();
        second.changes.push(Change { action: Action::Withdraw, ..batches[0].changes[7].clone() });
        super::common::sort(&mut second.changes);
        proxy.when(wanted, then);
        let outcome = sink.apply(std::slice::from_ref(&second));
        if wanted == "FOR NO KEY UPDATE" {
            // It is prepared already: this never comes.
            outcome.unwrap();
        } else {
            let text = transient(&outcome.unwrap_err());
            assert_eq!(proxy.triggered(), 1);
            assert!(text.contains("the connection is lost"), "{wanted}: {text}");
            let committed = wanted == "COMMIT" && then == Then::CutAfter;
            let rows = if committed { "1999" } else { "1000" };
            assert_eq!(database.text("SELECT count(*) FROM device_minute"), rows, "{wanted}");
            sink.apply(std::slice::from_ref(&second)).unwrap();
        }
        assert_eq!(database.text("SELECT count(*) FROM device_minute"), "1999", "{wanted}");
        assert_eq!(Postgres::new(database.config()).open(&tables(), None).unwrap(), Some(second.time));
    }
}

/// Writes batches while `trouble` does what it does, and compares with a run without.
fn survives(trouble: impl FnOnce(&Database) + Send) {
    let (database, calm) = (database(), database());
    let mut history: Vec<Batch> = batches(200, 150);
    for n in (10..150).step_by(10) {
        let old = history[n - 5].changes[n].clone();
        history[n].changes.push(Change { action: Action::Withdraw, ..old });
        super::common::sort(&mut history[n].changes);
    }
    let done = AtomicBool::new(false);
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    let failures = std::thread::scope(|scope| {
        let troubled = scope.spawn(|| {
            trouble(&database);
            done.store(true, Ordering::SeqCst);
        });
        let mut failures = 0;
        let (mut nth, mut runs) = (0, 0);
        // On and on, until the trouble is over and everything is written.
        while nth < history.len() || !done.load(Ordering::SeqCst) {
            if nth == history.len() {
                (nth, runs) = (0, runs + 1);
            }
            let mut batch = history[nth].clone();
            batch.time = batch.time.plus(runs * 10_000_000);
            failures += persist(|| sink.dead_letters(&[letter(nth as u64, b"x")]));
            failures += persist(|| sink.apply(std::slice::from_ref(&batch)));
            nth += 1;
        }
        troubled.join().unwrap();
        failures
    });
    assert!(failures > 0, "there was no trouble");
    let mut undisturbed = Postgres::new(calm.config());
    undisturbed.open(&tables(), None).unwrap();
    undisturbed.apply(&history).unwrap();
    let without_time = |database: &Database| {
        database.client().batch_execute("UPDATE device_minute SET updated_at = window_end").unwrap();
        held(database).into_iter().filter(|row| row.table != "telemetra_dead_letters").collect::<Vec<_>>()
    };
    assert_eq!(without_time(&database), without_time(&calm));
    assert_eq!(database.text("SELECT count(*) FROM telemetra_dead_letters"), "150");
}

#[test]
fn connections_that_are_ended_again_and_again_cost_nothing() {
    survives(|database| {
        for _ in 0..30 {
            database.cut_all();
            std::thread::sleep(Duration::from_millis(30));
        }
    });
}

#[test]
fn a_server_that_is_restarted_under_load_loses_nothing() {
    let mut server = durable(&[]);
    let database = database_in(&server, "t");
    let history = batches(500, 120);
    let config = database.config();
    let writer = std::thread::spawn(move || {
        let mut sink = Postgres::new(config.clone());
        let mut store = PostgresStore::new(config);
        let mut failures = persist(|| sink.open(&tables(), None).map(drop));
        failures += persist(|| store.claim(0, 1));
        for (nth, batch) in history.iter().enumerate() {
            failures += persist(|| sink.apply(std::slice::from_ref(batch)));
            failures += persist(|| store.put("part", format!("{nth}").as_bytes()));
            std::thread::sleep(Duration::from_millis(20));
        }
        (failures, store.get("part").unwrap().unwrap(), history.last().unwrap().time)
    });
    for _ in 0..2 {
        std::thread::sleep(Duration::from_millis(400));
        server.kill();
        std::thread::sleep(Duration::from_millis(200));
        server.start_again();
    }
    let (failures, part, last) = writer.join().unwrap();
    assert!(failures > 0, "the server was not missed");
    assert_eq!(part, b"119");
    assert_eq!(database.text("SELECT count(*) FROM device_minute"), "60000");
    assert_eq!(Postgres::new(database.config()).open(&tables(), None).unwrap(), Some(last));
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = durable(&[]);
    let database = database_in(&server, "t");
    let mut sink = Postgres::new(database.config().statement_timeout(Duration::from_millis(500)));
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, vec![readings("s", 0, 1)])]).unwrap();
    server.freeze();
    let text = transient(&sink.apply(&[batch(1, vec![readings("s", 1, 1)])]).unwrap_err());
    assert!(text.contains("no answer for 5.5 s"), "{text}");
    server.thaw();
    persist(|| sink.apply(&[batch(1, vec![readings("s", 1, 1)])]));
    assert_eq!(database.text("SELECT count(*) FROM device_minute"), "2");
}

#[test]
fn locks_and_read_only_servers_are_transient() {
    let server = durable(&[]);
    let database = database_in(&server, "t");
    let mut sink = Postgres::new(database.config().statement_timeout(Duration::from_millis(300)));
    sink.open(&tables(), None).unwrap();
    let mut other = database.client();
    other.batch_execute("BEGIN; LOCK TABLE device_minute").unwrap();
    let text = transient(&sink.apply(&[batch(0, vec![readings("s", 0, 1)])]).unwrap_err());
    assert!(text.contains("longer than the statement timeout") && text.contains("device_minute"), "{text}");
    other.batch_execute("ROLLBACK").unwrap();
    // As after a fail-over, when this one has become the standby.
    other.batch_execute("ALTER SYSTEM SET default_transaction_read_only = on").unwrap();
    other.batch_execute("SELECT pg_reload_conf()").unwrap();
    while database.text("SELECT current_setting('default_transaction_read_only')") != "on" {}
    let text = transient(&sink.apply(&[batch(0, vec![readings("s", 0, 1)])]).unwrap_err());
    assert!(text.contains("connect to the primary"), "{text}");
    for sql in [
        "SET default_transaction_read_only = off",
        "ALTER SYSTEM RESET default_transaction_read_only",
        "SELECT pg_reload_conf()",
    ] {
        other.batch_execute(sql).unwrap();
    }
    persist(|| sink.apply(&[batch(0, vec![readings("s", 0, 1)])]));
    assert_eq!(database.text("SELECT count(*) FROM device_minute"), "1");
}

/// Every write to `/dev/full` fails as on a full disk: the table's file is put in its place.
#[test]
fn a_full_disk_is_transient_until_there_is_room() {
    let server = durable(&[]);
    let database = database_in(&server, "t");
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    sink.apply(&[batch(0, vec![])]).unwrap();
    let file =
        server.folder().join("data").join(database.text("SELECT pg_relation_filepath('device_minute')"));
    let aside = file.with_extension("aside");
    std::fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let full = [batch(1, vec![readings("s", 0, 1)])];
    for _ in 0..3 {
        // Whoever has the old file open would go on with it.
        database.cut_all();
        let _ = sink.apply(&[batch(0, vec![])]);
        let error = sink.apply(&full).or_else(|_| sink.apply(&full)).unwrap_err();
        let text = transient(&error);
        assert!(text.contains("its disk is full") && text.contains("No space left on device"), "{text}");
    }
    std::fs::remove_file(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    database.cut_all();
    persist(|| sink.apply(&full));
    assert_eq!(database.text("SELECT count(*) FROM device_minute"), "1");
}

/// The disk of the server's log is full too, so that the server goes down and cannot come up.
#[test]
#[ignore = "needs the right to mount a file system"]
fn a_server_whose_whole_disk_is_full_goes_on_when_there_is_room() {
    let mut server = durable(&[("max_wal_size", "48MB"), ("min_wal_size", "32MB")]);
    let database = database_in(&server, "t");
    server.stop();
    let data = server.folder().join("data");
    let run =
        |line: String| assert!(Command::new("sh").args(["-ec", &line]).status().unwrap().success(), "{line}");
    let aside = server.folder().join("aside");
    let (data, aside) = (data.display(), aside.display());
    run(format!("cp -a {data} {aside}; mount -t tmpfs -o size=150m,mode=0700 tmpfs {data}"));
    run(format!("cp -a {aside}/. {data}/; chown --reference {aside} {data}; rm -rf {aside}"));
    server.start_again();
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    let history = batches(2_000, 120);
    let mut nth = 0;
    let error = loop {
        match sink.apply(&history[nth..=nth]) {
            Ok(()) => nth += 1,
            Err(error) => break error,
        }
    };
    println!("full after {nth} batches: {}", transient(&error));
    for _ in 0..20 {
        transient(&sink.apply(&history[nth..=nth]).unwrap_err());
        std::thread::sleep(Duration::from_millis(50));
    }
    run(format!("mount -o remount,size=600m {data}"));
    // A server whose log has no room has ended, and whoever looks after it starts it again.
    server.kill();
    server.start_again();
    while nth < history.len() {
        persist(|| sink.apply(&history[nth..=nth]));
        nth += 1;
    }
    assert_eq!(database.text("SELECT count(*) FROM device_minute"), "240000");
    server.kill();
    run(format!("umount -l {data}"));
}

/// Prepared statements are gone behind a pooler that gives each transaction another session.
#[test]
fn a_pooler_in_transaction_mode_is_named_at_the_first_error() {
    let database = database();
    let mut sink = Postgres::new(database.config());
    sink.open(&tables(), None).unwrap();
    database
        .client()
        .batch_execute(
            "CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN NULL; END $$;
             CREATE TRIGGER forget AFTER INSERT ON device_minute EXECUTE FUNCTION forget()",
        )
        .unwrap();
    let error = (0..3).find_map(|nth| sink.apply(&[batch(nth, vec![readings("d", nth, 1)])]).err()).unwrap();
    assert_eq!(error.retry(), Retry::Transient);
    let text = error.to_string();
    assert!(text.contains("PgBouncer") && text.contains("max_prepared_statements"), "{text}");
}
