//! The floor log: the floors that no record explains, durable before they have an effect.
//!
//! After a crash a sink may be ahead of the newest complete checkpoint, and is not given its times again. So all that took effect there
//! must take effect at the same times when it is read again. What a partition's own records do to its floor is the same whenever they are
//! read. What is not: that it was idle and followed the others, that it joined them at some floor, and that it had ended. Each of these
//! is a *raise*: from this offset on the floor is at least so. A raise is in this log before anything is read behind it and before the
//! floor is told to anyone, and a restart raises floors at the same offsets.
//!
//! There is one blob a process, which is written anew with each raise: it holds the raises since the last complete checkpoint, of which
//! there is one for each time that a partition was found idle.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    settings: String,
    /// Only what sinks got after this time came about as the log says: what they got before was of runs that have left none.
    exact_after: EventTime,
    /// The checkpoint beside which the run has left its journal, as the input has come to its end.
    ends_after: Option<EventTime>,
    raises: Raises,
}

/// Where the blobs of all processes are.
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
fn add(raises: &mut Vec<Raise>, raise: Raise) {
    let index = raises.partition_point(|other| other.offset < raise.offset);
    match raises.get_mut(index) {
        Some(other) if other.offset == raise.offset => other.floor = other.floor.max(raise.floor),
        _ => raises.insert(index, raise),
    }
}

/// What the logs of all processes say at a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RestoredFloors {
    /// Whether there is a log.
    pub(crate) is_known: bool,
    pub(crate) raises: Raises,
    /// See [`FloorBlob::exact_after`]; `None` if what sinks have is not told by the logs alone.
    pub(crate) exact_after: Option<EventTime>,
}

impl RestoredFloors {
    /// Reads the logs of all processes that were written with these settings. `left` is the checkpoint that the run goes on from, if
    /// the journals of a run that came to its end are beside it: what that run did at the end is settled by them.
    pub(crate) fn read(
        store: &mut dyn CheckpointStore,
        settings: &str,
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
        Ok(Self::merge(all.into_iter().filter(|blob: &FloorBlob| blob.settings == settings), left))
    }

    fn merge(blobs: impl Iterator<Item = FloorBlob>, left: Option<EventTime>) -> Self {
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

    /// Whether floors came about as the logs say up to `durable`, where a sink has everything.
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

/// The log of this process.
#[derive(Debug)]
pub(crate) struct FloorLog {
    settings: String,
    state: Mutex<LogState>,
    /// How many versions have been made durable, up to which one.
    durable: AtomicU64,
    /// Whether there is something that is to be written.
    requested: AtomicBool,
}

#[derive(Debug, Default)]
struct LogState {
    exact_after: EventTime,
    raises: Raises,
    /// Of partitions that other processes read now: until a checkpoint of this run is complete.
    others: Raises,
    /// Rises with each raise.
    version: u64,
    /// The offsets of each checkpoint that is under way.
    cuts: BTreeMap<EventTime, Vec<(PartitionId, u64)>>,
}

impl FloorLog {
    pub(crate) fn new(settings: String) -> Self {
        Self {
            settings,
            state: Mutex::default(),
            durable: AtomicU64::new(0),
            requested: AtomicBool::new(false),
        }
    }

    fn lock(&self) -> MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the log of this run, with the raises of its partitions that are ahead, and with those of other processes' partitions.
    /// Nothing may be read before the version that is returned is durable.
    pub(crate) fn begin(&self, exact_after: EventTime, own: Raises, others: Raises) -> u64 {
        let mut state = self.lock();
        state.exact_after = exact_after;
        state.raises.extend(own);
        state.others = others;
        self.request(&mut state)
    }

    /// Adds a raise. It may have an effect once the version that is returned is durable.
    pub(crate) fn raise(&self, id: &PartitionId, raise: Raise) -> u64 {
        let mut state = self.lock();
        match state.raises.get_mut(id) {
            Some(raises) => add(raises, raise),
            None => drop(state.raises.insert(id.clone(), vec![raise])),
        }
        self.request(&mut state)
    }

    fn request(&self, state: &mut LogState) -> u64 {
        state.version += 1;
        self.requested.store(true, Ordering::Release);
        state.version
    }

    /// Whether there is something to write; said once.
    pub(crate) fn take_request(&self) -> bool {
        self.requested.load(Ordering::Relaxed) && self.requested.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn is_durable(&self, version: u64) -> bool {
        self.durable.load(Ordering::Acquire) >= version
    }

    /// What is not durable yet, and its version.
    pub(crate) fn unwritten(&self) -> Option<(u64, FloorBlob)> {
        let state = self.lock();
        (!self.is_durable(state.version)).then(|| (state.version, self.blob(&state, None)))
    }

    pub(crate) fn written(&self, version: u64) {
        self.durable.fetch_max(version, Ordering::AcqRel);
    }

    /// What says that the run leaves its journal beside a checkpoint, as the input has come to its end.
    pub(crate) fn ending(&self, checkpoint: EventTime) -> FloorBlob {
        self.blob(&self.lock(), Some(checkpoint))
    }

    fn blob(&self, state: &LogState, ends_after: Option<EventTime>) -> FloorBlob {
        let mut raises = state.others.clone();
        raises.extend(state.raises.clone());
        FloorBlob { settings: self.settings.clone(), exact_after: state.exact_after, ends_after, raises }
    }

    /// Notes the offsets of a checkpoint.
    pub(crate) fn cut(&self, cut: EventTime, offsets: impl Iterator<Item = (PartitionId, u64)>) {
        self.lock().cuts.insert(cut, offsets.collect());
    }

    /// A checkpoint is complete, from which a restart will go on: what lies before it is not needed any more.
    pub(crate) fn prune(&self, complete: EventTime) {
        let mut state = self.lock();
        let Some(offsets) = state.cuts.remove(&complete) else { return };
        state.cuts.retain(|cut, _| *cut > complete);
        state.others.clear();
        for (id, offset) in offsets {
            if let Some(raises) = state.raises.get_mut(&id) {
                raises.retain(|raise| raise.offset >= offset);
                if raises.is_empty() {
                    state.raises.remove(&id);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raise(offset: u64, floor: u64) -> Raise {
        Raise { offset, floor: EventTime(floor) }
    }

    fn id(name: &str) -> PartitionId {
        PartitionId::new(name)
    }

    fn restored(log: &FloorLog, left: Option<u64>) -> RestoredFloors {
        RestoredFloors::merge(log.unwritten().map(|(_, blob)| blob).into_iter(), left.map(EventTime))
    }

    #[test]
    fn a_restart_gets_the_raises_from_its_offset_on() {
        let log = FloorLog::new(String::new());
        log.begin(EventTime(5), Raises::from([(id("a"), vec![raise(0, 0)])]), Raises::new());
        for (offset, floor) in [(7, 20), (3, 10), (7, 30)] {
            log.raise(&id("a"), raise(offset, floor));
        }
        let floors = restored(&log, None);
        assert_eq!(
            floors.of(&id("a"), None, EventTime::MIN),
            Some(vec![raise(0, 0), raise(3, 10), raise(7, 30)])
        );
        assert_eq!(floors.of(&id("a"), Some(4), EventTime::MIN), Some(vec![raise(7, 30)]));
        assert_eq!(floors.of(&id("b"), None, EventTime::MIN), None);
        assert!(floors.explains(EventTime(6)) && !floors.explains(EventTime(5)));
    }

    #[test]
    fn an_end_counts_after_what_sinks_have_unless_a_journal_settles_it() {
        let log = FloorLog::new(String::new());
        log.raise(&id("a"), raise(9, u64::MAX));
        assert_eq!(restored(&log, None).of(&id("a"), None, EventTime(70)), Some(vec![raise(9, 70)]));
        let ended = RestoredFloors::merge([log.ending(EventTime(40))].into_iter(), Some(EventTime(40)));
        assert_eq!(ended.of(&id("a"), None, EventTime(70)), Some(vec![]));
        assert!(ended.is_known && !ended.explains(EventTime(60)));
        let elsewhere = RestoredFloors::merge([log.ending(EventTime(40))].into_iter(), None);
        assert_eq!(elsewhere.of(&id("a"), None, EventTime(70)), Some(vec![raise(9, 70)]));
    }

    #[test]
    fn a_complete_checkpoint_prunes_what_lies_before_its_offsets() {
        let log = FloorLog::new(String::new());
        log.begin(EventTime::MIN, Raises::new(), Raises::from([(id("theirs"), vec![raise(1, 10)])]));
        for (name, offset) in [("a", 3), ("a", 8), ("joined later", 0), ("b", 2)] {
            log.raise(&id(name), raise(offset, 10));
        }
        log.cut(EventTime(60), [(id("a"), 8), (id("b"), 5)].into_iter());
        log.prune(EventTime(50));
        assert_eq!(restored(&log, None).raises.len(), 4, "no such checkpoint");
        log.prune(EventTime(60));
        let left = Raises::from([(id("a"), vec![raise(8, 10)]), (id("joined later"), vec![raise(0, 10)])]);
        assert_eq!(restored(&log, None).raises, left);
    }

    #[test]
    fn a_version_is_durable_once_it_or_a_later_one_is_written() {
        let log = FloorLog::new(String::new());
        let first = log.raise(&id("a"), raise(1, 10));
        let second = log.raise(&id("a"), raise(2, 20));
        assert!(log.take_request() && !log.take_request());
        let (version, _) = log.unwritten().unwrap_or_default();
        assert_eq!(version, second);
        assert!(!log.is_durable(first));
        log.written(version);
        assert!(log.is_durable(first) && log.is_durable(second) && log.unwritten().is_none());
    }
}
