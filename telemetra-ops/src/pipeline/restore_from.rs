//! The settings that choose the state a pipeline starts from, and whether it starts beside another one.

use telemetra_core::Events;
use telemetra_core::checkpoint::CheckpointStore;

use crate::pipeline::builder::{Pipeline, SavepointStart};

impl<E: Events, L> Pipeline<E, L> {
    /// Starts from the [savepoint](crate::Savepoints) of this name instead of the newest checkpoint. Default:
    /// the newest checkpoint.
    ///
    /// Once a run that was started this way has completed a checkpoint, later starts with the same name
    /// continue from that checkpoint. So a process that is restarted with the same settings does not go back
    /// each time.
    ///
    /// The start removes the checkpoints that are newer than the savepoint. Sinks are not rewound: if a sink
    /// is ahead of the savepoint, it is not given the event times again that it has, and the rows of these
    /// times stay as they were written.
    ///
    /// [`start`](Self::start) fails with [`RestoreError::NoSavepoint`](crate::RestoreError::NoSavepoint) if
    /// the store has no savepoint of that name, and with
    /// [`PipelineError::Config`](crate::PipelineError::Config) without [`checkpoints`](Self::checkpoints).
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use telemetra_core::checkpoint::Directory;
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, Savepoints, minutes, tumbling};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let pipeline = || {
    ///     let lines = [r#"{"device": "d1", "time": "2026-01-01T00:00:00Z"}"#; 2];
    ///     Pipeline::<Reading>::new()
    ///         .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///         .checkpoints(Directory::new(folder.path()), minutes(1))
    ///         .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    /// };
    /// pipeline().start()?.wait()?;
    /// let savepoint = Savepoints::new(Directory::new(folder.path())).take("before-0.3")?;
    /// assert!(savepoint.is_some());
    ///
    /// let running = pipeline().from_savepoint("before-0.3").start()?;
    /// let plan = running.restored().expect("it starts from the savepoint");
    /// assert_eq!(plan.savepoint.as_deref(), Some("before-0.3"));
    /// running.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn from_savepoint(mut self, name: impl Into<String>) -> Self {
        self.parts.savepoint = Some(SavepointStart { name: name.into(), store: None });
        self
    }

    /// Starts from a savepoint in the store of another pipeline. That store is only read; checkpoints are
    /// written to this pipeline's own store. Use it to run a new version [beside](Self::standby) the old one.
    /// Otherwise like [`from_savepoint`](Self::from_savepoint).
    #[must_use]
    pub fn from_savepoint_in(
        mut self,
        store: impl CheckpointStore + 'static,
        name: impl Into<String>,
    ) -> Self {
        self.parts.savepoint = Some(SavepointStart { name: name.into(), store: Some(Box::new(store)) });
        self
    }

    /// Starts this pipeline as a hot standby of the one that writes to the same sinks: it reads and computes,
    /// but writes nothing to them until it is ordered to [take over](crate::Running::take_over). Default:
    /// off, so that the start takes the sinks over.
    ///
    /// Use it for an upgrade without a pause: the new version catches up while the old one still writes, and
    /// after the takeover no row is missing or written twice.
    ///
    /// The standby reads how far the other pipeline has written by
    /// [`Sink::progress`](telemetra_core::Sink::progress). Sinks that report that nobody else writes to their
    /// target are opened at once. The standby needs a checkpoint store of its own, as a store belongs to one
    /// pipeline: see [`from_savepoint_in`](Self::from_savepoint_in). Memory: the changes that the other
    /// pipeline has not written yet, at most the changes within the [drift](Self::max_watermark_drift).
    #[must_use]
    pub fn standby(mut self) -> Self {
        self.parts.stands_by = true;
        self
    }
}
