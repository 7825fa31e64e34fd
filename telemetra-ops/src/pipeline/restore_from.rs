//! The methods of the builder that say what a pipeline starts from.

use telemetra_core::Events;
use telemetra_core::checkpoint::CheckpointStore;

use crate::pipeline::builder::{Pipeline, SavepointStart};

impl<E: Events, L> Pipeline<E, L> {
    /// Starts from the [savepoint](crate::Savepoints) of this name, and not from the newest checkpoint. Needs
    /// [`checkpoints`](Self::checkpoints). Once there is a checkpoint of a run that was started so, the next start goes on from
    /// that: so a process that is restarted with the same settings does not go back each time.
    ///
    /// Checkpoints that are newer than the savepoint are removed by the start. Sinks are not given again what they have; if
    /// they are ahead of the savepoint, the rows of the time between are as they were written.
    #[must_use]
    pub fn from_savepoint(mut self, name: impl Into<String>) -> Self {
        self.parts.savepoint = Some(SavepointStart { name: name.into(), store: None });
        self
    }

    /// Starts from a savepoint in the store of another pipeline, which is read only; the pipeline's own checkpoints go to its
    /// own store. So a new version can [run beside](Self::standby) the old one. Otherwise like
    /// [`from_savepoint`](Self::from_savepoint).
    #[must_use]
    pub fn from_savepoint_in(
        mut self,
        store: impl CheckpointStore + 'static,
        name: impl Into<String>,
    ) -> Self {
        self.parts.savepoint = Some(SavepointStart { name: name.into(), store: Some(Box::new(store)) });
        self
    }

    /// Starts beside the pipeline that writes to the same sinks: it reads and computes like any other, but leaves the sinks to
    /// the other one, whose progress it follows, until it is told to [take over](crate::Running::take_over). So a new version
    /// comes up to date while the old one serves, and no row is missing or written twice.
    ///
    /// Sinks say by [`Sink::progress`](telemetra_core::Sink::progress) how far they have been written; those that are not
    /// shared are opened at once. Checkpoints must have a store of their own, as a store belongs to one pipeline: see
    /// [`from_savepoint_in`](Self::from_savepoint_in). Memory: the changes since the time that the other pipeline has
    /// written, of the [drift](Self::max_watermark_drift) at most.
    #[must_use]
    pub fn standby(mut self) -> Self {
        self.parts.stands_by = true;
        self
    }
}
