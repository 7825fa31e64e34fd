//! Reading: partitions, decoding, sequencing, and folding events into pre-aggregates.
//!
//! Records come in batches from the partitions. A batch is decoded by whichever worker took it, then
//! *sequenced* in the partition's order, which fixes the fate of each event, and then folded by the same
//! worker into the partials of each plan. A partial leaves when the least floor of all partitions passes its
//! effective time.

pub(crate) mod discovery;
#[cfg(test)]
mod discovery_tests;
pub(crate) mod fold;
#[cfg(test)]
mod fold_tests;
pub(crate) mod group_fold;
#[cfg(test)]
mod group_fold_tests;
#[cfg(test)]
mod idle_tests;
pub(crate) mod ingest;
#[cfg(test)]
mod ingest_tests;
pub(crate) mod ingress;
#[cfg(test)]
mod ingress_tests;
pub(crate) mod partial;
pub(crate) mod partition;
#[cfg(test)]
mod partition_tests;
pub(crate) mod plan;
pub(crate) mod poll;
#[cfg(test)]
mod poll_tests;
pub(crate) mod pre_aggregate;
#[cfg(test)]
mod pre_aggregate_tests;
pub(crate) mod prepare;
#[cfg(test)]
mod prepare_tests;
pub(crate) mod raises;
#[cfg(test)]
mod raises_tests;
#[cfg(test)]
mod scripted;
pub(crate) mod shared_list;
#[cfg(test)]
mod shared_list_tests;
mod silence;
pub(crate) mod sources;
#[cfg(test)]
mod sources_tests;
