//! Savepoints: checkpoints under a name, which stay until they are removed.

use std::collections::BTreeSet;

use telemetra_core::checkpoint::{self, CheckpointStore};
use telemetra_core::{EventTime, ExternalError};

use crate::checkpoint::state::{Manifest, blob_name, definition_name, manifest_name};

/// The place of the savepoints of a store.
const GROUP: &str = "savepoints/";
/// The name of the blob that is written last, which makes a savepoint complete.
const MANIFEST: &str = "manifest";

/// A copy of a checkpoint under a name, which stays in the store until you remove it, while checkpoints are
/// replaced by newer ones. As in Flink, use it before an upgrade, or to start a second pipeline from the
/// state of the first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Savepoint {
    /// The name, unique in its store.
    pub name: String,
    /// The boundary of the checkpoint, in event time: everything before it has taken effect in the state, and
    /// nothing after.
    pub boundary: EventTime,
}

/// The savepoints of a checkpoint store: lists, takes and removes them, whether a pipeline runs on the store
/// or not. For tools; a process that runs the pipeline itself takes one by
/// [`Running::savepoint`](crate::Running::savepoint).
///
/// Start from a savepoint by [`Pipeline::from_savepoint`](crate::Pipeline::from_savepoint). All this works
/// with every [`CheckpointStore`]. The blobs of a savepoint are copies in the same store, so a savepoint
/// needs as much room as a checkpoint. The store is not claimed, so a running pipeline keeps it. Calls are
/// tried once.
///
/// ```
/// use telemetra_core::checkpoint::Directory;
/// use telemetra_ops::Savepoints;
///
/// let folder = tempfile::tempdir()?;
/// let mut savepoints = Savepoints::new(Directory::new(folder.path()));
/// assert_eq!(savepoints.list()?, []);
/// // Nothing has been checkpointed yet.
/// assert_eq!(savepoints.take("before-0.3")?, None);
/// savepoints.remove("before-0.3")?;
/// assert!(savepoints.take("Before 0.3").is_err(), "not a name that a store can have");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Savepoints<S>(S);

impl<S: CheckpointStore> Savepoints<S> {
    /// Wraps a store. Nothing is read until a method is called.
    pub fn new(store: S) -> Self {
        Self(store)
    }

    /// Returns all complete savepoints, by name.
    ///
    /// # Errors
    ///
    /// If the store cannot be read, or a savepoint in it is damaged.
    pub fn list(&mut self) -> Result<Vec<Savepoint>, ExternalError> {
        list(&mut self.0)
    }

    /// Copies the newest complete checkpoint under this name, blob by blob. Returns `None` if there is no
    /// complete checkpoint.
    ///
    /// A pipeline may run meanwhile. If it replaces the checkpoint by a newer one during the copy, the newer
    /// one is copied instead.
    ///
    /// # Errors
    ///
    /// If there is a savepoint of this name already, the name is not valid (it consists of `a-z`, `0-9`, `-`
    /// and `.`, and does not begin with a dot), or the store fails. Also, with a transient error, if the
    /// pipeline replaces checkpoints faster than they can be copied, fifty times in a row. A failed copy is
    /// not a savepoint: [`list`](Self::list) leaves it out, and [`remove`](Self::remove) removes its blobs.
    pub fn take(&mut self, name: &str) -> Result<Option<Savepoint>, ExternalError> {
        take(&mut self.0, name)
    }

    /// Removes a savepoint and its blobs. Does nothing if there is none of that name. A pipeline that was
    /// started from the savepoint and has completed a checkpoint does not need it any more.
    ///
    /// # Errors
    ///
    /// If the store fails. What remains then is no savepoint; remove it again.
    pub fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        let prefix = prefix_of(name);
        // The manifest first: what is left of one that was removed half is not taken for a savepoint.
        self.0.remove(&format!("{prefix}{MANIFEST}"))?;
        for blob in self.0.list()?.into_iter().filter(|blob| blob.starts_with(&prefix)) {
            self.0.remove(&blob)?;
        }
        Ok(())
    }
}

/// The beginning of the names of a savepoint's blobs.
pub(crate) fn prefix_of(name: &str) -> String {
    format!("{GROUP}{name}/")
}

/// The name of the blob that says what a savepoint consists of.
pub(crate) fn savepoint_manifest(name: &str) -> String {
    format!("{}{MANIFEST}", prefix_of(name))
}

/// The boundary of a checkpoint, if this is the name of its manifest.
pub(crate) fn complete_of(name: &str) -> Option<EventTime> {
    name.strip_suffix("/complete")?.parse().ok().map(EventTime)
}

/// The boundary of the checkpoint that a blob is of, if it is of one.
pub(crate) fn boundary_of(name: &str) -> Option<EventTime> {
    name.split_once('/')?.0.parse().ok().map(EventTime)
}

fn list(store: &mut dyn CheckpointStore) -> Result<Vec<Savepoint>, ExternalError> {
    let mut savepoints = Vec::new();
    for blob in store.list()? {
        let name = blob.strip_prefix(GROUP).and_then(|rest| rest.strip_suffix(MANIFEST)?.strip_suffix('/'));
        if let Some(name) = name
            && let Some(manifest) = store.get(&blob)?
        {
            let Manifest { boundary, .. } = decode(&blob, &manifest)?;
            savepoints.push(Savepoint { name: name.to_owned(), boundary });
        }
    }
    // The order of the blobs is another one: `-` and `.` come before the `/` behind a name.
    savepoints.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(savepoints)
}

/// The number of times that the newest checkpoint is copied because the one before was removed meanwhile.
const TRIES: usize = 50;

/// Copies the newest complete checkpoint under a name; `None` if there is none.
pub(crate) fn take(store: &mut dyn CheckpointStore, name: &str) -> Result<Option<Savepoint>, ExternalError> {
    let is_good = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_good) {
        return Err(ExternalError::permanent(format!(
            "`{name}` cannot be the name of a savepoint; use a-z, 0-9, `-` and `.`, with no dot at the beginning"
        )));
    }
    if store.get(&savepoint_manifest(name))?.is_some() {
        return Err(ExternalError::permanent(format!(
            "there is a savepoint `{name}` already; remove it, or give this one another name"
        )));
    }
    let (prefix, mut copied) = (prefix_of(name), BTreeSet::new());
    for _ in 0..TRIES {
        let names = store.list()?;
        let Some(newest) = names.iter().rev().find(|name| complete_of(name).is_some()) else {
            return Ok(None);
        };
        if let Some((boundary, manifest)) = copy(store, newest, &prefix, &mut copied)? {
            store.put(&savepoint_manifest(name), &manifest)?;
            return Ok(Some(Savepoint { name: name.to_owned(), boundary }));
        }
    }
    for part in copied {
        store.remove(&format!("{prefix}{part}"))?;
    }
    Err(ExternalError::transient(format!(
        "checkpoints were removed faster than they could be copied for the savepoint `{name}`; take fewer, by a longer \
         interval or pause between them, and try again"
    )))
}

/// Copies a checkpoint, but for its manifest, which is returned with its boundary; `None` if a part of it is gone.
///
/// A part stays for as long as newer checkpoints build on it, and never changes, so those in `copied` are copied already.
fn copy(
    store: &mut dyn CheckpointStore,
    newest: &str,
    prefix: &str,
    copied: &mut BTreeSet<String>,
) -> Result<Option<(EventTime, Vec<u8>)>, ExternalError> {
    let Some(blob) = store.get(newest)? else { return Ok(None) };
    let Manifest { boundary, ref chain, peers, .. } = decode(newest, &blob)?;
    // First, as it goes with the manifest, which is when a newer checkpoint is complete.
    let definition = definition_name(boundary);
    let described = store.get(&definition)?;
    if described.is_none() && store.get(&manifest_name(boundary))?.is_none() {
        return Ok(None);
    }
    let parts = chain.iter().flat_map(|link| (0..peers).map(|worker| blob_name(*link, worker)));
    let parts: BTreeSet<String> = parts.collect();
    for part in &parts {
        if !copied.contains(part) {
            let Some(part_of) = store.get(part)? else { return Ok(None) };
            store.put(&format!("{prefix}{part}"), &part_of)?;
            copied.insert(part.clone());
        }
    }
    if let Some(described) = described {
        store.put(&format!("{prefix}{definition}"), &described)?;
    }
    for part in copied.difference(&parts) {
        store.remove(&format!("{prefix}{part}"))?;
    }
    Ok(Some((boundary, blob)))
}

fn decode(name: &str, blob: &[u8]) -> Result<Manifest, ExternalError> {
    checkpoint::decode(blob).map_err(|error| {
        ExternalError::permanent(format!("could not read the checkpoint `{name}`")).because(error)
    })
}
