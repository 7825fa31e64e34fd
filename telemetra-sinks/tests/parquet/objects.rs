//! Files in an object store. The server keeps objects as files in a folder, so the readers of folders read them.

use std::path::PathBuf;
use std::time::Duration;

use telemetra_core::testkit::{HeldRow, sink_compliance, tables_of_history};
use telemetra_core::{Batch, EventTime, ExternalError, Retry, Sink, SinkProgress};
use telemetra_sinks::Parquet;

use crate::common::{batch, readings, tables};
use crate::gateway::{self, Lossy};
use crate::kill::{history, run, write_the_rest};
use crate::reader::{assert_holds, read};
use crate::services::{Kind, Server};

/// A server of the test's own.
struct Own {
    server: Server,
}

impl Own {
    fn start() -> Self {
        Self { server: Server::of(Kind::S3).start() }
    }

    fn sink(&self, prefix: &str) -> Parquet {
        at(&self.server.url(), prefix)
    }

    fn folder(&self, prefix: &str) -> PathBuf {
        gateway::folder(self.server.folder(), prefix)
    }

    /// The segments of logs that are there.
    fn segments(&self, prefix: &str) -> usize {
        let own = std::fs::read_dir(self.folder(prefix).join("_telemetra")).unwrap();
        own.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("log-")).count()
    }
}

fn at(url: &str, prefix: &str) -> Parquet {
    let sink = Parquet::in_object_store(&gateway::config(url, prefix)).unwrap();
    sink.rotate_every(Duration::from_secs(60)).rotate_bytes(4_000)
}

fn progress(sink: &mut Parquet) -> Option<EventTime> {
    match sink.progress().unwrap() {
        SinkProgress::Until(time) => time,
        other => panic!("it is {other:?} that the prefix says"),
    }
}

/// Repeats what may succeed later, as the pipeline does. Returns how often it failed.
fn until_done<T>(mut attempt: impl FnMut() -> Result<T, ExternalError>) -> (T, usize) {
    for failures in 0.. {
        match attempt() {
            Ok(done) => return (done, failures),
            Err(error) => assert_eq!(error.retry(), Retry::Transient, "{error}"),
        }
        assert!(failures < 10);
    }
    unreachable!()
}

#[test]
fn compliance() {
    let own = Own::start();
    let tables = tables_of_history();
    let names: Vec<_> = tables.iter().map(|table| table.name()).collect();
    let held = |table: &telemetra_core::Table, row: &serde_json::Value| {
        let part = |column: &telemetra_core::Column| match &row[&*column.name] {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let key = table.keys().iter().map(part).collect::<Vec<_>>().join("/");
        HeldRow { table: table.name().to_owned(), key, contents: row.to_string() }
    };
    sink_compliance(
        &names,
        |n| Box::new(own.sink(&n.to_string()).rotate_bytes(1)),
        |n| {
            let found = read(&own.folder(&n.to_string()), &tables);
            let of = |table: &std::sync::Arc<telemetra_core::Table>| {
                found.current(table.name()).iter().map(|row| held(table, row)).collect::<Vec<_>>()
            };
            tables.iter().flat_map(of).collect()
        },
    );
}

#[test]
fn the_changes_are_those_of_a_folder_in_the_same_files() {
    let own = Own::start();
    let folder = tempfile::tempdir().unwrap();
    let mut here = Parquet::new(folder.path()).rotate_every(Duration::from_secs(60));
    let mut there = own.sink("p").rotate_bytes(u64::MAX);
    for sink in [&mut here, &mut there] {
        sink.open(&tables(), None).unwrap();
        for batches in history().chunks(7) {
            sink.apply(batches).unwrap();
        }
        sink.close().unwrap();
    }
    assert_holds(&own.folder("p"), &history(), &tables());
    for table in ["device_minute", "moments"] {
        let [here, there] = [folder.path(), &own.folder("p")].map(|place| crate::files::files(place, table));
        assert!(here == there && !here.is_empty(), "{here:?} and {there:?}");
    }
    assert_eq!(own.segments("p"), 0);
}

/// The variable that names the server of the process that is killed.
const SERVER: &str = "TELEMETRA_TEST_PARQUET_SERVER";

/// The process that is killed, if this is it: writes what is left and says each time that is durable.
#[test]
fn writer() {
    let Ok(server) = std::env::var(SERVER) else { return };
    write_the_rest(at(&server, "killed"), 4);
}

#[test]
fn killed_again_and_again_it_writes_every_change_once() {
    let own = Own::start();
    let mut runs = 0;
    while !run("objects::writer", (SERVER, own.server.url().as_ref()), 1 + runs * 5 % 17) {
        runs += 1;
        assert!(runs < 200, "it does not come further");
    }
    assert!(runs >= 10, "it was killed {runs} times only");
    assert_holds(&own.folder("killed"), &history(), &tables());
    // What dead writers left is removed by the next.
    own.sink("killed").open(&tables(), None).unwrap();
    assert_eq!(own.segments("killed"), 0);
}

/// Two windows, so that the second batch makes the files of the first.
fn two() -> [Batch; 2] {
    [0, 7].map(|nth| batch(nth, vec![readings("a", nth, 1), readings("b", nth, 2)]))
}

#[test]
fn whichever_request_is_lost_each_change_is_there_once() {
    let own = Own::start();
    for loses_answer in [false, true] {
        for nth in 0..40 {
            let lossy = Lossy::to(own.server.port(), loses_answer);
            let prefix = format!("lossy-{loses_answer}-{nth}");
            let mut sink = at(&lossy.url, &prefix);
            lossy.lose_after(nth);
            let (_, mut failures) = until_done(|| sink.open(&tables(), None));
            for batch in &two() {
                failures += until_done(|| sink.apply(std::slice::from_ref(batch))).1;
            }
            failures += until_done(|| sink.close()).1;
            let lost = lossy.has_lost();
            drop(sink);
            // Another process goes on, whatever was left.
            let mut next = own.sink(&prefix);
            assert_eq!(next.open(&tables(), None).unwrap(), Some(two()[1].time));
            next.close().unwrap();
            assert_holds(&own.folder(&prefix), &two(), &tables());
            if !lost {
                assert!(nth > 10, "there were {nth} requests only");
                break;
            }
            assert!(nth < 39, "not all requests were lost once");
            // Removing a segment is left to a later process, and no failure.
            assert!(failures <= 1, "{failures} failures");
        }
    }
}

#[test]
fn a_process_that_dies_between_files_and_progress_leaves_what_the_next_completes() {
    let own = Own::start();
    // It dies at each request in turn: the sink is dropped where the request is lost.
    for nth in 0..40 {
        let lossy = Lossy::to(own.server.port(), false);
        let prefix = format!("dies-{nth}");
        let mut sink = at(&lossy.url, &prefix);
        sink.open(&tables(), None).unwrap();
        lossy.lose_after(nth);
        let written = two().iter().try_for_each(|batch| sink.apply(std::slice::from_ref(batch)));
        let written = written.and_then(|()| sink.close());
        drop(sink);
        let mut next = own.sink(&prefix);
        let durable = next.open(&tables(), None).unwrap();
        let rest = two().partition_point(|batch| Some(batch.time) <= durable);
        next.apply(&two()[rest..]).unwrap();
        next.close().unwrap();
        assert_holds(&own.folder(&prefix), &two(), &tables());
        assert_eq!(own.segments(&prefix), 0);
        if written.is_ok() && !lossy.has_lost() {
            assert!(nth > 7, "there were {nth} requests only");
            return;
        }
    }
    panic!("not all requests were lost once");
}

#[test]
fn the_old_process_is_refused_when_a_new_one_has_opened() {
    let own = Own::start();
    let (mut old, mut new) = (own.sink("p"), own.sink("p"));
    assert_eq!(progress(&mut new), None);
    assert_eq!(old.open(&tables(), None).unwrap(), None);
    old.apply(&two()[..1]).unwrap();
    // Looking is not taking over.
    assert_eq!(progress(&mut new), Some(two()[0].time));
    old.apply(&[]).unwrap();
    assert_eq!(new.open(&tables(), None).unwrap(), Some(two()[0].time));
    let zombie = batch(9, vec![readings("zombie", 9, 9)]);
    for _ in 0..2 {
        let error = old.apply(std::slice::from_ref(&zombie)).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = error.to_string();
        assert!(
            text.contains("another process has taken it over") && text.contains("s3://telemetra/p"),
            "{text}"
        );
    }
    assert_eq!(old.close().unwrap_err().retry(), Retry::Permanent);
    new.apply(&two()[1..]).unwrap();
    new.close().unwrap();
    assert_holds(&own.folder("p"), &two(), &tables());
    assert_eq!(progress(&mut old), Some(two()[1].time));
}

#[test]
fn another_pipeline_is_refused_and_a_start_over_deletes_the_files() {
    let own = Own::start();
    let mut sink = own.sink("p").pipeline("one");
    sink.open(&tables(), None).unwrap();
    sink.apply(&two()).unwrap();
    sink.close().unwrap();
    drop(sink);
    let error = own.sink("p").pipeline("two").open(&tables(), None).unwrap_err().to_string();
    assert!(error.contains("belongs to the pipeline `one`") && error.contains("another prefix"), "{error}");

    let again = [batch(0, vec![readings("again", 0, 1)])];
    let over = || own.sink("p").pipeline("one").start_over();
    let mut sink = over();
    assert_eq!(sink.open(&tables(), None).unwrap(), None);
    // Until there is a change, the rows of the run before stay.
    sink.apply(&[batch(0, vec![])]).unwrap();
    assert_holds(&own.folder("p"), &two(), &tables());
    sink.open(&tables(), None).unwrap();
    sink.apply(&again).unwrap();
    sink.close().unwrap();
    assert_holds(&own.folder("p"), &again, &tables());
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let mut own = Own::start();
    let mut sink = own.sink("p");
    sink.open(&tables(), None).unwrap();
    sink.apply(&two()[..1]).unwrap();
    own.server.kill();
    let error = sink.apply(&two()[1..]).unwrap_err();
    assert_eq!(error.retry(), Retry::Transient);
    assert!(error.to_string().contains("s3://telemetra/p/"), "{error}");
    own.server.start_again();
    assert_eq!(until_done(|| sink.apply(&two()[1..])).1, 0);
    sink.close().unwrap();
    assert_holds(&own.folder("p"), &two(), &tables());
}
