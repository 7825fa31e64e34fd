//! Faults of the engine that tests switch on, to see that they would be found.

/// The defects that are on; by default none.
#[derive(Copy, Clone, Debug, Default)]
pub(crate) struct EngineDefects {
    /// Each worker decides for itself whether a checkpoint at the end of input is passed over.
    pub(crate) trigger_passes_over: bool,
    /// A checkpoint does not wait for the sinks.
    pub(crate) completes_early: bool,
    /// A restart does not know how floors were raised.
    pub(crate) forgets_floors: bool,
    /// A restart does not know the journal that a run has left.
    pub(crate) forgets_journal: bool,
    /// A restart does not know which input its positions are positions in.
    pub(crate) forgets_identity: bool,
    /// The time in which nobody asked a partition counts as its silence.
    pub(crate) counts_suspensions: bool,
}
