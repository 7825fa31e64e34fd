//! Faults on purpose, which the checks of a world must find.

/// Something that is wrong on purpose: a test with it must fail, or it would not notice if that were so.
#[derive(Copy, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Defect {
    /// A sink has lost the last batch after a restart, though it had said that it was durable.
    SinkForgets,
    /// A sink says that a batch is durable that it failed to write.
    SinkAcknowledgesFailures,
    /// A source goes on one record too early.
    SourceRepeats,
    /// A source goes on one record too late.
    SourceSkips,
    /// The store has lost a part of the newest checkpoint after a restart.
    StoreLosesPart,
    /// At the end of input a worker passes over a checkpoint that another has arrived at, or arrives at one that was passed over.
    TriggerPassesOver,
    /// A sink lets a process write that was replaced by another; to be found it needs [`World::overlaps`](super::World::overlaps).
    SinkIgnoresOwner,
    /// A checkpoint store lets a process write that was replaced by another; to be found it needs
    /// [`World::overlaps`](super::World::overlaps).
    StoreIgnoresClaim,
    /// A checkpoint is complete before the sinks have what comes before it.
    CheckpointCompletesEarly,
    /// A restart does not know when partitions were found idle, joined or ended; to be found it needs [`World::kills_unsettled`](super::World::kills_unsettled).
    RestartForgetsFloors,
    /// A restart does not know that a run has come to its end, and what that has closed; to be found it needs
    /// [`World::grows_after_its_end`](super::World::grows_after_its_end).
    RestartForgetsEnd,
    /// A restart does not know which input its positions are positions in; to be found it needs
    /// [`World::replaces_a_partition`](super::World::replaces_a_partition).
    RestartForgetsIdentity,
    /// The time in which a process was suspended counts as silence of its partitions; to be found it needs [`World::suspends`](super::World::suspends).
    SuspensionIsSilence,
}

impl Defect {
    /// All of them.
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
