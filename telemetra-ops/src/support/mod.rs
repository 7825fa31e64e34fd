//! The parts that all of the engine stands on: the first error, retries, and helpers on frontiers.

pub(crate) mod defects;
pub(crate) mod exchange;
pub(crate) mod failure;
pub(crate) mod frontier;
#[cfg(test)]
pub(crate) mod logged;
pub(crate) mod restore_plan;
pub(crate) mod retry;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod wait;
