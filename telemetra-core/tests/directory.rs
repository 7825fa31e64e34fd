//! The directory of checkpoints, as a restart finds it.
#![allow(clippy::unwrap_used)]

use std::fs;

use telemetra_core::checkpoint::{CheckpointStore, Directory, decode, encode};
use telemetra_core::testkit::store_compliance;

#[test]
fn keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    store_compliance(&mut Directory::new(folder.path().join("not/yet/made")));
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
fn names_stay_inside() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Directory::new(folder.path());
    for name in ["../out", "/etc/out", "", "a//b", ".hidden", "A"] {
        let error = store.put(name, b"x").unwrap_err().to_string();
        assert!(error.contains("cannot be a checkpoint's name"), "{error}");
    }
}
