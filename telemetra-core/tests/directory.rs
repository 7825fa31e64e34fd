//! The directory of checkpoints, as a restart finds it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

use telemetra_core::Retry;
use telemetra_core::checkpoint::{CheckpointStore, Directory, decode, encode};
use telemetra_core::testkit::store_compliance;

#[test]
fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    store_compliance(&mut Directory::new(folder.path().join("not/yet/made")));
}

#[test]
fn a_store_whose_type_is_chosen_at_run_time_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let mut store: Box<dyn CheckpointStore> = Box::new(Directory::new(folder.path()));
    store_compliance(&mut store);
    store.claim(1, 2).unwrap();
    assert!(held(folder.path(), 1, 2).starts_with("place 1 "));
}

#[test]
fn damage_is_found_when_decoding() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::new(folder.path());
    let state = vec![(1u64, "one".to_owned()), (2, "two".to_owned())];
    store.put("0001/part", &encode(&state).unwrap()).unwrap();
    let path = folder.path().join("0001/part");
    let blob = fs::read(&path).unwrap();
    for (damage, word) in [
        (Box::new(|blob: &mut Vec<u8>| blob[30] ^= 1) as Box<dyn Fn(&mut Vec<u8>)>, "damaged"),
        (Box::new(|blob| blob.truncate(blob.len() - 3)), "cut off"),
        (Box::new(|blob| blob.truncate(7)), "cut off"),
        (Box::new(|blob| blob.clear()), "cut off"),
        (Box::new(|blob| blob[0] = b'x'), "not a checkpoint"),
        (Box::new(|blob| blob[4] = 9), "format 9"),
    ] {
        let mut bad = blob.clone();
        damage(&mut bad);
        fs::write(&path, &bad).unwrap();
        let read = store.get("0001/part").unwrap().unwrap();
        let error = decode::<Vec<(u64, String)>>(&read).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_write_that_did_not_finish_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::new(folder.path());
    store.put("0001/part", b"whole").unwrap();
    fs::write(folder.path().join("0001/.part.tmp"), b"ha").unwrap();
    assert_eq!(store.list().unwrap(), ["0001/part"]);
    assert_eq!(store.get("0001/part").unwrap().unwrap(), b"whole");
}

#[test]
fn what_cannot_be_read_is_not_taken_for_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::new(folder.path());
    store.put("0001/part", b"whole").unwrap();
    // A group is a folder, which is no blob.
    let error = store.get("0001").unwrap_err().to_string();
    assert!(error.starts_with("could not read the checkpoint at "), "{error}");
    let error = store.remove("0001").unwrap_err().to_string();
    assert!(error.starts_with("could not remove the checkpoint at "), "{error}");
    assert_eq!(store.list().unwrap(), ["0001/part"]);
    let error = Directory::new(folder.path().join("0001/part")).list().unwrap_err().to_string();
    assert!(error.starts_with("could not list the checkpoint at "), "{error}");
}

#[test]
fn a_group_ends_with_its_last_blob() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::new(folder.path());
    for name in ["0001/a", "0001/b", "whole"] {
        store.put(name, b"x").unwrap();
    }
    store.remove("0001/a").unwrap();
    assert!(folder.path().join("0001").is_dir());
    store.remove("0001/b").unwrap();
    assert!(!folder.path().join("0001").exists());
    store.remove("whole").unwrap();
    assert!(folder.path().is_dir(), "the store itself stays");
}

#[test]
fn names_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::new(folder.path());
    for name in ["../out", "/etc/out", "", "a//b", ".hidden", "A"] {
        let error = store.put(name, b"x").unwrap_err().to_string();
        assert!(error.contains("cannot be a checkpoint's name"), "{error}");
    }
}

/// The error of a place that somebody has.
fn held(folder: &Path, process: usize, processes: usize) -> String {
    let error = Directory::new(folder).claim(process, processes).unwrap_err();
    assert_eq!(error.retry(), Retry::Transient, "whoever has it may be about to end");
    error.to_string()
}

#[test]
fn a_place_has_one_holder_until_that_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("not/yet/made");
    let mut first = Directory::new(&folder);
    first.claim(0, 2).unwrap();
    first.claim(0, 2).unwrap();
    let mut second = Directory::new(&folder);
    second.claim(1, 2).unwrap();
    let error = held(&folder, 1, 2);
    let holder = format!(
        "place 1 among the checkpoints in {} is held by process {}",
        folder.display(),
        std::process::id()
    );
    assert!(error.starts_with(&holder), "{error}");
    assert!(first.list().unwrap().is_empty(), "places are no blobs");
    drop(second);
    Directory::new(&folder).claim(1, 2).unwrap();
    let clone = first.clone();
    drop(first);
    held(&folder, 0, 2);
    drop(clone);
    Directory::new(&folder).claim(0, 2).unwrap();
}

#[test]
fn a_smaller_cluster_waits_for_the_places_beyond_it() {
    let folder = tempfile::tempdir().unwrap();
    let [mut third, mut first] = [2, 0].map(|_| Directory::new(folder.path()));
    third.claim(2, 3).unwrap();
    assert!(held(folder.path(), 0, 2).starts_with("place 2 "));
    // To be refused leaves nothing locked.
    first.claim(0, 3).unwrap();
    drop((first, third));
    let mut first = Directory::new(folder.path());
    first.claim(0, 2).unwrap();
    held(folder.path(), 2, 3);
}

const HOLDER: &str = "TELEMETRA_TEST_PLACE";

/// Not a test by itself: the process that the next one kills.
#[test]
fn holds_a_place_until_it_is_killed() {
    let Ok(folder) = std::env::var(HOLDER) else { return };
    let mut store = Directory::new(folder);
    store.claim(0, 1).unwrap();
    println!("it holds the place");
    // Until whoever started it has gone.
    let _ = std::io::stdin().read(&mut [0]);
    drop(store);
}

#[test]
fn a_place_is_free_as_soon_as_its_holder_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "holds_a_place_until_it_is_killed", "--nocapture"]);
    command.env(HOLDER, folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = command.spawn().unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("it holds the place")));
    assert!(held(folder.path(), 0, 1).contains(&format!("process {}", holder.id())));
    // `kill -9`.
    holder.kill().unwrap();
    holder.wait().unwrap();
    Directory::new(folder.path()).claim(0, 1).unwrap();
}
