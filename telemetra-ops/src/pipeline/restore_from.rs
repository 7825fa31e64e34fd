//! The settings of checkpoints, of the state that a pipeline starts from, and of a start beside another
//! pipeline.

use std::time::Duration;

use telemetra_core::Events;
use telemetra_core::checkpoint::CheckpointStore;

use crate::pipeline::builder::{Checkpoints, Pipeline, SavepointStart};

/// Checkpoints, and the state to start from.
impl<E: Events, L> Pipeline<E, L> {
    /// Enables checkpoints: snapshots of all state and of the offsets of all partitions, from which the next
    /// start continues. One is taken for every `every` of event time (not of processing time, as in Flink),
    /// the first at the multiple of `every` before the first events. A pipeline of one process takes another
    /// one at the end of its input. Default: no checkpoints, so a restart reads all input again.
    ///
    /// `every` must be a multiple of the pane, which is the greatest common divisor of all slides and of the
    /// times between [early results](crate::WindowKind::early); [`start`](Self::start) refuses others. Short
    /// intervals make restarts faster and write more; one minute is a usual value.
    ///
    /// There is no alignment of barriers: reading pauses until all workers of the process have reached the
    /// boundary, the state of each operator is copied on its worker when the frontier passes it, and a
    /// thread of its own encodes, compresses and stores it. The state of windows and of keyed processes is incremental: every
    /// eighth checkpoint holds all of it, the others hold the keys that changed. A checkpoint is complete
    /// once every sink has made durable what comes before it; older ones that it does not build on are then
    /// removed.
    ///
    /// A transient error of the store is retried without limit; a permanent one ends the pipeline with
    /// [`PipelineError::Checkpoint`](crate::PipelineError::Checkpoint).
    ///
    /// The store belongs to this pipeline alone. A [`Directory`](telemetra_core::checkpoint::Directory)
    /// refuses a second process while the first one still runs. A store on a server cannot see that: there
    /// the second process takes the store over, and the first one fails with its next write.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    ///
    /// use telemetra_core::checkpoint::Directory;
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, minutes, seconds, tumbling};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let run = |workers| {
    ///     let lines = [1, 70, 130].map(|second| format!(r#"{{"device": "d1", "time": {second}000}}"#));
    ///     Pipeline::<Reading>::new()
    ///         .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///         .checkpoints(Directory::new(folder.path()), minutes(1))
    ///         .checkpoint_pause(seconds(10))
    ///         .workers(workers)
    ///         .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    ///         .start()
    /// };
    /// run(1)?.wait()?;
    /// // The second run, of two workers, reads nothing again.
    /// let running = run(2)?;
    /// assert_eq!(running.fates_before().read, 3);
    /// assert_eq!(running.wait()?.fates.read, 3);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn checkpoints(mut self, store: impl CheckpointStore + 'static, every: Duration) -> Self {
        let (store, pause) = (Box::new(store), Duration::ZERO);
        self.parts.checkpoints = Some(Checkpoints { store, every, pause });
        self
    }

    /// Sets the least processing time between two checkpoints, so that a replay, in which event time passes
    /// fast, does not spend its time on them. A checkpoint that is due earlier is taken when the pause has
    /// passed, even if no more input comes. Default: zero.
    ///
    /// Call it after [`checkpoints`](Self::checkpoints), which resets it; without checkpoints, and in a
    /// cluster of several processes, it has no effect.
    #[must_use]
    pub fn checkpoint_pause(mut self, pause: Duration) -> Self {
        if let Some(checkpoints) = &mut self.parts.checkpoints {
            checkpoints.pause = pause;
        }
        self
    }

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
    ///
    /// ```
    /// # #[derive(serde::Deserialize)]
    /// # struct Reading { device: String, time: telemetra_core::EventTime }
    /// # impl telemetra_core::Event for Reading {
    /// #     type Key = String;
    /// #     fn time(&self) -> telemetra_core::EventTime { self.time }
    /// #     fn key(&self) -> &str { &self.device }
    /// # }
    /// use std::path::Path;
    /// use std::time::Duration;
    /// use telemetra_core::checkpoint::Directory;
    /// use telemetra_core::{SerdeJson, source::Memory};
    /// use telemetra_ops::{Pipeline, Savepoints, minutes, tumbling};
    ///
    /// // Both versions also have the same sinks.
    /// let version = |folder: &Path| {
    ///     let lines = [r#"{"device": "d1", "time": "2026-01-01T00:00:00Z"}"#; 2];
    ///     Pipeline::<Reading>::new()
    ///         .source(Memory::default().partition("readings", lines), SerdeJson::new())
    ///         .checkpoints(Directory::new(folder), minutes(1))
    ///         .group("device_minute", tumbling(minutes(1)), |a| a.count("readings"))
    /// };
    /// let (old, new) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// version(old.path()).start()?.wait()?;
    /// Savepoints::new(Directory::new(old.path())).take("for-the-next")?;
    ///
    /// let start = version(new.path()).from_savepoint_in(Directory::new(old.path()), "for-the-next");
    /// let next = start.standby().start()?;
    /// while !next.has_caught_up() {
    ///     std::thread::sleep(Duration::from_millis(100));
    /// }
    /// next.take_over()?;
    /// assert!(!next.stands_by());
    /// next.wait()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn standby(mut self) -> Self {
        self.parts.stands_by = true;
        self
    }
}
