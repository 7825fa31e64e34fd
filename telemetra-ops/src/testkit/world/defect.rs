//! Faults that can be injected, to test that the checks of a simulation find them.

/// An injected defect of a sink, a source, a store or the engine, for
/// [`World::with_defect`](super::World::with_defect). A simulation with a defect must fail; if it passes, its
/// checks would not find that defect in your code either. Some defects are found only by certain worlds, as
/// their documentation says.
///
/// ```
/// # use std::time::Duration;
/// # use serde::{Deserialize, Serialize};
/// # use telemetra_core::{Event, EventId, EventTime, SerdeJson, TimeConfig, WindowSpec};
/// # use telemetra_ops::WindowKind;
/// # use telemetra_ops::testkit::world::{Draft, World};
/// # #[derive(Debug, Deserialize, Serialize)]
/// # struct Reading { device: String, time: u64, id: u64 }
/// # impl Event for Reading {
/// #     type Key = String;
/// #     fn time(&self) -> EventTime { EventTime(self.time) }
/// #     fn key(&self) -> &str { &self.device }
/// #     fn id(&self) -> Option<EventId> { Some(EventId::of(&self.id.to_string())) }
/// # }
/// # let time = TimeConfig { windows: WindowSpec::sliding(Duration::from_millis(30), Duration::from_millis(10))?, out_of_orderness: Duration::from_millis(15), allowed_lateness: Duration::from_millis(40), ..TimeConfig::default() };
/// # let encode = |draft: &Draft| format!(r#"{{"device":"d{}","time":{},"id":{}}}"#, draft.key, draft.time.0, draft.id).into_bytes();
///
/// use telemetra_ops::testkit::world::Defect;
///
/// let world = World::new(time, encode, |run| {
///     let pipeline = run.pipeline::<Reading>(SerdeJson::new());
///     pipeline.group("readings", WindowKind::default(), |a| a.count("readings")).start()
/// });
/// let found = world.with_defect(Defect::SourceRepeats).first_violation(100);
/// assert!(found.is_some(), "records that are read twice are noticed");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Defect {
    /// A sink has lost the last batch after a restart, though it had reported it durable.
    SinkForgets,
    /// A sink reports a batch durable that it failed to write.
    SinkAcknowledgesFailures,
    /// A source continues one record too early after a restart.
    SourceRepeats,
    /// A source continues one record too late after a restart.
    SourceSkips,
    /// The store has lost a part of the newest checkpoint after a restart.
    StoreLosesPart,
    /// At the end of input a worker passes over a checkpoint that another worker takes part in, or takes part
    /// in one that another passed over.
    TriggerPassesOver,
    /// A sink accepts writes of a process that was replaced by another. Found only with
    /// [`World::overlaps`](super::World::overlaps).
    SinkIgnoresOwner,
    /// A checkpoint store accepts writes of a process that was replaced by another. Found only with
    /// [`World::overlaps`](super::World::overlaps).
    StoreIgnoresClaim,
    /// A checkpoint is complete before the sinks have what comes before it.
    CheckpointCompletesEarly,
    /// A restart has lost the log of when partitions became idle, joined or ended. Found only with
    /// [`World::kills_unsettled`](super::World::kills_unsettled).
    RestartForgetsFloors,
    /// A restart has lost that an earlier run reached the end of its input, and which windows that closed.
    /// Found only with [`World::grows_after_its_end`](super::World::grows_after_its_end).
    RestartForgetsEnd,
    /// A restart has lost which input its offsets refer to. Found only with
    /// [`World::replaces_a_partition`](super::World::replaces_a_partition).
    RestartForgetsIdentity,
    /// The time in which a process was suspended counts as silence of its partitions. Found only with
    /// [`World::suspends`](super::World::suspends).
    SuspensionIsSilence,
}

impl Defect {
    /// All defects, for a test that tries each.
    pub const ALL: [Self; 13] = [
        Self::SinkForgets,
        Self::SinkAcknowledgesFailures,
        Self::SourceRepeats,
        Self::SourceSkips,
        Self::StoreLosesPart,
        Self::TriggerPassesOver,
        Self::SinkIgnoresOwner,
        Self::StoreIgnoresClaim,
        Self::CheckpointCompletesEarly,
        Self::RestartForgetsFloors,
        Self::RestartForgetsEnd,
        Self::RestartForgetsIdentity,
        Self::SuspensionIsSilence,
    ];
}
