//! The operators: windows, sessions, moments, changes, and the drivers of operators with checkpointed state.
//!
//! Partials go through windows or sessions into a differential collection of summaries; moments, the newest
//! summaries, boards and joins are collections made of it, and changes turn any collection of rows into
//! upserts and withdrawals. Operators with state are *tactics*, driven by [`checkpointed`]: everything with a
//! time before the frontier is processed in order of time, so output does not depend on how messages
//! interleave.

pub(crate) mod chance;
pub(crate) mod changes;
pub(crate) mod checkpointed;
#[cfg(test)]
mod checkpointed_tests;
pub(crate) mod early;
pub(crate) mod enrich;
pub(crate) mod found_moments;
pub(crate) mod inbox;
pub(crate) mod journal;
pub(crate) mod key_order;
pub(crate) mod keyed;
pub(crate) mod keyed_process;
pub(crate) mod latest;
pub(crate) mod moments;
pub(crate) mod moments_arrivals;
pub(crate) mod moments_spill;
pub(crate) mod net;
pub(crate) mod open_looks;
pub(crate) mod restored_rules;
pub(crate) mod sessions;
pub(crate) mod spilled_keys;
pub(crate) mod stash;
pub(crate) mod tactic;
pub(crate) mod top;
pub(crate) mod window_keys;
pub(crate) mod window_spill;
pub(crate) mod windows;
pub(crate) mod windows_by_key;
