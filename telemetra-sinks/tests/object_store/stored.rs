//! Stored objects are there, and those that no one needs are not.

use std::fs;

use telemetra_core::Retry;
use telemetra_core::checkpoint::CheckpointStore;
use telemetra_core::testkit::store_compliance;
use telemetra_sinks::ObjectStoreConfig;

use crate::{Own, config, gateway, store, told};

#[test]
fn compliance_on_a_server() {
    let config = config();
    store_compliance(&mut store(&config));
    let mut claimed = store(&config);
    claimed.claim(0, 1).unwrap();
    store_compliance(&mut claimed);
}

#[test]
fn compliance_in_memory() {
    let config = ObjectStoreConfig::from_url("memory:///").unwrap();
    store_compliance(&mut store(&config));
}

#[test]
fn pipelines_with_different_prefixes_do_not_see_each_other() {
    let own = Own::start();
    let url = own.server.url();
    let [mut short, mut long] = ["a", "a/b"].map(|prefix| store(&gateway::config(&url, prefix)));
    short.put("x", b"1").unwrap();
    long.put("y", b"2").unwrap();
    assert_eq!(short.list().unwrap(), ["x"]);
    assert_eq!(long.list().unwrap(), ["y"]);
    assert_eq!(short.get("y").unwrap(), None);
}

#[test]
fn what_is_replaced_or_removed_leaves_no_object() {
    let own = Own::start();
    let mut store = own.store();
    store.claim(0, 1).unwrap();
    for n in 0..3_u8 {
        store.put("a", &[n]).unwrap();
        store.put("b", &[n]).unwrap();
    }
    assert_eq!(own.blobs().len(), 2);
    store.remove("a").unwrap();
    assert_eq!(own.blobs().len(), 1);
    assert_eq!(store.get("b").unwrap(), Some(vec![2]));
}

#[test]
fn a_claim_removes_what_a_dead_writer_left_and_nothing_else() {
    let own = Own::start();
    let (mut first, mut second, mut guest) = (own.store(), own.store(), own.store());
    first.claim(0, 2).unwrap();
    second.claim(1, 2).unwrap();
    first.put("a", b"a").unwrap();
    second.put("b", b"b").unwrap();
    // It takes a savepoint beside the pipeline.
    guest.put("c", b"c").unwrap();
    let kept = own.blobs();
    assert_eq!(kept.len(), 3);
    // Each has written another object, and not yet named it.
    for name in &kept {
        let left = own.folder().join("blobs").join(format!("{}-9999999999", &name[..10]));
        fs::write(left, b"left").unwrap();
    }
    drop(first);
    let mut first = own.store();
    first.claim(0, 2).unwrap();
    let there = own.blobs();
    assert!(kept.iter().all(|name| there.contains(name)), "{kept:?} of {there:?}");
    // That of the dead one has gone; the two others may still be named.
    let left: Vec<_> = there.iter().filter(|name| name.ends_with("-9999999999")).collect();
    assert_eq!(left.len(), 2, "{there:?}");
    assert!(!left.iter().any(|name| name[..10] == kept[0][..10]), "{there:?}");
    for (name, blob) in [("a", b"a"), ("b", b"b"), ("c", b"c")] {
        assert_eq!(first.get(name).unwrap().as_deref(), Some(&blob[..]));
    }
}

#[test]
fn an_answer_that_is_lost_changes_nothing_for_good() {
    let own = Own::start();
    for loses_answer in [false, true] {
        let lossy = gateway::Lossy::to(own.server.port(), loses_answer);
        let mut store = store(&gateway::config(&lossy.url, &format!("lossy-{loses_answer}")));
        let (mut expected, mut all) = (Vec::new(), 0);
        for nth in 0..8 {
            lossy.lose_after(nth);
            let mut failures = 0;
            // As the pipeline does: whatever may succeed later is repeated.
            let mut again = |result: Result<(), telemetra_core::ExternalError>| match result {
                Ok(()) => false,
                Err(error) => {
                    assert_eq!(error.retry(), Retry::Transient, "{}", told(&error));
                    failures += 1;
                    true
                }
            };
            while again(store.claim(0, 1)) {}
            let name = format!("{nth}/part");
            while again(store.put(&name, b"first")) {}
            while again(store.put(&name, name.as_bytes())) {}
            while again(store.put("gone", b"gone")) {}
            while again(store.remove("gone")) {}
            expected.push(name);
            // Removing an object that is not needed is left to the next claim, and no failure.
            assert!(lossy.has_lost() && failures <= 1, "{failures} failures");
            all += failures;
            assert_eq!(store.list().unwrap(), expected);
            for name in &expected {
                assert_eq!(store.get(name).unwrap().as_deref(), Some(name.as_bytes()));
            }
        }
        assert!(all >= 4, "{all} failures");
        store.claim(0, 1).unwrap();
        let folder = gateway::folder(own.server.folder(), &format!("lossy-{loses_answer}/blobs"));
        assert_eq!(fs::read_dir(folder).unwrap().count(), expected.len(), "objects are left");
    }
}

#[test]
fn an_index_that_is_gone_damaged_or_newer_is_refused() {
    let own = Own::start();
    let mut store = own.store();
    store.claim(0, 1).unwrap();
    store.put("a", b"a").unwrap();
    let index = own.folder().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    let refused = |why: &str| {
        let error = own.store().claim(0, 1).unwrap_err();
        assert_eq!(error.retry(), Retry::Permanent);
        let text = error.to_string();
        assert!(text.contains(why) && text.contains("s3://telemetra/checkpoints/of/one"), "{text}");
    };
    fs::write(&index, text.replace("\"version\":1", "\"version\":2")).unwrap();
    refused("version 2");
    fs::write(&index, &text[..text.len() / 2]).unwrap();
    refused("damaged");
    fs::remove_file(&index).unwrap();
    refused("no index.json");
}
