//! The compliance suite of checkpoint stores.

use crate::checkpoint::CheckpointStore;

/// Checks that a store keeps the contract of [`CheckpointStore`]. The store must be empty, and is empty
/// afterwards.
///
/// The suite cannot check that blobs survive a crash.
///
/// # Panics
///
/// If the contract is broken. The message says where.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let mut store = telemetra_core::checkpoint::Directory::new(folder.path());
/// telemetra_core::testkit::store_compliance(&mut store);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn store_compliance(store: &mut dyn CheckpointStore) {
    let long: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let blobs: [(&str, &[u8]); 6] = [
        ("a", b"first"),
        ("a.b", b""),
        ("group/part-0", &[0, 255, b'\n', 0]),
        ("group/part-1", &long),
        ("group/sub/part-0", b"deep"),
        ("z-0", b"last"),
    ];
    assert_eq!(names(store), [""; 0], "an empty store has no names");
    assert_eq!(get(store, "a"), None, "a blob that is not there");
    remove(store, "a");

    // The order is not that of the names, since `list` has to sort.
    for (name, blob) in blobs.iter().rev() {
        put(store, name, blob);
    }
    assert_eq!(names(store), blobs.map(|(name, _)| name), "`list` gives all names, sorted");
    for (name, blob) in blobs {
        assert!(get(store, name).as_deref() == Some(blob), "`get` of `{name}` is not what was put");
    }

    put(store, "group/part-1", b"shorter");
    assert_eq!(get(store, "group/part-1").as_deref(), Some(&b"shorter"[..]), "`put` overwrites, whole");
    assert_eq!(names(store).len(), blobs.len(), "an overwritten blob is listed once");

    remove(store, "group/part-0");
    remove(store, "group/part-0");
    assert_eq!(get(store, "group/part-0"), None, "a removed blob is gone");
    assert_eq!(get(store, "group/sub/part-0").as_deref(), Some(&b"deep"[..]), "and no other");
    put(store, "group/part-0", b"again");
    assert_eq!(get(store, "group/part-0").as_deref(), Some(&b"again"[..]), "a name can be used again");

    for (name, _) in blobs {
        remove(store, name);
    }
    assert_eq!(names(store), [""; 0], "all are removed");
}

fn put(store: &mut dyn CheckpointStore, name: &str, blob: &[u8]) {
    if let Err(error) = store.put(name, blob) {
        panic!("`put` of `{name}` failed: {error}");
    }
}

fn get(store: &mut dyn CheckpointStore, name: &str) -> Option<Vec<u8>> {
    store.get(name).unwrap_or_else(|error| panic!("`get` of `{name}` failed: {error}"))
}

fn names(store: &mut dyn CheckpointStore) -> Vec<String> {
    store.list().unwrap_or_else(|error| panic!("`list` failed: {error}"))
}

fn remove(store: &mut dyn CheckpointStore, name: &str) {
    if let Err(error) = store.remove(name) {
        panic!("`remove` of `{name}` failed: {error}");
    }
}
