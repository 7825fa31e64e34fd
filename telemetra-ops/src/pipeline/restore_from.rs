//! The settings that choose the state a pipeline starts from, and whether it starts beside another one.

use telemetra_core::Events;
use telemetra_core::checkpoint::CheckpointStore;

use crate::pipeline::builder::{Pipeline, SavepointStart};

impl<E: Events, L> Pipeline<E, L> {
    /// Starts from the [savepoint](crate::Savepoints) of this name instead of the newest checkpoint. It needs
    /// [`checkpoints`](Self::checkpoints).
    ///
    /// Once a run that was started this way has completed a checkpoint, later starts continue from that, so a
    /// process that is restarted with the same settings does not go back each time.
    ///
    /// Checkpoints that are newer than the savepoint are removed by the start. Sinks are not given again what
    /// they have: if they are ahead of the savepoint, the rows of the time between stay as they were written.
    ///
    /// [`start`](Self::start) fails with [`RestoreError::NoSavepoint`](crate::RestoreError::NoSavepoint) if
    /// the store has none of that name.
    #[must_use]
    pub fn from_savepoint(mut self, name: impl Into<String>) -> Self {
        self.parts.savepoint = Some(SavepointStart { name: name.into(), store: None });
        self
    }

    /// Starts from a savepoint in the store of another pipeline, which is only read; checkpoints go to the
    /// pipeline's own store. This is how a new version [runs beside](Self::standby) the old one. Otherwise
    /// like [`from_savepoint`](Self::from_savepoint).
    #[must_use]
    pub fn from_savepoint_in(
        mut self,
        store: impl CheckpointStore + 'static,
        name: impl Into<String>,
    ) -> Self {
        self.parts.savepoint = Some(SavepointStart { name: name.into(), store: Some(Box::new(store)) });
        self
    }

    /// Starts as a hot standby of the pipeline that writes to the same sinks: it reads and computes like any
    /// other, but writes nothing until it is ordered to [take over](crate::Running::take_over). Meanwhile it
    /// follows the progress of the other pipeline. So a new version comes up to date while the old one
    /// serves, and no row is missing or written twice.
    ///
    /// Progress is read by [`Sink::progress`](telemetra_core::Sink::progress); sinks that share no target are
    /// opened at once. Checkpoints must have a store of their own, as a store belongs to one pipeline: see
    /// [`from_savepoint_in`](Self::from_savepoint_in). Memory: the changes that the other pipeline has not
    /// written yet, at most those of the [drift](Self::max_watermark_drift).
    #[must_use]
    pub fn standby(mut self) -> Self {
        self.parts.stands_by = true;
        self
    }
}
