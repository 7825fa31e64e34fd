//! Savepoints: checkpoints under a name, which stay until they are removed.

use telemetra_core::checkpoint::{self, CheckpointStore};
use telemetra_core::{EventTime, ExternalError};

use crate::checkpoint::state::{Manifest, blob_name, definition_name, manifest_name};

/// Where the savepoints of a store are.
const GROUP: &str = "savepoints/";
/// The name of the blob that is written last, which makes a savepoint complete.
const MANIFEST: &str = "manifest";

/// A savepoint: a checkpoint under a name of its own, which stays until it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Savepoint {
    /// The name.
    pub name: String,
    /// The time of the checkpoint: everything before it has taken effect in it.
    pub boundary: EventTime,
}

/// The savepoints of a checkpoint store: it lists, takes and removes them, of a pipeline that runs or of one that does not.
///
/// A running pipeline takes one by [`Running::savepoint`](crate::Running::savepoint); a start from one is
/// [`Pipeline::from_savepoint`](crate::Pipeline::from_savepoint). Works with every
/// [`CheckpointStore`]: the blobs of a savepoint are copies in the same store, so it needs as much room as a checkpoint.
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
    /// The savepoints of this store.
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

    /// Copies the newest complete checkpoint under this name. `None` if there is none.
    ///
    /// A pipeline may run meanwhile. If it removes the checkpoint because there is a newer one, that is copied.
    ///
    /// # Errors
    ///
    /// If there is a savepoint of this name already, the name cannot be one (it consists of `a-z`, `0-9`, `-` and `.`,
    /// and does not begin with a dot), or the store fails.
    pub fn take(&mut self, name: &str) -> Result<Option<Savepoint>, ExternalError> {
        take(&mut self.0, name)
    }

    /// Removes a savepoint. Does nothing if there is none of that name.
    ///
    /// # Errors
    ///
    /// If the store fails.
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

/// What the names of a savepoint's blobs begin with.
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
    Ok(savepoints)
}

/// How often copying begins anew because the checkpoint was removed meanwhile.
const TRIES: usize = 5;

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
    for _ in 0..TRIES {
        let names = store.list()?;
        let Some(newest) = names.iter().rev().find(|name| complete_of(name).is_some()) else {
            return Ok(None);
        };
        if let Some(boundary) = copy(store, newest, name)? {
            return Ok(Some(Savepoint { name: name.to_owned(), boundary }));
        }
    }
    Err(ExternalError::transient(format!(
        "checkpoints were removed faster than they could be copied for the savepoint `{name}`; try again"
    )))
}

/// Copies a checkpoint; `None` if a part of it is gone.
fn copy(
    store: &mut dyn CheckpointStore,
    newest: &str,
    name: &str,
) -> Result<Option<EventTime>, ExternalError> {
    let Some(blob) = store.get(newest)? else { return Ok(None) };
    let Manifest { boundary, ref chain, peers, .. } = decode(newest, &blob)?;
    let prefix = prefix_of(name);
    let workers = chain.iter().flat_map(|link| (0..peers).map(|worker| blob_name(*link, worker)));
    for part in workers {
        let Some(part_of) = store.get(&part)? else { return Ok(None) };
        store.put(&format!("{prefix}{part}"), &part_of)?;
    }
    let definition = definition_name(boundary);
    if let Some(described) = store.get(&definition)? {
        store.put(&format!("{prefix}{definition}"), &described)?;
    }
    // A checkpoint that was removed meanwhile may have lost its definition first.
    if store.get(&manifest_name(boundary))?.is_none() {
        return Ok(None);
    }
    store.put(&savepoint_manifest(name), &blob)?;
    Ok(Some(boundary))
}

fn decode(name: &str, blob: &[u8]) -> Result<Manifest, ExternalError> {
    checkpoint::decode(blob).map_err(|error| {
        ExternalError::permanent(format!("could not read the checkpoint `{name}`")).because(error)
    })
}
