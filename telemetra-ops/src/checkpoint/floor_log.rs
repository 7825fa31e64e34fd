//! The log of floors that a run writes: see [`floors`](crate::checkpoint::floors) for what it is for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use telemetra_core::{EventTime, PartitionId};

use crate::checkpoint::floors::{FloorBlob, Raise, Raises, add};

/// The log of this process.
#[derive(Debug)]
pub(crate) struct FloorLog {
    settings: String,
    state: Mutex<LogState>,
    /// The version up to which all have been made durable.
    durable: AtomicU64,
    /// True if there is something that is to be written.
    requested: AtomicBool,
}

#[derive(Debug, Default)]
struct LogState {
    exact_after: EventTime,
    raises: Raises,
    /// The raises of partitions that other processes read now: until a checkpoint of this run is complete.
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

    /// Returns whether there is something to write; said once.
    pub(crate) fn take_request(&self) -> bool {
        self.requested.load(Ordering::Relaxed) && self.requested.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn is_durable(&self, version: u64) -> bool {
        self.durable.load(Ordering::Acquire) >= version
    }

    /// The entries that are not durable yet, and their version.
    pub(crate) fn unwritten(&self) -> Option<(u64, FloorBlob)> {
        let state = self.lock();
        (!self.is_durable(state.version)).then(|| (state.version, self.blob(&state, None)))
    }

    pub(crate) fn written(&self, version: u64) {
        self.durable.fetch_max(version, Ordering::AcqRel);
    }

    /// The entry by which a run leaves its journal beside a checkpoint, as the input has come to its end.
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
    use crate::checkpoint::floors::RestoredFloors;

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
