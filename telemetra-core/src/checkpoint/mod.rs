//! Checkpoints: where they are stored, and how they are encoded.

pub(crate) mod directory;

pub use crate::codec::{CodecError, decode, encode};
pub use directory::Directory;

use crate::error::ExternalError;

/// Stores named blobs durably.
///
/// # Contract
///
/// * **Atomic.** After [`put`](Self::put) returns, the blob survives a crash; if it does not return, the name holds what
///   it held before, or nothing.
/// * **What is read was written.** Blobs are sealed with a checksum by [`encode`], so a store need not detect damage.
/// * **Names** are of `a-z`, `0-9`, `-`, `.` and `/`; a slash makes a group but needs no folder made first.
///
/// Checked by [`store_compliance`](crate::testkit::store_compliance).
pub trait CheckpointStore: Send {
    /// Makes this the store of process `process` of `processes`, before anything is read from it. From then on whoever claimed the same
    /// place before, and if this is process 0 any process of a place beyond `processes`, can store and remove nothing any more: a
    /// process that was thought dead and wakes up must not overwrite what its successor wrote. A store that cannot take a
    /// place away fails as long as whoever has it lives. By default nothing: a store that only one process can reach needs none.
    ///
    /// # Errors
    ///
    /// If the store cannot be reached; if somebody has the place and it cannot be taken away, a transient one.
    fn claim(&mut self, process: usize, processes: usize) -> Result<(), ExternalError> {
        let _ = (process, processes);
        Ok(())
    }

    /// Stores a blob under a name, over what was there.
    ///
    /// # Errors
    ///
    /// If it could not be made durable.
    fn put(&mut self, name: &str, blob: &[u8]) -> Result<(), ExternalError>;

    /// The blob of that name, `None` if there is none.
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

    /// Removes a blob; that there is none is no error.
    ///
    /// # Errors
    ///
    /// If it could not be removed.
    fn remove(&mut self, name: &str) -> Result<(), ExternalError>;
}
