//! A process that was thought dead and wakes up changes nothing.

use telemetra_core::checkpoint::CheckpointStore;

use crate::{Own, config, lost, store};

#[test]
fn the_old_process_is_refused_when_a_new_one_has_the_place() {
    let own = Own::start();
    let (mut old, mut new) = (own.store(), own.store());
    old.claim(0, 1).unwrap();
    old.put("a", b"old").unwrap();
    new.claim(0, 1).unwrap();
    let before = own.blobs();
    for _ in 0..2 {
        lost(&old.put("a", b"zombie").unwrap_err());
        lost(&old.put("b", b"zombie").unwrap_err());
        lost(&old.remove("a").unwrap_err());
    }
    assert_eq!(new.list().unwrap(), ["a"]);
    assert_eq!(new.get("a").unwrap().as_deref(), Some(&b"old"[..]));
    assert_eq!(own.blobs(), before, "objects are left");
    // Its own place it may take again.
    old.claim(0, 1).unwrap();
    old.put("a", b"again").unwrap();
    lost(&new.put("a", b"zombie").unwrap_err());
}

#[test]
fn fewer_processes_fence_those_that_are_too_many() {
    let config = config();
    let mut three = [0, 1, 2].map(|process| {
        let mut store = store(&config);
        store.claim(process, 3).unwrap();
        store
    });
    three[2].put("c", b"3").unwrap();
    let mut first = store(&config);
    first.claim(0, 2).unwrap();
    lost(&three[0].put("a", b"1").unwrap_err());
    lost(&three[2].put("c", b"4").unwrap_err());
    // The second process has not been started again yet, and nothing says that it is gone.
    three[1].put("b", b"2").unwrap();
    assert_eq!(first.list().unwrap(), ["b", "c"]);
}

#[test]
fn processes_write_at_the_same_time_and_nothing_is_lost() {
    const PROCESSES: usize = 4;
    let config = config();
    std::thread::scope(|scope| {
        for process in 0..PROCESSES {
            let mut store = store(&config);
            scope.spawn(move || {
                store.claim(process, PROCESSES).unwrap();
                for n in 0..10 {
                    store.put(&format!("{n}/part-{process}"), &[n, process as u8]).unwrap();
                    if n > 0 {
                        store.remove(&format!("{}/part-{process}", n - 1)).unwrap();
                    }
                }
            });
        }
    });
    let mut store = store(&config);
    let names: Vec<_> = (0..PROCESSES).map(|process| format!("9/part-{process}")).collect();
    assert_eq!(store.list().unwrap(), names);
    for (process, name) in names.iter().enumerate() {
        assert_eq!(store.get(name).unwrap(), Some(vec![9, process as u8]));
    }
}

#[test]
fn of_two_that_claim_at_the_same_time_one_has_the_place() {
    let config = config();
    let mut stores: Vec<_> = (0..4).map(|_| store(&config)).collect();
    std::thread::scope(|scope| {
        for store in &mut stores {
            scope.spawn(|| store.claim(0, 1).unwrap());
        }
    });
    let put: Vec<_> = stores.iter_mut().map(|store| store.put("a", b"a")).collect();
    assert_eq!(put.iter().filter(|put| put.is_ok()).count(), 1);
    put.iter().filter_map(|put| put.as_ref().err()).for_each(lost);
}
