//! The instants at which a process can end, one by one: each leaves a folder from which the next goes on.

use std::fs;
use std::path::{Path, PathBuf};

use telemetra_core::{Action, Batch, Sink};
use telemetra_sinks::Parquet;

use crate::common::{batch, change, moment, moment_of, moments_in, readings, tables};
use crate::reader::assert_holds;

fn history() -> Vec<Batch> {
    let moments = moments_in("moments");
    (0..8)
        .map(|nth| {
            let mut changes = vec![readings("d", nth, nth), moment("m", nth, true)];
            if nth > 2 {
                let row = moment_of("m", nth - 2, 1, true);
                changes.push(change(&moments, row, 1, Action::Withdraw));
            }
            batch(nth, changes)
        })
        .collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() { copy(&path, &target) } else { assert!(fs::copy(&path, &target).is_ok()) }
    }
}

/// Goes on in a folder until the end, and compares.
fn goes_on(folder: &Path, history: &[Batch], durable: usize, what: &str) {
    let mut sink = Parquet::new(folder);
    let found = sink.open(&tables(), Some(history[durable - 1].time)).unwrap();
    assert_eq!(found, Some(history[durable - 1].time), "{what}");
    sink.apply(&history[durable..]).unwrap();
    sink.close().unwrap();
    drop(sink);
    assert_holds(folder, history, &tables());
    let own: Vec<_> =
        fs::read_dir(folder.join("_telemetra")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(own.len(), 3, "{what} leaves {own:?}");
}

/// The folder before and after a rotation of five batches.
fn around_a_rotation(history: &[Batch]) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let (before, after) = (place.path().join("before"), place.path().join("after"));
    let mut sink = Parquet::new(&after);
    sink.open(&tables(), None).unwrap();
    sink.apply(&history[..5]).unwrap();
    copy(&after, &before);
    sink.close().unwrap();
    (place, before, after)
}

#[test]
fn a_rotation_that_ends_at_any_step_is_made_again() {
    let history = history();
    let (place, before, after) = around_a_rotation(&history);
    let log = |number: u32| format!("_telemetra/pending-{number:010}.log");
    let folder = |name: &str, base: &Path| {
        let folder = place.path().join(name);
        copy(base, &folder);
        folder
    };
    goes_on(&folder("none", &before), &history, 5, "before it");

    let half = folder("half", &before);
    fs::write(half.join("_telemetra/file.tmp"), b"PAR1 half of a file").unwrap();
    copy(&after.join("device_minute"), &half.join("device_minute"));
    goes_on(&half, &history, 5, "some of the files");
    // What was written last is replaced.
    let renamed = folder("renamed", &before);
    copy(&after.join("device_minute"), &renamed.join("device_minute"));
    copy(&after.join("moments"), &renamed.join("moments"));
    goes_on(&renamed, &history, 5, "all files");

    let next = folder("next", &renamed_again(&place, &before, &after));
    fs::copy(after.join(log(1)), next.join(log(1))).unwrap();
    goes_on(&next, &history, 5, "the next log");
    let torn = folder("torn next", &before);
    fs::write(torn.join(log(1)), b"half").unwrap();
    goes_on(&torn, &history, 5, "half of the next log");

    let noted = folder("noted", &after);
    fs::copy(before.join(log(0)), noted.join(log(0))).unwrap();
    goes_on(&noted, &history, 5, "the old log is still there");
    goes_on(&folder("done", &after), &history, 5, "after it");
}

/// The folder with all files and the progress of before.
fn renamed_again(place: &tempfile::TempDir, before: &Path, after: &Path) -> PathBuf {
    let folder = place.path().join("base of next");
    copy(before, &folder);
    copy(&after.join("device_minute"), &folder.join("device_minute"));
    copy(&after.join("moments"), &folder.join("moments"));
    folder
}

/// A crash may cut the log at any byte after the last sync.
#[test]
fn a_log_that_is_cut_anywhere_keeps_whole_batches() {
    let history = history();
    let place = tempfile::tempdir().unwrap();
    let whole = place.path().join("whole");
    let mut sink = Parquet::new(&whole);
    sink.open(&tables(), None).unwrap();
    let log = "_telemetra/pending-0000000000.log";
    let mut ends = Vec::new();
    for one in &history[..4] {
        sink.apply(std::slice::from_ref(one)).unwrap();
        ends.push(usize::try_from(fs::metadata(whole.join(log)).unwrap().len()).unwrap());
    }
    drop(sink);
    let bytes = fs::read(whole.join(log)).unwrap();
    for cut in (ends[0]..bytes.len()).step_by(23) {
        let folder = place.path().join(cut.to_string());
        copy(&whole, &folder);
        fs::write(folder.join(log), &bytes[..cut]).unwrap();
        let mut sink = Parquet::new(&folder);
        let durable = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(sink.open(&tables(), None).unwrap(), Some(history[durable - 1].time));
        sink.apply(&history[durable..]).unwrap();
        sink.close().unwrap();
        drop(sink);
        // The whole comparison for some is enough: the others hold the same bytes.
        if cut % 3 == 0 {
            assert_holds(&folder, &history, &tables());
        }
    }
}
