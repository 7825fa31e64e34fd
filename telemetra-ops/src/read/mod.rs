//! Reading: partitions, decoding, sequencing, and folding events into pre-aggregates.
//!
//! Records come in batches from the partitions. A batch is decoded by whichever worker took it, then
//! *sequenced* in the partition's order, which fixes the fate of each event, and then folded by the same
//! worker into the partials of each plan. A partial leaves when the least floor of all partitions passes its
//! effective time.

pub(crate) mod discovery;
pub(crate) mod fold;
pub(crate) mod group_fold;
pub(crate) mod ingest;
pub(crate) mod ingress;
pub(crate) mod partial;
pub(crate) mod partition;
pub(crate) mod plan;
pub(crate) mod poll;
pub(crate) mod pre_aggregate;
pub(crate) mod prepare;
pub(crate) mod raises;
pub(crate) mod shared_list;
mod silence;
pub(crate) mod sources;
