//! Checkpoint stores, and the encoding of checkpoints.
//!
//! A checkpoint is a set of named blobs: the state of each operator on each worker, the positions of
//! partitions, and a manifest, whose presence makes the checkpoint complete. A store keeps blobs and knows
//! nothing of what is in them.

pub(crate) mod directory;
mod shape;

pub use crate::codec::{CodecError, decode, encode};
pub use crate::migration::Migration;
pub use directory::Directory;
pub use shape::shape_of;

use crate::error::ExternalError;

/// A durable store of named blobs, such as a directory, a database table or an object store. It belongs to
/// one pipeline.
///
/// # Contract
///
/// * **Atomic.** After [`put`](Self::put) returns, the blob survives a crash. If the process dies before, the
///   name has its previous blob, or none.
/// * **Unchanged.** [`get`](Self::get) returns the bytes that were put. [`encode`] adds a checksum, so a
///   store does not have to detect damage.
/// * **Names.** They consist of `a-z`, `0-9`, `-`, `.` and `/`. A slash makes a group, which does not have to
///   be created first.
///
/// Checked by [`store_compliance`](crate::testkit::store_compliance):
///
/// ```
/// use std::collections::BTreeMap;
/// use telemetra_core::ExternalError;
/// use telemetra_core::checkpoint::CheckpointStore;
///
/// /// For tests: it survives a restart of the pipeline, not of the process.
/// #[derive(Default)]
/// struct InMemory(BTreeMap<String, Vec<u8>>);
///
/// impl CheckpointStore for InMemory {
///     fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
///         self.0.insert(name.to_owned(), blob.to_vec());
///         Ok(())
///     }
///     fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
///         Ok(self.0.get(name).cloned())
///     }
///     fn list(&mut self) -> Result<Vec<String>, ExternalError> {
///         Ok(self.0.keys().cloned().collect())
///     }
///     fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
///         self.0.remove(name);
///         Ok(())
///     }
/// }
///
/// telemetra_core::testkit::store_compliance(&mut InMemory::default());
/// ```
pub trait CheckpointStore: Send {
    /// Claims a place in the store for process number `process` of `processes`, before anything is read: a
    /// fence against processes that were replaced. From then on, a process that claimed the same place before
    /// can neither put nor remove, and if this is process 0, neither can a process with a number of
    /// `processes` or more. So a process that was thought dead cannot overwrite what its successor wrote. A
    /// store that cannot revoke a claim fails while the previous process exists. Does nothing by default,
    /// which is right for a store that only one process can reach.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached. If another process has the place and its claim cannot be revoked, the
    /// error is transient.
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        let _ = (process, processes);
        Ok(())
    }

    /// Stores a blob under a name, and replaces the previous one.
    ///
    /// # Errors
    ///
    /// If it could not be made durable.
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError>;

    /// Returns the blob with this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it could not be read.
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError>;

    /// Returns the names of all blobs, sorted.
    ///
    /// # Errors
    ///
    /// If they could not be listed.
    fn list(&mut self) -> Result<Vec<String>, ExternalError>;

    /// Removes a blob. Does nothing if there is none.
    ///
    /// # Errors
    ///
    /// If it could not be removed.
    fn remove(&mut self, name: &str) -> Result<(), ExternalError>;
}

impl<S: CheckpointStore + ?Sized> CheckpointStore for Box<S> {
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        (**self).claim(process, processes)
    }

    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError> {
        (**self).put(name, blob)
    }

    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError> {
        (**self).get(name)
    }

    fn list(&mut self) -> Result<Vec<String>, ExternalError> {
        (**self).list()
    }

    fn remove(&mut self, name: &str) -> Result<(), ExternalError> {
        (**self).remove(name)
    }
}
