//! The floor log: the floors that no record explains, durable before they have an effect.
//!
//! After a crash a sink may be ahead of the newest complete checkpoint, and is not given its times again. So all that took effect there
//! must take effect at the same times when it is read again. What a partition's own records do to its floor is the same whenever they are
//! read. What is not: that it was idle and followed the others, that it joined them at some floor, and that it had ended. Each of these
//! is a *raise*: from this offset on the floor is at least so. A raise is in this log before anything is read behind it and before the
//! floor is sent to anyone, and a restart raises floors at the same offsets.
//!
//! There is one blob a process, which is written anew with each raise: it holds the raises since the last complete checkpoint, of which
//! there is one for each time that a partition was found idle.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use telemetra_core::checkpoint::{CheckpointStore, decode};
use telemetra_core::{EventTime, PartitionId};

use crate::support::failure::RestoreError;
use crate::support::retry::RetryDeadline;

/// From the record at this offset on, the floor of a partition is at least so. [`EventTime::MAX`]: the partition had ended there.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Raise {
    pub(crate) offset: u64,
    pub(crate) floor: EventTime,
}

/// The raises of partitions, by offset. A partition without any is one that was read and is in no checkpoint yet.
pub(crate) type Raises = BTreeMap<PartitionId, Vec<Raise>>;

/// The blob of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FloorBlob {
    /// The settings that floors depend on.
    pub(super) settings: String,
    /// Only what sinks got after this time came about as the log says: what they got before was of runs that have left none.
    pub(super) exact_after: EventTime,
    /// The checkpoint beside which the run has left its journal, as the input has come to its end.
    pub(super) ends_after: Option<EventTime>,
    pub(super) raises: Raises,
}

/// The places of the blobs of all processes.
const GROUP: &str = "floors/";

/// The name of a process's blob.
pub(crate) fn floors_name(process: usize) -> String {
    format!("{GROUP}{process:04}")
}

/// The process whose blob has that name.
pub(crate) fn floors_of(name: &str) -> Option<usize> {
    name.strip_prefix(GROUP)?.parse().ok()
}

/// Adds a raise: of those of one offset the last holds.
pub(super) fn add(raises: &mut Vec<Raise>, raise: Raise) {
    let index = raises.partition_point(|other| other.offset < raise.offset);
    match raises.get_mut(index) {
        Some(other) if other.offset == raise.offset => other.floor = other.floor.max(raise.floor),
        _ => raises.insert(index, raise),
    }
}

/// The contents of the logs of all processes at a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestoredFloors {
    /// True if there is a log.
    pub(crate) is_known: bool,
    pub(crate) raises: Raises,
    /// See [`FloorBlob::exact_after`]; `None` if the logs alone do not determine what sinks have.
    pub(crate) exact_after: Option<EventTime>,
}

impl RestoredFloors {
    /// Reads the logs of all processes that were written with one of these settings. `left` is the checkpoint that the run goes on from, if
    /// the journals of a run that came to its end are beside it: what that run did at the end is settled by them.
    pub(crate) fn read(
        store: &mut dyn CheckpointStore,
        settings: &[String],
        left: Option<EventTime>,
        deadline: &RetryDeadline,
    ) -> Result<Self, RestoreError> {
        let mut all = Vec::new();
        for name in deadline.wait("listing the checkpoints", || store.list())? {
            if floors_of(&name).is_some()
                && let Some(blob) = deadline.wait("reading the log of floors", || store.get(&name))?
            {
                let decoded = decode(&blob);
                all.push(decoded.map_err(|source| RestoreError::Damaged { name, source })?);
            }
        }
        Ok(Self::merge(all.into_iter().filter(|blob: &FloorBlob| settings.contains(&blob.settings)), left))
    }

    pub(super) fn merge(blobs: impl Iterator<Item = FloorBlob>, left: Option<EventTime>) -> Self {
        let mut merged = Self { exact_after: Some(EventTime::MIN), ..Self::default() };
        for blob in blobs {
            merged.is_known = true;
            let is_settled = blob.ends_after.is_some() && blob.ends_after == left;
            let exact_after = merged.exact_after.filter(|_| !is_settled);
            merged.exact_after = exact_after.map(|time| time.max(blob.exact_after));
            for (id, raises) in blob.raises {
                let of_partition = merged.raises.entry(id).or_default();
                let counts = |raise: &Raise| !(is_settled && raise.floor == EventTime::MAX);
                raises.into_iter().filter(counts).for_each(|raise| add(of_partition, raise));
            }
        }
        merged.exact_after = merged.exact_after.filter(|_| merged.is_known);
        merged
    }

    /// Returns whether floors came about as the logs say up to `durable`, where a sink has everything.
    pub(crate) fn explains(&self, durable: EventTime) -> bool {
        self.exact_after.is_some_and(|after| durable > after)
    }

    /// The raises of a partition that goes on from `offset`. One that had ended takes effect after what sinks have, if it has more now:
    /// `after_sinks` is the first floor behind that.
    pub(crate) fn of(
        &self,
        id: &PartitionId,
        offset: Option<u64>,
        after_sinks: EventTime,
    ) -> Option<Vec<Raise>> {
        let raises = self.raises.get(id)?;
        let ahead = raises.iter().filter(|raise| offset.is_none_or(|offset| raise.offset >= offset));
        let floor = |floor| if floor == EventTime::MAX { after_sinks } else { floor };
        Some(ahead.map(|raise| Raise { floor: floor(raise.floor), ..*raise }).collect())
    }
}
