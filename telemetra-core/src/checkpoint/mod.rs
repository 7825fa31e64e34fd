//! Checkpoint stores, and the encoding of checkpoints.

pub(crate) mod directory;

pub use crate::codec::{CodecError, decode, encode};
pub use directory::Directory;

use crate::error::ExternalError;

/// A durable store of named blobs, such as a directory, a database table or an object store.
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
/// Checked by [`store_compliance`](crate::testkit::store_compliance).
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

    /// The blob with this name; `None` if there is none.
    ///
    /// # Errors
    ///
    /// If it could not be read.
    fn get(&mut self, name: &str) -> Result<Option<Vec<u8>>, ExternalError>;

    /// The names of all blobs, sorted.
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
