//! A process that is killed again and again: the files hold what an undisturbed run writes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use telemetra_core::{Action, Batch, Sink};
use telemetra_sinks::Parquet;

use crate::common::{batch, change, moment, moment_of, moments_in, readings, tables};
use crate::reader::assert_holds;

/// The variable that names the folder of the process that is killed.
const FOLDER: &str = "TELEMETRA_TEST_PARQUET_FOLDER";

/// The batches of an hour, with windows, moments, corrections and withdrawals.
pub(crate) fn history() -> Vec<Batch> {
    let moments = moments_in("moments");
    (0..400)
        .map(|nth| {
            let mut changes: Vec<_> = (0..5).map(|n| readings(&format!("d{n}"), nth, nth + n)).collect();
            changes.push(moment("m", nth, true));
            if nth > 3 {
                let action = if nth % 3 == 0 { Action::Withdraw } else { Action::Upsert };
                changes.push(change(&moments, moment_of("m", nth - 3, 2, false), 1, action));
            }
            batch(nth, changes)
        })
        .collect()
}

/// The process that is killed, if this is it: writes what is left and says each time that is durable.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    write_the_rest(Parquet::new(folder).rotate_every(Duration::from_secs(60)).rotate_bytes(4_000), 2);
}

/// Writes what is left of the history, so many batches at a time, and says each time that they are durable.
pub(crate) fn write_the_rest(mut sink: Parquet, at_once: usize) {
    let history = history();
    let durable = sink.open(&tables(), None).unwrap();
    let rest = history.partition_point(|batch| Some(batch.time) <= durable);
    println!("durable");
    for batches in history[rest..].chunks(at_once) {
        sink.apply(batches).unwrap();
        println!("durable");
    }
    sink.close().unwrap();
}

/// Starts the writer of that name with a variable for it, and kills it after so many words. Returns whether it came to
/// its end.
pub(crate) fn run(writer: &str, (variable, value): (&str, &OsStr), words: usize) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([writer, "--exact", "--nocapture"])
        .env(variable, value)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut said = lines.filter(|line| line.ends_with("durable"));
    if said.by_ref().take(words).count() == words {
        child.kill().unwrap();
    }
    drop(said);
    child.wait().unwrap().success()
}

#[test]
fn killed_again_and_again_it_writes_every_change_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut runs = 0;
    // The words after which it is killed, from the first one on.
    while !run("kill::writer", (FOLDER, folder.path().as_os_str()), 1 + runs * 5 % 17) {
        runs += 1;
        assert!(runs < 200, "it does not come further");
    }
    assert!(runs >= 20, "it was killed {runs} times only");
    assert_holds(folder.path(), &history(), &tables());
}
